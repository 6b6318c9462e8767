"""Figures of several boards side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from llmsel.reporting.figures import INK, MARK, MARKS, OTHER, curve, decided, mute, style
from llmsel.reporting.grammar import PALE, entitled, several, styled
from llmsel.studies.scores import IDENTIFICATION

LEAST = -300.0  # percent saved: what lies further left is drawn at the edge


@styled
def panels(
    tables: Mapping[str, pd.DataFrame],
    metric: str,
    facts: Mapping[str, Mapping[str, Any]],
    *,
    says: str,
) -> Figure:
    """Draw one metric on several boards, one panel each.

    Random, LLM Selector and the three strategies that are best over the boards are strong; others
    are pale. A panel ends where every strategy has decided.

    Args:
        tables: board -> from `llmsel.studies.scores.curves`.
        metric: one of their metrics.
        facts: board -> parameters of its run; realizations are one number, a panel names its pools.
        says: what is seen, for the title.
    """
    columns = min(3, len(tables))
    rows = -(-len(tables) // columns)
    size = (10, 2.9 * rows + 0.9)
    figure, axes = plt.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False)
    strong = _strong(tables)
    handles: dict[str, Line2D] = {}
    for ax, (board, table) in zip(axes.flat, tables.items(), strict=False):
        curve(table, metric, ax, band=())
        mute(ax, strong)
        ax.set_xlim(0, decided(table[table["metric"] == IDENTIFICATION]))
        ax.set_title(f"{board}, pools of {facts[board]['pool_size']}")
        name, ax_label = ax.get_ylabel(), ax.get_xlabel()
        ax.set(xlabel="", ylabel="")
        handles |= {str(line.get_label()): line for line in ax.get_lines()}
    for ax in axes.flat[len(tables) :]:
        ax.set_axis_off()
    figure.supylabel(name, fontsize=9.5)
    axes[-1, 0].set_xlabel(ax_label)
    shown = [handles[each] for each in strong] + [Line2D([], [], color=PALE)]
    figure.legend(shown, [*strong, "others"], loc="outside lower right", ncols=6)
    simulated = any(each["simulated"] for each in facts.values())
    counts = {each["realizations"] for each in facts.values()}
    made = {"simulated": simulated, "realizations": ", ".join(map(str, sorted(counts)))}
    return entitled(figure, several(tables), says, made)


def _strong(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """Random, LLM Selector, and the three others that identify most, over the boards."""
    every = pd.concat(table[table["metric"] == IDENTIFICATION] for table in tables.values())
    means = every.groupby(["strategy", "benchmark"])["value"].mean().groupby("strategy").mean()
    first = ["LLM Selector", "Random"]
    rest = means.drop(first).sort_values(ascending=False)
    return first + list(rest.index[:3])


@styled
def modes(curves: pd.DataFrame, facts: Mapping[str, Any]) -> Figure:
    """Draw identification in the mode of the published code and in ours, board by board.

    Args:
        curves: columns benchmark, mode, pool_size, strategy, budget, value (shares).
        facts: parameters of the run.
    """
    boards, rows = list(dict.fromkeys(curves["benchmark"])), list(dict.fromkeys(curves["mode"]))
    strong = ("LLM Selector", "LLM Selector, tuned", "Random", "Bradley-Terry", "Confidence")
    size = (10, 5.6)
    figure, axes = plt.subplots(
        len(rows), len(boards), figsize=size, layout="constrained", sharey=True, squeeze=False
    )
    for (k, j), ax in np.ndenumerate(axes):
        some = curves[(curves["benchmark"] == boards[j]) & (curves["mode"] == rows[k])]
        for name, line in some.groupby("strategy", sort=False):
            look = style(str(name)) | {"marker": ""}
            ax.plot(line["budget"], 100 * line["value"], **look)
        mute(ax, strong)
        ax.set_title(f"{boards[j]}, {rows[k]},\npools of {some['pool_size'].iloc[0]}")
    lines = {str(line.get_label()): line for line in axes[0, 0].get_lines()}
    shown = [lines[name] for name in strong] + [Line2D([], [], color=PALE)]
    figure.legend(shown, [*strong, "others"], loc="outside lower right", ncols=3)
    figure.supylabel("best model named (% of pools)", fontsize=9.5)
    axes[-1, 0].set_xlabel("annotated queries")
    return entitled(figure, several(boards), "the paper's strategies, both modes", facts)


@styled
def advantage(table: pd.DataFrame, facts: Mapping[str, Any]) -> Figure:
    """Draw LLM Selector minus Random on every board, with both intervals.

    Args:
        table: columns board, difference, low, high, query_low, query_high (shares).
        facts: board -> parameters of its run.
    """
    figure, ax = plt.subplots(figsize=(8.2, 0.62 * len(table) + 1.7), layout="constrained")
    y = -np.arange(len(table))
    for shift, ends, colour, label in (
        (0.13, ("low", "high"), INK, "95 % over pools"),
        (-0.13, ("query_low", "query_high"), OTHER, "95 % over queries"),
    ):
        low, high = (100 * table[end].astype(float) for end in ends)
        ax.hlines(y + shift, low, high, color=colour, lw=2, label=label)
        ax.plot(100 * table["difference"].astype(float), y + shift, "o", color=colour)
    ax.axvline(0, color=MARK, ls="--")
    names = [f"{board}\npools of {facts[board]['pool_size']}" for board in table["board"]]
    ax.set_yticks(y, names)
    ax.set_ylim(y.min() - 0.5, 0.5)
    ax.set_xlabel("LLM Selector minus Random (points of identification)")
    figure.legend(loc="outside upper right", ncols=2)
    counts = sorted({each["realizations"] for each in facts.values()})
    made = {"realizations": ", ".join(map(str, counts))}
    return entitled(figure, several(list(table["board"])), "the two intervals", made)


@styled
def reliability(bins: pd.DataFrame, facts: Mapping[str, Any]) -> Figure:
    """Draw what is said of the favourite against how often it is right, all boards together.

    Args:
        bins: from `llmsel.studies.calibrated.reliability`, with a column ``queries``.
        facts: parameters of the run.
    """
    kinds = list(dict.fromkeys(bins["queries"]))
    size = (10, 3.9)
    figure, axes = plt.subplots(1, len(kinds), figsize=size, layout="constrained", sharey=True)
    for ax, queries in zip(axes, kinds, strict=True):
        for k, (source, part) in enumerate(bins[bins["queries"] == queries].groupby("source")):
            colour, area = (MARK, OTHER)[k], 20 + 250 * part["count"] / part["count"].sum()
            x, y = 100 * part["said"], 100 * part["right"]
            label = str(source) if ax is axes[0] else None
            ax.scatter(x, y, s=area, marker=MARKS[k], color=colour, label=label)
            ax.plot(x, y, color=colour, alpha=0.5)
        ax.plot([0, 100], [0, 100], ":", color=INK)
        ax.set_title(queries)
        ax.set_xlabel("said (%)")
    axes[0].set_ylabel("right (%)")
    figure.legend(loc="outside upper right", ncols=2)
    return entitled(figure, several(facts["benchmarks"]), "what is said of the favourite", facts)


@styled
def savings(table: pd.DataFrame, facts: Mapping[str, Any]) -> Figure:
    """Draw what LLM Selector saves at every target, with the interval over pools and over queries.

    Args:
        table: from `llmsel.studies.over_queries.saved_over_queries`.
        facts: parameters of the run.
    """
    names = [f"{row.metric}, {row.level:.0%} of runs" for row in table.itertuples()]
    size = (10, 0.45 * len(table) + 1.8)
    figure, axes = plt.subplots(1, 2, figsize=size, layout="constrained", sharey=True)
    y = -np.arange(len(table))
    for ax, column, title in zip(
        axes, ("vs_random", "vs_strongest"), ("Random", "the strongest baseline"), strict=True
    ):
        for shift, kind, colour, label in (
            (0.13, "", INK, "95 % over pools"),
            (-0.13, "_query", OTHER, "95 % over queries"),
        ):
            low, high = (100 * table[f"{column}{kind}_{end}"] for end in ("low", "high"))
            once = label if ax is axes[0] else None
            ax.hlines(y + shift, low.clip(lower=LEAST), high, color=colour, lw=2, label=once)
            ax.plot((100 * table[column]).clip(lower=LEAST), y + shift, "o", color=colour, ms=4)
        ax.axvline(0, color=MARK, ls="--")
        ax.set_xlim(max(LEAST, ax.get_xlim()[0]), 100)
        ax.set_title(f"against {title}")
        ax.set_xlabel("annotations saved (%)")
    axes[0].set_yticks(y, names)
    figure.legend(loc="outside upper right", ncols=2)
    made = {**facts, "realizations": f"{facts['halves']} halves, each {facts['realizations']}"}
    return entitled(figure, str(facts["benchmark"]), "what LLM Selector saves", made)
