"""Lines of an annotation log: written with a checksum, read strictly.

A line is a JSON object. Its last entry, ``"crc"``, is the CRC-32 of the bytes before it, which
finds every single flipped bit; lines of llmsel 0.2 and before have none and are read without.
"""

from __future__ import annotations

import dataclasses
import json
import re
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from llmsel._base.errors import InputError

HEAD = b'{"llmsel": "annotations"'  # how every log begins, and nothing else
FORMAT = 2  # of the header: from 2 on, every line has a checksum
_SEAL = re.compile(rb', "crc": "([0-9a-f]{8})"\}')
_SEALED = len(', "crc": "01234567"}')


def seal(event: Mapping[str, Any]) -> bytes:
    """Write an event as a line with its checksum, end of line included."""
    # half a surrogate pair stays a JSON escape
    text = json.dumps(event, ensure_ascii=False, default=repr).encode("utf-8", "backslashreplace")
    return text[:-1] + b', "crc": "%08x"}\n' % zlib.crc32(text[:-1])


def unseal(line: bytes, *, sealed: bool) -> dict[str, Any]:
    """Read a line without its end.

    Args:
        line: its bytes.
        sealed: whether it must have a checksum.

    Raises:
        ValueError: what is wrong with it, to follow "line 3 is damaged:".
    """
    found = _SEAL.fullmatch(line[-_SEALED:])
    if sealed and not found:
        raise ValueError("it has no checksum")
    if found and int(found[1], 16) != zlib.crc32(line[:-_SEALED]):
        raise ValueError("it does not agree with its checksum")
    try:
        event = json.loads(line.decode())
    except (ValueError, RecursionError) as error:
        raise ValueError("it is not JSON") from error
    if not isinstance(event, dict):
        raise ValueError("it is no JSON object")
    if found:
        del event["crc"]
    return event


@dataclasses.dataclass(frozen=True)
class Lines:
    """What a file says, line by line.

    Args:
        header: the first line; None for a file that is empty or has only half a header.
        events: the other lines, each with its number in the file.
        torn: what is wrong with the end of the file, in one sentence, or None.
        whole: number of bytes up to that end.
    """

    header: dict[str, Any] | None = None
    events: tuple[tuple[int, dict[str, Any]], ...] = ()
    torn: str | None = None
    whole: int = 0


def read_lines(path: Path) -> Lines:
    """Read a log; nothing is changed.

    Raises:
        InputError: it cannot be read, is no annotation log, or has a damaged line.
    """
    lines, rest = split(path)
    torn = None
    if rest:
        torn = (
            f"the last line of '{path.name}' was torn by a stop half-way and was removed; that "
            "annotation must be given again."
        )
    if not lines:
        return Lines(torn=torn)
    header = _unsealed(path, 1, lines[0], sealed=False)
    if header.get("llmsel") != "annotations":
        raise not_ours(path)
    sealed = header.get("format") is not None
    if sealed:
        _unsealed(path, 1, lines[0], sealed=True)
    events = [(n, _unsealed(path, n, line, sealed=sealed)) for n, line in enumerate(lines[1:], 2)]
    return Lines(header, tuple(events), torn, sum(len(line) + 1 for line in lines))


def split(path: Path) -> tuple[list[bytes], bytes]:
    """Return the lines of a log without their ends, and what follows the last end of line.

    Raises:
        InputError: it cannot be read, or it does not begin as a log does.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"'{path}' cannot be read: {error.strerror or error}.") from error
    if raw and not raw.startswith(HEAD):
        raise not_ours(path)
    *lines, rest = raw.split(b"\n")
    return lines, rest


def need_ours(path: Path) -> None:
    """Refuse a file that does not begin as a log does, before anything is written to or beside it.

    Raises:
        InputError: such a file, or one that cannot be read.
    """
    try:
        with path.open("rb") as file:
            begins = file.read(len(HEAD))
    except FileNotFoundError:
        return
    except OSError as error:
        raise InputError(f"'{path}' cannot be read: {error.strerror or error}.") from error
    if begins and begins != HEAD:
        raise not_ours(path)


def not_ours(path: Path) -> InputError:
    """Build the error for a file that is no log."""
    return InputError(
        f"'{path}' is not an annotation log: its first line is no header. Nothing was changed; "
        "name another file."
    )


def damage(path: Path, number: int, why: object) -> InputError:
    """Build the error for a damaged line."""
    return InputError(
        f"{path}, line {number}, is damaged: {printable(str(why))}; restore the log from a copy, "
        f"or see what can be saved: llmsel session check {path}"
    )


def printable(text: str) -> str:
    """Make text of a damaged file safe to print: no half surrogates, no control characters."""
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    return shown if len(shown) <= 200 else f"{shown[:200]}..."


def need_fields(
    event: Mapping[str, Any],
    required: Mapping[str, type | tuple[type, ...]],
    optional: Mapping[str, type | tuple[type, ...]],
) -> None:
    """Check the entries of a line and their types.

    Args:
        event: the line.
        required: entry -> type.
        optional: the same for those that may be absent.

    Raises:
        ValueError: the first that is missing, unknown, or of another type.
    """
    for name in required:
        if name not in event:
            raise ValueError(f"it has no '{name}'")
    known = {**required, **optional}
    for name, value in event.items():
        if name not in known:
            raise ValueError(f"it has an unknown entry '{name}'")
        if not isinstance(value, known[name]) or isinstance(value, bool) != (known[name] is bool):
            raise ValueError(f"its '{name}' is {value!r}")


def need_words(values: Iterable[object]) -> None:
    """Check that a list holds texts.

    Raises:
        ValueError: one is none.
    """
    for value in values:
        if not isinstance(value, str):
            raise ValueError(f"{value!r} is no name")


def _unsealed(path: Path, number: int, line: bytes, *, sealed: bool) -> dict[str, Any]:
    try:
        return unseal(line, sealed=sealed)
    except ValueError as error:
        raise damage(path, number, error) from error
