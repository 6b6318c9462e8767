"""One criterion of tuning: the same pair wherever a board is tuned, and no outcome is looked at."""

import numpy as np
import pytest
from helpers import pools

from llmsel.strategies import LLMSelector
from llmsel.studies import by_query, parameters, scores, tuning

QUICK = {"step": 0.25, "realizations": 4, "jobs": 1}


@pytest.fixture(scope="module")
def board():
    return pools.simulated(n=40, m=6, seed=11)


def test_the_pair_does_not_depend_on_outcomes(board):
    tuned, table = tuning.tuned_on_votes(board, **QUICK)
    blind, again = tuning.tuned_on_votes(board.hide_outcomes(), **QUICK)
    assert table.equals(again)
    assert (tuned.eps_loss, tuned.eps_draw) == (blind.eps_loss, blind.eps_draw)
    assert (tuned.eps_loss, tuned.eps_draw) == tuple(table.loc[0, ["eps_loss", "eps_draw"]])


def test_pools_are_half_of_the_board_and_budgets_half_of_the_pool(board):
    options = {"realizations": 4, "pool_size": 20, "budget": 10, "seed": 3, "jobs": 1}
    expected = parameters.tune_eps(board, 0.25, **options)[1]
    for cache in (True, False, True):
        assert tuning.tuned_on_votes(board, 3, cache=cache, **QUICK)[1].equals(expected)


def test_a_tuning_is_kept_for_its_pool_seed_and_size(board, monkeypatch):
    first = tuning.tuned_on_votes(board, 5, **QUICK)[1]
    monkeypatch.setattr(tuning, "tune_eps", None)  # nothing is tuned again
    assert tuning.tuned_on_votes(board, 5, **QUICK)[1].equals(first)
    for other in ({"seed": 6, **QUICK}, {"seed": 5, **QUICK, "realizations": 5}):
        with pytest.raises(TypeError):
            tuning.tuned_on_votes(board, **other)


def test_what_it_costs():
    assert tuning.cost() == 36 * 30
    assert tuning.cost(step=0.25, realizations=4) == 3 * 4


def test_pairs_are_compared_with_the_default_on_the_same_pools(board):
    pairs = tuning.pairs_by_seed(board, 3, **QUICK)
    assert pairs["seed"].tolist() == [0, 1, 2]
    protocol = {"realizations": 12, "pool_size": 24, "budget": 12, "jobs": 1}
    table = tuning.against_default(board, pairs, **protocol)
    name = LLMSelector.name
    default = scores.score(by_query.run(board, [name], **protocol))[name]["identification"]
    np.testing.assert_allclose(table["default"], default.mean(dtype=float))
    row = table.iloc[1]
    tuned = by_query.run(board, [LLMSelector(row["eps_loss"], row["eps_draw"])], **protocol)
    assert row["value"] == pytest.approx(scores.score(tuned)[name]["identification"].mean())
    assert row["difference"] == pytest.approx(row["value"] - row["default"], abs=1e-6)
    assert tuning.is_stable(table) == (
        len(set(zip(table["eps_loss"], table["eps_draw"], strict=True))) == 1
    )
    assert tuning.is_stable(table.head(1))


def test_a_board_is_left_out_of_what_the_others_tune(board, monkeypatch):
    boards = {"a": board, "b": pools.simulated(n=40, m=6, seed=12), "c": board}
    sizes = dict.fromkeys(boards, 20)
    grids = {}

    def grid(pool, step, **options):
        found = parameters.sensitivity(pool, step, jobs=1, **options)
        grids.setdefault(pool.content_hash, found)
        return found

    monkeypatch.setattr(tuning, "sensitivity", grid)
    options = {"step": 0.25, "realizations": 4, "seed": 1}
    table = tuning.left_out(boards, sizes, **options)
    assert table["tuned on"].tolist() == 3 * ["others", "weak votes", "default", "Random"]
    pair = table.set_index(["benchmark", "tuned on"])["pair"]
    # for b the others are twice the one board: its own pair is theirs, up to ties of identification
    best = grids[board.content_hash]["identification"].idxmax()
    expected = grids[board.content_hash].loc[best, ["eps_loss", "eps_draw"]]
    shown = scores.shown_name({"benchmark": "b", "simulated": board.simulated})
    assert pair[shown, "others"] == "({:g}, {:g})".format(*expected)
    assert np.isclose(table["lost"], table["own pair"] - table["identification"]).all()
    assert (table["low"] <= table["high"]).all()
