"""Other baselines on one board."""

import numpy as np
import pandas as pd
import pytest

import llmsel
from llmsel._base.errors import InputError
from llmsel.pool import MISSING, Pool
from llmsel.studies import baselines
from llmsel.studies.by_query import run
from llmsel.studies.paired import area
from llmsel.studies.scores import score


def test_exact_and_derived_baselines_on_smol():
    loaded, judged = baselines.with_baseline("smol", "few-shot", votes=False)
    assert judged and loaded.baseline == "few-shot"
    pool = llmsel.load("smol", votes=False)
    derived = baselines.rebased(pool, "few-shot", votes=False)
    # a better outcome against the old baseline can only come from a better grade
    assert ((derived.outcomes == 0) | (derived.outcomes == loaded.outcomes)).all()
    assert baselines.rebased(pool, "few-shot").votes is not None
    with pytest.raises(InputError, match="unknown baseline"):
        baselines.rebased(pool, "few-short")


def test_derived_cells_stay_unknown():
    pool = Pool("ab", ["m", "n", "base"], "base", outcomes=[[1, MISSING, 0], [-1, 0, 0]])
    derived = baselines.rebased(pool, "n")
    assert derived.outcomes.tolist() == [[MISSING, 0, MISSING], [-1, 0, 0]]


def test_all_pairs_of_smol_are_antisymmetric():
    models, rates = baselines.all_pairs("smol")
    assert np.allclose(rates + rates.T, 1) and len(models) == 13
    table = baselines.star_winners(models, rates)
    assert table["strength"].is_monotonic_increasing
    assert table["winner"].isin(models).any()


def test_condorcet_borda_and_star():
    cycle = np.array([[0.5, 1, 0], [0, 0.5, 1], [1, 0, 0.5]])
    assert baselines.condorcet(cycle) is None and baselines.borda(cycle).tolist() == [0, 1, 2]
    clear = np.array([[0.5, 0.6, 0.6], [0.4, 0.5, 0.9], [0.4, 0.1, 0.5]])
    assert baselines.condorcet(clear) == 0
    assert baselines.borda(clear).tolist() == [1]  # wins by more, but loses to the Condorcet winner
    table = baselines.star_winners(("a", "b", "c"), clear).set_index("baseline")
    assert table["winner"].to_dict() == {"a": "a", "b": "a", "c": "b"}
    assert table["is_condorcet"].to_dict() == {"a": True, "b": True, "c": False}
    assert table["is_borda"].to_dict() == {"a": False, "b": False, "c": True}


def test_every_baseline_is_run_on_the_same_pools_and_compared_pool_by_pool():
    models, rates = baselines.all_pairs("smol")
    stars = baselines.star_winners(models, rates)
    options = {"pool_size": 30, "realizations": 12, "seed": 2, "jobs": 1}
    table = baselines.by_baseline("smol", stars, 3, **options)
    ends = stars["baseline"].iloc[[0, -1]].tolist()
    assert [table["baseline"].iloc[0], table["baseline"].iloc[-1]] == ends and len(table) == 3
    pool = llmsel.load("smol", baseline=ends[0])
    areas = area(score(run(pool, ["LLM Selector", "Random"], **options)), upto=15)
    row = table.iloc[0]
    assert row["LLM Selector"] == pytest.approx(areas["LLM Selector"].mean())
    assert row["advantage"] == pytest.approx(row["LLM Selector"] - row["Random"])
    assert row["low"] < row["advantage"] < row["high"]
    assert 1 <= row["Random to 90 %"] <= 30


def test_the_trend_is_that_of_the_ranks():
    table = pd.DataFrame({"strength": np.arange(10.0) ** 2, "Random": np.arange(10.0)})
    low, rho, high = baselines.trend(table, "Random")
    assert low <= rho == pytest.approx(1) and high == pytest.approx(1)
    assert baselines.trend(table.assign(Random=-table["Random"]), "Random")[1] == pytest.approx(-1)
