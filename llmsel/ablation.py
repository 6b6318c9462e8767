"""What the ablation notebooks share: other judges, other baselines, grids, paired comparisons.

Everything here changes a pool or reads a result; the protocol itself stays in
`llmsel.experiment`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from llmsel.errors import InputError, unknown
from llmsel.experiment import run
from llmsel.metrics import IDENTIFICATION, Scores, score, wilson
from llmsel.pool import MISSING, Pool
from llmsel.similarity import similarity
from llmsel.strategies import LLMSelector
from llmsel.tune import eps_grid, noisy
from llmsel.weak import compare_with_baseline

# -- weak judges --------------------------------------------------------------------------------


def perfect_votes(pool: Pool) -> np.ndarray:
    """Votes of one judge that knows the oracle's outcomes (an unjudged cell is a draw).

    Returns
    -------
    int8, shape ``(n, M, 1)``.
    """
    outcomes = pool.need("outcomes")
    return np.where(outcomes == MISSING, 0, outcomes).astype(np.int8)[..., None]


def random_votes(pool: Pool, judges: int = 1, seed: int = 0) -> np.ndarray:
    """Votes drawn per cell with the oracle's rates of losses, draws and wins: no information.

    Returns
    -------
    int8, shape ``(n, M, judges)``; the baseline's are draws.
    """
    outcomes = np.delete(pool.need("outcomes"), pool.baseline_index, axis=1)
    judged = outcomes[outcomes != MISSING]
    shape = (pool.n_queries, pool.n_models, judges)
    votes = np.random.default_rng(seed).choice(judged, shape)
    votes[:, pool.baseline_index] = 0
    return votes


def noisy_votes(pool: Pool, flip: float, judges: int = 1, seed: int = 0) -> np.ndarray:
    """Votes that are the oracle's outcome, but with chance ``flip`` one of the two others.

    Parameters
    ----------
    flip: in [0, 1]; 0 is `perfect_votes`, 2/3 holds no information.

    Returns
    -------
    int8, shape ``(n, M, judges)``; the judges err independently, the baseline's are draws.

    Raises
    ------
    InputError: a flip rate outside [0, 1].
    """
    if not 0 <= flip <= 1:
        raise InputError(f"flip={flip}; the flip rate must be within 0 and 1.")
    rng = np.random.default_rng(seed)
    truth = np.repeat(perfect_votes(pool), judges, axis=2)
    wrong = rng.random(truth.shape) < flip
    other = (truth + 1 + rng.integers(1, 3, truth.shape)) % 3 - 1  # either of the two others
    votes = np.where(wrong, other, truth).astype(np.int8)
    votes[:, pool.baseline_index] = 0
    return votes


def shuffled_votes(pool: Pool, seed: int = 0) -> np.ndarray:
    """Permute the pool's votes over the queries, whole rows at once: the shuffled null.

    What a judge thinks of each candidate on average, and how candidates and judges go together,
    stays; what it says about the single query is lost.

    Returns
    -------
    int8, shape ``(n, M, z)``.
    """
    return pool.need("votes")[np.random.default_rng(seed).permutation(pool.n_queries)]


def length_votes(pool: Pool) -> np.ndarray:
    """Votes of one judge that prefers the longer response (in characters).

    Returns
    -------
    int8, shape ``(n, M, 1)``.
    """
    lengths = np.vectorize(len, otypes=[float])(pool.need("responses"))
    return compare_with_baseline(lengths, pool.baseline_index)[..., None]


def consensus_votes(pool: Pool) -> np.ndarray:
    """Votes of one judge that prefers the response most like all the others (token F1).

    It stands in for an embedding judge: the response nearest to the centre wins, without a
    neural network.

    Returns
    -------
    int8, shape ``(n, M, 1)``.
    """
    alike = similarity(pool, "token_f1").mean(axis=2, dtype=float)
    return compare_with_baseline(alike, pool.baseline_index)[..., None]


def agreement(pool: Pool, votes: np.ndarray | None = None) -> pd.DataFrame:
    """How well each weak judge guesses the oracle's outcomes, cell by cell and model by model.

    Parameters
    ----------
    votes: int8, shape ``(n, M, z)``; None takes the pool's.

    Returns
    -------
    One row per judge: ``judge`` (1..z), ``agreement`` (share of judged cells), ``low``, ``high``
    (95 %, resampling queries: the cells of one query are not independent), ``chance`` (agreement
    of independent votes and outcomes with the same rates), ``kappa`` (Cohen: the share of what is
    left above chance), ``decided`` (agreement where neither is a draw), and ``win_rates``
    (correlation over the candidates of weak and true win rates; NaN if one side is constant).
    """
    votes = pool.need("votes") if votes is None else votes
    keep = [j for j in range(pool.n_models) if j != pool.baseline_index]
    outcomes = pool.need("outcomes")[:, keep]
    judged = outcomes != MISSING
    picks = np.random.default_rng(0).multinomial(
        len(outcomes), np.full(len(outcomes), 1 / len(outcomes)), 500
    )
    rows = []
    for k in range(votes.shape[2]):
        vote = votes[:, keep, k]
        right = (vote == outcomes) & judged
        raw = right.sum() / judged.sum()
        total = np.maximum(picks @ judged.sum(axis=1), 1)
        low, high = np.percentile((picks @ right.sum(axis=1)) / total, [2.5, 97.5])
        chance = sum(
            (vote[judged] == code).mean() * (outcomes[judged] == code).mean() for code in (-1, 0, 1)
        )
        decided = judged & (vote != 0) & (outcomes != 0)
        weak, true = _means(vote, judged), _means(outcomes, judged)
        rows.append(
            {
                "judge": k + 1,
                "agreement": raw,
                "low": low,
                "high": high,
                "chance": chance,
                "kappa": (raw - chance) / (1 - chance) if chance < 1 else np.nan,
                "decided": right[decided].mean() if decided.any() else np.nan,
                "win_rates": _correlation(weak, true),
            }
        )
    return pd.DataFrame(rows)


def _means(cells: np.ndarray, judged: np.ndarray) -> np.ndarray:
    return np.where(judged, cells, 0).sum(axis=0) / np.maximum(judged.sum(axis=0), 1)


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    if len(a) < 2 or a.std() < 1e-12 or b.std() < 1e-12:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


# -- running ------------------------------------------------------------------------------------


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
    budgets and realizations), ``difference``, ``low``, ``high`` (95 %, normal, paired over
    realizations; it says nothing about other queries or other votes).

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
    """Lower end, mean, upper end of the 95 % normal interval of a mean over axis 0."""
    mean = float(np.mean(values))
    error = 1.96 * float(np.std(values, ddof=min(1, len(values) - 1))) / math.sqrt(len(values))
    return mean - error, mean, mean + error


def verdict(low: float, high: float, better: str, worse: str, unclear: str) -> str:
    """Choose the words for an interval of a difference: above 0, below 0, or across it."""
    return better if low > 0 else worse if high < 0 else unclear


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
