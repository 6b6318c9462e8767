"""Pictures of races show what their tables say."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.collections import PolyCollection

from llmsel import reporting

FACTS = {"realizations": 40, "pool_size": 80}


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def texts(figure):
    return [text.get_text() for ax in figure.axes for text in ax.texts]


def table():
    rows = [
        ("audit, exact", True, 0.13, 0.01, 0.0, 0.03),
        ("race, certified", True, 0.26, 0.0, 0.0, 0.02),
        ("race, heuristic", False, 0.21, 0.2, 0.15, 0.3),
        ("SySRs", False, 0.13, 0.1, 0.05, 0.2),
    ]
    return pd.DataFrame(rows, columns=["method", "promises", "share", "wrong", "low", "high"])


def test_stops_names_every_method_inside_and_fills_what_promises():
    figure = reporting.stops(table(), "board", FACTS)
    (ax,) = figure.axes
    marks = [line for line in ax.lines if line.get_marker() == "o"]
    assert len(marks) == 4
    hollow = sum(line.get_markerfacecolor() == "white" for line in marks)
    assert hollow == 2
    assert set(table()["method"]) <= set(texts(figure))
    places = [t.get_position()[0] for t in ax.texts if t.get_text() in set(table()["method"])]
    assert max(places) <= ax.get_xlim()[1] and len(set(places)) == 4
    assert figure.get_suptitle().startswith("board: ")


def test_early_draws_strong_lines_in_colour_and_two_bands():
    shares = [0.0, 0.02, 0.1, 0.5, 1.0]
    rows = [
        (name, share, min(1.0, share + bonus), 0.0, 1.0)
        for bonus, name in ((0.1, "a"), (0.2, "b"), (0.3, "c"), (0.0, "pale"))
        for share in shares
    ]
    curve = pd.DataFrame(rows, columns=["method", "share", "value", "low", "high"])
    figure = reporting.early(curve, ["a", "b", "c"], "board", FACTS)
    (ax,) = figure.axes
    assert ax.get_xscale() == "log" and ax.get_xlim() == (1, 100)
    assert sum(isinstance(c, PolyCollection) for c in ax.collections) == 2
    assert [line.get_label() for line in ax.lines if line.get_lw() == 2] == ["a", "b", "c"]
    assert {"a", "b", "c"} <= set(texts(figure)) and "pale" not in texts(figure)


def test_promises_has_a_panel_per_rule_and_a_row_per_pool():
    rows = [
        (pool, rule, wrong, wrong / 2, wrong * 2, rule != "heuristic")
        for pool, wrong in (("ties", 0.02), ("clones", 0.04))
        for rule in ("audit", "certified", "heuristic")
    ]
    found = pd.DataFrame(rows, columns=["pool", "rule", "wrong", "low", "high", "certifies"])
    figure = reporting.promises(found, {"simulated": True})
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["audit", "certified", "heuristic"]
    first = figure.axes[0]
    assert [tick.get_text() for tick in first.get_yticklabels()] == ["ties", "clones"]
    dots = next(line for line in first.lines if line.get_marker() == "o")
    assert np.allclose(dots.get_xdata(), [2.0, 4.0])
    assert "(simulated)" in figure.get_suptitle()
