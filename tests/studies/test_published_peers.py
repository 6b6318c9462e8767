"""Published peers with a guarantee or a predictor: held to literal versions, and to promises."""

import math

import numpy as np
import pytest
from helpers.pools import hostile, simulated

from llmsel._base.errors import InputError
from llmsel.benchmarks.simulated import adversarial_pools
from llmsel.pool import MISSING, draw_orders
from llmsel.studies.by_call import compete
from llmsel.studies.methods import factorised
from llmsel.studies.methods.desk import Desk
from llmsel.studies.methods.factorised import PULSE, UCBELowRank, ensemble
from llmsel.studies.methods.guaranteed import CELEUS, Bounds, ProxyLUCB
from llmsel.studies.methods.looks import GroupSequential, boundaries, looks, spent

PROMISING = [
    CELEUS(0.1),
    ProxyLUCB(0.1),
    GroupSequential(0.1, 0.001, first=20, batch=20),
]


def desk_of(pool, realizations=2):
    orders = draw_orders(pool.n_queries, pool.n_queries, realizations=realizations, seed=0)
    seeds = np.random.SeedSequence(3).spawn(realizations)
    return Desk(
        pool.outcomes, orders, baseline=pool.baseline_index, grid=np.array([], int), seeds=seeds
    )


# -- weighted draws -----------------------------------------------------------------------------


def signals(y, x, q, judged):
    """Every possible signal of one draw, straight from the formula, with its bounds."""
    size, rest = len(y), [i for i in range(len(y)) if i not in judged]
    base = (sum(y[i] for i in judged) + sum(x[i] for i in rest)) / size
    all_of = {i: base + (y[i] - x[i]) / (size * q[i]) for i in rest}
    least = base - max(x[i] / (size * q[i]) for i in rest)
    most = base + max((1 - x[i]) / (size * q[i]) for i in rest)
    return all_of, least, most


def random_draws(size, seed):
    """Predictions, chances and the queries drawn, one after the other, of one model."""
    rng = np.random.default_rng(seed)
    y, judged = rng.choice([0, 0.5, 1], size, p=[0.7, 0.1, 0.2]), []
    while len(judged) < size:
        x, q = rng.random(size), rng.random(size) + 0.1
        q[judged] = 0
        q /= q.sum()
        at = rng.choice(size, p=q)
        yield y, x, q, list(judged), int(at)
        judged.append(int(at))


def test_a_signal_has_the_pool_mean_for_its_mean_and_stays_within_its_bounds():
    for y, x, q, judged, _ in random_draws(12, 0):
        all_of, least, most = signals(y, x, q, judged)
        assert math.isclose(sum(q[i] * s for i, s in all_of.items()), y.mean())
        assert least - 1e-9 <= min(all_of.values()) <= max(all_of.values()) <= most + 1e-9


def test_intervals_are_those_of_the_formulas():
    limit, grid = 8.0, [k / 200 for k in range(201)]
    for seed in range(3):
        bounds = Bounds(3, 30, limit)
        low, high = 0.0, 1.0
        against = {(side, k): [1.0] * 5 for side in (0, 1) for k in range(201)}
        for y, x, q, judged, at in random_draws(30, seed):
            s, least, most = signals(y, x, q, judged)
            for k, m in enumerate(grid):
                for side, gain, room in ((0, s[at] - m, m - least), (1, m - s[at], most - m)):
                    odds = 1e100 if room < -1e-9 else gain / room if room > 1e-9 else 0.0
                    for f, fraction in enumerate((0.02, 0.07, 0.2, 0.5, 0.9)):
                        now = against[side, k][f] * (1 + fraction * max(odds, -1))
                        against[side, k][f] = min(now, 1e100)
            won = {key for key, capital in against.items() if sum(capital) / 5 >= limit}
            low = max([low, *(grid[k] for side, k in won if side == 0)])
            high = min([high, *(grid[k] for side, k in won if side == 1)])
            done = y[judged].sum()
            bounds.add(
                np.array([1]), x[None], q[None], np.array([at]),
                judged=np.full((2, 1), done), y=np.full((2, 1), y[at]),
            )  # fmt: skip
            # where a mean is exactly at an end, capitals need not be monotone: one step at most
            assert low - 0.005 - 1e-9 <= bounds.lower[1] <= low + 1e-9
            assert high - 1e-9 <= bounds.upper[1] <= high + 0.005 + 1e-9
            assert bounds.lower[1] <= y.mean() <= bounds.upper[1] or seed
        assert bounds.upper[1] - bounds.lower[1] < 0.2
        assert (bounds.lower[[0, 2]] == 0).all() and (bounds.upper[[0, 2]] == 1).all()


@pytest.mark.parametrize("method", PROMISING, ids=lambda m: m.name)
def test_certificates_are_wrong_at_most_as_often_as_promised(method):
    for name, pool in adversarial_pools(50, 5).items():
        result = compete(pool, [method], realizations=40, pool_size=50, jobs=1, shares=(1.0,))
        table = result.summary().iloc[0]
        assert table["certified"] == 40, name
        assert table["wrong"] <= 4 + 2 * math.sqrt(3.6), name


def test_a_good_proxy_saves_calls_and_a_wrong_one_costs_no_promise():
    pool = simulated(n=120, m=4, spread=0.4, seed=8)
    truth = 0.5 + 0.5 * pool.outcomes
    methods = [
        ProxyLUCB(proxy=np.clip(truth, 0.05, 0.95), name="good"),
        ProxyLUCB(proxy=1 - truth, name="inverted"),
        ProxyLUCB(name="none"),
    ]
    result = compete(pool, methods, realizations=10, pool_size=120, jobs=1, shares=(1.0,))
    table = result.summary().set_index("method")
    assert table.loc["good", "calls"] < table.loc["none", "calls"]
    assert (table["wrong"] == 0).all() and (table["certified"] == 10).all()


@pytest.mark.parametrize("kind", [CELEUS, ProxyLUCB])
def test_a_margin_is_cheaper_than_the_best_model_itself(kind):
    pool = simulated(n=120, m=4, spread=0.3, seed=2)
    methods = [kind(name="exact"), kind(delta=0.2, name="within")]
    result = compete(pool, methods, realizations=8, pool_size=120, jobs=1, shares=(1.0,))
    table = result.summary().set_index("method")
    assert table.loc["within", "calls"] < table.loc["exact", "calls"]
    assert (table["wrong"] == 0).all()


@pytest.mark.parametrize("method", [CELEUS(), ProxyLUCB(), GroupSequential()], ids=lambda m: m.name)
def test_missing_wins_of_the_best_certify_no_other(method):
    pool = simulated(n=24, m=2, spread=0.1, seed=3)
    outcomes = np.zeros_like(pool.outcomes)
    better, other = pool.candidate_columns
    outcomes[:12, better], outcomes[12:, better] = 1, -1
    outcomes[0, other] = -1
    outcomes[:6, better] = MISSING
    result = compete(pool.replace(outcomes=outcomes), [method], realizations=4, jobs=1)
    assert not result.runs()["certified"].any()


# -- looks --------------------------------------------------------------------------------------


def test_a_walk_passes_the_boundaries_as_often_as_is_spent():
    shares = (0.1, 0.3, 0.6, 1.0)
    limits = np.array(boundaries(shares, 0.2))
    rng = np.random.default_rng(0)
    steps = rng.normal(0, np.sqrt(np.diff(shares, prepend=0)), (40_000, 4))
    passed = np.abs(steps.cumsum(axis=1)) > limits * np.sqrt(shares)
    ever = np.maximum.accumulate(passed, axis=1).mean(axis=0)
    assert np.allclose(ever, spent(np.array(shares), 0.2), atol=0.006)


def test_looks():
    assert looks(400, 100, 100) == [100, 200, 300, 400]
    assert looks(80, 100, 100) == [80]
    assert looks(1003, 100, 100)[-2:] == [900, 1003]
    assert looks(1000, 3, 4)[:3] == [3, 15, 27]


def test_equals_are_equivalent_and_twins_go_on_to_the_end():
    rng = np.random.default_rng(0)
    pool = simulated(n=400, m=2, seed=1)
    outcomes = np.where(rng.random(pool.outcomes.shape) < 0.05, 1, -1).astype(np.int8)
    outcomes[:, pool.baseline_index] = 0
    first, second = pool.candidate_columns
    outcomes[:, first] = 1
    outcomes[:4, first] = -1
    outcomes[:, second] = 1
    outcomes[4:9, second] = -1
    method = GroupSequential(delta=0.1, first=50, batch=50)
    for table, stop in ((outcomes, "within delta"), (outcomes[:, [first] * 3], "tied")):
        table = table.copy()
        table[:, pool.baseline_index] = 0
        one = pool.replace(outcomes=table)
        runs = compete(one, [method], realizations=3, pool_size=400, jobs=1).runs()
        assert (runs["stop"] == stop).all() and (runs["correct"] == 1).all()


# -- predictors ---------------------------------------------------------------------------------


def literal_ensemble(y, known, members, rng):
    """Alternating least squares, one member and one entry after the other."""
    cells = np.argwhere(known)
    hidden = rng.random((len(cells), members)) < 0.05
    start = rng.standard_normal((len(y), members))
    fits = []
    for member in range(members):
        seen = known.copy()
        seen[tuple(cells[hidden[:, member]].T)] = False
        u, v = start[:, member].copy(), np.zeros(y.shape[1])
        for _ in range(10):
            for i in range(len(v)):
                mine = seen[:, i]
                v[i] = (u[mine] @ y[mine, i]) / (u[mine] @ u[mine] + 0.1)
            for k in range(len(u)):
                mine = seen[k]
                u[k] = (v[mine] @ y[k, mine]) / (v[mine] @ v[mine] + 0.1)
        fits.append(np.outer(u, v))
    return np.mean(fits, axis=0), np.std(fits, axis=0)


def test_the_ensemble_is_that_of_the_formulas():
    rng = np.random.default_rng(0)
    y, known = rng.choice([0, 0.5, 1], (5, 30)), rng.random((5, 30)) < 0.6
    given = np.where(known, y, np.nan)
    fast = ensemble(given, known, 6, rng=np.random.default_rng(4))
    slow = literal_ensemble(y, known, 6, np.random.default_rng(4))
    assert np.allclose(fast[0], slow[0]) and np.allclose(fast[1], slow[1], atol=1e-7)


def test_low_rank_chooses_as_its_literal_version(monkeypatch):
    pool = simulated(n=30, m=4, seed=5)
    method = UCBELowRank(4, members=5)
    result = compete(pool, [method], realizations=2, jobs=1)
    monkeypatch.setattr(
        factorised, "ensemble", lambda y, known, members, rng: literal_ensemble(
            np.where(known, y, 0), known, members, rng
        )
    )  # fmt: skip
    again = compete(pool, [method], realizations=2, jobs=1)
    assert (result.leaders[method.name] == again.leaders[method.name]).all()


def literal_pulse(batches, y, fits, size):
    """Means of one candidate by the published formulas; fits: predictions at each batch."""
    seen, terms, misses = [], [], []
    for batch, (x, fresh) in zip(batches, fits, strict=True):
        rest = [i for i in range(size) if i not in seen]
        pi = len(batch) / len(rest)
        e = (sum(y[i] for i in seen) + sum(y[i] / pi for i in batch)) / size
        h = (sum(x[i] for i in seen) + sum(x[i] / pi for i in batch)) / size
        if fresh:
            misses = []
        lam = 0.0
        if terms:
            total = sum(x[i] for i in rest)
            z = sum(misses) / len(misses) if misses else 0.0
            s = (1 - pi) / pi * sum(x[i] ** 2 for i in rest)
            lam = 1.0 if z <= 0 else min(1.0, max(0.0, 1 - total * z / (s + total**2)))
        terms.append(e + lam * (sum(x) / size - h))
        misses.append(sum(y[i] - lam * x[i] for i in batch) / pi)
        seen += batch
    return sum(y) / size if len(seen) == size else sum(terms) / len(terms)


def test_pulse_estimates_as_published(monkeypatch):
    pool = simulated(n=30, m=3, seed=6)
    predictions = iter(np.random.default_rng(1).random((1000, 3, 30)))
    monkeypatch.setattr(factorised.Factors, "fit", lambda *_: next(predictions))
    desk = desk_of(pool, 1)
    one = PULSE(4, refit=6).start(desk, 0)
    y = 0.5 + 0.5 * pool.outcomes[desk.positions(0)]
    batches, fits, last = ([[] for _ in range(3)] for _ in range(3))
    while cells := one.ask():
        k = pool.candidate_columns.tolist().index(cells[0][1])
        batches[k].append([place for place, _ in cells])
        fits[k].append((one._x[k], last[k] is not one._x))
        last[k] = one._x
        one.tell(cells, desk.judge(0, cells, one))
        for k, j in enumerate(pool.candidate_columns):
            if batches[k]:
                expected = literal_pulse(batches[k], y[:, j].tolist(), fits[k], 30)
                assert math.isclose(one.means[k], expected)
    assert desk.calls[0] == 90 and max(len(b) for b in batches[0]) == 4


def test_factors_learn_what_is_there():
    rng = np.random.default_rng(0)
    truth = 1 / (1 + np.exp(-(rng.normal(0, 2, (40, 1)) + rng.normal(0, 1, 200))))
    y, known = (rng.random(truth.shape) < truth).astype(float), rng.random(truth.shape) < 0.5
    x = factorised.Factors(y.shape, 8, rng=rng).fit(np.where(known, y, np.nan), known, 60)
    flat = np.full(y.shape, y[known].mean())
    assert ((x - truth)[~known] ** 2).mean() < 0.5 * ((flat - truth)[~known] ** 2).mean()


def test_errors():
    pool = dict(hostile())["plain"]
    with pytest.raises(InputError, match="CELEUS: alpha=2"):
        CELEUS(2)
    with pytest.raises(InputError, match="least=0 above 0"):
        ProxyLUCB(least=0)
    with pytest.raises(InputError, match="and delta=0 must be in"):
        GroupSequential(delta=0)
    with pytest.raises(InputError, match="PULSE: batch=0"):
        PULSE(0)
    with pytest.raises(InputError, match="members=1 at least 2"):
        UCBELowRank(members=1)
    for wrong in (np.zeros((3, 3)), np.full(pool.outcomes.shape, 2.0)):
        with pytest.raises(InputError, match="proxy must be of shape"):
            ProxyLUCB(proxy=wrong).check(pool, 10)
