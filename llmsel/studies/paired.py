"""What the ablation notebooks share: other judges, other baselines, grids, paired comparisons.

Everything here changes a pool or reads a result; the protocol itself stays in
`llmsel.studies.by_query`.
"""

from __future__ import annotations

import pandas as pd

from llmsel._base.errors import unknown
from llmsel._base.intervals import mean_interval as mean_interval
from llmsel.studies.scores import IDENTIFICATION, Scores


def area(scores: Scores, metric: str = IDENTIFICATION, *, upto: int | None = None) -> pd.DataFrame:
    """Mean of a metric over the budgets, per realization.

    Args:
        scores: of every strategy.
        metric: whose mean is taken.
        upto: largest budget counted; None takes all.

    Returns:
        One column per strategy, one row per realization.
    """
    return pd.DataFrame(
        {
            name: arrays[metric][:, :upto].mean(axis=1, dtype=float)
            for name, arrays in scores.items()
        }
    )


def compare(
    scores: Scores,
    against: str = "Random",
    *,
    metric: str = IDENTIFICATION,
    upto: int | None = None,
) -> pd.DataFrame:
    """Compare every strategy with one of them, realization by realization (same pools).

    Returns:
        One row per strategy but ``against``: ``strategy``, ``value`` and ``other`` (means over
        budgets and realizations), ``difference``, ``low``, ``high`` (95 %, Student's t, paired over
        realizations; it says nothing about other queries or other votes).

    Raises:
        InputError: a strategy to compare with that is not in the scores.
    """
    if against not in scores:
        raise unknown("strategy", against, scores)
    areas = area(scores, metric, upto=upto)
    rows = []
    for name in areas.columns.drop(against):
        low, mean, high = mean_interval((areas[name] - areas[against]).to_numpy())
        rows.append((name, areas[name].mean(), areas[against].mean(), mean, low, high))
    return pd.DataFrame(rows, columns=["strategy", "value", "other", "difference", "low", "high"])


def verdict(low: float, high: float, better: str, worse: str, unclear: str) -> str:
    """Choose the words for an interval of a difference: above 0, below 0, or across it."""
    return better if low > 0 else worse if high < 0 else unclear


# -- parameters ---------------------------------------------------------------------------------
