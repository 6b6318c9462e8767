"""Official mode: it differs from ours where its page says, and nowhere else."""

import numpy as np
import pytest
from helpers import pools

from llmsel._base.errors import InputError
from llmsel.strategies import LLMSelector
from llmsel.studies import by_query, scores
from llmsel.studies.official import (
    level_with_best,
    literal_paths,
    literal_scores,
    official_orders,
    run_official,
    source_order,
)
from llmsel.studies.protocol import OFFICIAL, OURS
from llmsel.studies.receipt import toy
from llmsel.studies.reference import selection as literal
from llmsel.studies.scores import IDENTIFICATION

NAME = LLMSelector.name
MANY = pools.simulated(n=30, m=8, z=10, seed=6)
FEW = pools.simulated(n=30, m=3, z=1, seed=6)  # nearly every step has true ties


def in_our_mode(pool, orders, budget, strategy=None):
    strategy = strategy or LLMSelector()
    strategy.prepare(pool.hide_outcomes())
    return by_query.select(strategy, pool.outcomes, orders=orders, budget=budget)


@pytest.mark.parametrize("eps", [(0.2, 0.4), (0.05, 0.15), (0.5, 0.1)])
@pytest.mark.parametrize("pool", [MANY, FEW], ids=["many judges", "one judge"])
def test_the_literal_version_agrees_until_rounding_decides(pool, eps):
    result = run_official(pool, [LLMSelector(*eps)], realizations=12, seed=3, jobs=1)
    moved = result.pool
    assert result.parameters["mode"] == OFFICIAL
    for order, chosen, near in zip(
        result.orders.tolist(), result.chosen[NAME], result.near_ties[NAME], strict=True
    ):
        expected = literal.official(
            moved.votes.tolist(), moved.outcomes.tolist(), order, len(order), *eps
        )
        unclear = np.flatnonzero(near > 1)
        clear = unclear[0] if len(unclear) else len(order)
        assert chosen[:clear].tolist() == expected[:clear]
        assert sorted(chosen) == sorted(expected) == sorted(order)


def test_pools_are_the_audits():
    assert official_orders(805, 400, realizations=1)[0, :4].tolist() == [394, 776, 430, 41]
    assert official_orders(80, 80, realizations=2, seed=0).shape == (2, 80)
    one, two = official_orders(500, 400, realizations=2, seed=7)
    np.testing.assert_array_equal(two, official_orders(500, 400, realizations=1, seed=8)[0])
    assert (one != two).any()


def test_the_baseline_stands_last_and_loses_ties():
    pool = source_order(pools.simulated(seed=4).replace(baseline="model-0", outcomes=None))
    assert pool.models[-1] == pool.baseline == "model-0"
    assert pool.models[:-1] == tuple(f"model-{j}" for j in range(1, 6))
    assert source_order(pool) is pool
    level = pools.simulated(n=9, seed=1)
    level = level.replace(outcomes=np.zeros_like(level.outcomes))
    result = run_official(level, realizations=2, budget=3, jobs=1)
    assert (scores.score(result)[NAME][IDENTIFICATION] == 1).all()
    better = level.outcomes.copy()
    column = level.candidate_columns[1]
    better[-1, column] = 1
    result = run_official(level.replace(outcomes=better), realizations=4, budget=1, jobs=1)
    seen = scores.score(result)[NAME][IDENTIFICATION][:, 0]
    told = better[result.chosen[NAME][:, 0], column] == 1
    np.testing.assert_array_equal(seen, told)  # the first candidate is the answer, never a share


def test_on_the_same_pools_both_modes_take_the_same_path_where_nothing_ties():
    pool = toy()
    result = run_official(pool, realizations=5, budget=25, jobs=1)
    assert (result.near_ties[NAME] == 1).all()
    ours = in_our_mode(pool, result.orders, 25)
    np.testing.assert_array_equal(result.chosen[NAME], ours)


def test_the_modes_part_only_where_rounding_decides():
    pool = source_order(FEW)
    result = run_official(pool, realizations=30, jobs=1)
    ours = in_our_mode(pool, result.orders, pool.n_queries)
    parted = result.chosen[NAME] != ours
    assert parted.any()
    first = parted.argmax(axis=1)
    for r in np.flatnonzero(parted.any(axis=1)):
        assert result.near_ties[NAME][r, first[r]] > 1


def test_each_stated_difference_is_one():
    pool = MANY
    official = run_official(pool, realizations=3, pool_size=20, jobs=1)
    ours = by_query.run(pool, [NAME], realizations=3, pool_size=20, jobs=1)
    assert ours.parameters["mode"] == OURS
    assert (official.orders != ours.orders).any()  # pools
    assert official.pool.models[-1] == pool.baseline  # models
    tied = ours.pool.outcomes[ours.chosen[NAME][:, :1]]
    share = scores.score(ours)[NAME][IDENTIFICATION][:, 0]
    whole = scores.score(official)[NAME][IDENTIFICATION]
    assert set(np.unique(whole)) <= {0.0, 1.0}  # answer: one model
    assert (scores.leaders(tied, complete=True).sum(axis=-1) > 1).any() and share.max() <= 1


def test_equal_queries_go_by_the_order_of_the_pool():
    pool = pools.simulated(seed=4)
    pool = pool.replace(votes=np.repeat(pool.votes[:1], 24, axis=0))
    result = run_official(pool, realizations=3, jobs=1)
    np.testing.assert_array_equal(result.chosen[NAME], result.orders)
    assert (result.near_ties[NAME][:, 0] == 24).all()


def test_other_strategies_run_on_the_official_pools():
    result = run_official(MANY, ["Random", "Uncertainty"], realizations=3, pool_size=12, jobs=1)
    np.testing.assert_array_equal(result.chosen["Random"], result.orders)
    assert (result.near_ties["Uncertainty"] == 0).all()
    with pytest.raises(InputError, match=r"budget=13 is outside 1\.\.12"):
        run_official(MANY, realizations=1, pool_size=12, budget=13)


def test_alone_and_in_lockstep_are_the_same():
    pool = source_order(MANY)
    whole = run_official(pool, realizations=60, pool_size=20, jobs=1)
    strategy = LLMSelector()
    strategy.prepare(pool.hide_outcomes())
    path, _ = literal_paths(strategy, pool, orders=whole.orders[57:58], budget=20)
    np.testing.assert_array_equal(path[0], whole.chosen[NAME][57])


def test_the_literal_score_is_the_entropy_by_hand():
    half = np.full((1, 2, 1), 0.4)
    assert literal_scores(np.array([0.5, 0.5]), half)[0] == pytest.approx(np.log(2))
    sure = np.array([[[0.4], [0.0]]])
    assert literal_scores(np.array([0.5, 0.5]), sure)[0] == 0.0
    assert level_with_best(np.array([[1.0, 1 + 1e-12, 1.1, np.inf]])).tolist() == [
        [True, True, False, False]
    ]
