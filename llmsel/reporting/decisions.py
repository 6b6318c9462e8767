"""Figures of one decision: how far each candidate was judged, how its leader settled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from llmsel.reporting.figures import OTHER, settling
from llmsel.reporting.grammar import PALE, entitled, styled


@styled
def judged(counts: pd.Series, rates: pd.Series, queries: int, board: str) -> Figure:
    """Draw on how many queries each candidate was judged, and what was saved.

    Args:
        counts: candidate -> queries on which it was judged, the first on top.
        rates: candidate -> its true win rate (a share), written beside.
        queries: of the pool.
        board: named in the title.
    """
    figure, ax = plt.subplots(figsize=(7.6, 0.27 * len(counts) + 1.3), layout="constrained")
    bars = counts[::-1]
    ax.barh(bars.index, queries, color="white", edgecolor=PALE, label="saved")
    ax.barh(bars.index, bars, color=OTHER, label="judged")
    for place, model in enumerate(bars.index):
        ax.text(1.02 * queries, place, f"{rates[model]:.0%}", va="center", fontsize=9)
    ax.set_xlim(0, 1.1 * queries)
    ax.set_xlabel("queries on which the candidate was judged; right: its true win rate")
    ax.grid(False)
    figure.legend(loc="outside upper right", ncols=2)
    note = f"1 race on a pool of {queries} queries"
    return entitled(figure, board, "what one race judged", {}, note=note)


@styled
def leader(table: pd.DataFrame, board: str, facts: Mapping[str, Any]) -> Figure:
    """Draw how the leader's win rate settled, query by query.

    Args:
        table: columns queries (number), rate, low, high (shares).
        board: named in the title.
        facts: ``pool_size``, for the caption.
    """
    figure, ax = plt.subplots(figsize=(7.2, 3.2), layout="constrained")
    settling(table, ax)
    return entitled(figure, board, "the leader's win rate, with its 95 % interval", facts)
