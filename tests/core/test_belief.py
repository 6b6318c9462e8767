"""P(best) by bootstrap: exact where it can be, and calibrated where it is checked."""

import numpy as np
import pytest
from helpers.pools import simulated

from llmsel import load
from llmsel._base.words import at_least, percent
from llmsel.belief import Belief, bootstrap_best, posterior
from llmsel.pool import MISSING

PARTS = (0.05, 0.25, 0.6)


def best_of(rows):
    rates = rows.mean(axis=0)
    best = rates >= rates.max() - 1e-12
    return best / best.sum()


def test_with_the_whole_pool_it_is_exact():
    pool = simulated(n=30, m=5, seed=1)
    for rows in (pool.outcomes, np.zeros_like(pool.outcomes)):
        chance = bootstrap_best(
            rows, 30, baseline=pool.baseline_index, rng=np.random.default_rng(0)
        )
        np.testing.assert_allclose(chance, best_of(rows))


def test_models_that_behave_alike_have_the_same_chance():
    pool = simulated(n=40, m=5, seed=2)
    rows = pool.outcomes[:10].copy()
    others = pool.candidate_columns
    rows[:, others[1]] = rows[::-1, others[0]]  # the same outcomes, on other queries
    chance = bootstrap_best(
        rows, 40, baseline=pool.baseline_index, rng=np.random.default_rng(0), draws=20000
    )
    assert chance.sum() == pytest.approx(1)
    assert chance[others[0]] == pytest.approx(chance[others[1]], abs=0.02)
    turn = np.random.default_rng(3).permutation(6)
    base = int(np.flatnonzero(turn == pool.baseline_index)[0])
    turned = bootstrap_best(
        rows[:, turn], 40, baseline=base, rng=np.random.default_rng(1), draws=20000
    )
    np.testing.assert_allclose(turned, chance[turn], atol=0.02)


def test_a_missing_outcome_is_no_evidence():
    rows = np.zeros((30, 3), dtype=np.int8)
    rows[:, 0] = np.where(np.arange(30) % 3, 1, -1)
    rows[:, 1] = MISSING
    rows[0, 1] = 1  # one win, never judged again
    rng = np.random.default_rng(0)
    lucky = bootstrap_best(rows, 60, baseline=2, rng=rng, draws=4000)
    rows[:, 1] = 1  # always wins
    sure = bootstrap_best(rows, 60, baseline=2, rng=rng, draws=4000)
    assert lucky[1] < 0.6 and sure[1] > 0.95


def calibration(pools, realizations):
    """What is said of the most likely model, and how often it is right, at parts of the pool."""
    said, right, wrong_belief = [], [], []
    for r in range(realizations):
        rng = np.random.default_rng([r, 1])
        pool = pools[r % len(pools)]
        keep = rng.choice(pool.candidate_columns, min(8, pool.n_models - 1), replace=False)
        rows = pool.outcomes[:, [*keep, pool.baseline_index]]
        rows = rows[rng.permutation(len(rows))[: max(40, 3 * len(rows) // 4)]]
        truth = best_of(rows)
        for part in PARTS:
            seen = rows[: max(2, int(part * len(rows)))]
            chance = bootstrap_best(seen, len(rows), baseline=len(keep), rng=rng, draws=400)
            said.append(chance.max())
            right.append(truth[chance.argmax()] > 0)
            weights = posterior(np.log(Belief().likelihood(seen)).sum(axis=0)[None])[0]
            wrong_belief.append(weights.max() - float(truth[weights.argmax()] > 0))
    return np.array(said), np.array(right, dtype=float), np.array(wrong_belief)


@pytest.mark.parametrize("source", ["smol", "humaneval", "simulated"])
def test_it_is_calibrated_for_random_queries_where_the_belief_is_not(source, request):
    if source == "humaneval":
        request.getfixturevalue("mirror")
    pools = [simulated(n=100, m=8, spread=0.6, seed=s) for s in range(40)]
    pools = pools if source == "simulated" else [load(source, votes=False)]
    said, right, belief = calibration(pools, 80)
    error = 2 * np.sqrt(1 / len(said))
    assert said.mean() - right.mean() < error  # not too sure
    sure = said >= 0.9
    assert sure.any() and said[sure].mean() - right[sure].mean() < 2 * np.sqrt(0.1 / sure.sum())
    assert belief.mean() > 1.2 * error  # the two-parameter belief is far too sure


@pytest.mark.parametrize(
    ("alpha", "text"),
    [(0.05, "95%"), (0.0001, "99.99%"), (1e-12, "99.9999999999%"), (0.07, "93%"), (0.5, "50%")],
)
def test_a_certificate_never_rounds_its_promise_up(alpha, text):
    assert at_least(alpha) == text


@pytest.mark.parametrize(
    ("share", "digits", "text"),
    [
        (0.9999, 0, "over 99%"),
        (1.0, 0, "100%"),
        (0.0001, 0, "under 1%"),
        (0.0, 0, "0%"),
        (0.994, 0, "99%"),
        (0.99999, 1, "over 99.9%"),
        (0.5, 1, "50.0%"),
    ],
)
def test_a_share_is_never_rounded_to_certainty(share, digits, text):
    assert percent(share, digits) == text
