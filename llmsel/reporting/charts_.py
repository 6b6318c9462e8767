"""Charts of the ablations: intervals, heat maps over the simplex, the shuffled null."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

INK, MARK, OTHER = "#000000", "#D55E00", "#0072B2"  # Okabe-Ito
MARKS = ("o", "s", "^", "D", "X", "P")


def new_axes(width: float = 6.4, height: float = 3.8) -> Axes:
    """Return the axes of a new figure."""
    return plt.subplots(figsize=(width, height), layout="constrained")[1]


def forest(
    table: pd.DataFrame, name: str, value: str, ax: Axes | None = None, scale: float = 100
) -> Axes:
    """Draw one point with its interval per row, first row on top, and a line at 0.

    Parameters
    ----------
    table: with columns ``name``, ``value``, ``low``, ``high``.
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
    scale: float = 100,
    label: str | None = None,
    position: int = 0,
    joined: bool = True,
) -> Axes:
    """Draw a value with its interval against a number; ``position`` picks colour and marker.

    ``joined=False`` leaves the line out, for rows that are no steps of one thing.
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


def null_strip(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the shuffled null: every shuffle a dot, the real votes and Random as lines.

    Parameters
    ----------
    table: from `llmsel.studies.paired.shuffled_null`.
    """
    ax = new_axes(6.4, 2.4) if ax is None else ax
    value = 100 * table.set_index("votes")["value"]
    shuffles = value[value.index.str.startswith("shuffle")]
    heights = [(7 * k) % 5 for k in range(len(shuffles))]  # spread, so that equal dots are seen
    ax.plot(
        shuffles,
        heights,
        "o",
        color=OTHER,
        markerfacecolor="none",
        label=f"{len(shuffles)} shuffles of the votes",
    )
    ax.axvline(value["real"], color=INK, linewidth=2, label="real votes")
    ax.axvline(value["Random"], color=MARK, linestyle="--", label="Random")
    ax.set_yticks([])
    ax.set_ylim(-1, 5)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, 1.25), ncols=3, frameon=False)
    return _tidy(ax)


def simplex(
    table: pd.DataFrame,
    value: str,
    marks: Mapping[str, tuple[float, float]],
    ax: Axes | None = None,
) -> Axes:
    """Draw a heat map over (eps_loss, eps_draw), with named pairs marked.

    Parameters
    ----------
    table: columns ``eps_loss``, ``eps_draw`` and ``value`` (a share; shown in percent).
    marks: name -> pair. The line is where a win is as likely as a draw.
    """
    ax = new_axes(6.4, 5.0) if ax is None else ax
    grid = 100 * table.pivot(index="eps_draw", columns="eps_loss", values=value)
    sns.heatmap(
        grid,
        ax=ax,
        cmap="cividis",
        square=True,
        xticklabels=2,
        yticklabels=2,
        cbar_kws={"label": f"{value} (%)"},
    )
    ax.invert_yaxis()
    # in the map's coordinates a cell is 1 wide and its centre at 0.5
    x = [loss for loss in grid.columns if (1 - loss) / 2 >= grid.index[0]]
    if len(grid) > 1:
        step = grid.index[1] - grid.index[0]
        places = [((1 - loss) / 2 - grid.index[0]) / step + 0.5 for loss in x]
        line = [list(grid.columns).index(loss) + 0.5 for loss in x]
        ax.plot(line, places, "--", color="white", linewidth=1.5)
        ax.plot(line, places, ":", color=INK, linewidth=1.5, label="a win is as likely as a draw")
    for k, (name, (loss, draw)) in enumerate(marks.items()):
        place = (list(grid.columns).index(loss) + 0.5, list(grid.index).index(draw) + 0.5)
        ax.plot(
            *place,
            MARKS[k],
            color="white",
            markeredgecolor=INK,
            markeredgewidth=1.5,
            markersize=14 - 4 * k,
            label=f"{name} ({loss:g}, {draw:g})",
            linestyle="none",
        )
    # the corner above the diagonal is outside the simplex, hence empty
    ax.legend(loc="upper right", frameon=False)
    ax.tick_params(axis="y", rotation=0)
    ax.set_xlabel("eps_loss")
    ax.set_ylabel("eps_draw")
    return ax


def _tidy(ax: Axes) -> Axes:
    ax.grid(alpha=0.3)
    sns.despine(ax=ax)
    return ax
