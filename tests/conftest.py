"""Shared fixtures: a cache of the test session's own, and the mirror of real data."""

import os
import signal
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session", autouse=True)
def interruptible():
    """Take Ctrl-C even where the runner was started in the background, which ignores it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Keep the user's cache out of the tests, and the tests out of the user's cache."""
    patch = pytest.MonkeyPatch()
    patch.setenv("LLMSEL_CACHE", str(tmp_path_factory.mktemp("cache")))
    yield
    patch.undo()


@pytest.fixture
def mirror(monkeypatch):
    """Folder with the publishers' files; skips where it is absent."""
    folder = Path(os.environ.get("LLMSEL_MIRROR") or ROOT.parent / "shared/data/upstream")
    folder = folder if folder.is_absolute() else ROOT / folder
    if not folder.is_dir():
        pytest.skip("no mirror of the published data: set LLMSEL_MIRROR to run this test")
    monkeypatch.setenv("LLMSEL_MIRROR", str(folder))
    return folder
