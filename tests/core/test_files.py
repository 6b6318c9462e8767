"""Whole files: nothing torn at a path, and a cache that never costs the result."""

import os

import numpy as np
import pytest

from llmsel._base.files import cached_array, write_atomically


def half_written(path):
    with write_atomically(path) as file:
        file.write(b"new")
        raise OSError("disk full")


def test_a_file_is_there_whole_or_as_it_was(tmp_path):
    path = tmp_path / "deep" / "file.txt"
    with write_atomically(path) as file:
        file.write(b"old")
        assert not path.exists()
    with pytest.raises(OSError, match="disk full"):
        half_written(path)
    assert path.read_bytes() == b"old"
    assert [p.name for p in path.parent.iterdir()] == ["file.txt"]


def made(values, seen):
    def compute():
        seen.append(1)
        return np.array(values)

    return compute


@pytest.mark.parametrize("damage", [b"", b"damaged", b"PK\x05\x06" + bytes(18)])
def test_an_array_is_computed_once_and_again_when_its_file_is_damaged(
    tmp_path, monkeypatch, damage
):
    monkeypatch.setenv("LLMSEL_CACHE", str(tmp_path))
    seen = []
    options = {"shape": (2,), "dtype": np.float64, "compute": made([1.5, 2.5], seen)}
    for times in (1, 1):
        assert cached_array("kind", ["a", 1], **options).tolist() == [1.5, 2.5]
        assert len(seen) == times
    (file,) = (tmp_path / "kind").glob("*.npy")
    file.write_bytes(damage)
    assert cached_array("kind", ["a", 1], **options).tolist() == [1.5, 2.5]
    assert len(seen) == 2
    np.save(file, np.zeros(3))
    assert cached_array("kind", ["a", 1], **options).tolist() == [1.5, 2.5]
    cached_array("kind", ["a", 2], **options)
    assert len(list((tmp_path / "kind").iterdir())) == 2


@pytest.mark.skipif(os.name == "nt", reason="a file in a folder's place")
def test_a_cache_that_cannot_be_written_costs_a_warning(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("LLMSEL_CACHE", str(tmp_path / "file"))
    seen = []
    with pytest.warns(UserWarning, match="nothing is kept in the cache"):
        array = cached_array("kind", 1, shape=(1,), dtype=float, compute=made([0.5], seen))
    assert array.tolist() == [0.5]
