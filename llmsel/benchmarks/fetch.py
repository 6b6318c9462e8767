"""Fetch published files with pinned hashes, from the network or from a mirror.

A file is named ``owner/repository/commit/path``, as raw.githubusercontent.com serves it;
``registry.txt`` beside this module pins the SHA-256 of each. ``LLMSEL_MIRROR`` (a folder, a
``file://`` or an ``http://`` address) names another place that serves the same paths. Downloads
go to the cache file by file, each moved into place only when its hash is right: an interrupted
fetch continues where it stopped. ``LLMSEL_TIMEOUT`` sets the seconds without a byte (default 30)
after which a connection counts as stalled.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import sys
from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlparse
from urllib.request import url2pathname

import pooch
import requests
import stamina
from tqdm import tqdm

from llmsel._base.errors import InputError
from llmsel._base.files import ROOT, cache_dir, json_lines, read_text

SOURCE = "https://raw.githubusercontent.com/"
ATTEMPTS = 3
WAY_OUT = "try again, complete files are kept; or name a mirror with LLMSEL_MIRROR"


# what is tried again is no news; without a handler, logging would print it
logging.getLogger("stamina").addHandler(logging.NullHandler())


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


def state(file: str) -> str:
    """Tell whether a file is ``verified``, ``damaged`` or ``absent``, without the network."""
    path = _place(file)
    if not path.is_file():
        return "absent"
    return "verified" if _hash(path) == registry()[file] else "damaged"


def is_here(file: str) -> bool:
    """Tell whether a file can be read without the network (its hash is not checked)."""
    return _place(file).is_file()


def fetch(file: str) -> Path:
    """Return the path of a registered file, fetched if need be; its hash is right.

    A folder as the mirror is read in place. A transient failure (no answer in time, a lost
    connection, a server error, a damaged body) is tried again twice.

    Raises:
        InputError: not in the registry or the mirror, another hash than pinned (names file,
            expected and found), refused by the server, or no whole answer from the network.
    """
    if file not in registry():
        raise InputError(f"'{file}' has no pinned hash; add it to llmsel/benchmarks/registry.txt.")
    path, place = _place(file), mirror()
    now = state(file)
    if now == "verified":
        return path
    if isinstance(place, Path):
        if now == "absent":
            raise InputError(
                f"the mirror '{place}' (LLMSEL_MIRROR) has no file '{file}'; add it, or unset "
                "LLMSEL_MIRROR to download."
            )
        raise _mismatch(str(path), registry()[file], found=_hash(path), way_out="copy it again")
    _download(place + quote(file), path, pinned=registry()[file])
    return path


def fetch_all(wanted: Sequence[str], name: str = "") -> list[Path]:
    """Fetch several files, with a progress bar where someone watches."""
    quiet = not sys.stderr.isatty() or all(is_here(file) for file in wanted)
    return [fetch(file) for file in tqdm(wanted, desc=name, unit="file", disable=quiet)]


def model_answers(
    wanted: Sequence[str], known: Container[str] = ()
) -> dict[str, list[tuple[Any, Any]]]:
    """Read files of FastChat's form, one per model: the first turn of each answer.

    Args:
        wanted: registered files named ``<model>.jsonl``.
        known: models that are left out.

    Returns:
        Model -> pairs (question id, first turn).
    """
    file_of = {file.rsplit("/", 1)[1].removesuffix(".jsonl"): file for file in wanted}
    return {
        model: [(r["question_id"], r["choices"][0]["turns"][0]) for r in json_lines(fetch(file))]
        for model, file in file_of.items()
        if model not in known
    }


def _place(file: str) -> Path:
    place = mirror()
    return (place if isinstance(place, Path) else cache_dir() / "files") / file


class _Passing(InputError):
    """A failure that may be gone at the next attempt."""


def _download(url: str, path: Path, *, pinned: str) -> None:
    """Move the file behind ``url`` to ``path`` once it is whole and its hash is right."""
    part = path.with_name(f"{path.name[:100]}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for attempt in stamina.retry_context(
            on=_Passing, attempts=ATTEMPTS, timeout=None, wait_initial=0.5
        ):
            with attempt:
                _once(url, part, pinned=pinned)
        part.replace(path)
    except OSError as error:
        raise InputError(f"'{path}' cannot be written: {error}.") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def _once(url: str, part: Path, *, pinned: str) -> None:
    """Download a file and check its hash, or say why not."""
    try:
        pooch.HTTPDownloader(timeout=_timeout())(url, part, None)
    except requests.RequestException as error:
        code = 500 if error.response is None else error.response.status_code
        if error.response is not None:
            error.response.close()  # pooch leaves it open
        passing = code >= 500 or code in (408, 429)
        raise (_Passing if passing else InputError)(
            f"'{url}' cannot be had: {_reason(error)}; {WAY_OUT}."
        ) from error
    found = f"sha256:{pooch.file_hash(str(part))}"
    if found != pinned:
        raise _Passing(str(_mismatch(url, pinned, found=found, way_out=WAY_OUT)))


def _reason(error: requests.RequestException) -> str:
    if error.response is not None:
        return f"the server answers {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout) or "timed out" in str(error):
        return f"the connection stalled for {_timeout():g} s (LLMSEL_TIMEOUT)"
    broken = (requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError)
    if isinstance(error, broken) or "aborted" in str(error):
        return "the connection was lost half-way"
    return f"no connection ({type(error).__name__})"


def _timeout() -> float:
    text = os.environ.get("LLMSEL_TIMEOUT") or "30"
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise InputError(f"LLMSEL_TIMEOUT is '{text}'; give seconds, more than 0.")
    return seconds


def _hash(path: Path) -> str:
    stat = path.stat()
    return _hash_once(path, stat.st_mtime_ns, stat.st_size)


@functools.lru_cache(maxsize=4096)
def _hash_once(path: Path, _modified: int, _size: int) -> str:
    return f"sha256:{pooch.file_hash(str(path))}"


def _mismatch(what: str, pinned: str, *, found: str, way_out: str) -> InputError:
    return InputError(
        f"'{what}' is damaged or has changed: expected {pinned}, found {found}; {way_out}."
    )
