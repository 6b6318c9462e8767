"""Pictures of races: calls against wrong verdicts, and who is named when one stops early."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from llmsel.reporting.grammar import PALE, entitled, label_lines, spread, styled

AUDIT, CERTIFIED, NOTHING, PROMISE = "#0072B2", "#000000", "#808080", "#D55E00"
STRONG = {  # a method has one colour on every board
    "audit, exact": AUDIT,
    "anytime allocation": CERTIFIED,
    "UCB-E, a = 1": PROMISE,
    "SySRs": "#009E73",
    "everyone, random order": "#CC79A7",
}
BANDS = 2  # of the first lines; more would hide each other
DECIDED = 0.999  # identification at which nothing more is to be seen


@styled
def stops(table: pd.DataFrame, board: str, facts: Mapping[str, Any]) -> Figure:
    """Draw what a verdict costs against how often it is wrong.

    Args:
        table: one row per method: method, promises (bool), share (calls of judging everyone),
            wrong, low, high (shares of the runs).
        board: named in the title.
        facts: parameters of the run.
    """
    rows = table.sort_values("share", kind="stable").reset_index(drop=True)
    right = 1.08 * 100 * float(rows["share"].max())
    top = max(12.0, 100 * float(rows["high"].max()))
    x = spread(100 * rows["share"].to_numpy(), 0.012 * right)
    names = spread(100 * rows["share"].to_numpy(), 0.05 * right)
    names += min(0.0, right - names.max())
    figure, ax = plt.subplots(figsize=(8.2, 5.4), layout="constrained")
    for row, at, place in zip(rows.itertuples(), x, names, strict=True):
        audit = str(row.method).startswith("audit")
        colour = AUDIT if audit else CERTIFIED if row.promises else NOTHING
        ax.vlines(at, 100 * row.low, 100 * row.high, color=colour, lw=1.5)
        face = colour if row.promises else "white"
        ax.plot(at, 100 * row.wrong, "o", ms=8, mec=colour, mfc=face, zorder=3)
        ax.plot([at, place], [100 * row.high, 1.08 * top], color=colour, lw=0.6, alpha=0.6)
        ax.text(place, 1.1 * top, row.method, color=colour, rotation=40, fontsize=9)
    ax.axhline(5, ls="--", color=PROMISE, lw=1)
    ax.text(0.005 * right, 5.1, "promised: at most 5 %", color=PROMISE, va="bottom")
    ax.set(xlim=(0, right), ylim=(-0.03 * top, 1.08 * top))
    ax.set_xlabel("judge calls until the verdict (% of judging everyone)")
    ax.set_ylabel("wrong verdicts (% of runs)")
    return entitled(figure, board, "what a verdict costs, and how often it is wrong", facts)


@styled
def early(
    curve: pd.DataFrame, strong: Sequence[str], board: str, facts: Mapping[str, Any]
) -> Figure:
    """Draw how often the best model is named, against the calls on a logarithmic axis.

    Args:
        curve: method, share (of judging everyone), value, and ``low``, ``high`` where known.
        strong: at most five methods, drawn in colour and named; all others are pale.
        board: named in the title.
        facts: parameters of the run.
    """
    figure, ax = plt.subplots(figsize=(8.2, 4.6), layout="constrained")
    some = curve[curve["share"] > 0]
    for method in some["method"].unique():
        if method not in strong:
            rows = some[some["method"] == method]
            ax.plot(100 * rows["share"], 100 * rows["value"], color=PALE, lw=1)
    lines: list[Line2D] = []
    free = [colour for method, colour in STRONG.items() if method not in strong]
    for method in strong:
        colour = STRONG[method] if method in STRONG else free.pop()
        rows = some[some["method"] == method]
        if "low" in rows and len(lines) < BANDS:
            ax.fill_between(
                100 * rows["share"], 100 * rows["low"], 100 * rows["high"], color=colour, alpha=0.12
            )
        lines += ax.plot(100 * rows["share"], 100 * rows["value"], color=colour, label=method, lw=2)
    ax.set_xscale("log")
    ticks = [1, 2, 5, 10, 20, 50, 100]
    ax.set_xticks(ticks, [str(tick) for tick in ticks])
    ax.minorticks_off()
    ax.set(xlim=(1, _end(some)), ylim=(0, 102))
    ax.set_xlabel("judge calls (% of judging everyone, logarithmic)")
    ax.set_ylabel("best model named (% of runs)")
    label_lines(ax, lines, at=0.3 * ax.get_xlim()[1])
    return entitled(figure, board, "who stops early names whom", facts)


def _end(curve: pd.DataFrame) -> float:
    """Return the share, in %, at which every method names the best."""
    worst = curve.groupby("share")["value"].min()
    done = worst.index[np.minimum.accumulate(worst.to_numpy()[::-1])[::-1] >= DECIDED]
    return float(100 * min(1.0, done.min() if len(done) else 1.0))


@styled
def promises(table: pd.DataFrame, facts: Mapping[str, Any]) -> Figure:
    """Draw how often each rule broke its promise on hostile pools.

    Args:
        table: pool, rule, wrong, low, high (shares of the races), and ``certifies``; ``races``
            where their number differs from pool to pool.
        facts: parameters of the run.
    """
    if "races" in table:
        facts = {**facts, "realizations": f"{table['races'].min()} to {table['races'].max()}"}
    pools = list(dict.fromkeys(table["pool"]))
    rules = list(dict.fromkeys(table["rule"]))
    figure, axes = plt.subplots(
        1,
        len(rules),
        figsize=(max(7.2, 2.2 + 1.75 * len(rules)), 0.9 + 0.27 * len(pools)),
        sharey=True,
        layout="constrained",
    )
    for ax, rule in zip(np.atleast_1d(axes), rules, strict=True):
        rows = table[table["rule"] == rule].set_index("pool").reindex(pools)
        y = np.arange(len(pools))
        colour = AUDIT if rule.startswith("audit") else CERTIFIED
        colour = colour if rows["certifies"].any() else NOTHING
        ax.hlines(y, 100 * rows["low"], 100 * rows["high"], color=colour, lw=1.3)
        ax.plot(100 * rows["wrong"], y, "o", ms=4.5, color=colour)
        ax.axvline(5, ls="--", color=PROMISE, lw=1)
        ax.set_title(rule, fontsize=9.5)
        ax.set_yticks(y, pools)
        ax.set_xlim(left=-0.4)
    np.atleast_1d(axes)[0].set_ylim(len(pools) - 0.4, -0.6)
    says = "wrong verdicts in % of races; dashed: promised"
    return entitled(figure, "hostile pools", says, facts)


def within(delta: float) -> str:
    """Name a margin of win rates: "exact", or "within 1 point"."""
    points = f"{100 * delta:g}"
    return f"within {points} point{'' if points == '1' else 's'}" if delta else "exact"


@styled
def without_baseline(
    table: pd.DataFrame, models: int, board: str, facts: Mapping[str, Any]
) -> Figure:
    """Draw what races over all pairs cost, and a star around one baseline beside them.

    Args:
        table: rule, delta, share, low, high (of all comparisons), certified (share of races).
        models: of the board; a star judged in full is 2 / models of all comparisons.
        board: name of the benchmark.
        facts: parameters of the run.
    """
    rules = list(dict.fromkeys(table["rule"]))
    figure, ax = plt.subplots(figsize=(7.2, 1.2 + 0.26 * len(table)), layout="constrained")
    colours = dict(zip(rules, (AUDIT, PROMISE, NOTHING), strict=False))
    place = {
        index: k + list(rules).index(rule) for k, (index, rule) in enumerate(table["rule"].items())
    }
    names = []
    for index, row in table.iterrows():
        y, colour = place[index], colours[row["rule"]]
        ax.hlines(y, 100 * row["low"], 100 * row["high"], color=colour, lw=2)
        face = colour if row["certified"] == 1 else "white"
        ax.plot(100 * row["share"], y, "o", mec=colour, mfc=face)
        names.append(f"{shortened(row['rule'])}, {within(row['delta'])}")
    ax.set_yticks(list(place.values()), names)
    ax.invert_yaxis()
    ax.axvline(200 / models, ls="--", color=NOTHING, lw=1)
    ax.set_xlim(left=0)
    right = 200 / models > 0.6 * ax.get_xlim()[1]
    ax.annotate(
        "a star judged in full",
        (200 / models, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(-4 if right else 4, 3),
        textcoords="offset points",
        ha="right" if right else "left",
        fontsize=8.5,
        color=NOTHING,
    )
    hollow = "; hollow: uncertified" if (table["certified"] < 1).any() else ""
    ax.set_xlabel(
        f"calls, % of all comparisons (dot: mean; line: 10 to 90 % of races{hollow})", loc="right"
    )
    return entitled(figure, board, "who wins without a baseline, and for how many calls", facts)


def shortened(name: str, most: int = 30) -> str:
    """Cut a long name in its middle, where models of one family differ least."""
    return name if len(name) <= most else f"{name[: most // 2]}…{name[-(most // 2 - 1) :]}"


@styled
def peers(table: pd.DataFrame, board: str, facts: Mapping[str, Any]) -> Figure:
    """Draw the calls to the stop of every method, filled where it ends with a guarantee.

    Args:
        table: method, share (calls of judging everyone), share_low, share_high, certified (runs).
        board: named in the title.
        facts: parameters of the run.
    """
    figure, ax = plt.subplots(figsize=(8.2, 0.3 * len(table) + 1.3), layout="constrained")
    for row in table.sort_values("share", ascending=False).itertuples():
        sure = row.certified > 0
        colour = AUDIT if "audit" in str(row.method) else CERTIFIED if sure else NOTHING
        ax.hlines(row.method, 100 * row.share_low, 100 * row.share_high, color=colour, lw=1.5)
        face = colour if sure else "white"
        ax.plot(100 * row.share, row.method, "o", ms=8, mec=colour, mfc=face)
    ax.set_xlim(0, 100)
    ax.set_xlabel("judge calls until the stop (% of judging everyone)")
    return entitled(figure, board, "calls to the stop", facts)
