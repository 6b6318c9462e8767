"""From chosen queries to tables: identification, near-best, win-rate gap, annotation efficiency.

Definitions of ARCHITECTURE.md, "Method". A strategy's answer after b annotations is the model with
the highest win rate on them (the baseline takes part with 1/2); t models tied at the top count 1/t
each; in a result of the official mode the first of them is the answer. The truth is the model, or
the models, with the highest win rate on the whole pool of the realization.

The intervals here describe the draw of the pools only. All realizations share one set of queries
and one set of votes, so a different benchmark of the same kind may differ by more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from llmsel._base.intervals import percentile
from llmsel._base.intervals import wilson as wilson
from llmsel.pool import MISSING
from llmsel.studies.protocol import OFFICIAL, Result

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

    Returns:
        Per strategy and metric a float32 array of shape ``(R, B)``: for `IDENTIFICATION` and each
        `near_best` the credit of the answer in [0, 1]; for `GAP` the best win rate of the pool
        minus the answer's (mean over tied answers), in [0, 1].
    """
    outcomes = result.pool.need("outcomes")
    n_models = outcomes.shape[1]
    complete = not (outcomes == MISSING).any()
    official = result.parameters.get("mode") == OFFICIAL
    scores = {}
    for strategy, chosen in result.chosen.items():
        realizations, budget = chosen.shape
        names = [IDENTIFICATION, GAP, *map(near_best, NEAR_BEST)]
        arrays = {name: np.empty((realizations, budget), np.float32) for name in names}
        step = max(1, CELLS // (max(budget, result.orders.shape[1]) * n_models))
        for start in range(0, realizations, step):
            part = slice(start, start + step)
            answer = leaders(outcomes[chosen[part]], complete)
            if official:
                answer = first_leader(answer)
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


def leaders(rows: np.ndarray, complete: bool) -> np.ndarray:
    """Mark the leading models after each annotation: bool, shape ``(R, B, M)``."""
    if complete:
        total = np.cumsum(rows, axis=1, dtype=np.int32)
        return np.asarray(total == total.max(axis=-1, keepdims=True))
    judged = rows != MISSING
    total = np.cumsum(np.where(judged, rows, 0), axis=1, dtype=np.int32)
    count = np.cumsum(judged, axis=1, dtype=np.int32)
    rate = np.where(count > 0, total / np.maximum(count, 1), -np.inf)
    return np.asarray(rate >= rate.max(axis=-1, keepdims=True) - SLACK)


def first_leader(leading: np.ndarray) -> np.ndarray:
    """Keep the first of the leading models: bool, same shape ``(..., M)``."""
    first = np.zeros_like(leading)
    np.put_along_axis(first, leading.argmax(axis=-1)[..., None], True, axis=-1)
    return first


def curves(result: Result, scores: Scores | None = None) -> pd.DataFrame:
    """Summarise the scores per budget, as a tidy table.

    Returns:
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
