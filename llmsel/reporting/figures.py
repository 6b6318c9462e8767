"""From tables to figures, readable in black and white and by colour-blind readers.

Every strategy has a colour of the Okabe-Ito palette, a line style and a marker of its own, the
same in every figure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from llmsel.pool import Pool
from llmsel.reporting.grammar import PALE, entitled, label_lines, styled
from llmsel.studies.scores import GAP, IDENTIFICATION

# strategy -> colour, line style, marker; strategies of the reader's own take from SPARE
STYLES = {
    "LLM Selector": ("#000000", "-", "o"),
    "Random": ("#E69F00", "--", "s"),
    "Bradley-Terry": ("#0072B2", "-.", "^"),
    "Most Draws": ("#009E73", ":", "D"),
    "Uncertainty": ("#CC79A7", (0, (5, 1, 1, 1)), "v"),
    "Confidence": ("#56B4E9", (0, (3, 1)), "P"),
    "Select-LLM": ("#D55E00", (0, (8, 2)), "X"),
    "LLM Selector, tuned": ("#5D3A9B", (0, (6, 2, 2, 2)), "<"),
    "Select-LLM, tuned": ("#8C510A", (0, (2, 2)), ">"),
}
SPARE = [
    ("#7F7F7F", (0, (1, 1)), "*"),
    ("#882255", (0, (4, 2, 1, 2)), "h"),
    ("#44AA99", (0, (7, 1)), "p"),
]

AIM = 20  # a step should cost no more than reading the votes so many times
INK, MARK, OTHER = "#000000", "#D55E00", "#0072B2"  # Okabe-Ito
MARKS = ("o", "s", "^", "D", "X", "P")


def style(strategy: str, position: int = 0) -> dict[str, Any]:
    """Line properties of a strategy; ``position`` spreads unknown strategies over `SPARE`."""
    colour, line, marker = STYLES.get(strategy, SPARE[position % len(SPARE)])
    return {"color": colour, "linestyle": line, "marker": marker, "label": strategy}


def curve(
    table: pd.DataFrame,
    metric: str,
    ax: Axes | None = None,
    *,
    band: tuple[str, ...] | None = None,
) -> Axes:
    """Draw one metric against the number of annotated queries, one line per strategy.

    Args:
        table: from `llmsel.studies.scores.curves`, of one benchmark.
        metric: one of its metrics.
        ax: where to draw; None makes a new figure.
        band: strategies whose 95 % interval is shaded; None shades the first and LLM Selector, as
            seven overlapping bands cannot be read.
    """
    if ax is None:
        ax = plt.subplots(figsize=(7.2, 4.4), layout="constrained")[1]
    rows = table[table["metric"] == metric]
    strategies = list(dict.fromkeys(rows["strategy"]))
    if band is None:
        band = (strategies[0], "LLM Selector")
    unknown = [s for s in strategies if s not in STYLES]
    scale = 100
    for strategy in sorted(strategies, key=lambda s: s == "LLM Selector"):
        line = rows[rows["strategy"] == strategy].sort_values("budget")
        look = style(strategy, unknown.index(strategy) if strategy in unknown else 0)
        every = max(1, len(line) // 8)
        # markers of different strategies start at different budgets, so none hides another
        offset = strategies.index(strategy) * every // max(len(strategies), 1)
        ax.plot(
            line["budget"],
            scale * line["value"],
            markevery=(offset, every),
            markersize=5,
            linewidth=2.2 if strategy == "LLM Selector" else 1.4,
            **look,
        )
        if strategy in band:
            low, high = scale * line["low"], scale * line["high"]
            ax.fill_between(line["budget"], low, high, color=look["color"], alpha=0.15, lw=0)
    ax.set_xlabel("annotated queries")
    ax.set_ylabel(_axis_name(metric))
    ax.set_title(str(rows["benchmark"].iloc[0]))
    ax.set_xlim(0, rows["budget"].max())
    if metric.startswith(GAP):
        ax.set_ylim(bottom=0)
    else:
        ax.set_ylim(0, 102)
    ax.grid(alpha=0.3)
    sns.despine(ax=ax)
    return ax


def _axis_name(metric: str) -> str:
    if metric == IDENTIFICATION:
        return "best model identified (% of runs)"
    if metric.startswith(GAP):
        return f"win-rate gap, {metric.split(', ')[1]} (points)"
    return f"answer {metric.replace('near-best', 'within')} of the best (% of runs)"


@styled
def overview(table: pd.DataFrame, facts: Mapping[str, Any] = {}) -> Figure:
    """Draw one benchmark: the best model identified, and the win-rate gap.

    Random, LLM Selector and the three strategies that identify most are strong; others are pale.
    The budgets end where every strategy has decided.

    Args:
        table: from `llmsel.studies.scores.curves`, of one benchmark.
        facts: parameters of the run, for the caption.
    """
    figure, axes = plt.subplots(1, 2, figsize=(9.5, 4.2), layout="constrained")
    board = str(table["benchmark"].iloc[0])
    found = table[table["metric"] == IDENTIFICATION]
    area = found.groupby("strategy")["value"].mean().sort_values(ascending=False)
    shown = ["Random", "LLM Selector"]
    shown += [name for name in area.index if name not in shown][:3]
    end = decided(found)
    for ax, metric in zip(axes, (IDENTIFICATION, f"{GAP}, 95th percentile"), strict=True):
        curve(table, metric, ax)
        ax.set_title("")
        mute(ax, shown)
        ax.set_xlim(0, end)
    top = axes[1].get_ylim()[1]
    axes[1].set_ylim(0, top)
    lines = [line for line in axes[1].get_lines() if line.get_label() in shown]
    label_lines(axes[1], lines, at=end / 4)
    return entitled(figure, board, "strong lines: the leaders, Random and LLM Selector", facts)


@styled
def tuned(table: pd.DataFrame, facts: Mapping[str, Any]) -> Figure:
    """Draw tuned strategies beside their defaults under the real oracle, one panel per metric.

    Args:
        table: from `llmsel.studies.scores.curves`, of one benchmark and two metrics.
        facts: parameters of the run, for the caption.
    """
    figure, axes = plt.subplots(1, 2, figsize=(10, 4.0), layout="constrained", sharey=True)
    for ax, metric in zip(axes, dict.fromkeys(table["metric"]), strict=True):
        curve(table, metric, ax, band=())
        ax.set_title("")
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside right upper")
    board = str(table["benchmark"].iloc[0])
    return entitled(figure, board, "tuned and default, under the real oracle", facts)


@styled
def win_rates(pool: Pool, facts: Mapping[str, Any]) -> Figure:
    """Draw a board's win rates over all its queries, the best on top; the baseline's bar is open.

    Args:
        pool: the board, with outcomes.
        facts: parameters of the runs that draw their pools from it.
    """
    rates = pd.Series(100 * pool.win_rates(), index=list(pool.models)).sort_values(kind="stable")
    size = (7.2, 0.16 * len(rates) + 1.4)
    figure, ax = plt.subplots(figsize=size, layout="constrained")
    bars = ax.barh(rates.index, rates, color=OTHER)
    bars[list(rates.index).index(pool.baseline)].set(facecolor="white", edgecolor=INK)
    ax.axvline(50, color=INK, linewidth=0.8)
    ax.tick_params(axis="y", labelsize=8)
    ax.margins(y=0.01)
    ax.grid(visible=False, axis="y")
    ax.set_xlabel(f"win rate against {pool.baseline} (open bar) over all queries (%)")
    note = f"drawn from these {pool.n_queries} queries"
    facts = {**facts, "simulated": pool.simulated}
    return entitled(figure, pool.name, "who wins how often", facts, note=note)


@styled
def aliases(changes: Sequence[float], facts: Mapping[str, Any]) -> Figure:
    """Draw how aliases of one candidate change the regret that a run adds up, pool by pool.

    Args:
        changes: with aliases minus without, one per pool (win rate, added up).
        facts: parameters of the run.
    """
    figure, ax = plt.subplots(figsize=(7.2, 3.4), layout="constrained")
    ax.hist(changes, bins=25, color=OTHER, edgecolor="white", linewidth=0.4)
    ax.axvline(0, color=MARK, linestyle="--", linewidth=2)
    share = float(np.mean(np.asarray(changes) > 0))
    ax.set_title(f"right of the line: worse with aliases ({share:.0%} of the pools)")
    ax.set(xlabel="sum of regrets with aliases minus without (win rate)", ylabel="pools")
    return entitled(figure, str(facts["benchmark"]), "four aliases, official mode", facts)


@styled
def growth(table: pd.DataFrame, facts: Mapping[str, Any]) -> Figure:
    """Draw how one selection step grows with the pool, and how far it is from reading the votes.

    Args:
        table: from `llmsel.studies.performance.growth`, with pools of 20 candidates among others.
        facts: ``largest``, the queries of the largest pool.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.9), layout="constrained")
    line, other = table.xs(20, level="candidates"), table.drop(20, level="candidates")
    for column, look in {
        "tables anew": {"label": "tables made anew", "color": PALE, "marker": "s", "ls": ":"},
        "step": {"label": "the engine's step", "color": INK, "marker": "o"},
        "floor": {"label": "reading the votes once", "color": OTHER, "marker": "^", "ls": "--"},
    }.items():
        left.loglog(line.index, line[column], **look)
    left.set_ylim(top=30 * left.get_ylim()[1])  # room for the legend
    left.set_ylabel("seconds of one step, 20 candidates")
    left.legend(loc="upper left")
    ratio = "step / floor"
    right.loglog(line.index, line[ratio], "o-", color=INK, label="20 candidates")
    sizes = other.index.get_level_values("queries")
    right.loglog(sizes, other[ratio], "s", color=OTHER, label="more candidates (number beside)")
    for k, ((size, models), height) in enumerate(other[ratio].items()):
        place = 6, (4, -11)[k % 2]  # two of one size are named above and below
        right.annotate(str(models), (size, height), place, textcoords="offset points")
    right.axhline(AIM, color=MARK, ls="--", lw=1, label=f"the aim: at most {AIM}")
    right.set(ylabel="one step / reading the votes once", ylim=(1, 8 * table[ratio].max()))
    right.margins(x=0.12)
    right.legend(loc="upper left")
    for ax in (left, right):
        ax.set_xlabel("queries of the pool")
    facts = {"simulated": True, "realizations": 1, **facts}
    return entitled(figure, "Engine", "one step, as the pool grows", facts)


def decided(found: pd.DataFrame) -> float:
    """Return the budget from which every strategy is right in 99.5 % of runs, or the last.

    Args:
        found: columns strategy, budget, value (shares) of the identification.
    """
    least = found.groupby("budget")["value"].min()
    open_until = least.index[least < 0.995]
    last = float(least.index.max())
    return min(last, 1.05 * float(open_until.max())) if len(open_until) else last


def mute(ax: Axes, shown: Sequence[str]) -> None:
    """Make the lines of all strategies but ``shown`` pale and thin, behind the others."""
    for line in ax.get_lines():
        if line.get_label() not in shown:
            line.set(color=PALE, linewidth=1, marker="", zorder=1)


def new_axes(width: float = 6.4, height: float = 3.8) -> Axes:
    """Return the axes of a new figure."""
    return plt.subplots(figsize=(width, height), layout="constrained")[1]


def forest(
    table: pd.DataFrame, name: str, value: str, ax: Axes | None = None, *, scale: float = 100
) -> Axes:
    """Draw one point with its interval per row, first row on top, and a line at 0.

    Args:
        table: with columns ``name``, ``value``, ``low``, ``high``.
        name: column of the rows' names.
        value: column of the values.
        ax: where to draw; None makes a new figure.
        scale: of the values (100: shares are shown in points).
    """
    ax = new_axes(6.4, 0.32 * len(table) + 1.1) if ax is None else ax
    places = range(len(table))[::-1]
    values = scale * table[value]
    error = [values - scale * table["low"], scale * table["high"] - values]
    ax.errorbar(values, places, xerr=error, fmt="o", color=INK, capsize=3, markersize=5)
    ax.axvline(0, color=INK, linewidth=0.8, linestyle=":")
    ax.set_yticks(list(places), list(table[name].astype(str)))
    ax.margins(y=0.06)
    return _tidy(ax)


def band(
    table: pd.DataFrame,
    x: str,
    value: str,
    ax: Axes | None = None,
    *,
    scale: float = 100,
    label: str | None = None,
    position: int = 0,
    joined: bool = True,
) -> Axes:
    """Draw a value with its interval against a number.

    Args:
        table: with columns ``x``, ``value``, ``low``, ``high``.
        x: column of the numbers.
        value: column of the values.
        ax: where to draw; None makes a new figure.
        scale: of the values (100: shares are shown in points).
        label: of the line, for a legend.
        position: among the lines of a figure; picks colour, marker and line.
        joined: False leaves the line out, for rows that are no steps of one thing.
    """
    ax = new_axes() if ax is None else ax
    colour = (INK, MARK, OTHER)[position % 3]
    values = scale * table[value]
    error = [values - scale * table["low"], scale * table["high"] - values]
    ax.errorbar(
        table[x],
        values,
        yerr=error,
        color=colour,
        marker=MARKS[position % len(MARKS)],
        linestyle=("-", "--", "-.")[position % 3] if joined else "none",
        capsize=3,
        markersize=5,
        label=label,
    )
    return _tidy(ax)


def settling(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw how one win rate settled, query by query, with its 95 % interval.

    Args:
        table: columns ``queries`` (number), ``rate``, ``low``, ``high`` (shares).
        ax: where to draw; None makes a new figure.
    """
    ax = new_axes(6.4, 2.6) if ax is None else ax
    low, high = 100 * table["low"], 100 * table["high"]
    ax.fill_between(table["queries"], low, high, color=OTHER, alpha=0.2, lw=0)
    marker = "" if len(table) > 1 else "o"  # one point is no line yet
    ax.plot(table["queries"], 100 * table["rate"], marker=marker, color=OTHER, linewidth=2)
    ax.axhline(50, color=INK, linewidth=0.8, linestyle=":")
    ax.set_ylim(0, 100)
    ax.set_xlim(0, max(int(table["queries"].max()), 2))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_ylabel("win rate (%)")
    ax.set_xlabel("queries with a judgement")
    return _tidy(ax)


def _tidy(ax: Axes) -> Axes:
    ax.grid(alpha=0.3)
    sns.despine(ax=ax)
    return ax
