"""Where things are: the checkout, its results and figures, and the user's cache."""

from __future__ import annotations

import gzip
import json
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pooch

from llmsel._base.errors import InputError

VERSION = version("llmsel")
# llmsel is installed from its checkout (pip -e); LLMSEL_ROOT names another one
ROOT = Path(os.environ.get("LLMSEL_ROOT") or Path(__file__).parents[2]).resolve()
NOTEBOOKS = ROOT / "notebooks"
RENDERED = NOTEBOOKS / "rendered"
FIGURES = ROOT / "figures"
RESULTS = ROOT / "data" / "results"


def cache_dir() -> Path:
    """Folder for downloads and computed votes: ``LLMSEL_CACHE``, or the user's cache folder."""
    return Path(os.environ.get("LLMSEL_CACHE") or pooch.os_cache("llmsel"))


def slug(name: str) -> str:
    """Turn a benchmark's name into a file name (``official:mt-bench`` -> ``official-mt-bench``)."""
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in name)


def json_lines(path: Path) -> list[dict[str, Any]]:
    """Read one JSON object a line from a UTF-8 file, packed if it is named ``.gz``.

    Raises:
        InputError: no such file, not UTF-8, or a line that is not a JSON object (names file and
            line).
    """
    packed = path.suffix == ".gz"
    text = gzip.decompress(path.read_bytes()).decode("utf-8") if packed else read_text(path)
    rows = []
    for number, line in enumerate(text.split("\n"), 1):  # splitlines would cut inside a string
        if line.strip():
            try:
                row = json.loads(line)
            except ValueError as error:
                raise InputError(f"'{path}', line {number}, is not JSON: {error}.") from error
            if not isinstance(row, dict):
                raise InputError(f"'{path}', line {number}, is not a JSON object.")
            rows.append(row)
    return rows


def read_text(path: str | Path) -> str:
    """Read a UTF-8 text file.

    Raises:
        InputError: no such file, or bytes that are not UTF-8 (names file and byte position).
    """
    try:
        return Path(path).read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise InputError(f"no file '{path}'.") from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"'{path}' is not UTF-8: byte 0x{error.object[error.start]:02x} at position "
            f"{error.start}; save the file as UTF-8."
        ) from error
