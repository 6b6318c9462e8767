"""Figures of weak and cheap judges: how well they guess, and what they are worth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from llmsel.reporting.figures import INK, MARK, OTHER, SPARE, band, forest
from llmsel.reporting.grammar import PALE, entitled, styled

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


@styled
def cheap_judges(curves: pd.DataFrame, facts: Facts) -> Figure:
    """Draw identification with cheap judges as the weak ones, one panel per belief.

    The judges together (or the only one), the truth and random queries are strong.

    Args:
        curves: columns belief, votes, budget, value (shares); random queries in every belief.
        facts: parameters of the run.
    """
    beliefs = list(dict.fromkeys(curves["belief"]))
    names = list(dict.fromkeys(curves["votes"]))
    real = [name for name in names if name not in ("shuffled", "truth", "Random", "k-grams")]
    looks = {real[-1]: (OTHER, "-"), "truth": ("#009E73", "-."), "shuffled": ("#CC79A7", ":")}
    looks |= {"k-grams": (INK, "-"), "Random": (MARK, "--")}
    size = (10, 3.9)
    figure, axes = plt.subplots(1, len(beliefs), figsize=size, layout="constrained", sharey=True)
    for ax, belief in zip(axes, beliefs, strict=True):
        for name in names:
            colour, line = looks.get(name, (PALE, "-"))
            rows = curves[(curves["belief"] == belief) & (curves["votes"] == name)]
            label = name if name in looks else "one cheap judge" if name == real[0] else None
            ax.plot(rows["budget"], 100 * rows["value"], color=colour, ls=line, label=label)
        ax.set_title(f"eps: {belief}" if belief != "candidates only" else belief)
        ax.set_xlabel("annotated queries")
    axes[0].set_ylabel("best model named (% of pools)")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower right", ncols=len(labels))
    return entitled(figure, str(facts["benchmark"]), "LLM Selector with cheap judges", facts)


@styled
def two_judges(table: pd.DataFrame, course: pd.DataFrame, facts: Facts) -> Figure:
    """Draw what a cheap judge saves beside a dear one, and one race's gauge.

    Args:
        table: from `llmsel.studies.two_judges.price_table`, in percent; ``price`` a column.
        course: from `llmsel.studies.two_judges.gauge_course`, where the gauge says anything.
        facts: parameters of the run; ``cheap`` names the judge.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    at = np.arange(len(table))
    for name, colour, shift, label in (
        ("saved", SPARE[0][0], -0.08, "calls"),
        ("net", OTHER, 0.08, "bill, verdicts paid"),
    ):
        left.vlines(at + shift, table[f"{name}_low"], table[f"{name}_high"], color=colour)
        left.plot(at + shift, table[name], "o", color=colour, label=label)
    left.plot(at, table["said"], "x", color=MARK, ms=8, label="calls, as the gauge says")
    left.set_xticks(at, [f"{price:g}" for price in table["price"]])
    left.set(xlabel="price of a cheap verdict (calls of the dear judge)", ylabel="saved (%)")
    left.legend(loc="lower left")
    course = course[["calls", "low", "said", "high"]].astype(float)  # an empty table has no types
    whole = course["calls"] + course["said"]
    low, said, high = (100 * course[name] / whole for name in ("low", "said", "high"))
    right.fill_between(course["calls"], low, high, color=OTHER, alpha=0.25, lw=0)
    right.plot(course["calls"], said, color=OTHER)
    right.set(xlabel="calls of the dear judge", ylabel="gauge of one race: saved so far (%)")
    if course.empty:
        right.text(
            0.5, 0.6, "nothing was bought in this race", ha="center", transform=right.transAxes
        )
        right.set(xticks=[], yticks=[])
    for ax in (left, right):
        ax.axhline(0, color=INK, lw=0.8)
    return entitled(figure, str(facts["benchmark"]), f"with {facts['cheap']} beside it", facts)
