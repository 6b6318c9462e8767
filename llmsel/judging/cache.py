"""Verdicts by content, so that nothing is paid for twice: JSON Lines, a verdict a line."""

from __future__ import annotations

import json
import threading
import warnings
from pathlib import Path
from typing import Any

from llmsel._base.errors import InputError

VERDICTS = ("A", "B", "tie")
Said = tuple[str, str | None]  # a verdict, and the judge's reason if it gave one


class VerdictCache:
    """Verdicts in memory and, with a path, on disk; failures are never kept.

    A damaged line costs that verdict only. A file that holds no verdict is not touched.

    Args:
        path: JSON Lines file; None keeps them in memory.

    Raises:
        InputError: the file cannot be read, or holds something else.
    """

    def __init__(self, path: str | Path | None):
        """Read what is there."""
        self._path = None if path is None else Path(path)
        self._lock = threading.Lock()
        self._known, self._torn = ({}, False) if self._path is None else _read(self._path)

    def __contains__(self, key: object) -> bool:
        """Tell whether the verdict is known."""
        return key in self._known

    def get(self, key: str) -> str | None:
        """Return a known verdict, or None."""
        return self._known.get(key, (None, None))[0]

    def reason(self, key: str) -> str | None:
        """Return the reason of a known verdict, or None."""
        return self._known.get(key, (None, None))[1]

    def keep(self, key: str, verdict: str, reason: str | None = None) -> None:
        """Keep a verdict; one that cannot be written is kept in memory, with a warning."""
        with self._lock:
            self._known[key] = verdict, reason
            if self._path is None:
                return
            more = {} if reason is None else {"reason": reason}
            line = json.dumps({"key": key, "verdict": verdict, **more}) + "\n"
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                with self._path.open("a", encoding="utf-8") as file:
                    file.write("\n" + line if self._torn else line)
            except OSError as error:
                warnings.warn(
                    f"no verdict is kept in '{self._path}' any more ({error.strerror or error}): "
                    "another run would ask for them again.",
                    stacklevel=2,
                )
                self._path = None
            self._torn = False


def _read(path: Path) -> tuple[dict[str, Said], bool]:
    """Read the verdicts, and whether the last line has no end."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return {}, False
    except OSError as error:
        raise InputError(
            f"the cache '{path}' cannot be read ({error.strerror}); name another file."
        ) from error
    rows = [_verdict(line) for line in raw.split(b"\n")]
    known = dict(row for row in rows if row is not None)
    if raw.strip() and not known and not raw.startswith(b'{"key": "'):
        raise InputError(
            f"'{path}' is no cache of verdicts and is left as it is; name another file."
        )
    return known, not raw.endswith(b"\n") and bool(raw)


def _verdict(line: bytes) -> tuple[str, Said] | None:
    """Read one line; None if it is damaged: that verdict is asked for again."""
    try:
        row: Any = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict) or row.get("verdict") not in VERDICTS:
        return None
    reason = row.get("reason") if isinstance(row.get("reason"), str) else None
    return (row["key"], (row["verdict"], reason)) if isinstance(row.get("key"), str) else None
