"""What the ablation notebooks share: other judges, other baselines, grids, paired comparisons.

Everything here changes a pool or reads a result; the protocol itself stays in
`llmsel.experiment`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from llmsel._base.intervals import mean_interval
from llmsel.belief import Belief
from llmsel.errors import unknown
from llmsel.experiment import Result, run
from llmsel.metrics import IDENTIFICATION, SLACK, Scores, score, wilson
from llmsel.pool import Pool
from llmsel.strategies import LLMSelector
from llmsel.tune import eps_grid, noisy
from llmsel.voters import noisy_votes, shuffled_votes


def run_votes(pool: Pool, votes: Mapping[str, np.ndarray], **protocol: Any) -> dict[str, Any]:
    """Run LLM Selector once per set of votes, and Random, all on the same pools.

    Parameters
    ----------
    votes: name -> int8, shape ``(n, M, z)``.
    protocol: of `llmsel.run`; ``strategy`` (a `Strategy`) replaces LLM Selector.

    Returns
    -------
    Scores by name, as `llmsel.metrics.score` makes them; ``Random`` comes first.
    """
    strategy = protocol.pop("strategy", None) or LLMSelector()
    scores: dict[str, Any] = dict(score(run(pool, ["Random"], **protocol)))
    for name, one in votes.items():
        result = run(pool.replace(votes=one), [strategy], **protocol)
        scores[name] = score(result)[strategy.name]
    return scores


def area(scores: Scores, metric: str = IDENTIFICATION, upto: int | None = None) -> pd.DataFrame:
    """Mean of a metric over the budgets, per realization.

    Parameters
    ----------
    upto: largest budget counted; None takes all.

    Returns
    -------
    One column per strategy, one row per realization.
    """
    return pd.DataFrame(
        {
            name: arrays[metric][:, :upto].mean(axis=1, dtype=float)
            for name, arrays in scores.items()
        }
    )


def compare(
    scores: Scores, against: str = "Random", metric: str = IDENTIFICATION, upto: int | None = None
) -> pd.DataFrame:
    """Compare every strategy with one of them, realization by realization (same pools).

    Returns
    -------
    One row per strategy but ``against``: ``strategy``, ``value`` and ``other`` (means over
    budgets and realizations), ``difference``, ``low``, ``high`` (95 %, Student's t, paired
    over realizations; it says nothing about other queries or other votes).

    Raises
    ------
    InputError: a strategy to compare with that is not in the scores.
    """
    if against not in scores:
        raise unknown("strategy", against, scores)
    areas = area(scores, metric, upto)
    rows = []
    for name in areas.columns.drop(against):
        low, mean, high = interval((areas[name] - areas[against]).to_numpy())
        rows.append((name, areas[name].mean(), areas[against].mean(), mean, low, high))
    return pd.DataFrame(rows, columns=["strategy", "value", "other", "difference", "low", "high"])


def interval(values: np.ndarray) -> tuple[float, float, float]:
    """Lower end, mean, upper end of Student's 95 % interval of a mean over axis 0."""
    return mean_interval(values)


def verdict(low: float, high: float, better: str, worse: str, unclear: str) -> str:
    """Choose the words for an interval of a difference: above 0, below 0, or across it."""
    return better if low > 0 else worse if high < 0 else unclear


def steering(result: Result, budget: int, belief: Belief | None = None) -> pd.DataFrame:
    """Where a strategy steers: what the annotated queries make the models look like.

    A rule that looks for queries on which its favourite does well confirms the favourite. With
    the default eps a win is as likely as a draw, so no candidate can pass the baseline in the
    belief, and what is confirmed is the baseline: queries on which candidates lose.

    Returns
    -------
    One row per strategy, after ``budget`` annotations: ``lift`` (mean win rate of all candidates
    on the annotated queries minus that on the pool) with ``low``, ``high`` (95 % over
    realizations); ``optimism`` (the same for the leader; mean over tied leaders); and
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
        low, lift, high = interval(np.delete(gain, b, axis=1).mean(axis=1))
        optimism = (gain * leads).sum(axis=1) / leads.sum(axis=1)
        cells = result.pool.need("outcomes")[chosen[:, :budget]]
        log = np.log(belief.likelihood(cells)).sum(axis=1)
        favoured = log[:, b] >= log.max(axis=1) - 1e-9
        rows.append((name, lift, low, high, optimism.mean(), favoured.mean()))
    return pd.DataFrame(
        rows, columns=["strategy", "lift", "low", "high", "optimism", "favours_baseline"]
    )


def noise_sweep(
    pool: Pool, flips: Sequence[float], repeats: int = 3, seed: int = 0, **protocol: Any
) -> pd.DataFrame:
    """Run LLM Selector with one noisy judge at a time, from perfect to useless.

    Parameters
    ----------
    flips: flip rates of `llmsel.voters.noisy_votes`.
    repeats: judges drawn per flip rate; the perfect one (0) is the same each time.

    Returns
    -------
    One row per rate: ``flip``, ``difference`` (identification minus Random's, mean over budgets,
    realizations and repeats), ``low``, ``high`` (95 % over realizations), and ``spread`` (standard
    deviation over the repeats; NaN for one).
    """
    rows = []
    for flip in flips:
        draws = range(repeats if flip else 1)
        votes = {f"#{r}": noisy_votes(pool, flip, 1, seed + r) for r in draws}
        areas = area(run_votes(pool, votes, seed=seed, **protocol))
        gains = areas.drop(columns="Random").sub(areas["Random"], axis=0)
        low, mean, high = interval(gains.mean(axis=1).to_numpy())
        rows.append((flip, mean, low, high, gains.mean().std()))
    return pd.DataFrame(rows, columns=["flip", "difference", "low", "high", "spread"])


def shuffled_null(
    pool: Pool,
    permutations: int = 20,
    metric: str = IDENTIFICATION,
    upto: int | None = None,
    seed: int = 0,
    **protocol: Any,
) -> pd.DataFrame:
    """Run LLM Selector with the pool's votes and with many shuffles of them, on the same pools.

    Returns
    -------
    One row per run: ``votes`` (``Random``, ``real``, ``shuffle 1``, ...), ``value`` (mean of the
    metric over budgets and realizations), and ``difference``, ``low``, ``high``: the real votes
    minus this run, 95 % paired over realizations.
    """
    shuffles = {f"shuffle {k}": shuffled_votes(pool, seed + k) for k in range(1, permutations + 1)}
    scores = run_votes(pool, {"real": pool.need("votes"), **shuffles}, seed=seed, **protocol)
    areas = area(scores, metric, upto)
    rows = []
    for name in areas:
        low, mean, high = interval((areas["real"] - areas[name]).to_numpy())
        rows.append((name, areas[name].mean(), mean, low, high))
    return pd.DataFrame(rows, columns=["votes", "value", "difference", "low", "high"])


def null_rank(table: pd.DataFrame, higher_is_better: bool = True) -> tuple[int, int]:
    """Count the shuffles that match or beat the real votes, and all shuffles."""
    value = table.set_index("votes")["value"] * (1 if higher_is_better else -1)
    shuffles = value[value.index.str.startswith("shuffle")]
    return int((shuffles >= value["real"] - 1e-12).sum()), len(shuffles)


# -- parameters ---------------------------------------------------------------------------------


class CandidatesOnly(LLMSelector):
    """LLM Selector whose belief leaves the baseline out: only candidates can be the best.

    The baseline's outcomes are all draws. Where eps holds a draw to be as likely as a win, no
    candidate can pass it in the belief; here nothing stands in their way.
    """

    name = "LLM Selector, candidates only"

    def prepare(self, pool: Pool) -> None:
        """Take the candidates' weak votes."""
        super().prepare(pool)
        self._candidates = np.delete(np.arange(pool.n_models), pool.baseline_index)
        self._votes = np.ascontiguousarray(self._votes[:, self._candidates])

    def observe(self, chosen: np.ndarray, outcomes: np.ndarray) -> None:
        """Bayes' rule over the candidates."""
        super().observe(chosen, outcomes[:, self._candidates])


def sensitivity(
    pool: Pool,
    step: float = 0.05,
    share: float = 0.2,
    votes_as_oracle: bool = False,
    **protocol: Any,
) -> pd.DataFrame:
    """Run LLM Selector at every (eps_loss, eps_draw) inside the simplex, on the same pools.

    Parameters
    ----------
    step: of the grid.
    share: budget as a share of the pool.
    votes_as_oracle: True: the weak judges' majority is the oracle, as in tuning.
    protocol: realizations, pool_size, seed, jobs of `llmsel.run`.

    Returns
    -------
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
