"""From chosen queries to tables: identification, near-best, win-rate gap, annotation efficiency.

Definitions of DESIGN.md section 4. A strategy's answer after b annotations is the model with the
highest win rate on them (the baseline takes part with 1/2); t models tied at the top count 1/t
each. The truth is the model, or the models, with the highest win rate on the whole pool of the
realization.

The intervals here describe the draw of the pools only. All realizations share one set of queries
and one set of votes, so a different benchmark of the same kind may differ by more.
"""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from llmsel._base.errors import InputError
from llmsel.pool import MISSING
from llmsel.studies.by_query import Result

NEAR_BEST = (0.1, 0.5, 1.0, 2.5, 5.0)  # percent below the best win rate
IDENTIFICATION, GAP = "identification", "gap"
LEVELS = (0.7, 0.8, 0.9, 0.95, 1.0)  # shares of runs
SLACK = 1e-12  # win rates are ratios of small integers; closer than this is equal
CELLS = 20_000_000  # array cells worked on at once


def near_best(delta: float) -> str:
    """Name of the near-best metric at ``delta`` percent."""
    return f"near-best {delta:g} %"


Scores = Mapping[str, Mapping[str, np.ndarray]]


def score(result: Result) -> Scores:
    """Score every answer of every realization.

    Returns
    -------
    Per strategy and metric a float32 array of shape ``(R, B)``: for `IDENTIFICATION` and each
    `near_best` the credit of the answer in [0, 1]; for `GAP` the best win rate of the pool minus
    the answer's (mean over tied answers), in [0, 1].
    """
    outcomes = result.pool.need("outcomes")
    n_models = outcomes.shape[1]
    complete = not (outcomes == MISSING).any()
    scores = {}
    for strategy, chosen in result.chosen.items():
        realizations, budget = chosen.shape
        names = [IDENTIFICATION, GAP, *map(near_best, NEAR_BEST)]
        arrays = {name: np.empty((realizations, budget), np.float32) for name in names}
        step = max(1, CELLS // (max(budget, result.orders.shape[1]) * n_models))
        for start in range(0, realizations, step):
            part = slice(start, start + step)
            answer = _leaders(outcomes[chosen[part]], complete)
            answer = answer / answer.sum(axis=-1, keepdims=True)
            truth = result.pool.win_rates(result.orders[part])[:, None]
            best = truth.max(axis=-1, keepdims=True)
            arrays[IDENTIFICATION][part] = (answer * (truth >= best - SLACK)).sum(axis=-1)
            arrays[GAP][part] = (answer * np.minimum(best - truth, 1.0)).sum(axis=-1)
            for delta in NEAR_BEST:
                good = truth >= (1 - delta / 100) * best - SLACK
                arrays[near_best(delta)][part] = (answer * good).sum(axis=-1)
        scores[strategy] = arrays
    return scores


def _leaders(rows: np.ndarray, complete: bool) -> np.ndarray:
    """Mark the leading models after each annotation: bool, shape ``(R, B, M)``."""
    if complete:
        total = np.cumsum(rows, axis=1, dtype=np.int32)
        return total == total.max(axis=-1, keepdims=True)
    judged = rows != MISSING
    total = np.cumsum(np.where(judged, rows, 0), axis=1, dtype=np.int32)
    count = np.cumsum(judged, axis=1, dtype=np.int32)
    rate = np.where(count > 0, total / np.maximum(count, 1), -np.inf)
    return rate >= rate.max(axis=-1, keepdims=True) - SLACK


def curves(result: Result, scores: Scores | None = None) -> pd.DataFrame:
    """Summarise the scores per budget, as a tidy table.

    Returns
    -------
    Columns ``benchmark``, ``strategy``, ``metric``, ``budget`` (annotated queries), ``value``,
    ``low``, ``high``. For the probabilities: mean and 95 % Wilson interval. For the gap: the
    95th percentile over realizations (metric ``"gap, 95th percentile"``) with the distribution-
    free interval of order statistics, and the mean (``"gap, mean"``) with a normal interval.
    """
    scores = score(result) if scores is None else scores
    frames = []
    budgets = np.arange(1, result.budget + 1)
    for strategy, arrays in scores.items():
        for metric, array in arrays.items():
            if metric == GAP:
                rows = {f"{GAP}, 95th percentile": percentile(array, 0.95)}
                mean = array.mean(axis=0, dtype=float)
                error = 1.96 * array.std(axis=0, dtype=float) / np.sqrt(len(array))
                rows[f"{GAP}, mean"] = (mean, np.maximum(mean - error, 0), mean + error)
            else:
                rate = array.mean(axis=0, dtype=float)
                rows = {metric: (rate, *wilson(rate, len(array)))}
            for name, (value, low, high) in rows.items():
                frames.append(
                    pd.DataFrame(
                        {
                            "benchmark": shown_name(result.parameters),
                            "strategy": strategy,
                            "metric": name,
                            "budget": budgets,
                            "value": value,
                            "low": low,
                            "high": high,
                        }
                    )
                )
    return pd.concat(frames, ignore_index=True)


def shown_name(parameters: Mapping[str, Any]) -> str:
    """Name of a benchmark in tables and figures; simulated data always says so."""
    return f"{parameters['benchmark']}{' (simulated)' if parameters['simulated'] else ''}"


def wilson(rate: np.ndarray, count: float, z: float = 1.96) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's interval of a binomial rate; with tied answers the rate is a mean of credits."""
    centre = (rate + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z * np.sqrt(rate * (1 - rate) / count + z**2 / (4 * count**2)) / (1 + z**2 / count)
    return np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)


def percentile(array: np.ndarray, q: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Quantile over axis 0 with the 95 % interval of order statistics (no assumption)."""
    ordered = np.sort(array, axis=0).astype(float)
    count = len(ordered)
    half = 1.96 * np.sqrt(count * q * (1 - q))
    ranks = [q * count, q * count - half, q * count + half + 1]
    value, low, high = (ordered[int(np.clip(np.ceil(r) - 1, 0, count - 1))] for r in ranks)
    return value, low, high


def first_stable(curve: np.ndarray, level: float) -> np.ndarray:
    """Smallest budget from which a curve stays at or above a level.

    Parameters
    ----------
    curve: float, shape ``(..., B)``: value at budgets 1..B.

    Returns
    -------
    float64, shape ``(...)``: the budget in annotations, NaN where the last value is below.
    """
    below = curve < level - 1e-9
    last_below = np.where(below, np.arange(1, curve.shape[-1] + 1), 0).max(axis=-1)
    return np.where(below[..., -1], np.nan, last_below + 1.0)


def efficiency(
    scores: Scores,
    targets: Mapping[str, tuple[float, ...]] | None = None,
    methods: tuple[str, ...] = ("LLM Selector", "Select-LLM"),
    bootstraps: int = 300,
    seed: int = 0,
) -> pd.DataFrame:
    """Annotations that each strategy needs, and the reduction against Random and the best baseline.

    Parameters
    ----------
    scores: from `score`.
    targets: metric -> levels in [0, 1]; None takes identification and every near-best at each
        of `LEVELS`.
    methods: strategies that are not baselines: the strongest baseline is the strategy outside
        this tuple with the smallest budget.
    bootstraps: resamples of the realizations (the same for all strategies, so differences are
        paired) for the 95 % intervals.
    seed: of the resampling.

    Returns
    -------
    Columns ``strategy``, ``metric``, ``level``, ``budget``, ``low``, ``high`` (annotations; NaN
    where the level is never kept), ``strongest`` (name), and ``vs_random``, ``vs_strongest``
    (share of the annotations saved, negative when more are needed) each with ``_low``, ``_high``.
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

    Parameters
    ----------
    table: from `efficiency`.
    shown: metric -> levels to show; None takes `SHOWN`, or everything if the table has none of
        those.

    Returns
    -------
    Columns are pairs (metric and level, what): the budget in annotations, and its change against
    Random and against the strongest baseline (negative: annotations saved).
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

    Parameters
    ----------
    curves_table: from `curves`, of one benchmark.
    levels: identification probabilities; each gives the budget at which LLM Selector stays at or
        above it, and there the 95th percentile of the gap of every strategy.

    Returns
    -------
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


def write_table(table: pd.DataFrame, path: str | Path, parameters: Mapping[str, Any]) -> Path:
    """Write a table as CSV whose first line holds, as a comment, all that made it.

    A name that ends in ``.gz`` is compressed, without a time stamp, so that the same table gives
    the same bytes.
    """
    path = Path(path)
    text = io.StringIO()
    text.write(f"# {json.dumps(dict(parameters), sort_keys=True)}\n")
    table.to_csv(text, index=False, float_format="%.6g", lineterminator="\n")
    data = text.getvalue().encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
    return path


def read_table(path: str | Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read a table that `write_table` wrote, and the parameters that made it.

    Raises
    ------
    InputError: no such file, or no parameters in its first line.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"no result table '{path}'; run the notebook that makes it.")
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    first, _, rest = text.partition("\n")
    if not first.startswith("# {"):
        raise InputError(f"'{path}' does not start with the parameters that made it.")
    return pd.read_csv(io.StringIO(rest)), json.loads(first[2:])
