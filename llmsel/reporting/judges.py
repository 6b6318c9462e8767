"""Figures of weak judges: how well they guess, and what they are worth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from llmsel.reporting.figures import INK, MARK, OTHER, band, forest
from llmsel.reporting.grammar import entitled, styled

Facts = Mapping[str, Any]


@styled
def agreement(table: pd.DataFrame, calibration: pd.DataFrame, facts: Facts) -> Figure:
    """Draw how often judges guess right, and what happens where they say win.

    Args:
        table: columns judge, agreement, low, high, chance (shares).
        calibration: from `llmsel.studies.votes.calibration`.
        facts: parameters of the run.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.9), layout="constrained")
    band(table, "judge", "agreement", left, label="agreement", joined=False)
    left.plot(table["judge"], 100 * table["chance"], "_", ms=14, color=MARK, label="chance")
    left.tick_params(axis="x", labelrotation=60)
    left.set_ylabel("cells guessed right (%)")
    left.legend()
    right.plot([0, 100], [0, 100], ":", color=INK)
    right.plot(100 * calibration["vote"], 100 * calibration["outcome"], "-o", color=INK)
    right.set_xlabel("mean vote: 0 all say loss, 100 all say win")
    right.set_ylabel("mean outcome (0 loss, 100 win)")
    says = "what the weak judges know; the whole board"
    return entitled(figure, str(facts["benchmark"]), says, {"simulated": facts.get("simulated")})


@styled
def null_strip(table: pd.DataFrame, facts: Facts) -> Figure:
    """Draw the shuffled null: every shuffle a dot, the real votes and Random as lines.

    Args:
        table: from `llmsel.studies.votes.shuffled_null`.
        facts: parameters of the run.
    """
    figure, ax = plt.subplots(figsize=(7.2, 2.6), layout="constrained")
    value = 100 * table.set_index("votes")["value"]
    shuffles = value[value.index.str.startswith("shuffle")]
    heights = [(7 * k) % 5 for k in range(len(shuffles))]  # spread, so that equal dots are seen
    label = f"{len(shuffles)} shuffles of the votes"
    ax.plot(shuffles, heights, "o", color=OTHER, markerfacecolor="none", label=label)
    ax.axvline(value["real"], color=INK, linewidth=2, label="real votes")
    ax.axvline(value["Random"], color=MARK, linestyle="--", label="Random")
    ax.set_yticks([])
    ax.set_ylim(-1, 5)
    ax.set_xlabel("best model identified, mean over budgets (%)")
    figure.legend(loc="outside upper right", ncols=3)
    return entitled(figure, str(facts["benchmark"]), "the shuffled null", facts)


@styled
def weak_judges(noise: pd.DataFrame, variants: pd.DataFrame, facts: Facts) -> Figure:
    """Draw the advantage over random queries: of a noisy judge, and of real ones.

    Args:
        noise: columns percent, difference, low, high: a judge that errs with a known chance.
        variants: columns strategy, difference, low, high: judges made of the answers.
        facts: parameters of the run.
    """
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(9.5, 3.9), layout="constrained", width_ratios=(1, 1)
    )
    band(noise, "percent", "difference", left)
    left.axhline(0, color=MARK, linestyle="--")
    left.text(left.get_xlim()[1], 0, "Random", color=MARK, ha="right", va="bottom")
    left.set(xlabel="errors of a noisy judge (% of cells)", ylabel="advantage (points)")
    left.set_title("one judge that errs by chance")
    forest(variants, "strategy", "difference", right)
    right.set_xlabel("advantage (points)")
    right.set_title("judges made of the answers")
    return entitled(
        figure, str(facts["benchmark"]), "what a weak judge is worth, against random queries", facts
    )
