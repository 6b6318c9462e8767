"""Where things are, and how they are kept: the checkout, the user's cache, whole files."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import secrets
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
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
            except (ValueError, RecursionError) as error:
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


@contextmanager
def write_atomically(path: str | Path) -> Iterator[BinaryIO]:
    """Open a binary file that becomes ``path`` when the block ends without an error.

    Until then, and after an error, what was at ``path`` stays as it is: neither a stop half-way
    nor a full disk leaves a torn file behind. Folders on the way are made.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # short, as names have a limit; one's own, as other processes and threads may write the same
    part = path.with_name(f"{path.name[:100]}.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def cached_array(
    kind: str,
    key: Any,
    *,
    shape: tuple[int, ...],
    dtype: np.typing.DTypeLike,
    compute: Callable[[], np.ndarray],
) -> np.ndarray:
    """Return an array from the cache, or compute it and keep it there.

    A file that is absent, damaged or of another shape is computed again; a cache that cannot be
    written costs a warning, never the result.

    Args:
        kind: folder inside `cache_dir`.
        key: all that the array depends on, as JSON can hold it; a version of the code among it.
        shape: of the array.
        dtype: of the array.
        compute: makes it.
    """
    digest = hashlib.sha256(json.dumps(key).encode()).hexdigest()
    path = cache_dir() / kind / f"{digest}.npy"
    try:
        kept = np.load(path, allow_pickle=False)
        if isinstance(kept, np.ndarray) and kept.shape == shape and kept.dtype == dtype:
            return kept
    except (OSError, ValueError, EOFError):
        pass  # absent or damaged
    array = compute()
    try:
        with write_atomically(path) as file:
            np.save(file, array)
    except OSError as error:
        warnings.warn(
            f"nothing is kept in the cache '{path.parent}' ({error.strerror or error}); name a "
            "folder that can be written in LLMSEL_CACHE.",
            stacklevel=2,
        )
    return array
