"""Calibration: what is said of the favourite, and how often it is right."""

import numpy as np
import pandas as pd
import pytest

from llmsel.belief import Belief, posterior
from llmsel.pool import Pool
from llmsel.studies import by_query
from llmsel.studies.calibrated import BELIEF, BOOTSTRAP, overconfidence, reliability, sayings


def test_what_is_said_by_hand():
    outcomes = np.array([[1, 0, 0], [1, 0, 0], [-1, 1, 0], [-1, 1, 0], [0, 1, 0]], dtype=np.int8)
    pool = Pool(("a", "b", "c", "d", "e"), ("x", "y", "base"), "base", outcomes=outcomes)
    order = np.arange(5, dtype=np.int32)[None]
    result = by_query.Result(pool, order, {"s": order}, {})
    belief = Belief(0.1, 0.3)
    table = sayings(result, "s", [2, 5], belief=belief)
    first = posterior(np.log(belief.likelihood(outcomes[:2])).sum(axis=0)[None])[0]
    assert table["said"][0] == pytest.approx(first.max()) and first.argmax() == 0
    assert table["right"].tolist() == [0.0, 1.0]  # x leads first, y is best in the end
    assert table["budget"].tolist() == [2, 5] and set(table["source"]) == {BELIEF}


def test_the_bootstrap_is_surer_with_all_annotated_and_right(pool):
    result = by_query.run(pool, ["Random"], realizations=8, pool_size=20, jobs=1)
    table = sayings(result, "Random", [4, 20], draws=100, seed=1)
    assert len(table) == 2 * 2 * 8
    whole = table[(table["source"] == BOOTSTRAP) & (table["budget"] == 20)]
    assert (whole["right"] == 1).all()
    part = table[(table["source"] == BOOTSTRAP) & (table["budget"] == 4)]
    assert part["said"].mean() < whole["said"].mean()
    again = sayings(result, "Random", [4, 20], draws=100, seed=1)
    assert table.equals(again)


def test_bins_by_hand():
    said = pd.DataFrame(
        {
            "source": BELIEF,
            "budget": 1,
            "said": [0.3, 0.49, 0.999, 1.0, 1.0],
            "right": [0.0, 1.0, 0.0, 0.0, 1.0],
        }
    )
    table = reliability(said)
    assert table["count"].tolist() == [2, 3]
    assert table["right"].tolist() == pytest.approx([0.5, 1 / 3])
    assert table[["low", "high"]].to_numpy().tolist() == [[0.0, 0.5], [0.999, 1.0]]
    row = overconfidence(said).loc[BELIEF]
    assert (row["sure"], row["sure_wrong"]) == pytest.approx((0.6, 2 / 3))
    expected = (2 * abs(0.395 - 0.5) + 3 * abs(2.999 / 3 - 1 / 3)) / 5
    assert row["error"] == pytest.approx(expected)
    none = overconfidence(said.head(2)).loc[BELIEF]
    assert none["sure"] == 0 and np.isnan(none["sure_wrong"])
