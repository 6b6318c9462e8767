"""No certificate without evidence: judges that fail, in every way, and what a race then says."""

import numpy as np
import pytest
from helpers.failing import FAILURES, failing, run
from helpers.pools import simulated
from hypothesis import given, settings
from hypothesis import strategies as st

from llmsel._base.errors import InputError
from llmsel.benchmarks.simulated import adversarial_pools
from llmsel.pool import MISSING, Pool
from llmsel.racing.elimination import Certified, Heuristic, Standing
from llmsel.racing.lockstep import Races
from llmsel.racing.race import Race

POOL = simulated(n=60, m=5, spread=0.8, seed=21)


def play(race, outcome):
    """Answer every question of a race by ``outcome(query, model)``."""
    while tasks := race.ask():
        for task in tasks:
            race.tell(task.query, {model: outcome(task.query, model) for model in task.models})
    return race.verdict()


@pytest.mark.parametrize("most_failed", [0.05, 1.0])
@pytest.mark.parametrize("rule", [Certified(), Heuristic()], ids=str)
def test_a_judge_that_is_never_readable_certifies_nothing(rule, most_failed):
    found = play(Race(POOL, rule, seed=1, most_failed=most_failed), lambda q, m: None)
    assert not found.certified and found.calls == 0
    assert "is the best" not in found.statement
    assert sum(found.failed.values()) == (10 if most_failed < 1 else 300)  # rows of five
    if rule.certifies and most_failed == 1:
        assert found.stop == "outcomes missing" and len(found.live) == 6
        assert "no certificate" in found.statement and "300 judgements missing" in found.statement


def test_a_grader_that_returns_nan_is_refused_in_one_sentence():
    race = Race(POOL, seed=1)
    task = race.ask()[0]
    for outcome in (float("nan"), True, "1", 2):
        with pytest.raises(InputError, match=r"must be -1 .loss., 0 .draw. or 1 .win."):
            race.tell(task.query, {task.models[0]: outcome, task.models[1]: 1})
    assert race.ask()[0] == task  # nothing was learned


def test_giving_up_on_every_query_certifies_nothing():
    race = Race(POOL, seed=1, most_failed=1.0)
    while tasks := race.ask():
        race.give_up(tasks[0].query)
    found = race.verdict()
    assert not found.certified and found.stop == "outcomes missing"
    assert found.winners == (POOL.baseline,)  # the only one with a win rate
    assert found.statement.startswith("nobody leads: no outcome is judged (0 calls")


def test_one_verdict_and_59_missing_certify_nothing():
    for outcome in (-1, 0, 1):
        pool = Pool(POOL.queries, ["new", "old"], "old")
        race = Race(pool, seed=2, most_failed=1.0)
        first = race.ask()[0].query
        found = play(race, lambda q, m, a=outcome, one=first: a if q == one else MISSING)
        assert not found.certified and found.stop == "outcomes missing"
        assert found.failed == {"new": 59} and found.calls == 1


@pytest.mark.parametrize("spread", [0.3, 0.8])
def test_missing_wins_of_the_best_certify_no_other(spread):
    wrong = 0
    for seed in range(60):
        pool = simulated(n=40, m=5, spread=spread, seed=seed)
        found, best = run(pool, "wins of the best", np.random.default_rng(seed), seed=seed)
        wrong += found.certified and not set(found.winners) <= best
    assert wrong <= 7  # 5 % of 60, and two standard errors


@pytest.mark.parametrize("kind", FAILURES)
def test_no_untrue_certificate_however_judgements_fail(kind):
    wrong = certified = 0
    for seed in range(40):
        pool = simulated(n=30, m=4, spread=0.5, seed=seed)
        found, best = run(pool, kind, np.random.default_rng(seed), seed=seed)
        certified += found.certified
        wrong += found.certified and not set(found.winners) <= best
    assert wrong <= 5, kind
    if kind in ("never", "one cell", "at random", "wins of the best"):
        assert (certified == 0) == (kind == "never")


def test_a_race_stops_when_too_many_judgements_fail_and_can_go_on():
    pool = simulated(n=60, m=5, spread=0.1, seed=3)
    rng = np.random.default_rng(0)
    broken = {(q, m) for q in pool.queries for m in pool.models if rng.random() < 0.2}

    def outcome(query, model):
        return None if (query, model) in broken else pool.row(query)[model]

    race = Race(pool, seed=1)
    found = play(race, outcome)
    assert found.stop == "too many failed" and not found.certified and not race.ask()
    failed, judged = sum(found.failed.values()), found.calls
    assert failed == 6 > 0.05 * (judged + failed)
    assert "too many judgements are missing" in found.statement
    assert "most_failed" in found.remarks[1]
    assert all(f"'{model}' {count}" in found.remarks[0] for model, count in found.failed.items())
    race.most_failed = 1.0
    assert race.ask()
    after = play(race, outcome)
    assert after.stop != "too many failed" and sum(after.failed.values()) > failed


def test_five_failures_never_stop_a_race_and_few_among_many_do_not():
    pool = simulated(n=60, m=5, spread=0.1, seed=3)
    for broken in (set(pool.queries[:1]), set(pool.queries[:2])):
        found = play(
            Race(pool, seed=1),
            lambda q, m, b=broken: MISSING if q in b and m != "model-0" else pool.row(q)[m],
        )
        assert found.stop != "too many failed"
        assert sum(found.failed.values()) <= 10


def test_a_cell_that_failed_three_times_is_given_up_and_no_query_is_asked_for_ever():
    pool = simulated(n=20, m=3, seed=5)
    race = Race(pool, seed=1, tries=3)
    task = race.ask()[0]
    rest = {model: 0 for model in task.models[1:]}
    race.tell(task.query, {task.models[0]: None} | rest)
    race.tell(task.query, {task.models[0]: None})
    assert race.ask()[0].models == task.models[:1]
    assert race.verdict().failed == {}  # it may still succeed
    race.tell(task.query, {task.models[0]: None})
    assert race.ask()[0].query != task.query
    assert race.verdict().failed == {task.models[0]: 1}
    asked = 0
    race = Race(pool, seed=1, most_failed=1.0)
    while tasks := race.ask():
        asked += 1
        race.tell(tasks[0].query, dict.fromkeys(tasks[0].models))
    assert asked == 3 * pool.n_queries
    with pytest.raises(InputError, match="tries=0 must be a whole number of at least 1"):
        Race(pool, tries=0)
    with pytest.raises(InputError, match=r"a share in \[0, 1\]"):
        Race(pool, most_failed=5)


def test_missing_cells_that_cannot_turn_the_answer_cost_no_certificate():
    """At the end of the pool the winner is ahead by more than all that is missing."""
    rows = np.zeros((1, 30, 2), dtype=np.int8)
    rows[0, :, 0] = np.where(np.arange(30) < 18, 1, -1)
    for missing, stop in ((3, "pool exhausted"), (10, "outcomes missing")):
        holes = rows.copy()
        holes[0, 12 : 12 + missing, 0] = MISSING  # wins
        race = Races(1, 2, baseline=1, pool_size=30, rule=Certified(1e-9))
        for row in holes[0]:
            if not len(race.who):
                break
            race.begin_batch()
            race.learn(row[None, None])
        assert race.stop[0] == stop


def test_within_delta_at_the_end_of_the_pool_counts_what_is_missing():
    rows = np.zeros((40, 2), dtype=np.int8)
    rows[:, 0] = np.where(np.arange(40) % 2, 1, -1)  # level with the baseline
    rows[[2, 3], 0] = MISSING  # a win and a loss: nobody knows who is ahead
    for delta, stop in ((0.0, "outcomes missing"), (0.05, "within delta")):
        race = Races(1, 2, baseline=1, pool_size=40, rule=Certified(1e-9), delta=delta)
        for row in rows:
            if len(race.who):
                race.begin_batch()
                race.learn(row[None, None])
        assert race.stop[0] == stop


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.1]), st.integers(1, 4))
def test_what_is_surely_best_is_best_under_every_filling(seed, delta, models):
    rng = np.random.default_rng(seed)
    size = int(rng.integers(1, 6))
    rows = rng.choice([-1, 0, 1, MISSING], (size, models + 1)).astype(np.int8)
    rows[:, 0] = 0
    seen = int(rng.integers(0, size + 1))
    now = Standing(1, models + 1, baseline=0, pool_size=size)
    for row in rows[:seen]:
        now.add(row[None])
    open_cells = [(i, j) for i in range(size) for j in range(1, models + 1)]
    open_cells = [(i, j) for i, j in open_cells if i >= seen or rows[i, j] == MISSING]
    sure = now.surely_best(delta)[0]
    for j in range(models + 1):  # the worst filling for j: it loses, all others win
        filled = rows.astype(int)
        for i, k in open_cells:
            filled[i, k] = -1 if k == j else 1
        total = filled.sum(axis=0) / 2
        rivals = np.delete(total, j)
        assert sure[j] == bool((total[j] >= rivals - delta * size).all())


@pytest.mark.parametrize("delta", [0.0, 0.05])
def test_a_certificate_holds_under_random_missing_on_pools_that_tempt_it(delta):
    wrong = certified = 0
    for name, pool in adversarial_pools(60, 5).items():
        for seed in range(6):
            rng = np.random.default_rng([seed, len(name)])
            found, best = run(pool, "at random", rng, seed=seed, delta=delta)
            certified += found.certified
            wrong += found.certified and not set(found.winners) <= best
    assert wrong <= 0.05 * certified + 3


def test_failed_judgements_are_counted_where_a_model_was_dropped_too():
    pool = simulated(n=60, m=5, spread=2.0, seed=9)
    outcomes = failing(pool, "at random", np.random.default_rng(1))
    race = Race(pool, seed=1, most_failed=1.0)
    asked = set()

    def outcome(query, model):
        asked.add((query, model))
        return int(outcomes[pool.place(query), pool.column(model)])

    found = play(race, outcome)
    lacking = [m for q, m in asked if outcomes[pool.place(q), pool.column(m)] == MISSING]
    assert found.failed == {m: lacking.count(m) for m in set(lacking)}
    assert found.calls == len(asked) - len(lacking)
    assert found.dropped
