"""The greedy rule against every subset."""

import itertools

import numpy as np
import pytest

from llmsel._base.errors import InputError
from llmsel.belief import Belief, posterior
from llmsel.pool import MISSING
from llmsel.studies import greedy


def test_entropy_of_subsets_is_literal(pool):
    tiny = pool.subset(queries=pool.queries[:6])
    belief = Belief(0.2, 0.3)
    every = greedy.subsets(6, 2)
    assert [tuple(s) for s in every] == list(itertools.combinations(range(6), 2))
    for found, (a, b) in zip(greedy.entropy_after(tiny, every, belief=belief), every, strict=True):
        weights = belief.prior(1, tiny.n_models)
        for i in (a, b):
            weights = belief.update(weights, tiny.outcomes[[i]])
        p = posterior(weights)[0]
        assert found == pytest.approx(-(p * np.log(p)).sum())
    own = tiny.replace(votes=tiny.outcomes[..., None])
    assert np.allclose(
        greedy.planned_entropy(own, every, belief=belief),
        greedy.entropy_after(tiny, every, belief=belief),
    )


def test_greedy_against_all_subsets(pool):
    tiny = pool.subset(queries=pool.queries[:8])
    found = greedy.against_all(tiny, 3)
    assert 0 < found["plan"] <= 1 + 1e-9 and found["information"] <= 1 + 1e-9
    for name in ("beaten", "greedy", "random", "best_informed"):
        assert 0 <= found[name] <= 1
    assert greedy.against_all(tiny, 1)["plan"] == pytest.approx(1)  # one query: greedy is optimal
    everything = greedy.against_all(tiny, 8)
    assert everything["information"] == pytest.approx(1)
    assert everything["greedy"] == everything["random"] == 1


def test_brute_force_refuses_what_it_cannot_do(pool):
    with pytest.raises(InputError, match="subsets of 20"):
        greedy.subsets(40, 20)
    with pytest.raises(InputError, match="outside"):
        greedy.subsets(4, 5)
    holes = pool.outcomes.copy()
    holes[0, (pool.baseline_index + 1) % 7] = MISSING
    with pytest.raises(InputError, match="must be judged"):
        greedy.against_all(pool.replace(outcomes=holes), 1)
