"""Annotation efficiency: how many annotations a strategy needs, and what it saves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from llmsel.studies.scores import GAP, IDENTIFICATION, LEVELS, NEAR_BEST, Scores, near_best


def first_stable(curve: np.ndarray, level: float) -> np.ndarray:
    """Smallest budget from which a curve stays at or above a level.

    Args:
        curve: float, shape ``(..., B)``: value at budgets 1..B.
        level: to be kept.

    Returns:
        float64, shape ``(...)``: the budget in annotations, NaN where the last value is below.
    """
    below = curve < level - 1e-9
    last_below = np.where(below, np.arange(1, curve.shape[-1] + 1), 0).max(axis=-1)
    return np.where(below[..., -1], np.nan, last_below + 1.0)


def annotation_efficiency(
    scores: Scores,
    targets: Mapping[str, tuple[float, ...]] | None = None,
    *,
    methods: tuple[str, ...] = ("LLM Selector", "Select-LLM"),
    bootstraps: int = 300,
    seed: int = 0,
) -> pd.DataFrame:
    """Annotations that each strategy needs, and the reduction against Random and the best baseline.

    Args:
        scores: from `score`.
        targets: metric -> levels in [0, 1]; None takes identification and every near-best at each
            of `LEVELS`.
        methods: strategies that are not baselines: the strongest baseline is the strategy outside
            this tuple with the smallest budget.
        bootstraps: resamples of the realizations (the same for all strategies, so differences are
            paired) for the 95 % intervals.
        seed: of the resampling.

    Returns:
        Columns ``strategy``, ``metric``, ``level``, ``budget``, ``low``, ``high`` (annotations; NaN
        where the level is never kept), ``strongest`` (name), and ``vs_random``, ``vs_strongest``
        (share of the annotations saved, negative when more are needed) each with ``_low``,
        ``_high``.
    """
    if targets is None:
        targets = dict.fromkeys([IDENTIFICATION, *map(near_best, NEAR_BEST)], LEVELS)
    names = list(scores)
    count = len(next(iter(scores[names[0]].values())))
    picks = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), bootstraps)
    weights = np.concatenate([np.full((1, count), 1.0), picks]) / count  # row 0: as observed
    rows = []
    for metric, levels in targets.items():
        means = {name: weights @ scores[name][metric].astype(float) for name in names}
        for level in levels:
            budgets = {name: first_stable(means[name], level) for name in names}
            baselines = [n for n in names if n not in methods]
            strongest = min(
                baselines, key=lambda n: np.nan_to_num(budgets[n][0], nan=np.inf), default=None
            )
            for name in names:
                row: dict[str, Any] = {"strategy": name, "metric": metric, "level": level}
                row["budget"], row["low"], row["high"] = _interval(budgets[name])
                row["strongest"] = strongest
                for column, other in (("vs_random", "Random"), ("vs_strongest", strongest)):
                    saved = (
                        1 - budgets[name] / budgets[other]
                        if other in budgets
                        else np.full(len(weights), np.nan)
                    )
                    row[column], row[f"{column}_low"], row[f"{column}_high"] = _interval(saved)
                rows.append(row)
    return pd.DataFrame(rows)


def _interval(draws: np.ndarray) -> tuple[float, float, float]:
    """Observed value and 95 % percentile interval of its bootstrap draws (NaN draws left out)."""
    again = draws[1:][~np.isnan(draws[1:])]
    low, high = np.percentile(again, [2.5, 97.5]) if len(again) else (np.nan, np.nan)
    return float(draws[0]), float(low), float(high)


SHOWN = {IDENTIFICATION: (0.9, 0.95, 1.0), near_best(1.0): (0.95,)}


def efficiency_view(
    table: pd.DataFrame, shown: Mapping[str, tuple[float, ...]] | None = None
) -> pd.DataFrame:
    """Lay an efficiency table out for reading: one row per strategy, budgets and reductions.

    Args:
        table: from `annotation_efficiency`.
        shown: metric -> levels to show; None takes `SHOWN`, or everything if the table has none of
            those.

    Returns:
        Columns are pairs (metric and level, what): the budget in annotations, and its change
        against Random and against the strongest baseline (negative: annotations saved).
    """
    view: dict[str, dict[tuple[str, str], str]] = {}
    wanted = SHOWN if shown is None else shown
    listed = [row for row in table.itertuples() if row.level in wanted.get(row.metric, ())]
    for row in listed or table.itertuples():
        short = "best model" if row.metric == IDENTIFICATION else row.metric
        column = f"{short}, {row.level:.0%} of runs"
        cells = view.setdefault(row.strategy, {})
        cells[column, "queries"] = "never" if np.isnan(row.budget) else f"{row.budget:.0f}"
        for value, title in ((row.vs_random, "vs Random"), (row.vs_strongest, "vs strongest")):
            change = "-" if np.isnan(value) else f"{round(-value, 2) + 0.0:+.0%}"
            cells[column, title] = change
    frame = pd.DataFrame.from_dict(view, orient="index")
    frame.columns = pd.MultiIndex.from_tuples(frame.columns)
    return frame.rename_axis("strategy")


def gap_table(
    curves_table: pd.DataFrame, levels: tuple[float, ...] = (0.7, 0.8, 0.9, 1.0)
) -> pd.DataFrame:
    """Win-rate gap of each strategy at the budgets where a method reaches a level.

    Args:
        curves_table: from `curves`, of one benchmark.
        levels: identification probabilities; each gives the budget at which LLM Selector stays at
            or above it, and there the 95th percentile of the gap of every strategy.

    Returns:
        One row per level: ``level``, ``budget`` (annotated queries, NaN if never reached), then a
        column per strategy (gap in points of win rate).
    """
    by = curves_table.set_index(["strategy", "metric"]).sort_index()
    reference = by.loc[("LLM Selector", IDENTIFICATION)].sort_values("budget")["value"].to_numpy()
    rows = []
    for level in levels:
        budget = float(first_stable(reference, level))
        row: dict[str, float] = {"level": level, "budget": budget}
        for strategy in dict.fromkeys(curves_table["strategy"]):
            gaps = by.loc[(strategy, f"{GAP}, 95th percentile")].set_index("budget")["value"]
            row[strategy] = np.nan if np.isnan(budget) else 100 * gaps[int(budget)]
        rows.append(row)
    return pd.DataFrame(rows)


def distinct_targets(
    tables: Mapping[str, pd.DataFrame], levels: tuple[float, ...] = (0.9, 0.95)
) -> pd.DataFrame:
    """LLM Selector's rows, one per distinct target.

    Where hardly a model but the best lies within a margin, "best" and "within the margin" are one
    target: LLM Selector and the strongest baseline need the same annotations for both.

    Args:
        tables: board -> from `annotation_efficiency`.
        levels: that are targets.

    Returns:
        The rows with their ``board``; targets that nobody reaches are left out.
    """
    same = ["board", "level", "budget", "strongest", "vs_strongest"]
    every = pd.concat([table.assign(board=board) for board, table in tables.items()])
    ours = every[(every["strategy"] == "LLM Selector") & every["level"].isin(levels)]
    return ours.drop_duplicates(same).dropna(subset="vs_strongest").reset_index(drop=True)


def savings(
    tables: Mapping[str, pd.DataFrame],
    metrics: Sequence[str],
    halves: Mapping[str, pd.DataFrame] = {},
) -> pd.DataFrame:
    """Annotations of LLM Selector beside Random and the strongest baseline, for 90 % of runs.

    Args:
        tables: board -> from `annotation_efficiency`.
        metrics: that are targets.
        halves: board -> from `llmsel.studies.over_queries.saved_over_queries`, where it is known.

    Returns:
        One row per board and metric, to be read: ``board``, ``target``, ``LLM Selector``,
        ``Random``, ``strongest`` (annotations, with its name), ``saved`` against the strongest,
        with the interval over pools, and ``over queries``, the other interval.
    """
    rows = []
    for board, table in tables.items():
        for metric in metrics:
            by = table[(table["metric"] == metric) & np.isclose(table["level"], 0.9)]
            by = by.set_index("strategy")
            ours = by.loc["LLM Selector"]
            low, high = ours["vs_strongest_low"], ours["vs_strongest_high"]
            rows.append(
                {
                    "board": board,
                    "target": metric,
                    "LLM Selector": ours["budget"],
                    "Random": by.loc["Random", "budget"],
                    "strongest": f"{ours['strongest']} {by.loc[ours['strongest'], 'budget']:.0f}",
                    "saved": f"{ours['vs_strongest']:+.0%} ({low:+.0%} to {high:+.0%})",
                    "over queries": _over_queries(halves.get(board), metric),
                }
            )
    return pd.DataFrame(rows)


def _over_queries(table: pd.DataFrame | None, metric: str) -> str:
    """The interval over queries of the saving against the strongest baseline, for 90 % of runs."""
    if table is None:
        return "-"
    row = table[(table["metric"] == metric) & np.isclose(table["level"], 0.9)].iloc[0]
    low, high = row["vs_strongest_query_low"], row["vs_strongest_query_high"]
    return f"{low:+.0%} to {high:+.0%}"
