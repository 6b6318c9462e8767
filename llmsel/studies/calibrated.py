"""Is the belief a probability? What it says of its favourite, against how often that is right.

``P(best)`` of LLM Selector's belief would be a probability if the outcomes of all models but the
best were uniform and independent, which they are on no board. `llmsel.belief.bootstrap_best` is
the one that is shown to a user; both are held against what happens.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from llmsel.belief import Belief, bootstrap_best, posterior
from llmsel.studies.protocol import Result
from llmsel.studies.scores import SLACK

EDGES = (0.0, 0.5, 0.8, 0.95, 0.999, 1.0)  # bins of what is said
BELIEF, BOOTSTRAP = "belief", "bootstrap"


def sayings(
    result: Result,
    strategy: str,
    budgets: Sequence[int],
    *,
    belief: Belief | None = None,
    draws: int = 0,
    seed: int = 0,
) -> pd.DataFrame:
    """What is said of the favourite after some annotations, and whether it is right.

    Args:
        result: from `llmsel.run`.
        strategy: whose annotations are looked at.
        budgets: numbers of annotations.
        belief: the two-parameter model; None takes the default eps.
        draws: of the bootstrap, per realization; 0 leaves it out.
        seed: of the bootstrap.

    Returns:
        One row per realization, budget and source: ``source`` (`BELIEF` or `BOOTSTRAP`),
        ``budget``, ``said`` (the favourite's chance; mean of tied favourites), ``right`` (share of
        the favourites that are best of the realization's pool).
    """
    belief = Belief() if belief is None else belief
    pool = result.pool
    truth = pool.win_rates(result.orders)
    best = truth >= truth.max(axis=1, keepdims=True) - SLACK
    rng = np.random.default_rng(seed)
    parts = []
    for budget in budgets:
        rows = pool.need("outcomes")[result.chosen[strategy][:, :budget]]
        chance = {BELIEF: posterior(np.log(belief.likelihood(rows)).sum(axis=1))}
        if draws:
            chance[BOOTSTRAP] = np.stack(
                [
                    bootstrap_best(
                        one,
                        result.orders.shape[1],
                        baseline=pool.baseline_index,
                        rng=rng,
                        draws=draws,
                    )
                    for one in rows
                ]
            )
        for source, p in chance.items():
            favourite = p >= p.max(axis=1, keepdims=True) * (1 - 1e-9)
            right = (favourite & best).sum(axis=1) / favourite.sum(axis=1)
            parts.append(
                pd.DataFrame(
                    {"source": source, "budget": budget, "said": p.max(axis=1), "right": right}
                )
            )
    return pd.concat(parts, ignore_index=True)


def reliability(said: pd.DataFrame) -> pd.DataFrame:
    """Compare what was said with what happened, in bins.

    Args:
        said: from `sayings`.

    Returns:
        One row per source and bin that holds any: ``source``, ``said`` and ``right`` (means),
        ``low`` and ``high`` (ends of the bin), ``count``.
    """
    bins = np.clip(np.searchsorted(EDGES, said["said"], side="right") - 1, 0, len(EDGES) - 2)
    rows = []
    for (source, k), part in said.groupby(["source", bins], sort=True):
        rows.append(
            (source, part["said"].mean(), part["right"].mean(), EDGES[k], EDGES[k + 1], len(part))
        )
    return pd.DataFrame(rows, columns=["source", "said", "right", "low", "high", "count"])


def overconfidence(said: pd.DataFrame) -> pd.DataFrame:
    """Mean of what was said less what happened, and how often the nearly certain are wrong.

    Returns:
        One row per source: ``said``, ``right``, ``error`` (mean over the bins of the distance of
        the two, weighted by what they hold), ``sure`` (share said to be certain by 0.999 or more)
        and ``sure_wrong`` (share of those that are wrong; NaN where none is).
    """
    rows = {}
    for source, part in said.groupby("source"):
        binned = reliability(part)
        error = ((binned["said"] - binned["right"]).abs() * binned["count"]).sum() / len(part)
        sure = part[part["said"] >= EDGES[-2]]
        wrong = 1 - sure["right"].mean() if len(sure) else np.nan
        rows[source] = (
            part["said"].mean(),
            part["right"].mean(),
            error,
            len(sure) / len(part),
            wrong,
        )
    return pd.DataFrame.from_dict(
        rows, orient="index", columns=["said", "right", "error", "sure", "sure_wrong"]
    )
