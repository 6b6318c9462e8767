"""Inspect logs: an ``.eval`` file is a zip of JSON files, packed with Zstandard."""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

from llmsel._base.errors import InputError

ZSTANDARD = 93  # method number in a zip file


def unpack(path: Path) -> tuple[dict[str, Any], list[tuple[str, dict[str, Any]]]]:
    """Read an ``.eval`` file, whole or of an evaluation that was stopped.

    Returns:
        The header, and every sample with the place it was found, sorted by id.

    Raises:
        InputError: not a whole Inspect log, or no zstandard to read it.
    """
    try:
        with zipfile.ZipFile(path) as log:
            names = log.namelist()
            # an evaluation that was stopped has no header.json yet
            start = "header.json" if "header.json" in names else "_journal/start.json"
            head = json.loads(read_member(log, start))
            found = [name for name in names if name.startswith("samples/")]
            entries = [(f"'{path}', {name}", json.loads(read_member(log, name))) for name in found]
    except ImportError as error:
        raise InputError(f"to read '{path}', pip install zstandard.") from error
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise InputError(f"'{path}' is not a whole Inspect log: {error}.") from error
    return head, sorted(entries, key=lambda entry: _sort_key(entry[1].get("id")))


def read_member(log: zipfile.ZipFile, name: str) -> bytes:
    """Read one member; Inspect packs with Zstandard, which zipfile learns only in Python 3.14."""
    entry = log.getinfo(name)
    if entry.compress_type != ZSTANDARD or hasattr(zipfile, "ZIP_ZSTANDARD"):
        return log.read(name)
    import zstandard

    assert log.fp is not None
    log.fp.seek(entry.header_offset)
    *_, name_length, extra_length = struct.unpack("<4s5H3I2H", log.fp.read(30))
    log.fp.seek(name_length + extra_length, 1)
    packed = log.fp.read(entry.compress_size)
    try:
        data = zstandard.ZstdDecompressor().decompressobj().decompress(packed)
    except zstandard.ZstdError as error:
        raise ValueError(f"{name}: {error}") from error
    if len(data) != entry.file_size or zlib.crc32(data) != entry.CRC:
        raise ValueError(f"{name} is damaged")
    return data


def _sort_key(name: Any) -> tuple[int, int, str]:
    return (0, name, "") if isinstance(name, int) else (1, 0, str(name))
