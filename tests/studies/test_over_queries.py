"""Intervals over queries: half-boards, and the standard error they stand for."""

import numpy as np
import pandas as pd
import pytest
from helpers import pools

from llmsel._base.errors import InputError
from llmsel._base.intervals import t_quantile
from llmsel.studies import by_query, efficiency, paired, scores
from llmsel.studies.over_queries import (
    half_boards,
    needed_on_half_boards,
    on_half_boards,
    over_halves,
    saved_over_queries,
    with_queries,
)

PLAYERS = ["Random", "LLM Selector"]


def test_halves_are_halves_in_the_order_of_the_board():
    pool = pools.simulated(n=25)
    halves = list(half_boards(pool, 6, seed=3))
    assert {half.n_queries for half in halves} == {12}
    for half in halves:
        places = [pool.place(q) for q in half.queries]
        assert places == sorted(set(places))
        np.testing.assert_array_equal(half.votes, pool.votes[places])
    assert len({half.queries for half in halves}) == 6
    assert next(half_boards(pool, 2, seed=3)).queries == halves[0].queries
    for count, small in ((1, pool), (5, pools.simulated(n=3))):
        with pytest.raises(InputError, match="an interval takes 2 halves"):
            list(half_boards(small, count))


def test_the_spread_of_halves_is_the_standard_error_of_the_whole():
    rng = np.random.default_rng(0)
    boards, n = 300, 40
    values = rng.normal(size=(boards, n))
    errors = []
    for row in values:
        halves = [row[rng.permutation(n)[: n // 2]].mean() for _ in range(40)]
        low, high, _, _ = over_halves(row.mean(), np.array(halves))
        errors.append((high - low) / 2 / t_quantile(0.975, 39))
    assert np.mean(errors) == pytest.approx(1 / np.sqrt(n), rel=0.03)


def test_over_halves_by_hand():
    low, high, same, count = over_halves(-0.1, np.array([-0.2, 0.1, -0.3]))
    assert (same, count) == (2, 3)
    error = t_quantile(0.975, 2) * np.std([-0.2, 0.1, -0.3], ddof=1)
    assert (low, high) == pytest.approx((-0.1 - error, -0.1 + error))
    assert np.isnan(over_halves(0.1, np.array([]))[0])


def test_both_intervals_stand_side_by_side():
    pool = pools.simulated(n=40, m=6, seed=11)
    scored = scores.score(by_query.run(pool, PLAYERS, realizations=30, pool_size=24, jobs=1))
    table = paired.compare(scored, "LLM Selector", upto=12)
    table[["difference", "low", "high"]] = -table[["difference", "high", "low"]].to_numpy()
    halves = on_half_boards(pool, PLAYERS, halves=5, pool_size=24, realizations=10, jobs=1)
    assert list(halves.columns) == PLAYERS and len(halves) == 5
    both = with_queries(table, halves, "LLM Selector")
    row = both.iloc[0]
    assert row["strategy"] == "Random" and row["halves"] == 5
    assert row["query_low"] < row["difference"] < row["query_high"]
    assert row["query_high"] - row["query_low"] > row["high"] - row["low"]
    gains = halves["LLM Selector"] - halves["Random"]
    assert row["same_sign"] == (np.sign(gains) == np.sign(row["difference"])).sum()
    usual = paired.compare(scored, "LLM Selector", upto=12)
    turned = with_queries(usual, halves, "LLM Selector", sign=1).iloc[0]
    assert turned["query_low"] == pytest.approx(-row["query_high"])
    assert turned["same_sign"] == row["same_sign"]
    other = pd.concat([table, table.assign(strategy="not run")], ignore_index=True)
    assert np.isnan(with_queries(other, halves, "LLM Selector")["query_low"][1])


def test_a_saving_has_both_intervals_and_the_one_over_queries_is_the_wider():
    pool = pools.simulated(n=40, m=6, seed=11)
    targets = {scores.IDENTIFICATION: (0.7, 0.9)}
    options = {"pool_size": 24, "realizations": 12, "jobs": 1}
    players = [*PLAYERS, "Uncertainty"]
    scored = scores.score(by_query.run(pool, players, **options))
    board = efficiency.annotation_efficiency(scored, targets, bootstraps=30)
    needed = needed_on_half_boards(pool, players, targets, halves=4, **options)
    assert len(needed) == 4 * 3 * 2 and needed["budget"].between(1, 12).all()
    table = saved_over_queries(board, needed, "LLM Selector")
    assert table["level"].tolist() == [0.7, 0.9]
    for each in ("vs_random", "vs_strongest"):
        assert (table[f"{each}_query_low"] <= table[f"{each}_low"]).all()
        assert (table[f"{each}_query_high"] >= table[f"{each}_high"]).all()
        assert (table[f"{each}_query_high"] < 1).all()


def test_a_saving_over_queries_by_hand():
    row = {"strategy": "ours", "metric": "m", "level": 0.9, "strongest": "other"}
    row |= {"vs_random": 0.5, "vs_random_low": 0.49, "vs_random_high": 0.51}
    row |= {"vs_strongest": -1.0, "vs_strongest_low": -1.0, "vs_strongest_high": -1.0}
    budgets = {"ours": (4, 8, 8), "Random": (8, 8, 16)}  # nothing is known of the other
    needed = pd.DataFrame(
        [(h, n, "m", 0.9, b) for n, all_ in budgets.items() for h, b in enumerate(all_)],
        columns=["half", "strategy", "metric", "level", "budget"],
    )
    (found,) = saved_over_queries(pd.DataFrame([row]), needed, "ours").to_dict("records")
    error = t_quantile(0.975, 2) * np.std(np.log([0.5, 1, 0.5]), ddof=1)
    assert found["vs_random_query_low"] == pytest.approx(1 - 0.5 * np.exp(error))
    assert found["vs_random_query_high"] == pytest.approx(1 - 0.5 * np.exp(-error))
    assert np.isnan(found["vs_strongest_query_low"])
