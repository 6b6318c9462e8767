"""What all figures share: the board in the title, what made them in the caption, direct labels."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

STYLE_SHEET = Path(__file__).with_name("llmsel.mplstyle")
PALE = "#B8B8B8"
P = ParamSpec("P")
R = TypeVar("R")


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """Let a function draw in the look of all figures, whatever is set outside."""

    @functools.wraps(draw)
    def inside(*args: P.args, **kwargs: P.kwargs) -> R:
        with plt.style.context(STYLE_SHEET):
            return draw(*args, **kwargs)

    return inside


def entitled(
    figure: Figure, board: str, says: str, facts: Mapping[str, Any], *, note: str = ""
) -> Figure:
    """Write the title, which names the board, and the caption, which says what made the figure.

    Args:
        figure: drawn with a constrained layout.
        board: name of the benchmark, or of what the figure is about.
        says: what is seen.
        facts: parameters of the run; realizations and pool size are written where they are known.
        note: what else made the figure, after these.
    """
    told = "(simulated)" in board or not facts.get("simulated")
    simulated = "" if told else " (simulated)"
    figure.suptitle(f"{board}{simulated}: {says}", x=0.01, ha="left")
    if text := ", ".join(filter(None, (caption(facts), note))):
        figure.supxlabel(text, x=0.01, ha="left", fontsize=8.5, color="#555555")
    return figure


def caption(facts: Mapping[str, Any]) -> str:
    """Say how many realizations and which pool size stand behind a figure."""
    parts = []
    if realizations := facts.get("realizations"):
        parts.append("1 realization" if realizations == 1 else f"{realizations} realizations")
    if size := facts.get("pool_size", facts.get("queries")):
        parts.append(f"pools of {size} queries")
    elif largest := facts.get("largest"):
        parts.append(f"pools of at most {largest} queries")
    return ", ".join(parts)


def several(boards: Collection[str]) -> str:
    """Name what a figure of several boards is about: the one board, or how many there are."""
    return next(iter(boards)) if len(boards) == 1 else f"{len(boards)} boards"


def spread(values: np.ndarray, gap: float) -> np.ndarray:
    """Move values apart, at least by a gap, as little as possible.

    Args:
        values: float64, shape ``(n,)``, in any order.
        gap: between neighbours.
    """
    order = np.argsort(values, kind="stable")
    steps = gap * np.arange(len(values))
    ranked = values[order] - steps
    left = np.minimum.accumulate(ranked[::-1])[::-1]
    moved = np.empty(len(values))
    moved[order] = (left + np.maximum.accumulate(ranked)) / 2 + steps
    return moved


def label_lines(ax: Axes, lines: list[Line2D], at: float) -> None:
    """Name lines at their right, with a thin guide from each line to its name.

    Args:
        ax: with its limits set.
        lines: to be named by their labels.
        at: x at which the lines are told apart best; the guides begin there.
    """
    low, high = ax.get_ylim()
    start, right = ax.get_xlim()
    drawn = [(np.asarray(line.get_xdata()), np.asarray(line.get_ydata())) for line in lines]
    heights = np.array([np.interp(at, x, y) for x, y in drawn])
    places = spread(heights, 0.075 * (high - low))
    places += min(0.0, high - places.max()) + max(0.0, low - places.min())
    for line, height, place in zip(lines, heights, places, strict=True):
        ax.annotate(
            str(line.get_label()),
            (at, height),
            (right + 0.02 * (right - start), place),
            color=line.get_color(),
            va="center",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": line.get_color(), "lw": 0.6, "alpha": 0.6},
        )
