"""The central test: the fast engine picks the same queries as the literal algorithm."""

import json
from fractions import Fraction
from pathlib import Path

import joblib
import numpy as np
import pytest
from helpers import pools

from llmsel import belief, pool, strategies, weak_judges
from llmsel._base.errors import InputError
from llmsel.belief import Belief, ExpectedEntropy
from llmsel.studies import by_query
from llmsel.studies.reference import selection as literal

NAMES = list(strategies.STRATEGIES)
POOLS = dict(pools.hostile())


@pytest.mark.parametrize("strategy", NAMES)
@pytest.mark.parametrize("name", POOLS)
def test_engine_picks_what_the_literal_version_picks(strategy, name):
    pool = POOLS[name]
    result = by_query.run(pool, [strategy], realizations=8, seed=11, jobs=1)
    votes, outcomes = pool.votes.tolist(), pool.outcomes.tolist()
    tokens = [[weak_judges.TOKEN.findall(text.lower()) for text in row] for row in pool.responses]
    for order, chosen in zip(result.orders.tolist(), result.chosen[strategy], strict=True):
        expected = literal.choose(
            strategy, votes, outcomes, order, len(order), pool.baseline_index, tokens
        )
        assert chosen.tolist() == expected


@pytest.mark.parametrize(("eps_loss", "eps_draw"), [(0.05, 0.05), (0.6, 0.3), (0.1, 0.85)])
def test_engine_agrees_for_other_parameters_and_sub_pools(eps_loss, eps_draw):
    pool = pools.simulated(n=40, m=6, z=4, seed=21)
    strategy = strategies.LLMSelector(eps_loss, eps_draw)
    result = by_query.run(pool, [strategy], realizations=6, pool_size=25, jobs=1)
    for order, chosen in zip(result.orders.tolist(), result.chosen["LLM Selector"], strict=True):
        assert set(chosen.tolist()) == set(order)
        expected = literal.llm_selector(
            pool.votes.tolist(), pool.outcomes.tolist(), order, 25, eps_loss, eps_draw
        )
        assert chosen.tolist() == expected


@pytest.mark.parametrize("strategy", NAMES)
def test_same_picks_alone_in_lockstep_and_in_other_processes(strategy):
    pool = pools.simulated(n=60, m=7, z=5, seed=31)
    many = by_query.run(pool, [strategy], realizations=120, pool_size=40, jobs=2)
    with joblib.parallel_config(backend="threading"):
        again = by_query.run(pool, [strategy], realizations=120, pool_size=40, jobs=3)
    np.testing.assert_array_equal(many.chosen[strategy], again.chosen[strategy])
    alone = strategies.make(strategy)
    alone.prepare(pool.hide_outcomes())
    for r in (0, 57, 119):
        one = by_query.select(alone, pool.outcomes, orders=many.orders[r : r + 1], budget=40)
        np.testing.assert_array_equal(one[0], many.chosen[strategy][r])


def test_a_realization_depends_on_the_seed_and_its_number_only():
    few = pool.draw_orders(50, 30, realizations=3, seed=9)
    many = pool.draw_orders(50, 30, realizations=200, seed=9)
    np.testing.assert_array_equal(few, many[:3])
    assert not np.array_equal(few, pool.draw_orders(50, 30, realizations=3, seed=10))
    assert all(len(set(row)) == 30 for row in many.tolist())


def test_expected_entropy_is_exact_however_small():
    """Against exact fractions: a belief collapsed to 1e-40 keeps twelve digits."""
    pool = pools.simulated(n=6, m=4, z=3, seed=41)
    rng = np.random.default_rng(0)
    log_weights = np.array([rng.uniform(-92, 0, 5), rng.uniform(-1, 0, 5), np.zeros(5)])
    log_weights -= log_weights.max(axis=1, keepdims=True)
    fast = ExpectedEntropy(Belief(), pool.votes)(log_weights)
    eps = {-1: Fraction(1, 5), 0: Fraction(2, 5), 1: Fraction(2, 5)}
    for r, row in enumerate(log_weights):
        weights = [Fraction(float(np.exp(x))) for x in row]
        for i in range(6):
            total = 0.0
            for k in range(3):
                p = [w * eps[int(v)] for w, v in zip(weights, pool.votes[i, :, k], strict=True)]
                q = [x / sum(p) for x in p]
                top = max(q)
                total -= float(top) * np.log1p(float(top - 1))
                q.remove(top)
                total -= sum(float(x) * np.log(float(x)) for x in q)
            assert fast[r, i] == pytest.approx(total / 3, rel=1e-12)


def test_blocks_of_queries_give_the_same_scores():
    pool = pools.simulated(n=50, m=6, z=4, seed=51)
    log_weights = np.log(np.random.default_rng(1).dirichlet(np.ones(7), 9))
    log_weights -= log_weights.max(axis=1, keepdims=True)
    whole = ExpectedEntropy(Belief(), pool.votes)(log_weights)
    small = ExpectedEntropy(Belief(), pool.votes, memory=20_000)(log_weights)
    np.testing.assert_allclose(small, whole, rtol=1e-13)


def test_thousands_of_updates_keep_the_ranking():
    model = Belief()
    log_weights = model.prior(1, 3)
    for _ in range(5000):
        log_weights = model.update(log_weights, np.array([[1, 1, -1]], np.int8))
    log_weights = model.update(log_weights, np.array([[1, -1, -1]], np.int8))
    probabilities = belief.posterior(log_weights)[0]
    np.testing.assert_allclose(probabilities, [2 / 3, 1 / 3, 0], atol=1e-12)
    assert np.isfinite(log_weights).all() and log_weights[0, 2] < log_weights[0, 1]
    assert belief.entropy(np.log([[0.5, 0.25, 0.25]]))[0] == pytest.approx(1.5 * np.log(2))


def test_a_missing_outcome_moves_no_belief_between_models_that_miss_it():
    model = Belief()
    before = model.prior(1, 3)
    after = model.update(before, np.array([[-128, -128, -128]], np.int8))
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("eps", [(0.0, 0.4), (0.2, 0.0), (0.6, 0.4), (-0.1, 0.5), (0.9, 0.9)])
def test_parameters_outside_the_simplex_are_refused(eps):
    with pytest.raises(InputError, match=r"outside the simplex.*above 0.*sum below 1"):
        strategies.LLMSelector(*eps)


def test_golden_picks():
    """A pool small enough to check by hand, with the expected picks of every strategy."""
    case = json.loads((Path(__file__).parents[1] / "golden" / "picks.json").read_text())
    pool = pools.Pool(
        case["queries"],
        case["models"],
        case["baseline"],
        responses=case["responses"],
        votes=np.array(case["votes"]),
        outcomes=np.array(case["outcomes"]),
    )
    order = np.array([case["order"]], dtype=np.int32)
    for name, expected in case["picks"].items():
        strategy = strategies.make(name)
        strategy.prepare(pool.hide_outcomes())
        picks = by_query.select(strategy, pool.outcomes, orders=order, budget=len(case["order"]))[0]
        assert [pool.queries[i] for i in picks] == expected, name
    assert set(case["picks"]) == set(NAMES)
