"""Files that one process writes, each byte of them on disk before it goes on."""

from __future__ import annotations

import os
from pathlib import Path

import filelock

from llmsel._base.errors import InputError


def lock(path: Path) -> filelock.FileLock:
    """Lock a log against other processes.

    Raises:
        InputError: another process holds the lock, or its file cannot be written.
    """
    # a file of its own: on Windows a locked file cannot even be read by others
    held = filelock.FileLock(f"{path}.lock", timeout=0, thread_local=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        held.acquire()
    except filelock.Timeout as error:
        raise InputError(
            f"another process is writing '{path.name}'; close it there first, or give this session "
            "a log of its own."
        ) from error
    except OSError as error:
        raise InputError(
            f"'{path.name}' cannot be written here ({error.strerror or error}); name another file."
        ) from error
    return held


def place_of(path: str | Path) -> tuple[int, int] | None:
    """Say which file stands at a path now; None for none."""
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def write_all(file: int, data: bytes) -> None:
    """Write all of it, and wait until it is on disk."""
    while data:
        data = data[os.write(file, data) :]
    os.fsync(file)


def sync_folder(folder: Path) -> None:
    """Make the new file's name durable, where folders can be synced."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
