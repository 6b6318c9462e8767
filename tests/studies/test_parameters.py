"""Grids of parameters, and where a strategy steers."""

import numpy as np
import pytest
from helpers.pools import PROTOCOL, candidates

import llmsel
from llmsel.belief import Belief
from llmsel.pool import Pool
from llmsel.studies import parameters
from llmsel.studies.reference import selection as literal


def test_steering_towards_easy_queries():
    outcomes = np.array([[1, 0]] * 5 + [[-1, 0]] * 15, dtype=np.int8)
    easy_first = Pool(range(20), ["m", "base"], "base", outcomes=outcomes)
    order = np.arange(20, dtype=np.int32)[None]
    result = llmsel.Result(easy_first, order, {"Random": order}, {})
    row = parameters.steering(result, budget=5).loc[0]
    assert row["lift"] == row["optimism"] == pytest.approx(1 - 0.25)
    assert row["favours_baseline"] == 1  # a win is as likely as a draw
    assert parameters.steering(result, 5, belief=Belief(0.2, 0.2))["favours_baseline"][0] == 0
    row = parameters.steering(result, budget=20).loc[0]
    assert row["lift"] == 0 == row["optimism"]


def test_sensitivity_covers_the_simplex(pool):
    table = parameters.sensitivity(pool, step=0.25, **PROTOCOL)
    assert len(table) == 3 and (table["eps_loss"] + table["eps_draw"] < 1).all()
    assert (
        (table["low"] <= table["identification"]) & (table["identification"] <= table["high"])
    ).all()
    tuned = parameters.sensitivity(pool, step=0.25, votes_as_oracle=True, **PROTOCOL)
    hidden = pool.replace(outcomes=np.zeros_like(pool.outcomes))
    blind = parameters.sensitivity(hidden, step=0.25, votes_as_oracle=True, **PROTOCOL)
    assert tuned.equals(blind)  # the oracle's outcomes are not looked at
    table["identification"], table["area"] = [0.5, 0.7, 0.7], [0.9, 0.1, 0.2]
    assert parameters.best_pair(table) == tuple(table.loc[2, ["eps_loss", "eps_draw"]])


def test_candidates_only_is_the_algorithm_without_the_baseline(pool):
    result = llmsel.run(pool, [parameters.CandidatesOnly(), "LLM Selector"], **PROTOCOL)
    chosen = result.chosen["LLM Selector, candidates only"]
    votes, outcomes = (candidates(pool, a) for a in (pool.votes, pool.outcomes))
    for order, picks in zip(result.orders, chosen, strict=True):
        assert literal.llm_selector(votes, outcomes, order, 16) == picks.tolist()
    assert (chosen != result.chosen["LLM Selector"]).any()
