"""How often a race breaks its promise: counted on tables where the answer is known."""

import numpy as np

from llmsel.benchmarks import hostile
from llmsel.pool import MISSING
from llmsel.racing.audit import Audit
from llmsel.studies.promises import broken, promise_table


def test_a_sure_winner_breaks_nothing_and_a_table_says_how_many_races():
    sure = hostile.with_baseline(np.column_stack([np.ones(30, int), -np.ones(30, int)]))
    big = np.tile(sure, (4, 1))
    found = promise_table([("sure", sure, 0.0), ("big", big, 0.1)], Audit(), races=8, cells=180)
    assert found["failures"].tolist() == [0, 0] and found["races"].tolist() == [8, 4]
    assert (found["low"] <= found["wrong"]).all() and (found["high"] < 0.6).all()
    assert (found["calls"] < 1).all() and found["delta"].tolist() == [0.0, 0.1]


def test_what_is_missing_is_held_against_the_answer():
    table = np.full((20, 2), 1)
    table[:, 1] = np.where(np.arange(20) < 12, MISSING, -1)  # could be the wins of the other one
    share, off = broken(hostile.with_baseline(table), Audit(), delta=0.0, seed=1)
    assert share <= 1 and not off  # no certificate, or a right one


def test_a_rule_without_caution_is_caught():
    class Bold(Audit):
        def __post_init__(self):
            object.__setattr__(self, "alpha", 0.999)

    rng = np.random.default_rng(3)
    ties = hostile.with_baseline(hostile.lift(hostile.coins(rng, 0.5, (40, 2)), 1))
    found = promise_table([("ties", ties, 0.0)], Bold(), races=40, jobs=1)
    assert found["failures"][0] > 5


def test_every_hostile_pool_has_one_best_model_just_ahead():
    names = [name for name, *_ in hostile.hostile_tables()]
    assert len(names) == len(set(names)) >= 20
    for name, table, delta in hostile.hostile_tables():
        assert set(np.unique(table)) <= {-1, 0, 1, MISSING}, name
        assert 0 <= delta < 0.1 and np.ndim(table) == 2
