"""The file of answers that `llmsel generate` writes: one process at a time, a line an answer."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import filelock

from llmsel._base.errors import InputError
from llmsel._base.terminal import encodable

OURS = b'{"model": '  # how every line begins that is written here, a torn one too


def read_output(path: Path) -> tuple[list[dict[str, Any]], int]:
    """Read the answers so far; nothing is changed.

    Returns:
        The answers, and how many bytes of the file they take: what follows is a line that a kill
        has torn.

    Raises:
        InputError: the file holds something else than answers (names the line).
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return [], 0
    except OSError as error:
        raise InputError(f"'{path}' cannot be read ({error.strerror}).") from error
    lines = raw.split(b"\n")
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        row = _answer(line)
        if row is None and number == len(lines) and _torn(line):
            return rows, len(raw) - len(line)
        if row is None:
            raise InputError(
                f"'{path}', line {number}, is no answer (an object with model, query_id and "
                "response); the file is left as it is: name another output."
            )
        rows.append(row)
    return rows, len(raw)


def _answer(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict) or not {"model", "query_id", "response"} <= row.keys():
        return None
    return row if isinstance(row["model"], str) else None


def _torn(line: bytes) -> bool:
    """Tell whether a last line without an end is the beginning of an answer."""
    return line.startswith(OURS) or OURS.startswith(line)


class AnswerFile:
    """The output, locked and open for appending; use it in a ``with`` statement.

    Args:
        path: created if absent.

    Attributes:
        rows: the answers that were there.
    """

    def __init__(self, path: str | Path):
        """Note the path; nothing is opened yet."""
        self._path = Path(path)
        # beside the file, as the lock of an annotation log is
        self._lock = filelock.FileLock(f"{self._path}.lock", timeout=0, thread_local=False)
        self._one = threading.Lock()
        self._file: int | None = None
        self.rows: list[dict[str, Any]] = []

    def __enter__(self) -> AnswerFile:
        """Lock and open the file; cut off a torn last line, end one that has no end.

        Raises:
            InputError: another process writes it, it holds something else, or it cannot be
                written.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
            self._open()
        except filelock.Timeout as error:
            raise InputError(
                f"another process is writing '{self._path}'; wait for it, or name another output."
            ) from error
        except OSError as error:
            self.__exit__()
            raise self._unwritable(error) from error
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file and release the lock."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        self._lock.release()

    def append(self, row: Mapping[str, Any]) -> None:
        """Write one answer and make it durable; safe to call from threads.

        Raises:
            InputError: it cannot be written whole (nothing of it stays then), or the file was
                replaced or removed.
        """
        data = encodable(json.dumps(row, ensure_ascii=False) + "\n").encode()
        with self._one:
            if self._file is None:
                raise InputError(f"'{self._path}' is closed.")
            self._check_place(self._file)
            self._write(self._file, data)

    def _open(self) -> None:
        self.rows, whole = read_output(self._path)
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
        self._file = os.open(self._path, flags, 0o666)
        if os.fstat(self._file).st_size > whole:
            os.ftruncate(self._file, whole)
        if self.rows and not self._path.read_bytes().endswith(b"\n"):
            self._write(self._file, b"\n")

    def _write(self, handle: int, data: bytes) -> None:
        before = os.fstat(handle).st_size
        try:
            while data:
                data = data[os.write(handle, data) :]
            os.fsync(handle)
        except OSError as error:
            os.ftruncate(handle, before)  # half a line would spoil the next
            raise self._unwritable(error) from error

    def _check_place(self, handle: int) -> None:
        mine = os.fstat(handle)
        try:
            there = self._path.stat()
        except OSError:
            there = None
        if there is None or (there.st_ino, there.st_dev) != (mine.st_ino, mine.st_dev):
            raise InputError(
                f"'{self._path}' was moved, removed or replaced while it was being written; put "
                "it back and run the same command again."
            )

    def _unwritable(self, error: OSError) -> InputError:
        return InputError(
            f"'{self._path}' cannot be written ({error.strerror or error}); what it held is kept."
        )
