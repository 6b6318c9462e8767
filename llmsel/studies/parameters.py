"""Tune a strategy's parameters without any real judgement: the weak judges play the oracle.

DESIGN.md section 2: run the strategy against the noisy outcomes, keep the parameters that reach
90 % identification of the noisy-best model with the fewest queries, ties by the area under the
identification curve.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from llmsel.pool import Pool
from llmsel.strategies import LLMSelector, SelectLLM, Strategy
from llmsel.studies.by_query import run
from llmsel.studies.scores import IDENTIFICATION, first_stable, score

TAUS = (*(t / 10 for t in range(1, 10)), 1.0, 2.0, 3.0, 4.0, 5.0)


def noisy(pool: Pool) -> Pool:
    """Return the pool with the weak judges' majority as the outcomes (a tie is a draw)."""
    votes = pool.need("votes").sum(axis=2, dtype=np.int64)
    outcomes = np.sign(votes)
    outcomes[:, pool.baseline_index] = 0
    return pool.replace(outcomes=outcomes, name=f"{pool.name}, weak judges as the oracle")


def tune(
    pool: Pool, variants: Sequence[Strategy], level: float = 0.9, **protocol: Any
) -> pd.DataFrame:
    """Run variants of a strategy against the weak judges and rank them.

    Parameters
    ----------
    pool: with votes; its outcomes are not looked at.
    variants: strategies that differ in their parameters.
    level: identification probability to reach.
    protocol: realizations, pool_size, budget, seed, jobs of `llmsel.studies.by_query.run`.

    Returns
    -------
    The public attributes of each variant, ``queries`` (NaN: never reached) and ``area`` (mean
    identification over all budgets), best first.
    """
    noisy_pool = noisy(pool)
    options = {"realizations": 50, **protocol}
    rows = []
    for variant in variants:
        result = run(noisy_pool, [variant], **options)
        curve = score(result)[variant.name][IDENTIFICATION].mean(axis=0)
        shown = {k: v for k, v in vars(variant).items() if not k.startswith("_")}
        rows.append(
            shown | {"queries": float(first_stable(curve, level)), "area": float(curve.mean())}
        )
    table = pd.DataFrame(rows)
    return table.sort_values(
        ["queries", "area"], ascending=[True, False], na_position="last", ignore_index=True
    )


def eps_grid(step: float = 0.1) -> list[LLMSelector]:
    """LLM Selector at every (eps_loss, eps_draw) of a grid inside the simplex."""
    count = round(1 / step)
    return [
        LLMSelector(round(a * step, 10), round(b * step, 10))
        for a in range(1, count)
        for b in range(1, count - a)
    ]


def tune_eps(pool: Pool, step: float = 0.1, **protocol: Any) -> tuple[LLMSelector, pd.DataFrame]:
    """Return LLM Selector with the best eps on the weak votes, and the whole table."""
    table = tune(pool, eps_grid(step), **protocol)
    return LLMSelector(table["eps_loss"][0], table["eps_draw"][0]), table


def tune_tau(
    pool: Pool, similarity: str = "token_f1", **protocol: Any
) -> tuple[SelectLLM, pd.DataFrame]:
    """Return Select-LLM with the best temperature on the weak votes, and the whole table."""
    table = tune(pool, [SelectLLM(tau, similarity) for tau in TAUS], **protocol)
    return SelectLLM(float(table["tau"][0]), similarity), table
