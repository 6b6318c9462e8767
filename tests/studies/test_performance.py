"""What is timed is held against what it must equal; no time is tested, only what took it."""

import numpy as np
import pytest

from llmsel import load
from llmsel.benchmarks.simulated import simulate
from llmsel.racing.audit import Audit
from llmsel.studies import performance
from llmsel.studies.performance import growth, interactive, races, reading, three_ways


@pytest.fixture(scope="module")
def pool():
    return simulate(40, 6, z=3, seed=3)


def test_three_ways_pick_the_same_and_another_pick_is_noticed(pool, monkeypatch):
    times, same = three_ways(pool, realizations=2, steps=6)
    assert list(times.index) == ["literal", "plain NumPy", "engine"] and (times >= 0).all()
    assert same == {"literal": True, "plain NumPy": True}
    monkeypatch.setattr(performance, "plain", lambda *_: list(range(6)))
    assert three_ways(pool, realizations=2, steps=6)[1] == {"literal": True, "plain NumPy": False}


def test_the_floor_is_told_per_realization(pool):
    floor = performance.floor(pool, 2)
    assert len(floor) == 4 and (floor >= 0).all() and np.isfinite(floor).all()


def test_growth_compares_both_ways_to_score_where_tables_fit(monkeypatch):
    sizes = [(100, 20), (1500, 25)]  # the second is looked up in packed votes
    table = growth(sizes)
    assert table.index.tolist() == sizes
    assert (table["same"] == 1).all()
    assert table["step / floor"].equals(table["step"] / table["floor"])
    assert table["votes (GiB)"].tolist() == [q * (m + 1) * 10 / 2**30 for q, m in sizes]
    monkeypatch.setattr(performance.ExpectedEntropy, "_as_it_stands", _upside_down)
    assert growth(sizes)["same"].tolist() == [1, 0]
    monkeypatch.setattr(performance, "TABLES", 0)
    assert growth(sizes[:1])[["same", "tables anew"]].isna().all(axis=None)


def _upside_down(self, packed, log_weights, chance):
    for nats in self._by_leader(packed, log_weights, chance):
        yield -nats


def test_races_are_those_of_the_rule_and_of_the_literal_version(pool, monkeypatch):
    table = races(pool, 2, largest=20)
    assert table["same"].tolist()[0] == 1 and table["same"].isna().tolist() == [False, True]
    orders = performance.draw_orders(pool.n_queries, 20, realizations=2, seed=0)
    for seed, (order, calls) in enumerate(zip(orders, table["calls"], strict=True)):
        rows = pool.outcomes[order]
        race = Audit().begin(*rows.shape, baseline=pool.baseline_index, seed=seed)
        told = 0
        while cells := race.ask():
            for i, j in cells:
                race.tell((i, j), int(rows[i, j]))
                told += 1
        assert told == calls
    monkeypatch.setattr(performance.literal_audit, "audit", lambda *_, **__: [[]])
    assert races(pool, 1, largest=20)["same"].tolist() == [0]


def test_a_race_of_equals_takes_more_calls():
    table = interactive(60, 8)
    assert table.loc["calls", "simulated"] < table.loc["calls", "all alike"] <= 60 * 8
    assert (table.loc["median ms"] <= table.loc["longest ms"]).all()


def test_all_answers_are_read():
    some = load("smol")
    told = reading(some, 2)
    assert told["responses"] == some.responses.size < told["tokens"]
