"""The best k: every course of small pools, ties for the last place, missing outcomes."""

import numpy as np
import pytest
from helpers.audit_courses import courses as every_course
from helpers.audit_courses import finish, random_table, sums
from helpers.audits import coins, with_baseline

from llmsel._base.errors import InputError
from llmsel._base.verdicts import EXHAUSTED, INCOMPLETE, ONE_LEFT, WITHIN
from llmsel.pool import MISSING, Pool
from llmsel.racing.audit import Audit
from llmsel.racing.race import Race

EARLY = {"switch": "early", "prune": (), "best": 2, "start": 0.0}


def outside_is_better(race, low, high, margin):
    """Whether a model left out may be better than one that is named, whatever is missing."""
    return high[~race.winners].max() > low[race.winners].min() + margin + 1e-9


@pytest.mark.parametrize("delta", [0.0, 0.15])
@pytest.mark.parametrize("width", [1, 3])
def test_a_better_model_is_left_out_with_at_most_probability_alpha(width, delta):
    total = wrong = 0.0
    table = random_table(3, missing=True)
    low, high = sums(table)
    for race, chance in every_course(Audit(alpha=0.5, **EARLY), table, delta, 0, width):
        total += chance
        off = outside_is_better(race, low, high, delta * len(table))
        wrong += chance * bool(race.certified and off)
    assert total == pytest.approx(1)
    assert wrong <= 0.5


def test_no_member_of_the_best_gains_in_the_mean():
    """Its claim is true against every champion: the mean of its capital is at most 1."""
    for seed in range(3):
        table = random_table(30 + seed)
        best_two = np.argsort(-sums(table)[0], kind="stable")[:2]
        mean = np.zeros(3)
        for race, chance in every_course(Audit(alpha=1e-12, **EARLY), table, 0.0, seed):
            mean += chance * np.exp(race.capital)
        assert (mean[best_two] <= 1 + 1e-9).all()


@pytest.mark.parametrize("switch", ["predicted", "never"])
@pytest.mark.parametrize("best", [1, 2, 4])
def test_the_best_of_an_easy_pool_are_named(best, switch):
    chances = [0.9, 0.85, 0.8, 0.75, 0.3, 0.2, 0.1]
    table = with_baseline(coins(np.random.default_rng(0), chances, (150, 7)))
    race = Audit(best=best, switch=switch).begin(*table.shape, baseline=7, seed=1)
    assert finish(race, table).certified
    truth = np.argsort(-table.sum(axis=0))[:best]
    assert set(np.flatnonzero(race.winners)) == set(truth)
    assert race.stop in (ONE_LEFT, EXHAUSTED)


def test_models_left_out_of_the_best_are_hardly_judged():
    table = with_baseline(coins(np.random.default_rng(0), [0.9, 0.85] + [0.2] * 20, (100, 22)))
    race = finish(Audit(best=2).begin(*table.shape, baseline=22, seed=1), table)
    assert race.winners[:2].all() and race.winners.sum() == 2
    assert race.ledger.judged[:2].tolist() == [100, 100]
    assert race.ledger.judged[2:22].mean() < 30


@pytest.mark.parametrize("switch", ["early", "never"])
def test_all_that_tie_for_the_last_place_are_named(switch):
    column = np.array([1] * 6 + [-1] * 4)
    table = np.column_stack([np.ones(10), column, column[::-1], -np.ones(10), np.zeros(10)])
    race = Audit(alpha=1e-9, best=2, switch=switch).begin(10, 5, baseline=4, seed=0)
    finish(race, table.astype(np.int8))
    assert race.winners.tolist() == [True, True, True, False, False]
    assert race.stop == EXHAUSTED and race.certified


@pytest.mark.parametrize("switch", ["early", "never"])
@pytest.mark.parametrize(("delta", "stop"), [(0.0, INCOMPLETE), (0.1, WITHIN)])
def test_what_is_missing_may_leave_the_last_place_open(switch, delta, stop):
    """Of two rivals for the second place one may have won two queries more, or not."""
    first, second = np.ones(20), np.array([1] * 12 + [-1] * 8)
    third = np.array([1] * 11 + [MISSING] * 2 + [-1] * 7)
    table = np.column_stack([first, second, third, np.zeros(20)]).astype(np.int8)
    race = Audit(alpha=1e-9, best=2, switch=switch).begin(20, 4, baseline=3, delta=delta, seed=0)
    finish(race, table)
    assert (race.stop, race.certified) == (stop, stop == WITHIN)
    assert race.winners.tolist() == [True, True, False, False]


def test_leaders_are_named_before_the_end():
    table = with_baseline(coins(np.random.default_rng(1), [0.9, 0.8, 0.2], (40, 3)))
    race = Audit(best=2).begin(*table.shape, baseline=3, seed=0)
    while not race.stop:
        assert race.winners.sum() == 2 and not race.certified
        for cell in race.ask():
            race.tell(cell, int(table[cell]))


def test_as_many_as_there_are_cannot_be_the_best():
    with pytest.raises(InputError, match="best=4"):
        Audit(best=4).begin(10, 4, baseline=3)
    with pytest.raises(InputError, match="best=0"):
        Audit(best=0)


@pytest.mark.parametrize(
    ("delta", "said"),
    [(0.0, "'m0' and 'm1' are the best 2"), (0.3, "more than 30.0% better than any of 'm0' and")],
)
def test_the_verdict_says_what_the_best_are_worth(delta, said):
    table = coins(np.random.default_rng(1), [0.95, 0.9, 0.2, 0.1], (60, 4))
    models = ["m0", "m1", "m2", "m3", "old"]
    race = Race(Pool([f"q{i}" for i in range(60)], models, "old"), Audit(best=2), delta=delta)
    assert "the best 2" not in race.verdict().statement
    while tasks := race.ask():
        for task in tasks:
            row = table[int(task.query[1:])]
            race.tell(task.query, {m: int(row[int(m[1:])]) for m in task.models})
        if race.verdict().dropped and not race.verdict().stop:
            assert "the best 2 are among" in race.verdict().statement
    assert race.verdict().winners == ("m0", "m1") and said in race.verdict().statement
