"""The figures of the studies, each a function of the tables that its notebook saves.

So a figure can be drawn again without its run: `llmsel.reporting.redraw`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure

from llmsel._base.intervals import mean_interval
from llmsel.reporting.figures import INK, MARK, MARKS, OTHER, band, forest, style
from llmsel.reporting.grammar import PALE, entitled, several, spread, styled
from llmsel.studies.tuning import LARGEST

Facts = Mapping[str, Any]
REACH = 45.0  # points: one colour scale for all boards
SETTINGS = {  # of a race: what begins the names of its variants
    "order": ("random order", "LLM Selector's order", "categories in turn"),
    "batch": ("certified, batch",),
    "z (heuristic)": ("z = ",),
    "t0 (heuristic)": ("t0 = ",),
    "floor (heuristic)": ("floor = ",),
    "alpha (certified)": ("alpha = ",),
    "margin (certified)": ("within ",),
}


def _name(facts: Facts) -> str:
    return str(facts.get("benchmark", facts.get("name", "")))


@styled
def sensitivity(
    table: pd.DataFrame,
    gains: pd.DataFrame,
    marks: Mapping[str, tuple[float, float]],
    facts: Facts,
) -> Figure:
    """Draw identification minus that of random queries over (eps_loss, eps_draw).

    Args:
        table: columns eps_loss, eps_draw, identification (shares).
        gains: columns pair, against, difference: of the pair ``default`` against Random.
        marks: name -> pair.
        facts: parameters of the run.
    """
    figure, ax = plt.subplots(figsize=(7.2, 5.0), layout="constrained")
    paired = gains.set_index(["pair", "against"])["difference"]
    default = table[np.isclose(table["eps_loss"], 0.2) & np.isclose(table["eps_draw"], 0.4)]
    random = float(default["identification"].iloc[0] - paired["default", "Random"])
    grid = 100 * (table.pivot(index="eps_draw", columns="eps_loss", values="identification"))
    norm = TwoSlopeNorm(0, -REACH, REACH)
    mesh = ax.pcolormesh(grid.columns, grid.index, grid - 100 * random, cmap="PuOr_r", norm=norm)
    figure.colorbar(
        mesh, label="identification minus that of random queries (points)", extend="both"
    )
    loss = np.array([0.0, 1.0])
    ax.plot(loss, (1 - loss) / 2, ":", color=INK)
    ax.annotate(
        "a win is as likely\nas a draw", (0.75, 0.125), (0.7, 0.3), arrowprops={"arrowstyle": "-"}
    )
    for k, (name, pair) in enumerate(marks.items()):
        ax.plot(
            *pair,
            MARKS[k],
            color="white",
            mec=INK,
            mew=1.5,
            ms=13 - 3 * k,
            ls="none",
            label=f"{name} ({pair[0]:g}, {pair[1]:g})",
        )
    ax.legend(loc="upper right")
    ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="eps_loss", ylabel="eps_draw")
    ax.grid(False)
    budget = f" at {facts['share']:.0%} of the pool" if "share" in facts else ""
    return entitled(
        figure, _name(facts), f"where the parameters beat random queries{budget}", facts
    )


@styled
def race_options(summary: pd.DataFrame, facts: Facts) -> Figure:
    """Draw calls against errors, one panel per setting, all other settings pale behind it.

    Args:
        summary: columns method, share, correct, correct_low, correct_high (shares).
        facts: parameters of the run.
    """
    figure, axes = plt.subplots(
        2, 4, figsize=(10, 5.6), layout="constrained", sharex=True, sharey=True
    )
    rows = summary.set_index("method")
    calls, errors = 100 * rows["share"], 100 * (1 - rows["correct"])
    for ax, (name, starts) in zip(axes.flat, SETTINGS.items(), strict=False):
        mine = [m for m in rows.index if str(m).startswith(starts)]
        ax.plot(calls, errors, "o", color=PALE, ms=4, zorder=1)
        some = rows.loc[mine]
        low, high = 100 * (1 - some["correct_high"]), 100 * (1 - some["correct_low"])
        ax.vlines(calls[mine], low, high, color=OTHER, lw=1)
        ax.plot(calls[mine], errors[mine], "o" if name == "order" else "-o", color=OTHER)
        _beside(ax, calls[mine], errors[mine], [_value(str(m)) for m in mine])
        ax.set_title(name)
    axes.flat[-1].set_axis_off()
    figure.supylabel("wrong answers (% of runs)", fontsize=9.5)
    axes[1, 1].set_xlabel("judge calls (% of judging everyone)")
    return entitled(
        figure, _name(facts), "what a setting of the race costs, and what it risks", facts
    )


def _value(name: str) -> str:
    for start in ("certified, batch ", "within "):
        name = name.removeprefix(start)
    return name.split(" = ")[-1]


def _beside(ax: Axes, x: pd.Series, y: pd.Series, names: list[str]) -> None:
    """Name points above them, moved apart where they would hide each other."""
    top = ax.get_ylim()[1]
    places = spread(x.to_numpy(dtype=float), 3.0)
    for place, at, height, name in zip(places, x, y, names, strict=True):
        ax.annotate(
            name,
            (at, height),
            (place, height + 0.06 * top),
            fontsize=8.5,
            rotation=45,
            ha="left",
            va="bottom",
            color=OTHER,
        )


@styled
def failure_signatures(built: pd.DataFrame, table: pd.DataFrame, facts: Facts) -> Figure:
    """Draw each check's number against its threshold, with the direction that warns.

    Args:
        built: columns pool, check, number, threshold, verdict, of the constructed pools.
        table: the same without pool, of the benchmark.
        facts: parameters of the run.
    """
    checks = list(table["check"])
    figure, ax = plt.subplots(figsize=(8.6, 0.62 * len(checks) + 1.4), layout="constrained")
    marks = (("o", "white"), ("X", MARK), ("D", OTHER))
    labels = ("healthy pool (simulated)", "pool with this fault (simulated)", _name(facts))
    for row, check in enumerate(checks):
        some = built[built["check"] == check].set_index("pool")
        own = table[table["check"] == check].iloc[0]
        sign = -1 if check in ("flat identification curve", "baseline dominance") else 1
        for k, point in enumerate((some.loc["healthy"], some.loc[check], own)):
            margin = sign * (point["number"] - point["threshold"])
            shape, face = marks[k]
            ax.plot(
                margin,
                -row,
                shape,
                mfc=face,
                mec=INK,
                ms=9 - k,
                ls="none",
                label=labels[k] if not row else None,
            )
        word = "below" if sign < 0 else "above"
        ax.text(
            1.01,
            -row,
            f"warns {word} {own['threshold']:.2f}",
            va="center",
            fontsize=8.5,
            transform=ax.get_yaxis_transform(),
        )
    ax.axvline(0, color=INK, lw=1)
    ax.axvspan(0, ax.get_xlim()[1], color=MARK, alpha=0.08, lw=0)
    ax.margins(x=0.02)
    ax.set_yticks([-k for k in range(len(checks))], checks)
    ax.set_xlabel("how far the number is on the warning side of its threshold →")
    figure.legend(loc="outside upper right", ncols=3)
    return entitled(figure, _name(facts), "what warns", facts)


@styled
def strategies(paired: pd.DataFrame, facts: Facts) -> Figure:
    """Draw LLM Selector minus each other strategy against the budget.

    Args:
        paired: columns strategy, budget, low, difference, high (shares).
        facts: parameters of the run.
    """
    others = list(dict.fromkeys(paired["strategy"]))
    figure, axes = plt.subplots(
        2, -(-len(others) // 2), figsize=(9.5, 5.2), layout="constrained", sharex=True, sharey=True
    )
    for ax, name in zip(axes.flat, others, strict=False):
        band(paired[paired["strategy"] == name], "budget", "difference", ax)
        ax.axhline(0, color=MARK, linestyle="--")
        ax.set_title(f"against {name}")
    for ax in axes.flat[len(others) :]:
        ax.set_axis_off()
    figure.supylabel("points of identification", fontsize=9.5)
    axes[-1, 0].set_xlabel("annotated queries")
    return entitled(figure, _name(facts), "LLM Selector minus each other strategy", facts)


@styled
def baseline_strength(table: pd.DataFrame, facts: Facts) -> Figure:
    """Draw identification and advantage against the strength of the baseline.

    Args:
        table: columns strength, LLM Selector, Random, advantage, low, high (shares).
        facts: parameters of the run.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.9), layout="constrained")
    table = table.assign(strength=100 * table["strength"])
    for name in ("LLM Selector", "Random"):
        look = style(name) | {"linestyle": "none"}
        left.plot(table["strength"], 100 * table[name], **look)
    left.legend(loc="best")
    left.set_ylabel("best model identified, mean over budgets (%)")
    band(table, "strength", "advantage", right, joined=False)
    right.axhline(0, color=MARK, linestyle="--")
    right.set_ylabel("LLM Selector minus Random (points)")
    for ax in (left, right):
        ax.set_xlabel("mean win rate of the baseline over all models (%)")
    says = f"every model in turn as the baseline (outcomes {facts.get('outcomes', 'judged')})"
    return entitled(figure, _name(facts), says, facts)


@styled
def greedy(table: pd.DataFrame, facts: Facts) -> Figure:
    """Draw the greedy rule against every subset of tiny pools.

    Args:
        table: columns pool, budget, plan, information, greedy, random, best_informed (shares).
        facts: parameters of the run.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.9), layout="constrained")
    named = {"plan": "plan, on the votes", "information": "adaptive, true outcomes"}
    for k, (column, label) in enumerate(named.items()):
        band(_mean_of(table, column), "budget", column, left, label=label, position=k)
    named = {
        "greedy": "LLM Selector",
        "random": "random subset",
        "best_informed": "most informative subset",
    }
    for k, (column, label) in enumerate(named.items()):
        band(_mean_of(table, column), "budget", column, right, label=label, position=k)
    left.set(xlabel="budget (queries)", ylabel="share of the best subset's information (%)")
    right.set(xlabel="budget (queries)", ylabel="best model named (%)")
    for ax in (left, right):
        ax.legend(loc="best")
    tiny = f"{table['pool'].nunique()} pools of {facts['tiny']} queries, every subset tried"
    return entitled(figure, _name(facts), "the greedy rule against the best subset", {}, note=tiny)


def _mean_of(table: pd.DataFrame, column: str) -> pd.DataFrame:
    cells = [
        mean_interval(group[column].dropna().to_numpy()) for _, group in table.groupby("budget")
    ]
    rows = pd.DataFrame(cells, columns=["low", column, "high"])
    return rows.assign(budget=sorted(table["budget"].unique()))


@styled
def domains(table: pd.DataFrame, facts: Facts) -> Figure:
    """Draw agreement of the weak judges, and the advantage, by group of queries.

    Args:
        table: columns where, kappa, kappa_low, kappa_high, difference, low, high.
        facts: parameters of the run.
    """
    size = (9.5, 0.32 * len(table) + 1.5)
    figure, (left, right) = plt.subplots(1, 2, figsize=size, layout="constrained", sharey=True)
    ends = {"kappa_low": "low", "kappa_high": "high"}
    agree = table.drop(columns=["low", "high"]).rename(columns=ends)
    forest(agree, "where", "kappa", left, scale=1)
    forest(table, "where", "difference", right)
    left.set_xlabel("agreement beyond chance (kappa)")
    right.set_xlabel("advantage over random queries (points)")
    boards = ", ".join(facts.get("benchmarks", ()))
    return entitled(figure, boards, "by group of queries", facts)


@styled
def tuning(grid: pd.DataFrame, facts: Facts) -> Figure:
    """Draw what tuning chooses by.

    That is the number of queries to 90 % identification of the weak judges' favourite; where no
    pair gets there, its mean identification over all budgets.

    Args:
        grid: columns eps_loss, eps_draw, queries, area; the tuned pair comes first.
        facts: parameters of the tuning; its realizations.
    """
    figure, ax = plt.subplots(figsize=(7.2, 5.0), layout="constrained")
    reached = bool(np.isfinite(grid["queries"].astype(float)).any())
    value = grid["queries"] if reached else 100 * grid["area"]
    table = grid.assign(value=value).pivot(index="eps_draw", columns="eps_loss", values="value")
    mesh = ax.pcolormesh(
        table.columns, table.index, table, cmap="cividis_r" if reached else "cividis"
    )
    label = "queries (fewest is chosen)" if reached else "identified, mean (%; most is chosen)"
    figure.colorbar(mesh, label=label)
    for loss, draw, shown in zip(grid["eps_loss"], grid["eps_draw"], value, strict=True):
        _write_cell(ax, (loss, draw), shown, mesh.to_rgba(shown))
    first = grid.iloc[0]
    pairs = {"tuned": (first["eps_loss"], first["eps_draw"]), "default": (0.2, 0.4)}
    for (name, pair), colour in zip(pairs.items(), (MARK, INK), strict=True):
        name = f"{name} ({pair[0]:g}, {pair[1]:g})"
        ax.plot(*pair, "s", mfc="none", mec=colour, mew=2, ms=34, ls="none", label=name)
    ax.legend(loc="upper right", labelspacing=1.6, markerscale=0.4)
    ax.set(xlabel="eps_loss", ylabel="eps_draw", xlim=(0, 1), ylim=(0, 1))
    ax.grid(False)
    what = "queries until 90 % name" if reached else "mean identification of"
    made = {"realizations": facts.get("realizations"), "simulated": facts.get("simulated")}
    note = f"pools of half the board, at most {LARGEST} queries; no outcome is looked at"
    return entitled(figure, _name(facts), f"{what} the weak judges' favourite", made, note=note)


def _write_cell(ax: Axes, place: tuple[float, float], value: float, ground: Any) -> None:
    """Write a number on its coloured cell, light on dark."""
    dark = np.isfinite(value) and np.dot(ground[:3], (0.3, 0.6, 0.1)) < 0.45
    text = f"{value:.0f}" if np.isfinite(value) else "never"
    colour = "white" if dark else INK
    ax.text(*place, text, ha="center", va="center", color=colour, fontsize=9)


@styled
def sanity(table: pd.DataFrame, facts: Facts) -> Figure:
    """Draw the check: every strategy must be right at full budget, on every pool.

    Args:
        table: columns pool, strategy, ``at full budget``, ``after a tenth`` (shares).
        facts: parameters of the run.
    """
    pools = list(dict.fromkeys(table["pool"]))
    figure, ax = plt.subplots(figsize=(8.6, 0.34 * len(pools) + 1.6), layout="constrained")
    for row, pool in enumerate(pools):
        some = table[table["pool"] == pool]
        ax.plot(
            100 * some["after a tenth"],
            [-row] * len(some),
            "o",
            mfc="none",
            mec=PALE,
            label=None if row else "after a tenth, one mark per strategy",
        )
        full = 100 * some["at full budget"]
        ax.plot(
            full,
            [-row] * len(some),
            "D",
            color=OTHER,
            ms=7,
            label=None if row else "everything annotated: must be 100 %",
        )
    ax.set_yticks([-k for k in range(len(pools))], pools)
    ax.set(xlim=(-2, 103), xlabel="best model identified (% of runs)")
    figure.legend(loc="outside upper right")
    right = int((table["at full budget"] > 1 - 1e-6).sum())
    return entitled(figure, "Sanity", f"{right} of {len(table)} checks hold", facts)


@styled
def universal_parameters(table: pd.DataFrame, facts: Facts) -> Figure:
    """Draw what pairs that one can have beforehand lose against the benchmark's own.

    Args:
        table: columns benchmark, tuned on, pair, lost, low, high (shares).
        facts: parameters of the run.
    """
    kinds = list(dict.fromkeys(table["tuned on"]))
    boards = list(dict.fromkeys(table["benchmark"]))
    size = (9.5, 0.32 * len(boards) + 1.9)
    figure, axes = plt.subplots(
        1, len(kinds), figsize=size, layout="constrained", sharex=True, sharey=True
    )
    for ax, kind in zip(axes, kinds, strict=True):
        forest(table[table["tuned on"] == kind], "benchmark", "lost", ax)
        ax.set_title(kind if kind in ("default", "Random") else f"tuned on {kind}")
    axes[0].set_xlabel("identification lost (points); below 0: gained")
    return entitled(figure, several(boards), "lost against the board's own pair", facts)


@styled
def clones(effects: pd.DataFrame, facts: Facts) -> Figure:
    """Draw what four clones of a candidate cost each strategy.

    Args:
        effects: columns strategy, kind, parent, cumulative, low, high (win rate, added up).
        facts: parameters of the run.
    """
    parents = list(dict.fromkeys(effects["parent"]))
    some = effects[effects["strategy"] != "Random"]
    names = list(dict.fromkeys(some["strategy"]))
    figure, axes = plt.subplots(
        1, len(parents), figsize=(10, 4.4), layout="constrained", sharex=True, sharey=True
    )
    for ax, parent in zip(axes, parents, strict=True):
        for k, (kind, rows) in enumerate(
            some[some["parent"] == parent].groupby("kind", sort=False)
        ):
            rows = rows.set_index("strategy").reindex(names)
            y = np.arange(len(names)) + 0.22 * (k - 1)
            colour = (INK, OTHER, MARK)[k]
            ax.hlines(y, rows["low"], rows["high"], color=colour)
            label = str(kind) if ax is axes[0] else None
            ax.plot(rows["cumulative"], y, MARKS[k], color=colour, label=label)
        ax.axvline(0, color=INK, lw=0.8, ls=":")
        ax.set_title(f"clones of {parent} candidate")
    axes[0].set_yticks(np.arange(len(names)), names)
    axes[0].invert_yaxis()
    axes[1].set_xlabel(
        "change of the gap in win rate, added up over the annotations; above 0: worse"
    )
    figure.legend(loc="outside upper right", ncols=3)
    says = f"what four clones cost, {facts['budget']} annotations"
    return entitled(figure, _name(facts), says, facts)
