"""Figures: every strategy distinguishable without colour, every row shown."""

import matplotlib
import matplotlib.pyplot as plt
import pandas as pd

from llmsel.reporting import boards, figures, judges

matplotlib.use("Agg")

import pytest
from helpers import pools

from llmsel.strategies import STRATEGIES
from llmsel.studies import by_query, scores


@pytest.fixture(scope="module")
def table():
    result = by_query.run(pools.simulated(), realizations=5, jobs=1)
    return scores.curves(result)


def test_every_strategy_has_its_own_colour_line_and_marker():
    looks = [figures.style(name) for name in STRATEGIES]
    for key in ("color", "marker"):
        assert len({str(look[key]) for look in looks}) == len(looks)
    assert len({str(look["linestyle"]) for look in looks}) == len(looks)
    spare = [figures.style("mine", i) for i in range(3)]
    assert not {look["color"] for look in spare} & {look["color"] for look in looks}


def test_a_curve_says_what_it_shows(table):
    ax = figures.curve(table, scores.IDENTIFICATION)
    assert "annotated queries" in ax.get_xlabel() and "%" in ax.get_ylabel()
    assert "(simulated)" in ax.get_title()
    assert len(ax.get_lines()) == len(STRATEGIES)
    plt.close("all")


def test_panels_share_one_legend(table):
    facts = {key: {"pool_size": 9, "realizations": 3, "simulated": False} for key in "abcd"}
    tables = dict.fromkeys("abcd", table)
    figure = boards.panels(tables, scores.near_best(1.0), facts, says="a")
    assert len(figure.legends) == 1
    assert [ax.axison for ax in figure.axes] == [True, True, True, True, False, False]
    plt.close("all")


def test_charts_show_every_row():
    plt.switch_backend("agg")
    table = pd.DataFrame({"who": ["a", "b"], "x": [1, 2], "v": [0.1, 0.2], "low": 0, "high": 0.3})
    ax = figures.forest(table, "who", "v")
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "b"]
    assert figures.band(table, "x", "v", label="line").get_legend_handles_labels()[1] == ["line"]
    null = pd.DataFrame({"votes": ["Random", "real", "shuffle 1"], "value": [0.1, 0.2, 0.3]})
    (legend,) = judges.null_strip(null, {"benchmark": "a"}).legends
    assert "1 shuffles" in legend.get_texts()[0].get_text()
    plt.close("all")
