"""Inspect logs: an ``.eval`` file is a zip of JSON files, packed with Zstandard."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from llmsel._base.errors import InputError


def unpack(path: Path) -> tuple[dict[str, Any], list[tuple[str, dict[str, Any]]]]:
    """Read an ``.eval`` file, whole or of an evaluation that was stopped.

    Returns:
        The header, and every sample with the place it was found, sorted by id.

    Raises:
        InputError: not a whole Inspect log, or no library to read Zstandard.
    """
    try:
        zipfile, damage = zipfile_with_zstandard()
    except ImportError as error:
        raise InputError(f"to read '{path}', pip install 'llmsel[formats]'.") from error
    try:
        with zipfile.ZipFile(path) as log:
            names = log.namelist()
            # an evaluation that was stopped has no header.json yet
            start = "header.json" if "header.json" in names else "_journal/start.json"
            head = json.loads(log.read(start))
            found = [name for name in names if name.startswith("samples/")]
            entries = [(f"'{path}', {name}", json.loads(log.read(name))) for name in found]
    except (zipfile.BadZipFile, damage, KeyError, ValueError) as error:
        raise InputError(f"'{path}' is not a whole Inspect log: {error}.") from error
    return head, sorted(entries, key=lambda entry: _sort_key(entry[1].get("id")))


def zipfile_with_zstandard() -> tuple[ModuleType, type[Exception]]:
    """Import the library's zipfile, before Python 3.14 its backport; and its error of a frame."""
    if sys.version_info >= (3, 14):
        import zipfile

        from compression.zstd import ZstdError
    else:
        from backports.zstd import ZstdError, zipfile
    return zipfile, ZstdError


def _sort_key(name: Any) -> tuple[int, int, str]:
    return (0, name, "") if isinstance(name, int) else (1, 0, str(name))
