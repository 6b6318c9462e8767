"""Simulated stand-ins: their shapes, their promised shares, and memory-mapped votes."""

import numpy as np
import pytest

from llmsel import benchmarks
from llmsel._base.errors import InputError
from llmsel.benchmarks import published, simulated


@pytest.mark.parametrize(("name", "shape"), published.SHAPES.items())
def test_a_twin_has_the_papers_shape_and_says_it_is_simulated(name, shape):
    pool = benchmarks.load(f"twin:{name}")
    assert (pool.n_queries, len(pool.candidates)) == shape and pool.votes.shape[2] == 10
    assert pool.simulated and pool.name == f"twin:{name}"
    assert pool.votes.dtype == pool.outcomes.dtype == np.int8
    assert not pool.votes[:, pool.baseline_index].any()


def test_the_same_seed_is_the_same_pool():
    one, two, other = (benchmarks.load("twin:bingo", seed=s) for s in (0, 0, 1))
    assert one.content_hash == two.content_hash != other.content_hash


@pytest.mark.parametrize("agreement", [0.4, 0.55, 0.9])
@pytest.mark.parametrize("draws", [0.0, 0.15, 0.6])
def test_agreement_and_draws_are_as_chosen(agreement, draws):
    pool = benchmarks.load("twin:flickr30k", agreement=agreement, draws=draws)
    outcomes, votes = pool.outcomes[:, :-1], pool.votes[:, :-1]
    assert (outcomes == 0).mean() == pytest.approx(draws, abs=0.03)
    right = votes == outcomes[:, :, None]
    assert right.mean() == pytest.approx(agreement, abs=0.03)
    judges = np.corrcoef(right.reshape(-1, 10).T)
    assert 0.1 < judges[~np.eye(10, dtype=bool)].mean() < 0.6  # they err together
    assert pool.win_rates()[0] > pool.win_rates()[-2]


def test_other_sizes():
    pool = benchmarks.load("twin:mt-bench", candidates=3, queries=7, judges=2)
    assert pool.votes.shape == (7, 4, 2) and pool.models == (
        "model-1",
        "model-2",
        "model-3",
        "baseline",
    )
    assert simulated.simulate(1, 1, z=1).votes.shape == (1, 2, 1)


def test_votes_in_a_file_are_the_same_and_memory_mapped(tmp_path, monkeypatch):
    monkeypatch.setattr(simulated, "BLOCK", 1000)  # several blocks
    there = simulated.simulate(100, 8, z=4, seed=3, path=tmp_path / "votes.npy")
    here = simulated.simulate(100, 8, z=4, seed=3)
    assert there.content_hash == here.content_hash
    assert isinstance(there.votes.base, np.memmap) and not there.votes.flags.writeable
    assert (tmp_path / "votes.npy").stat().st_size < 100 * 9 * 4 + 200


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"agreement": 1.0}, r"agreement is 1\.0; it must be between 0 and 1"),
        ({"agreement": float("nan")}, "agreement is nan"),
        ({"draws": 1.0}, r"draws is 1\.0; it must be at least 0 and less than 1"),
        ({"judges": 0}, "sizes of at least 1; got 80 x 5 x 0"),
        ({"queries": 0}, "sizes of at least 1; got 0 x 5 x 10"),
    ],
)
def test_impossible_options(options, message):
    with pytest.raises(InputError, match=message):
        benchmarks.load("twin:mt-bench", **options)
