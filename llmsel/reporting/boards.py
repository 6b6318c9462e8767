"""Figures of several boards side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from llmsel.reporting.figures import curve, decided, mute
from llmsel.reporting.grammar import PALE, entitled, styled
from llmsel.studies.scores import IDENTIFICATION


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
    return entitled(figure, f"{len(tables)} boards", says, made)


def _strong(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """Random, LLM Selector, and the three others that identify most, over the boards."""
    every = pd.concat(table[table["metric"] == IDENTIFICATION] for table in tables.values())
    means = every.groupby(["strategy", "benchmark"])["value"].mean().groupby("strategy").mean()
    first = ["LLM Selector", "Random"]
    rest = means.drop(first).sort_values(ascending=False)
    return first + list(rest.index[:3])
