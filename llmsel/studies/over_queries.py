"""Intervals over queries: would the advantage be there with other queries of the same kind?

All realizations of a benchmark share its queries and votes, so an interval over realizations says
nothing about another set of queries. Here the experiment is repeated on random halves of the
board. The spread of a statistic over half-boards is the delete-half jackknife's standard error of
the statistic on the whole board (Shao and Wu, "A general theory for jackknife variance
estimation", 1989); the draw of the pools is in it, so the interval is rather too wide. A
half-board has half as many queries to its pools, and the weak votes of the whole one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from llmsel._base.errors import InputError
from llmsel._base.intervals import t_quantile
from llmsel.pool import Pool
from llmsel.strategies import Strategy
from llmsel.studies.by_query import run
from llmsel.studies.efficiency import first_stable
from llmsel.studies.paired import area
from llmsel.studies.scores import IDENTIFICATION, score


def half_boards(pool: Pool, halves: int = 20, *, seed: int = 0) -> Iterator[Pool]:
    """Draw random halves of the queries.

    Args:
        pool: with at least 4 queries.
        halves: number of them; each is drawn from the whole board.
        seed: half h depends on the seed and on h only.

    Raises:
        InputError: fewer than 2 halves, or too few queries.
    """
    if halves < 2 or pool.n_queries < 4:
        raise InputError(
            f"{halves} halves of {pool.n_queries} queries; an interval takes 2 halves of 2 queries."
        )
    for child in np.random.SeedSequence(seed).spawn(halves):
        order = np.random.default_rng(child).permutation(pool.n_queries)[: pool.n_queries // 2]
        yield pool.subset(queries=[pool.queries[i] for i in np.sort(order)])


def on_half_boards(
    pool: Pool,
    strategies: Sequence[str | Strategy],
    *,
    halves: int = 20,
    pool_size: int | None = None,
    metric: str = IDENTIFICATION,
    seed: int = 0,
    **protocol: Any,
) -> pd.DataFrame:
    """Mean of a metric over the budgets up to half of the pool, on random halves of the board.

    Args:
        pool: with outcomes.
        strategies: to run.
        halves: number of half-boards.
        pool_size: of the whole board's experiment; a half-board's pool is half of it.
        metric: whose mean is taken.
        seed: of the halves, and of their pools.
        protocol: realizations, jobs of `llmsel.run`.

    Returns:
        One row per half-board, one column per strategy.
    """
    size = max(2, (min(400, pool.n_queries) if pool_size is None else pool_size) // 2)
    rows = []
    for number, half in enumerate(half_boards(pool, halves, seed=seed)):
        own = min(size, half.n_queries)
        options = {"pool_size": own, "budget": own // 2, "seed": seed + number, **protocol}
        rows.append(area(score(run(half, strategies, **options)), metric).mean())
    return pd.DataFrame(rows).reset_index(drop=True)


def with_queries(
    table: pd.DataFrame, halves: pd.DataFrame, strategy: str, *, sign: int = -1
) -> pd.DataFrame:
    """Put the interval over queries beside a comparison's interval over pools.

    Args:
        table: columns ``strategy``, ``difference``: of ``strategy`` less each other, on the board.
            From `llmsel.studies.paired.compare`, whose differences are the other way: sign 1.
        halves: from `on_half_boards`.
        strategy: the one that all are compared with.
        sign: -1 for ``strategy`` less the other, 1 for the other less ``strategy``.

    Returns:
        The table with ``query_low``, ``query_high`` (95 %, around the whole board's difference;
        Student's t), ``same_sign`` (half-boards whose difference has the sign of the board's) and
        ``halves``. What was not run on half-boards has NaN.
    """
    gains = sign * halves.drop(columns=strategy).sub(halves[strategy], axis=0)
    rows = [
        over_halves(value, gains[name].to_numpy() if name in gains else np.array([]))
        for name, value in zip(table["strategy"], table["difference"], strict=True)
    ]
    columns = ["query_low", "query_high", "same_sign", "halves"]
    return table.assign(**dict(zip(columns, zip(*rows, strict=True), strict=True)))


def over_halves(value: float, halves: np.ndarray) -> tuple[float, float, int, int]:
    """Interval around a board's value from the values on its halves.

    Returns:
        Low, high (95 %; NaN with fewer than two halves), halves of the same sign, and all halves.
    """
    count = len(halves)
    if count < 2:
        return math.nan, math.nan, 0, count
    error = t_quantile(0.975, count - 1) * float(np.std(halves, ddof=1))
    return value - error, value + error, int((np.sign(halves) == np.sign(value)).sum()), count


def needed_on_half_boards(
    pool: Pool,
    strategies: Sequence[str | Strategy],
    targets: Mapping[str, tuple[float, ...]],
    *,
    halves: int = 20,
    pool_size: int | None = None,
    seed: int = 0,
    **protocol: Any,
) -> pd.DataFrame:
    """Annotations that strategies need on random halves of the board.

    Args:
        pool: with outcomes.
        strategies: to run.
        targets: metric -> levels, as in `llmsel.studies.efficiency.annotation_efficiency`.
        halves: number of half-boards.
        pool_size: of the whole board's experiment; a half-board's pool is half of it.
        seed: of the halves, and of their pools.
        protocol: realizations, jobs of `llmsel.run`.

    Returns:
        Columns ``half``, ``strategy``, ``metric``, ``level``, ``budget`` (annotations; NaN: never).
    """
    size = max(2, (min(400, pool.n_queries) if pool_size is None else pool_size) // 2)
    rows = []
    for number, half in enumerate(half_boards(pool, halves, seed=seed)):
        options = {"pool_size": min(size, half.n_queries), "seed": seed + number, **protocol}
        for name, arrays in score(run(half, strategies, **options)).items():
            for metric, levels in targets.items():
                curve = arrays[metric].mean(axis=0, dtype=float)
                rows += [
                    (number, name, metric, at, float(first_stable(curve, at))) for at in levels
                ]
    return pd.DataFrame(rows, columns=["half", "strategy", "metric", "level", "budget"])


def saved_over_queries(table: pd.DataFrame, halves: pd.DataFrame, strategy: str) -> pd.DataFrame:
    """Put intervals over queries beside what a strategy saves.

    The spread is that of the logarithm of the ratio of annotations, as a share saved is skewed. The
    strongest baseline is the board's, on the halves too. The annotations to a level are no smooth
    statistic, so an interval over queries is never narrower than the one over pools.

    Args:
        table: from `llmsel.studies.efficiency.annotation_efficiency`, of the board.
        halves: from `needed_on_half_boards`; targets that it lacks get NaN.
        strategy: whose rows are kept.

    Returns:
        The strategy's rows with ``vs_random_query_low``, ``vs_random_query_high`` and the same of
        ``vs_strongest`` (shares saved, 95 %).
    """
    rows = table[table["strategy"] == strategy].reset_index(drop=True)
    rounded = halves.assign(level=halves["level"].round(6))
    needed = rounded.pivot(index=["metric", "level", "strategy"], columns="half", values="budget")
    for column in ("vs_random", "vs_strongest"):
        ends = []
        for row in rows.to_dict("records"):
            other = "Random" if column == "vs_random" else row["strongest"]
            keys = [(row["metric"], round(row["level"], 6), name) for name in (strategy, other)]
            own = [needed.loc[key] if key in needed.index else None for key in keys]
            least, most = _saved(row[column], *own)
            ends.append((min(least, row[f"{column}_low"]), max(most, row[f"{column}_high"])))
        low, high = zip(*ends, strict=True)
        rows[f"{column}_query_low"], rows[f"{column}_query_high"] = low, high
    return rows


def _saved(value: float, ours: pd.Series | None, theirs: pd.Series | None) -> tuple[float, float]:
    """Interval around a board's saving from the annotations on its halves."""
    if ours is None or theirs is None or not value < 1:
        return math.nan, math.nan
    least, most, *_ = over_halves(math.log1p(-value), np.log(ours / theirs).to_numpy())
    return -math.expm1(most), -math.expm1(least)
