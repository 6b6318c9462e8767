"""Methods at the same cost: budgets kept, nothing seen unpaid, anytime allocation."""

import numpy as np
import pytest
from helpers.pools import hostile, simulated

from llmsel._base.errors import InputError
from llmsel.benchmarks.simulated import adversarial_pools
from llmsel.pool import MISSING, draw_orders
from llmsel.racing.audit import Audit
from llmsel.racing.elimination import Heuristic
from llmsel.studies.by_call import compete, complete
from llmsel.studies.methods.anytime import WIDER, Anytime, _PairCapitals, chance_of_best
from llmsel.studies.methods.auditing import Auditing
from llmsel.studies.methods.desk import Desk
from llmsel.studies.methods.factorised import PULSE, UCBELowRank
from llmsel.studies.methods.guaranteed import CELEUS, ProxyLUCB
from llmsel.studies.methods.ladder import Ladder
from llmsel.studies.methods.looks import GroupSequential
from llmsel.studies.methods.peers import (
    LUCB,
    UCBE,
    SequentialHalving,
    SuccessiveRejects,
    Uniform,
    phases,
)
from llmsel.studies.methods.racing import Racing
from llmsel.studies.scores import IDENTIFICATION, score

METHODS = [
    Uniform(),
    SuccessiveRejects(),
    SequentialHalving(),
    UCBE(),
    UCBE(0.1, shared=False),
    LUCB(),
    Anytime(),
    Anytime(alpha=None, batch=8),
    Racing(),
    Racing(Heuristic(), batch=4),
    Auditing(),
    Auditing(Audit(switch="early"), width=4, name="wide audit"),
    CELEUS(),
    ProxyLUCB(),
    GroupSequential(first=5, batch=5),
    PULSE(4),
    UCBELowRank(4, members=8),
]


class Counting(Desk):
    """Counts every cell that leaves the desk."""

    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.handed = np.zeros((self.realizations, self.pool_size, self.n_models), dtype=int)

    def rows(self, who, first, count, models):
        self.handed[who, first : first + count] += models[:, None]
        return super().rows(who, first, count, models)

    def cells(self, who, places, models):
        np.add.at(self.handed, (who, places, models), 1)
        return super().cells(who, places, models)

    def judge(self, r, cells, race):
        np.add.at(self.handed[r], tuple(np.transpose(cells)), 1)
        return super().judge(r, cells, race)


def desk_of(pool, realizations=6, grid=(), outcomes=None):
    orders = draw_orders(pool.n_queries, pool.n_queries, realizations=realizations, seed=0)
    seeds = np.random.SeedSequence(7).spawn(realizations)
    outcomes = pool.outcomes if outcomes is None else outcomes
    return Counting(
        outcomes,
        orders,
        baseline=pool.baseline_index,
        grid=np.array(grid, dtype=int),
        seeds=seeds,
    )


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
def test_every_cell_is_paid_once_and_the_budget_kept(method):
    for name, pool in hostile():
        everyone = pool.n_queries * len(pool.candidates)
        for budget in (0, everyone // 5, everyone) if not method.anytime else (everyone,):
            desk = desk_of(pool)
            method.play(desk, budget)
            handed = desk.handed[:, :, desk.paid]
            assert handed.max(initial=0) <= 1, name
            assert (handed.sum(axis=(1, 2)) == desk.calls).all(), name
            assert (desk.calls <= budget).all() and desk.winners.any(axis=1).all(), name


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
def test_cells_not_paid_for_change_nothing(method):
    pool = simulated(n=30, m=6, spread=1.5, seed=3)
    first = desk_of(pool, 1)
    method.play(first, 60)
    order = draw_orders(30, 30, realizations=1, seed=0)[0]
    changed = pool.outcomes.copy()
    unseen = np.zeros(changed.shape, dtype=bool)
    unseen[order] = first.handed[0] == 0
    unseen[:, pool.baseline_index] = False
    changed[unseen] = -changed[unseen]
    again = desk_of(pool, 1, outcomes=changed)
    method.play(again, 60)
    assert (again.handed == first.handed).all() and (again.winners == first.winners).all()


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
def test_exact_on_an_easy_pool_and_the_same_in_any_block(method, monkeypatch):
    pool = simulated(n=40, m=5, spread=3.0, seed=5)
    one = compete(pool, [method], realizations=8, pool_size=40, seed=1, shares=(0.3, 1.0), jobs=1)
    assert one.credit(method.name)[:, -1].mean() > 0.9
    monkeypatch.setattr(type(method), "block", 3)
    two = compete(pool, [method], realizations=8, pool_size=40, seed=1, shares=(0.3, 1.0), jobs=1)
    assert (one.leaders[method.name] == two.leaders[method.name]).all()


def test_with_all_cells_everyone_names_the_best():
    pool = simulated(n=30, m=6, seed=9)
    methods = [m for m in METHODS[:5]]
    result = compete(pool, methods, realizations=20, pool_size=25, seed=2, shares=(1.0,), jobs=1)
    for method in methods:
        if method.name != "sequential halving":  # drops half of them after a round
            assert (result.credit(method.name) == 1).all(), method.name


def test_uniform_in_a_random_order_is_the_strategy_random():
    from llmsel.studies.by_query import run

    pool = simulated(n=20, m=4, seed=1)
    steps = np.arange(1, 13) / 12
    asked = run(pool, ["Random"], realizations=50, pool_size=12, seed=3, jobs=1)
    ours = compete(
        pool, [Uniform()], realizations=50, pool_size=12, seed=3, shares=steps, jobs=1
    ).credit("uniform")
    assert np.allclose(ours, score(asked)["Random"][IDENTIFICATION])
    given = Uniform(asked.chosen["Random"][:, :6], name="given")
    half = compete(
        pool, [given], realizations=50, pool_size=12, seed=3, shares=steps, jobs=1
    ).credit("given")
    assert np.allclose(half[:, :6], ours[:, :6])
    assert np.allclose(half[:, 6:], ours[:, [5]])


def test_phases_by_hand():
    assert phases(3, 100, budget=12).tolist() == [
        3,
        4,
    ]  # 3 x 3 + 1 x 2 = 11; c = 10: 3 x 3 + 2 x 2 = 13
    assert phases(4, 5, budget=20).tolist() == [5, 5, 5]
    assert phases(1, 5, budget=20).tolist() == []


def test_ladder_keeps_pairs_on_common_queries():
    pool = dict(hostile())["missing outcomes"]
    desk = desk_of(pool, 2)
    ladder, rng = Ladder(desk), np.random.default_rng(0)
    for _ in range(60):
        models = np.array([rng.choice(np.flatnonzero(p < 24)) for p in ladder.places])
        ladder.climb(np.arange(2), models)
    order = draw_orders(24, 24, realizations=2, seed=0)[1]
    r = np.where(pool.outcomes == MISSING, np.nan, pool.outcomes / 2)[order]
    r[np.arange(24)[:, None] >= ladder.places[1]] = np.nan
    gap = r[:, :, None] - r[:, None, :]
    apart = ~np.eye(6, dtype=bool)
    assert np.allclose(ladder.pair_count[1][apart], (~np.isnan(gap)).sum(axis=0)[apart])
    assert np.allclose(ladder.pair_sum[1], np.nansum(gap, axis=0))
    assert np.allclose(ladder.pair_square[1], np.nansum(gap**2, axis=0))
    assert np.allclose(ladder.mean[1], np.nanmean(r, axis=0))


def test_certified_allocation_loses_the_best_at_most_as_often_as_promised():
    for name, pool in adversarial_pools(80, 6).items():
        table = (
            compete(pool, [Anytime(alpha=0.1, batch=2)], realizations=100, pool_size=80, jobs=1)
            .summary()
            .iloc[0]
        )
        assert table["certified"] == 100
        assert table["wrong"] <= 10 + 2 * np.sqrt(9), name


def literal_pair(ours, theirs, half, size):
    """Capital against "theirs is a best model" after each common query; missing as the worst."""
    capital, s, squares, found = 1.0, 0.0, 0.0, []
    for t, (a, b) in enumerate(zip(ours, theirs, strict=True), start=1):
        rem = size - t + 1
        m, d = -s / rem, s / (t + 4)
        v = max(0.01, (squares + 1.25) / (t + 4) - d * d)
        e = max(d, 0) * size / rem
        part = min(e / (v + e * e), 0.9 / max(half + m, 1e-9))
        x = (-0.5 if a == MISSING else a / 2) - (0.5 if b == MISSING else b / 2)
        capital *= 1 + part * (x - m)
        s += x
        squares += 0 if MISSING in (a, b) else x * x
        found.append(capital)
    return found


def test_pair_capitals_do_not_depend_on_who_is_judged_when():
    pool = dict(hostile())["missing outcomes"]
    order = draw_orders(24, 24, realizations=1, seed=0)[0]
    rows, base = pool.outcomes[order].tolist(), pool.baseline_index
    for seed in range(5):
        ladder = Ladder(desk_of(pool, 1))
        capitals, rng = _PairCapitals(ladder), np.random.default_rng(seed)
        for _ in range(90):
            models = rng.choice(np.flatnonzero(ladder.places[0] < 24), 1)
            capitals.stake(np.array([0]), models)
            ladder.climb(np.array([0]), models)
            capitals.settle(np.array([0]), models)
        largest = np.ones(6)
        for ours in range(6):
            for theirs in set(range(6)) - {ours}:
                common = min(ladder.places[0, [ours, theirs]])
                half = 0.5 if base in (ours, theirs) else 1.0
                path = literal_pair(
                    [r[ours] for r in rows[:common]], [r[theirs] for r in rows[:common]], half, 24
                )
                assert np.isclose(capitals._capital[0, ours, theirs], path[-1])
                largest[theirs] = max(largest[theirs], *path)
        assert np.allclose(capitals.largest[0], largest)


def test_errors():
    pool = dict(hostile())["missing outcomes"]
    assert (
        compete(complete(pool), [Anytime()], realizations=2, pool_size=3, jobs=1)
        .runs()["certified"]
        .all()
    )
    with pytest.raises(InputError, match="must be above 0"):
        UCBE(0)
    with pytest.raises(InputError, match="LUCB: alpha=2"):
        LUCB(2)
    with pytest.raises(InputError, match="anytime: alpha=0"):
        Anytime(alpha=0)
    with pytest.raises(InputError, match="batch=0 at least 1"):
        Anytime(batch=0)
    with pytest.raises(InputError, match="no certificate for an order of your own"):
        Anytime(orders=draw_orders(24, 24, realizations=2, seed=0))


def test_methods_are_written_by_their_settings_and_not_by_an_address():
    ordered = Racing(Heuristic(z=2), orders=np.zeros((2, 3), dtype=int), name="mine")
    for method in (*METHODS, ordered):
        assert " at 0x" not in repr(method)
        assert repr(method).startswith(f"{type(method).__name__}(")
    assert "z=2" in repr(ordered) and "array of shape (2, 3)" in repr(ordered)


def test_missing_wins_of_the_best_certify_no_other():
    """The better of two lacks its wins: all is asked, and nothing is known for certain."""
    pool = simulated(n=24, m=2, spread=0.1, seed=3)
    outcomes = np.zeros_like(pool.outcomes)
    better, other = pool.candidate_columns
    outcomes[:12, better], outcomes[12:, better] = 1, -1
    outcomes[:, other] = 0
    outcomes[0, other] = -1
    holes = outcomes.copy()
    holes[:6, better] = MISSING
    for table, certain in ((outcomes, True), (holes, False)):
        result = compete(pool.replace(outcomes=table), [Anytime()], realizations=5, jobs=1)
        runs = result.runs()
        assert runs["certified"].all() if certain else not runs["certified"].any()
        assert set(runs["stop"]) <= (
            {"tied", "pool exhausted"} if certain else {"outcomes missing"}
        )


def test_the_chance_of_the_leader_is_that_of_normal_draws():
    rng = np.random.default_rng(0)
    for size in (2, 5, 20):
        estimate, error = rng.normal(0, 0.1, size), rng.uniform(0.02, 0.1, size)
        draws = estimate + WIDER * error * rng.standard_normal((40_000, size))
        expected = (draws.argmax(axis=1) == estimate.argmax()).mean()
        assert abs(chance_of_best(estimate, error) - expected) < 0.01
    assert chance_of_best(np.array([0.3]), np.array([0.1])) == pytest.approx(1)
    known = chance_of_best(np.array([0.2, 0.1, 0.0]), np.zeros(3))
    assert known == pytest.approx(1)
