"""Contests: methods that pay per judge call, on the same random pools, as tidy tables.

Realizations draw the same pools, in the same random order, as `llmsel.studies.by_query.run` does
with the same seed.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from llmsel._base.errors import InputError
from llmsel._base.intervals import wilson
from llmsel.pool import MISSING, Pool
from llmsel.studies.efficiency import first_stable
from llmsel.studies.methods.desk import Desk, Method
from llmsel.studies.protocol import Block, Protocol, checkpoint_of, names_of, play
from llmsel.studies.scores import SLACK, shown_name

SHARES = tuple(np.arange(1, 101) / 100)  # budgets as shares of judging everyone


@dataclasses.dataclass(frozen=True, eq=False)
class Contest:
    """What every method paid and answered in every realization.

    Args:
        pool: the benchmark, with outcomes.
        orders: int32, shape ``(R, P)``.
        grid: int, shape ``(G,)``: numbers of calls.
        leaders: per method bool, shape ``(R, G, M)``: its answer after so many calls.
        ends: per method that stops by itself: arrays ``calls``, ``queries``, ``winners`` (R, M),
            ``certified``, ``stop``, each with R entries.
        deltas: per method the win-rate margin (0..1) that its stop promises.
        parameters: everything that made it.
    """

    pool: Pool
    orders: np.ndarray
    grid: np.ndarray
    leaders: Mapping[str, np.ndarray]
    ends: Mapping[str, Mapping[str, np.ndarray]]
    deltas: Mapping[str, float]
    parameters: Mapping[str, Any]

    @property
    def everyone(self) -> int:
        """Calls that judging every candidate on the whole pool takes."""
        return int(self.orders.shape[1]) * len(self.pool.candidates)

    def credit(self, name: str, delta: float = 0.0) -> np.ndarray:
        """Score the answers of a method on the grid.

        Returns:
            float64, shape ``(R, G)``: the share of the models named whose win rate on the pool is
            within ``delta`` (absolute, 0..1) of the best one's.
        """
        return _credit(self.leaders[name], _near(self.pool, self.orders, delta))

    def curve(self, delta: float = 0.0) -> pd.DataFrame:
        """Identification against calls.

        Returns:
            Columns ``benchmark``, ``method``, ``calls``, ``share`` (of judging everyone),
            ``value``, ``low``, ``high`` (95 % Wilson interval).
        """
        frames = []
        for name in self.leaders:
            value = self.credit(name, delta).mean(axis=0)
            low, high = wilson(value, len(self.orders))
            frames.append(
                pd.DataFrame(
                    {
                        "benchmark": shown_name(self.parameters),
                        "method": name,
                        "calls": self.grid,
                        "share": self.grid / self.everyone,
                        "value": value,
                        "low": low,
                        "high": high,
                    }
                )
            )
        return pd.concat(frames, ignore_index=True)

    def calls_to(self, level: float = 0.95, delta: float = 0.0) -> pd.DataFrame:
        """Smallest number of calls on the grid from which identification stays at the level.

        Returns:
            Columns ``method``, ``level``, ``delta``, ``calls``, ``share``; NaN where never reached.
        """
        rows = []
        for name in self.leaders:
            place = first_stable(self.credit(name, delta).mean(axis=0), level)
            calls = np.nan if np.isnan(place) else float(self.grid[int(place) - 1])
            rows.append((name, level, delta, calls, calls / self.everyone))
        return pd.DataFrame(rows, columns=["method", "level", "delta", "calls", "share"])

    def paired(self, name: str, other: str, *, delta: float = 0.0) -> pd.DataFrame:
        """Compare two methods at equal calls on the same pools.

        Returns:
            Columns ``method``, ``other``, ``calls``, ``share``, ``difference`` (of identification),
            ``error`` (its standard error, from the paired differences), ``low``, ``high`` (95 %).
        """
        gap = self.credit(name, delta) - self.credit(other, delta)
        mean = gap.mean(axis=0)
        error = gap.std(axis=0, ddof=min(1, len(gap) - 1)) / np.sqrt(len(gap))
        return pd.DataFrame(
            {
                "method": name,
                "other": other,
                "calls": self.grid,
                "share": self.grid / self.everyone,
                "difference": mean,
                "error": error,
                "low": mean - 1.96 * error,
                "high": mean + 1.96 * error,
            }
        )

    def runs(self) -> pd.DataFrame:
        """One row per realization and method that stops by itself.

        Returns:
            Columns ``benchmark``, ``method``, ``realization``, ``calls``, ``share``, ``queries``
            (touched), ``winners`` (names joined by ``" | "``), ``certified``, ``correct`` (share of
            the winners that keep the promise: a best model, or one within delta), ``stop``.
        """
        frames = []
        names = np.array(self.pool.models, dtype=object)
        for method, end in self.ends.items():
            near = _near(self.pool, self.orders, self.deltas[method])
            frames.append(
                pd.DataFrame(
                    {
                        "benchmark": shown_name(self.parameters),
                        "method": method,
                        "realization": np.arange(len(self.orders)),
                        "calls": end["calls"],
                        "share": end["calls"] / self.everyone,
                        "queries": end["queries"],
                        "winners": [" | ".join(names[w]) for w in end["winners"]],
                        "certified": end["certified"],
                        "correct": _credit(end["winners"], near),
                        "stop": end["stop"],
                    }
                )
            )
        if not frames:
            return pd.DataFrame()
        return pd.concat(frames, ignore_index=True)

    def summary(self) -> pd.DataFrame:
        """One row per method that stops by itself.

        Returns:
            Columns ``benchmark``, ``method``, ``calls`` and ``share`` (means), ``queries`` (mean),
            ``correct`` with ``correct_low``, ``correct_high`` (mean credit, Wilson), ``certified``
            (number of realizations), ``wrong`` (how many of them name a model that breaks the
            promise), ``wrong_low``, ``wrong_high`` (Wilson interval of their share of the
            certified).
        """
        rows = []
        for method, runs in self.runs().groupby("method", sort=False):
            count = int(runs["certified"].sum())
            wrong = int((runs["correct"][runs["certified"]] < 1 - SLACK).sum())
            correct = np.asarray(runs["correct"].mean())
            low, high = wilson(correct, len(runs))
            off = wilson(np.asarray(wrong / count), count) if count else (np.nan, np.nan)
            rows.append(
                {
                    "benchmark": shown_name(self.parameters),
                    "method": method,
                    "calls": runs["calls"].mean(),
                    "share": runs["share"].mean(),
                    "queries": runs["queries"].mean(),
                    "correct": float(correct),
                    "correct_low": float(low),
                    "correct_high": float(high),
                    "certified": count,
                    "wrong": wrong,
                    "wrong_low": float(off[0]),
                    "wrong_high": float(off[1]),
                }
            )
        return pd.DataFrame(rows)


def compete(
    pool: Pool,
    methods: Sequence[Method],
    *,
    realizations: int = 1000,
    pool_size: int | None = None,
    seed: int = 0,
    shares: Sequence[float] = SHARES,
    jobs: int | None = None,
    checkpoint: str | Path | None = None,
) -> Contest:
    """Run methods on the same random pools and note answers against calls.

    Args:
        pool: with outcomes. A missing cell costs its call and reveals nothing.
        methods: each with its own ``name``.
        realizations: number of random pools R.
        pool_size: queries per pool; None takes ``min(400, n)``.
        seed: any realization can be re-run alone from it.
        shares: budgets at which answers are noted, in (0, 1], as shares of judging everyone.
        jobs: parallel processes; None takes ``LLMSEL_JOBS`` from the environment, or all cores.
        checkpoint: a folder; finished realizations are kept there, an interrupted contest
            continues, and a finished one clears up after itself.

    Raises:
        InputError: two methods of one name, a size or share out of range, or a method that cannot
            be used on this pool.
    """
    protocol = Protocol.draw(pool, realizations=realizations, pool_size=pool_size, seed=seed)
    names_of(methods, "method")
    everyone = protocol.pool_size * len(pool.candidates)
    grid = _grid(shares, everyone)
    for method in methods:
        method.check(pool, protocol.pool_size)
    ordered = {m.name: _ordered(m, protocol.orders) for m in methods}
    outcomes = pool.need("outcomes")
    parameters = protocol.parameters(
        methods={m.name: repr(m) for m in methods},
        missing_cells=int((outcomes == MISSING).sum()),
    )
    # a second tree for the methods' own random numbers, so that pools do not depend on them
    seeds = np.random.SeedSequence([seed, 1]).spawn(realizations)
    blocks = [
        Block(
            method.name,
            start,
            functools.partial(
                _play,
                method,
                outcomes,
                orders=ordered[method.name][start : start + method.block],
                baseline=pool.baseline_index,
                grid=grid,
                everyone=everyone,
                seeds=seeds[start : start + method.block],
            ),
        )
        for method in methods
        for start in range(0, realizations, method.block)
    ]
    folder = checkpoint_of(checkpoint, {**parameters, "shares": list(shares)}, contestants=methods)
    parts = play(blocks, pool.name, jobs=jobs, checkpoint=folder)
    return Contest(
        pool,
        protocol.orders,
        grid,
        {name: part.pop("leaders") for name, part in parts.items()},
        {m.name: parts[m.name] for m in methods if m.anytime},
        {m.name: getattr(m, "delta", 0.0) for m in methods},
        parameters,
    )


def _grid(shares: Sequence[float], everyone: int) -> np.ndarray:
    """Turn shares of judging everyone into numbers of calls."""
    at = list(shares)
    if not at or at != sorted(set(at)) or not 0 < at[0] <= at[-1] <= 1:
        raise InputError(f"shares={tuple(shares)} must increase within (0, 1].")
    return np.floor(np.asarray(at) * everyone + 1e-9).astype(np.int64)


def complete(pool: Pool) -> Pool:
    """Leave out every query that lacks some candidate's outcome; their number goes to the notes.

    Raises:
        InputError: no query is complete.
    """
    whole = (pool.need("outcomes") != MISSING).all(axis=1)
    if not whole.any():
        raise InputError(f"no query of '{pool.name}' has an outcome for every candidate.")
    kept = [q for q, w in zip(pool.queries, whole, strict=True) if w]
    notes = {**pool.notes, "queries_left_out": pool.n_queries - len(kept)}
    return pool.subset(queries=kept).replace(notes=notes)


def _ordered(method: Method, orders: np.ndarray) -> np.ndarray:
    """Return the orders a method works in: its own, checked against the pools, or the random."""
    own = method.orders
    if own is None:
        return orders
    own = np.asarray(own)
    if own.ndim != 2 or len(own) != len(orders) or not 1 <= own.shape[1] <= orders.shape[1]:
        raise InputError(
            f"'{method.name}': orders have shape {own.shape}; expected (realizations, queries) = "
            f"({len(orders)}, at most {orders.shape[1]})."
        )
    for r, (mine, pool) in enumerate(zip(own, orders, strict=True)):
        if len(np.unique(mine)) < len(mine) or not np.isin(mine, pool).all():
            raise InputError(
                f"'{method.name}': the order of realization {r} names a query twice, or one that "
                "is not in its pool; reorder the pools of draw_orders with the same seed."
            )
    return own


def _play(
    method: Method,
    outcomes: np.ndarray,
    *,
    orders: np.ndarray,
    baseline: int,
    grid: np.ndarray,
    everyone: int,
    seeds: Sequence[np.random.SeedSequence],
) -> dict[str, np.ndarray]:
    """Run a method on a block of realizations."""
    with threadpool_limits(limits=1, user_api="blas"):  # the products are small
        if method.anytime:
            desk = Desk(outcomes, orders, baseline=baseline, grid=grid, seeds=seeds)
            copy.copy(method).play(desk, everyone)
            desk.close()
            keys = ("leaders", "calls", "queries", "winners", "certified", "stop")
            return {key: getattr(desk, key) for key in keys}
        leaders = []
        for budget in grid:
            desk = Desk(outcomes, orders, baseline=baseline, grid=grid[:0], seeds=seeds)
            copy.copy(method).play(desk, int(budget))
            leaders.append(desk.winners)
        return {"leaders": np.stack(leaders, axis=1)}


def _near(pool: Pool, orders: np.ndarray, delta: float) -> np.ndarray:
    """Mark the models within delta of the best of each realization's pool: bool ``(R, M)``."""
    near = np.empty((len(orders), pool.n_models), dtype=bool)
    for start in range(0, len(orders), 50):  # blocks, to bound the memory
        rates = pool.win_rates(orders[start : start + 50])
        best = rates.max(axis=1, keepdims=True)
        near[start : start + 50] = rates >= best - delta - SLACK
    return near


def _credit(named: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Share of the models named that are near: shape ``named.shape[:-1]``."""
    if named.ndim == 3:
        near = near[:, None]
    return np.asarray((named & near).sum(axis=-1) / named.sum(axis=-1))


def stratified(pool: Pool, orders: np.ndarray) -> np.ndarray:
    """Spread each category evenly over every realization's order, random within a category.

    Returns:
        int32, shape ``(R, P)``: the same pools; not a uniformly random order.

    Raises:
        InputError: a pool without categories.
    """
    if pool.categories is None:
        raise InputError(f"'{pool.name}' has no categories to stratify by.")
    _, category = np.unique(np.array(pool.categories), return_inverse=True)
    spread = np.empty(orders.shape, dtype=np.int32)
    for out, order in zip(spread, orders, strict=True):
        mine = category[order]
        key = np.empty(len(order))
        for c in np.unique(mine):
            key[mine == c] = (np.arange((mine == c).sum()) + 0.5) / (mine == c).sum()
        out[:] = order[np.argsort(key, kind="stable")]
    return spread
