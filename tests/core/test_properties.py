"""Properties over random pools: what comes back is what went in, and order means nothing."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from helpers.pools import pools
from hypothesis import given, settings
from hypothesis import strategies as st

from llmsel._base.errors import InputError
from llmsel.pool import MISSING, Pool
from llmsel.strategies import CLOSED, pick

FIELDS = ("queries", "models", "baseline", "texts", "categories", "name", "simulated", "notes")
ARRAYS = ("responses", "votes", "outcomes")
fast = settings(max_examples=60, deadline=None)


def same(one, two):
    assert all(getattr(one, field) == getattr(two, field) for field in FIELDS)
    for field in ARRAYS:
        a, b = getattr(one, field), getattr(two, field)
        assert (a is None) == (b is None)
        assert a is None or (a.dtype == b.dtype and np.array_equal(a, b))
    assert one.content_hash == two.content_hash


@fast
@given(pools())
def test_a_pool_comes_back_from_disk_as_it_was(pool):
    with tempfile.TemporaryDirectory() as folder:
        same(Pool.load(pool.save(Path(folder) / "pool.npz")), pool)


@fast
@given(pools())
def test_a_pool_comes_back_from_its_table(pool):
    if pool.responses is None:
        with pytest.raises(InputError, match="has no responses"):
            pool.to_frame()
        return
    fields = {field: getattr(pool, field) for field in ("name", "simulated", "notes")}
    arrays = {field: getattr(pool, field) for field in ("votes", "outcomes")}
    again = Pool.from_frame(pool.to_frame(), pool.baseline, **fields)
    same(again.replace(**arrays), pool)


@fast
@given(pools(), st.data())
def test_a_subset_holds_the_same_cells_and_turns_back(pool, data):
    queries = data.draw(st.permutations(pool.queries))
    models = data.draw(st.permutations(pool.models))
    same(pool.subset(queries=queries, models=models).subset(pool.queries, pool.models), pool)
    same(pool.subset(), pool)
    same(pool.replace(), pool)
    few = data.draw(st.lists(st.sampled_from(pool.queries), min_size=1, unique=True))
    if pool.outcomes is not None and not any(pool.row(query) for query in few):
        with pytest.raises(InputError, match="no candidate has any judged outcome"):
            pool.subset(few)
        return
    part = pool.subset(few)
    for query in few:
        assert part.text_of(query) == pool.text_of(query)
        if pool.outcomes is not None:
            assert part.row(query) == pool.row(query)
        if pool.responses is not None:
            assert part.responses_to(query) == pool.responses_to(query)


@fast
@given(pools())
def test_names_and_places_agree(pool):
    for i, query in enumerate(pool.queries):
        assert pool.place(query) == i
    for j, model in enumerate(pool.models):
        assert pool.column(model) == j
    named = tuple(pool.models[j] for j in pool.candidate_columns)
    assert named == pool.candidates and pool.baseline not in named
    for find in (pool.place, pool.column):
        with pytest.raises(InputError, match="unknown"):
            find("a name longer than eight characters")


@fast
@given(st.integers(1, 12), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_a_pick_depends_on_scores_and_ranks_not_on_the_queries_places(n, realizations, seed):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 3, (realizations, n)) / 3
    rank = np.stack([rng.permutation(n) for _ in range(realizations)]).astype(np.int32)
    rank[(rng.random(rank.shape) < 0.3) & (np.arange(n) > 0)] = CLOSED
    turn = rng.permutation(n)
    assert (turn[pick(scores[:, turn], rank[:, turn])] == pick(scores, rank)).all()
    open_best = np.where(rank == CLOSED, -1, scores).max(axis=1)
    assert (scores[np.arange(realizations), pick(scores, rank)] == open_best).all()


@fast
@given(pools())
def test_win_rates_count_judged_cells_only(pool):
    if pool.outcomes is None:
        return
    for j, rate in enumerate(pool.win_rates()):
        judged = [a for a in pool.outcomes[:, j].tolist() if a != MISSING]
        want = sum((a + 1) / 2 for a in judged) / len(judged) if judged else -np.inf
        assert rate == pytest.approx(want)
