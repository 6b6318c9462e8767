"""A decision without a baseline: the pool of all pairs, and `Race` on it."""

import numpy as np
import pytest
from helpers.pair_tables import circle, table_of, top

import llmsel
from llmsel import Audit, Borda, Budget, Condorcet, InputError, Pool, Race
from llmsel.racing.pairs import OPPONENT, all_pairs
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
    assert near.statement.startswith("there is no Condorcet winner: each model loses to another by")


@pytest.mark.parametrize(("rule", "words"), [(Condorcet(), "champion"), (Borda(), "champion")])
def test_on_the_way_no_more_is_said_than_is_known(rule, words):
    pool = pairs_pool(top(5, 10, 4))
    race = Race(pool, rule, batch=4)
    assert race.verdict().statement == (
        "nobody leads: no outcome is judged (0 calls on 0 of 40 queries)."
    )
    first = run(race, pool, 1)
    assert words in first.statement
    assert not first.certified
    stopped = run(Race(pool, rule, budget=Budget(calls=25)), pool)
    assert stopped.calls <= 25
    assert stopped.statement.endswith("The budget is spent.")


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
