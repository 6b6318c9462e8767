"""Check a log line by line, without its pool, and save what can be saved of a damaged one."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from llmsel._base.errors import InputError
from llmsel._base.files import write_atomically
from llmsel.judging.durable import lock
from llmsel.judging.lines import HEAD, need_ours, printable, seal, split, unseal
from llmsel.judging.replay import checked


@dataclasses.dataclass(frozen=True)
class Check:
    """What was found in a log.

    Args:
        lines: number of lines, the header included.
        damaged: what is wrong, one sentence per line of the log; empty if nothing is.
        mended: how many of these lines could be restored by their checksum.
        backup: the damaged log, kept beside the repaired one; None if nothing was repaired.
    """

    lines: int
    damaged: tuple[str, ...]
    mended: int = 0
    backup: Path | None = None


def check_log(path: str | Path, *, repair: bool = False) -> Check:
    """Say what is damaged in a log; with ``repair``, save what can be.

    A line with one flipped bit is restored by its checksum; any other damaged line is left out,
    and its annotation must be given again. Of two outcomes of one cell the later stands: it can
    only have been given after the first was taken back.

    Args:
        path: of the log.
        repair: write the repaired log in its place; the damaged one is kept beside it.

    Raises:
        InputError: no log, one that another process writes, or a header that cannot be saved.
    """
    path = Path(path).resolve()
    if not path.exists():
        raise InputError(f"no log '{path}'.")
    need_ours(path)
    found = _Findings(*split(path))
    if not repair or not found.damaged:
        return Check(found.count, tuple(found.damaged), found.mended)
    if not found.kept[:1] or not found.kept[0].startswith(HEAD):
        raise InputError(
            f"the header of '{path.name}' is damaged, and with it the log; restore it from a copy."
        )
    held = lock(path)
    try:
        found = _Findings(*split(path))  # nobody writes it now
        backup = path.with_name(f"{path.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S%f}")
        shutil.copy2(path, backup)
        with write_atomically(path) as file:
            file.writelines(line + b"\n" for line in found.kept)
    finally:
        held.release()
    return Check(found.count, tuple(found.damaged), found.mended, backup)


class _Findings:
    """The lines of a log, read one after the other.

    Attributes:
        count: number of lines. damaged: what is wrong with some. mended: restored lines.
        kept: bytes of the lines of a repaired log.
    """

    def __init__(self, lines: list[bytes], rest: bytes) -> None:
        self.count, self.mended = len(lines) + bool(rest), 0
        self.damaged: list[str] = []
        self.kept: list[bytes] = []
        self._sealed = False
        self._race: Any = None
        self._cells: dict[tuple[str, str], int] = {}  # -> place in kept
        self._outcomes: dict[tuple[str, str], Any] = {}
        for number, line in enumerate(lines, 1):
            self._read(number, line)
        if rest:
            self._note(len(lines) + 1, "it was torn by a stop half-way")
        self.kept = [line for line in self.kept if line]

    def _note(self, number: int, why: object) -> None:
        self.damaged.append(f"line {number} is damaged: {printable(str(why))}.")

    def _read(self, number: int, line: bytes) -> None:
        try:
            event = unseal(line, sealed=self._sealed)
            if number == 1 and event.get("format") is not None:
                unseal(line, sealed=True)
        except ValueError as error:
            restored = _restored(line)
            if restored is None:
                self._note(number, error)
                return
            self._note(number, f"{error} (one bit was flipped, and is restored)")
            self.mended += 1
            line, event = restored, unseal(restored, sealed=True)
        try:
            self._take(number, line, event)
        except (ValueError, RecursionError) as error:
            self._note(number, error)

    def _take(self, number: int, line: bytes, event: Mapping[str, Any]) -> None:
        if number == 1:
            self._sealed = event.get("format") is not None
        elif "undo" in checked(event):
            cells = [(event["undo"], model) for model in event["models"]]
            stand = [cell for cell in cells if cell in self._cells]
            if not stand:
                raise ValueError("it takes back what was not given, or was taken back before")
            for cell in stand:
                del self._cells[cell], self._outcomes[cell]
            if len(stand) < len(cells):  # what is left to take back
                line = seal({**event, "models": [model for _, model in stand]})[:-1]
                self._note(number, "it takes back more than was given")
        elif "race" in event:
            if self._race not in (None, event["race"]):
                raise ValueError("it begins a second race, with other settings than the first")
            self._race = event["race"]
        elif "query" in event and "outcome" in event:
            self._outcome(number, event)
        self.kept.append(line)

    def _outcome(self, number: int, event: Mapping[str, Any]) -> None:
        cell = event["query"], event["model"]
        if cell in self._cells and self._outcomes[cell] not in (None, event["outcome"]):
            self._note(number, f"'{cell[1]}' on '{cell[0]}' has another outcome in a line before")
            self.kept[self._cells[cell]] = b""
        self._cells[cell], self._outcomes[cell] = len(self.kept), event["outcome"]


def _restored(line: bytes) -> bytes | None:
    """Find the one bit whose flip makes the line agree with its checksum; None if there is none."""
    data = bytearray(line)
    for place in range(len(data)):
        for bit in range(8):
            data[place] ^= 1 << bit
            try:
                unseal(bytes(data), sealed=True)
                return bytes(data)
            except ValueError:
                data[place] ^= 1 << bit
    return None
