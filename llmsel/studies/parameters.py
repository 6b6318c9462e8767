"""Tune a strategy's parameters without any real judgement: the weak judges play the oracle.

ARCHITECTURE.md, "Method": run the strategy against the noisy outcomes, keep the parameters that
reach 90 % identification of the noisy-best model with the fewest queries, ties by the area under
the identification curve.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from llmsel._base.intervals import mean_interval, wilson
from llmsel.belief import Belief
from llmsel.pool import Pool
from llmsel.strategies import LLMSelector, SelectLLM, Strategy
from llmsel.studies.by_query import run
from llmsel.studies.efficiency import first_stable
from llmsel.studies.protocol import Result
from llmsel.studies.scores import IDENTIFICATION, SLACK, score

TAUS = (*(t / 10 for t in range(1, 10)), 1.0, 2.0, 3.0, 4.0, 5.0)


def noisy(pool: Pool) -> Pool:
    """Return the pool with the weak judges' majority as the outcomes (a tie is a draw)."""
    votes = pool.need("votes").sum(axis=2, dtype=np.int64)
    outcomes = np.sign(votes)
    outcomes[:, pool.baseline_index] = 0
    return pool.replace(outcomes=outcomes, name=f"{pool.name}, weak judges as the oracle")


def tune(
    pool: Pool, variants: Sequence[Strategy], *, level: float = 0.9, **protocol: Any
) -> pd.DataFrame:
    """Run variants of a strategy against the weak judges and rank them.

    Args:
        pool: with votes; its outcomes are not looked at.
        variants: strategies that differ in their parameters.
        level: identification probability to reach.
        protocol: realizations, pool_size, budget, seed, jobs of `llmsel.studies.by_query.run`.

    Returns:
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


def steering(result: Result, budget: int, *, belief: Belief | None = None) -> pd.DataFrame:
    """Where a strategy steers: what the annotated queries make the models look like.

    A rule that looks for queries on which its favourite does well confirms the favourite. With
    the default eps a win is as likely as a draw, so no candidate can pass the baseline in the
    belief, and what is confirmed is the baseline: queries on which candidates lose.

    Returns:
        One row per strategy, after ``budget`` annotations: ``lift`` (mean win rate of all
        candidates on the annotated queries minus that on the pool) with ``low``, ``high`` (95 %
        over realizations); ``optimism`` (the same for the leader; mean over tied leaders); and
        ``favours_baseline`` (share of realizations in which no candidate is more probable than the
        baseline under the belief).
    """
    belief = Belief() if belief is None else belief
    b = result.pool.baseline_index
    truth = result.pool.win_rates(result.orders)
    rows = []
    for name, chosen in result.chosen.items():
        seen = result.pool.win_rates(chosen[:, :budget])
        gain = np.where(np.isfinite(seen) & np.isfinite(truth), seen - truth, 0.0)
        leads = seen >= seen.max(axis=1, keepdims=True) - SLACK
        low, lift, high = mean_interval(np.delete(gain, b, axis=1).mean(axis=1))
        optimism = (gain * leads).sum(axis=1) / leads.sum(axis=1)
        cells = result.pool.need("outcomes")[chosen[:, :budget]]
        log = np.log(belief.likelihood(cells)).sum(axis=1)
        favoured = log[:, b] >= log.max(axis=1) - 1e-9
        rows.append((name, lift, low, high, optimism.mean(), favoured.mean()))
    return pd.DataFrame(
        rows, columns=["strategy", "lift", "low", "high", "optimism", "favours_baseline"]
    )


class CandidatesOnly(LLMSelector):
    """LLM Selector whose belief leaves the baseline out: only candidates can be the best.

    The baseline's outcomes are all draws. Where eps holds a draw to be as likely as a win, no
    candidate can pass it in the belief; here nothing stands in their way.
    """

    name = "LLM Selector, candidates only"

    def prepare(self, pool: Pool) -> None:
        """Take the candidates' weak votes."""
        super().prepare(pool)
        self._candidates = pool.candidate_columns
        self._votes = np.ascontiguousarray(self._votes[:, self._candidates])

    def observe(self, chosen: np.ndarray, outcomes: np.ndarray) -> None:
        """Bayes' rule over the candidates."""
        super().observe(chosen, outcomes[:, self._candidates])


def sensitivity(
    pool: Pool,
    step: float = 0.05,
    *,
    share: float = 0.2,
    votes_as_oracle: bool = False,
    **protocol: Any,
) -> pd.DataFrame:
    """Run LLM Selector at every (eps_loss, eps_draw) inside the simplex, on the same pools.

    Args:
        pool: with outcomes and votes.
        step: of the grid.
        share: budget as a share of the pool.
        votes_as_oracle: True: the weak judges' majority is the oracle, as in tuning.
        protocol: realizations, pool_size, seed, jobs of `llmsel.run`.

    Returns:
        One row per pair: ``eps_loss``, ``eps_draw``, ``identification`` at the budget with its 95 %
        Wilson interval ``low``, ``high``, and ``area`` (mean over all budgets up to it).
    """
    if votes_as_oracle:
        pool = noisy(pool)
    size = protocol.get("pool_size") or min(400, pool.n_queries)
    protocol["budget"] = max(1, round(share * size))
    rows = []
    for variant in eps_grid(step):
        result = run(pool, [variant], **protocol)
        credit = score(result)[variant.name][IDENTIFICATION]
        value = float(credit[:, -1].mean(dtype=float))
        low, high = wilson(np.array(value), len(credit))
        rows.append(
            (variant.eps_loss, variant.eps_draw, value, low, high, credit.mean(dtype=float))
        )
    columns = ["eps_loss", "eps_draw", "identification", "low", "high", "area"]
    return pd.DataFrame(rows, columns=columns, dtype=float)


def best_pair(table: pd.DataFrame) -> tuple[float, float]:
    """Pair with the highest identification, ties by the area, then by the order of the grid."""
    at = table.sort_values(["identification", "area"], ascending=False, kind="stable").iloc[0]
    return float(at["eps_loss"]), float(at["eps_draw"])
