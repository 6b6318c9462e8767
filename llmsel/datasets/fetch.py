"""Fetch published files with pinned hashes, from the network or from a mirror.

A file is named ``owner/repository/commit/path``, as raw.githubusercontent.com serves it;
``registry.txt`` beside this module pins the SHA-256 of each. ``LLMSEL_MIRROR`` (a folder, a
``file://`` or an ``http://`` address) names another place that serves the same paths. Downloads
go to the cache file by file, each moved into place only when its hash is right: an interrupted
fetch continues where it stopped.
"""

from __future__ import annotations

import functools
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

import pooch
import requests
from tqdm import tqdm

from llmsel.errors import InputError
from llmsel.paths import ROOT, cache_dir
from llmsel.pool import read_text

SOURCE = "https://raw.githubusercontent.com/"
TIMEOUT = 30.0  # seconds without a byte, before a connection counts as stalled
RETRIES = 2


@functools.cache
def registry() -> dict[str, str]:
    """Pinned hashes: file -> ``sha256:...``."""
    lines = read_text(Path(__file__).with_name("registry.txt")).splitlines()
    return dict(line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))


def files(prefix: str, suffix: str = "") -> list[str]:
    """Registered files that start with ``prefix`` and end with ``suffix``, in order."""
    return [f for f in registry() if f.startswith(prefix) and f.endswith(suffix)]


def mirror() -> Path | str:
    """Where files come from: a folder, or the base address of a server."""
    place = os.environ.get("LLMSEL_MIRROR") or SOURCE
    scheme = urlparse(place).scheme
    if scheme in ("http", "https"):
        return place.rstrip("/") + "/"
    path = Path(url2pathname(urlparse(place).path) if scheme == "file" else place).expanduser()
    return path if path.is_absolute() or path.exists() else ROOT / path  # notebooks run elsewhere


def is_here(file: str) -> bool:
    """Tell whether a file can be read without the network (its hash is not checked)."""
    place = mirror()
    return ((place if isinstance(place, Path) else _downloads()) / file).exists()


def fetch(file: str) -> Path:
    """Return the path of a registered file, fetched if need be; its hash is right.

    Raises
    ------
    InputError: not in the mirror, another hash than pinned, or no answer from the network.
    """
    if file not in registry():
        raise InputError(f"'{file}' has no pinned hash; add it to llmsel/datasets/registry.txt.")
    pinned = registry()[file]
    place = mirror()
    if isinstance(place, Path):
        path = place / file
        if not path.exists():
            raise InputError(
                f"the mirror '{place}' (LLMSEL_MIRROR) has no file '{file}'; add it, or unset "
                "LLMSEL_MIRROR to download."
            )
        found = _hash(path, path.stat().st_mtime_ns)
        if found != pinned:
            raise _mismatch(path, pinned, found)
        return path
    logging.getLogger("pooch").setLevel(logging.WARNING)
    goods = pooch.create(
        path=_downloads(), base_url=place, registry={file: pinned}, retry_if_failed=RETRIES
    )
    download = pooch.HTTPDownloader(timeout=TIMEOUT)
    try:
        return Path(goods.fetch(file, downloader=download))
    except ValueError as error:  # pooch: a complete download whose hash is wrong
        raise InputError(
            f"'{place}{file}' is damaged or has changed ({error}); try again, and report it if it "
            "stays."
        ) from error
    except requests.HTTPError as error:
        raise InputError(f"'{place}{file}' cannot be had: {error}.") from error
    except (requests.RequestException, OSError) as error:
        reason = "no answer in time" if isinstance(error, requests.Timeout) else "no connection"
        raise InputError(
            f"'{place}{file}' cannot be downloaded: {reason} ({type(error).__name__}); try again, "
            "what is complete is kept, or name a mirror with LLMSEL_MIRROR."
        ) from error


def fetch_all(wanted: Sequence[str], name: str = "") -> list[Path]:
    """Fetch several files, with a progress bar where someone watches."""
    quiet = not sys.stderr.isatty() or all(is_here(file) for file in wanted)
    return [fetch(file) for file in tqdm(wanted, desc=name, unit="file", disable=quiet)]


def _downloads() -> Path:
    return cache_dir() / "files"


@functools.lru_cache(maxsize=4096)
def _hash(path: Path, _modified: int) -> str:
    return f"sha256:{pooch.file_hash(str(path))}"


def _mismatch(path: Path, pinned: str, found: str) -> InputError:
    return InputError(
        f"'{path}' is damaged or has changed: expected {pinned}, found {found}; fetch it again."
    )
