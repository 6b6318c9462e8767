"""Other baselines and all pairs: does the choice of the baseline decide who wins?

With a baseline, candidates are compared in a star: everyone meets the baseline only. Where the
benchmark judges all pairs (`EXACT`), another baseline is another loaded pool. Elsewhere its
outcomes are re-derived: of two models the one with the better outcome against the old baseline
wins, and equal outcomes are a draw. That is a guess, and every table says so.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from llmsel._base.errors import InputError, unknown
from llmsel._base.intervals import mean_interval
from llmsel.benchmarks import fingerprint, load
from llmsel.pool import MISSING, Pool
from llmsel.studies.by_query import run
from llmsel.studies.efficiency import first_stable
from llmsel.studies.paired import area
from llmsel.studies.scores import IDENTIFICATION, SLACK, score
from llmsel.weak_judges import add_votes

EXACT = ("smol", "mt-bench", "shaberi")  # benchmarks on which all pairs are judged


def rebased(pool: Pool, baseline: str, *, votes: bool = True) -> Pool:
    """Return the pool with another baseline, its outcomes re-derived from the old ones.

    Args:
        pool: with outcomes.
        baseline: one of its models.
        votes: compute the weak votes against the new baseline where the pool has responses.

    Raises:
        InputError: a baseline that is not a model of the pool.
    """
    if baseline not in pool.models:
        raise unknown("baseline", baseline, pool.models)
    outcomes = pool.need("outcomes").astype(np.int16)
    b = pool.column(baseline)
    unknown_cell = (outcomes == MISSING) | (outcomes[:, [b]] == MISSING)
    derived = np.where(unknown_cell, MISSING, np.sign(outcomes - outcomes[:, [b]]))
    derived[:, b] = 0
    new = pool.replace(baseline=baseline, outcomes=derived.astype(np.int8), votes=None)
    return add_votes(new) if votes and pool.responses is not None else new


def with_baseline(name: str, baseline: str, *, votes: bool = True) -> tuple[Pool, bool]:
    """Load a benchmark with another baseline.

    Returns:
        The pool, and whether its outcomes are judged (True) or re-derived (False).
    """
    if name.split(":")[0] in EXACT:
        return load(name, baseline=baseline, votes=votes), True
    pool = _own_baseline(name, votes, fingerprint(name))
    return (pool if baseline == pool.baseline else rebased(pool, baseline, votes=votes)), False


@functools.lru_cache(maxsize=2)
def _own_baseline(name: str, votes: bool, _files: str) -> Pool:
    """Load once for all baselines, as long as the files hold the same; pools do not change."""
    return load(name, votes=votes)


def pair_outcomes(
    name: str, models: Sequence[str] | None = None
) -> tuple[tuple[str, ...], np.ndarray]:
    """Collect the outcome of every model against every other, query by query.

    Args:
        name: of a benchmark.
        models: some of its models, in the order that is wanted; None for all.

    Returns:
        The models and int8, shape ``(M, M, n)``: of the first against the second; MISSING where it
        was not judged.

    Raises:
        InputError: an unknown model, or a benchmark that changes its models with the baseline.
    """
    own = load(name, votes=False)
    chosen = own.models if models is None else tuple(models)
    columns = []
    for baseline in chosen:
        pool = with_baseline(name, baseline, votes=False)[0]
        if set(pool.models) != set(own.models):
            raise InputError(f"benchmark '{name}' changes its models with the baseline.")
        columns.append(pool.need("outcomes")[:, [pool.column(model) for model in chosen]].T)
    return chosen, np.stack(columns, axis=1)


def all_pairs(name: str) -> tuple[tuple[str, ...], np.ndarray]:
    """Win rate of every model against every other.

    Returns:
        The models and float64, shape ``(M, M)``: win rate of the row's model against the column's
        (1/2 on the diagonal, NaN for a pair that was never judged).
    """
    models, outcomes = pair_outcomes(name)
    known = outcomes != MISSING
    count = known.sum(axis=2)
    total = np.where(known, outcomes, 0).sum(axis=2, dtype=np.int64)
    return models, np.where(count > 0, 0.5 + 0.5 * total / np.maximum(count, 1), np.nan)


def condorcet(rates: np.ndarray) -> int | None:
    """Position of the model with a win rate above 1/2 against every other, or None.

    Args:
        rates: float64, shape ``(M, M)``, from `all_pairs`.
    """
    beats = (rates > 0.5 + SLACK) | np.eye(len(rates), dtype=bool)
    winners = np.flatnonzero(beats.all(axis=1))
    return int(winners[0]) if len(winners) else None


def borda(rates: np.ndarray) -> np.ndarray:
    """Positions of the models with the highest mean win rate over all the others."""
    others = np.where(np.eye(len(rates), dtype=bool), np.nan, rates)
    means = np.nanmean(others, axis=1)
    return np.flatnonzero(means >= means.max() - SLACK)


def star_winners(models: tuple[str, ...], rates: np.ndarray) -> pd.DataFrame:
    """Who wins the star of each baseline, and is it the winner over all pairs?

    Returns:
        One row per baseline, weakest first: ``baseline``, ``strength`` (its mean win rate over all
        the others), ``winner`` (ties joined), ``is_condorcet`` (False where there is none) and
        ``is_borda``: the winner, or with ties one of them, is that winner.
    """
    overall = condorcet(rates)
    top = set(borda(rates).tolist())
    others = np.where(np.eye(len(rates), dtype=bool), np.nan, rates)
    strength = np.nanmean(others, axis=1)
    rows = []
    for b in np.argsort(strength, kind="stable"):
        column = np.where(np.isnan(rates[:, b]), -np.inf, rates[:, b])
        winners = np.flatnonzero(column >= column.max() - SLACK)
        rows.append(
            {
                "baseline": models[b],
                "strength": strength[b],
                "winner": " and ".join(models[j] for j in winners),
                "is_condorcet": overall in winners,
                "is_borda": bool(top & set(winners.tolist())),
            }
        )
    return pd.DataFrame(rows)


def by_baseline(
    name: str, stars: pd.DataFrame, count: int | None = None, *, pool_size: int, **protocol: Any
) -> pd.DataFrame:
    """Run LLM Selector and random queries against each baseline, on the same pools.

    Args:
        name: of the benchmark.
        stars: from `star_winners`.
        count: number of baselines, spread from the weakest to the strongest; None takes all.
        pool_size: queries per realization; means are over the budgets up to half of it.
        protocol: realizations, seed, jobs of `llmsel.run`.

    Returns:
        One row per baseline, weakest first: ``baseline``, ``strength``, ``advantage`` (LLM
        Selector minus Random, identification, a share) with ``low``, ``high`` (95 % over pools),
        and of each of both its identification and ``to 90 %`` (annotations; NaN: never).
    """
    places = np.unique(np.linspace(0, len(stars) - 1, count or len(stars)).round().astype(int))
    rows = []
    for _, star in stars.iloc[places].iterrows():
        pool = with_baseline(name, star["baseline"])[0]
        scores = score(run(pool, ["LLM Selector", "Random"], pool_size=pool_size, **protocol))
        areas = area(scores, upto=pool_size // 2)
        low, gain, high = mean_interval((areas["LLM Selector"] - areas["Random"]).to_numpy())
        row = {"baseline": pool.baseline, "strength": star["strength"]}
        row |= {"advantage": gain, "low": low, "high": high}
        for each, arrays in scores.items():
            curve = arrays[IDENTIFICATION].mean(axis=0)
            row |= {each: areas[each].mean(), f"{each} to 90 %": float(first_stable(curve, 0.9))}
        rows.append(row)
    return pd.DataFrame(rows)


def trend(table: pd.DataFrame, strategy: str, *, seed: int = 0) -> tuple[float, float, float]:
    """Correlate the ranks of a strategy's identification and of the baseline's strength.

    Args:
        table: from `by_baseline`.
        strategy: one of its columns.
        seed: of 500 resamples of the baselines.

    Returns:
        Low, Spearman's rank correlation, high (95 %).
    """
    rng = np.random.default_rng(seed)
    draws = [table.sample(len(table), replace=True, random_state=rng) for _ in range(500)]
    found = [each["strength"].corr(each[strategy], method="spearman") for each in draws]
    low, high = np.nanpercentile(found, [2.5, 97.5])
    return (
        float(low),
        float(table["strength"].corr(table[strategy], method="spearman")),
        float(high),
    )
