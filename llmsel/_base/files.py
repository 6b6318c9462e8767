"""Where things are: the checkout, its results and figures, and the user's cache."""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path

import pooch

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
