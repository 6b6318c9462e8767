"""A decision without a baseline: the pool of all pairs, and `Race` on it."""

import numpy as np
import pytest
from helpers.pair_tables import circle, table_of, top

import llmsel
from llmsel import Audit, Borda, Budget, Condorcet, InputError, Pool, Race
from llmsel.racing.pairs import OPPONENT, all_pairs, met
from llmsel.racing.race import rule_of

MODELS = ("a", "b", "c")
RESPONSES = np.array([[f"{m} {q}" for m in MODELS] for q in "xyz"], dtype=object)
POOL = Pool(
    ("x", "y", "z"), MODELS, "b", texts=("X", "Y", "Z"), responses=RESPONSES, categories="kkl"
)


def pairs_pool(gaps, size=40, draws=0.1):
    n = len(gaps)
    plain = Pool([f"q{i}" for i in range(size)], [f"m{j}" for j in range(n)], "m0")
    return all_pairs(plain, table_of(gaps, size, draws, np.random.default_rng(1)))


def run(race, pool, steps=None):
    while (tasks := race.ask()) and steps != 0:
        for task in tasks:
            row = pool.outcomes[pool.place(task.query)]
            race.tell(task.query, {m: int(row[pool.column(m)]) for m in task.models})
        steps = None if steps is None else steps - 1
    return race.verdict()


def test_every_pair_is_laid_out_once():
    pool = all_pairs(POOL)
    assert pool.models == ("a", "b", "c", OPPONENT)
    assert pool.queries[:3] == ("x vs b", "x vs c", "y vs b")
    assert pool.texts[:3] == ("X", "X", "Y")
    assert pool.categories == ("k", "k", "k", "k", "l", "l")
    assert pool.responses[:2].tolist() == [
        ["a x", "b x", "b x", "b x"],
        ["a x", "b x", "c x", "c x"],
    ]
    different = pool.responses != pool.responses[:, -1:]
    assert different.sum() == 3 * 3, "three pairs on three queries are all there is to judge"


def test_outcomes_stand_where_they_are_asked_for():
    table = np.zeros((3, 3, 3), dtype=np.int8)
    table[0, 1], table[1, 0] = (1, -1, 0), (-1, 1, 0)
    pool = all_pairs(POOL, table)
    assert pool.row("x vs b")["a"] == 1
    assert pool.row("y vs b")["a"] == -1
    with pytest.raises(InputError, match=r"outcomes of shape \(2, 2\); \(3, 3, 3\) are needed"):
        all_pairs(POOL, table[0, :2, :2])


def test_a_race_names_the_model_that_nobody_beats():
    pool = pairs_pool(top(5, 20, 4))
    verdict = run(Race(pool, seed=1, seed_drawn=True), pool)
    assert verdict.winners == ("m0",)
    assert verdict.certified
    assert verdict.statement.startswith("no model beats 'm0' in direct comparison (with prob")
    assert set(verdict.dropped) == {"m1", "m2", "m3", "m4"}
    assert OPPONENT not in (*verdict.live, *verdict.dropped)
    assert verdict.queries <= 40 < verdict.calls < 400


def test_a_race_by_mean_win_rates():
    pool = pairs_pool(top(4, 20, 0))
    verdict = run(Race(pool, Borda(), delta=0.05), pool)
    assert verdict.winners == ("m0",)
    assert "is within 5.0% of the highest mean win rate against all others" in verdict.statement


def test_a_circle_ends_without_a_winner():
    pool = pairs_pool(circle(3, 30))
    verdict = run(Race(pool), pool)
    assert verdict.winners == verdict.live == ()
    assert verdict.certified
    assert verdict.statement.startswith("there is no Condorcet winner: no model beats every other")
    near = run(Race(pool, delta=0.05), pool)
    assert near.statement.startswith("there is no Condorcet winner: against each model another's")


@pytest.mark.parametrize("rule", [Condorcet(), Borda()])
def test_on_the_way_no_more_is_said_than_is_known(rule):
    pool = pairs_pool(top(5, 10, 4))
    race = Race(pool, rule, batch=4)
    assert race.verdict().statement == (
        "nobody leads: no outcome is judged (0 calls on 0 of 40 queries)."
    )
    first = run(race, pool, 1)
    assert "leads" in first.statement
    assert not first.certified
    stopped = run(Race(pool, rule, budget=Budget(calls=25)), pool)
    assert stopped.calls <= 25
    assert stopped.statement.endswith("The budget is spent.")


def test_a_margin_that_is_just_reached_is_not_exceeded():
    pool = pairs_pool(circle(3, 58), size=100, draws=0)  # everyone wins 79 of 100 against another
    just = run(Race(pool, delta=0.29), pool)  # 0.29 * 100 is below 29 in floating point
    assert just.winners
    assert "in direct comparison is over 79.0%" in just.statement
    below = run(Race(pool, delta=0.2899901), pool)
    assert below.stop == "no winner"
    assert "against each model another's win rate is over 78.999%" in below.statement


def test_who_leads_is_never_beaten():
    beaten = 0
    for seed in range(12):
        pool = pairs_pool(circle(5, 14), size=16, draws=0)
        race = Race(pool, Condorcet(alpha=0.001, seek=1), seed=seed)
        while race.ask():
            said = run(race, pool, 1)
            beaten += not race._course.race.live[race._course.race.champion]
            assert set(said.winners) <= set(said.live)
    assert beaten, "or this would show nothing: champions that are beaten still have a prey"


def test_a_budget_counts_queries_and_not_their_rows():
    pool = pairs_pool(top(5, 20, 4))
    verdict = run(Race(pool, budget=Budget(queries=12)), pool)
    assert verdict.queries <= 12
    assert verdict.stop == "budget"


@pytest.mark.parametrize("rule", [Condorcet(0.1), Borda(0.1, 5)])
def test_a_log_can_hold_the_race(rule):
    pool = pairs_pool(top(4, 10, 2))
    race = Race(pool, rule, seed=3, delta=0.02, batch=3)
    assert rule_of(race.settings) == rule
    again = Race.of_settings(pool, race.settings)
    assert run(again, pool) == run(race, pool)


def test_a_pool_of_all_pairs_that_was_cut_is_refused():
    """Rows are read by their place: a race on these would compare other models than it says."""
    pool = all_pairs(POOL)
    for cut in (
        pool.subset(queries=pool.queries[:3]),
        pool.subset(queries=pool.queries[::-1]),
        pool.subset(models=["a", "b", OPPONENT]),
        pool.subset(models=["c", "b", "a", OPPONENT]),
        Pool(("x", "y"), ("a", "b", OPPONENT), OPPONENT),
    ):
        with pytest.raises(InputError, match=r"not laid out as llmsel\.all_pairs does"):
            Race(cut)
    assert Race(pool.subset(queries=[*pool.queries[4:], *pool.queries[:4]])).ask()


def test_names_that_would_be_mixed_up_are_told():
    with pytest.raises(InputError, match="'x vs b vs b' can be read in two ways"):
        all_pairs(Pool(["x", "x vs b"], ["a", "b", "b vs b"], "a"))
    with pytest.raises(InputError, match="has a meaning of its own"):
        all_pairs(Pool(["x"], ["a", OPPONENT], "a"))
    odd = all_pairs(Pool(["x vs b", "x"], ["a vs c", "b vs a", "vs"], "vs"))
    assert [met(odd, query) for query in odd.queries[:2]] == [
        ("x vs b", "b vs a"),
        ("x vs b", "vs"),
    ]
    assert run(Race(odd), odd.replace(outcomes=np.zeros((4, 4), dtype=np.int8))).certified


def test_rules_are_for_one_kind_of_pool():
    pool = pairs_pool(top(4, 10, 2))
    with pytest.raises(InputError, match="the rule Audit is not for this pool: over all pairs"):
        Race(pool, Audit())
    with pytest.raises(InputError, match="the rule Condorcet is not for this pool"):
        Race(POOL, Condorcet())
    with pytest.raises(InputError, match="only a race by audit can use a cheap judge"):
        Race(pool, cheap_price=0.1)
    with pytest.raises(InputError, match="one of all pairs already"):
        llmsel.all_pairs(pool)
