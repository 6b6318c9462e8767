"""Pools made to tempt a race into wrong certificates: near ties, clones, skew, holes. Simulated."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from llmsel.pool import MISSING

SMALL = (100, 7)  # queries, candidates


def coins(
    rng: np.random.Generator, chance: float | np.ndarray, shape: Any, draws: float = 0.0
) -> np.ndarray:
    """Return wins with the given chance, losses, and a share of draws: int of a shape."""
    table = np.where(rng.random(shape) < chance, 1, -1)
    return np.where(rng.random(shape) < draws, 0, table)


def lift(table: np.ndarray, best: int, above: int = 1) -> np.ndarray:
    """Make one candidate the best, its lead as small as can be: change single queries.

    Args:
        table: int (n, m), changed in place.
        best: column.
        above: how far its sum of outcomes is to be above the next.
    """
    total = table.sum(axis=0)
    rival = np.delete(total, best).max()
    column = table[:, best]
    step = 1 if total[best] < rival + above else -1
    places = np.flatnonzero(column != step)
    while column.sum() != rival + above and len(places):
        column[places[0]] += step
        places = places[1:] if column[places[0]] == step else places
    return table


def hostile_tables(seed: int = 0) -> Iterator[tuple[str, np.ndarray, float]]:
    """Yield the pools, all simulated.

    Args:
        seed: of what is drawn.

    Yields:
        Name; outcomes without the baseline, int (n, m) with -1, 0, 1 or MISSING; the margin within
        which a race is to be run.
    """
    rng = np.random.default_rng(seed)
    n, m = SMALL
    yield "three near ties, 2000 queries", lift(coins(rng, 0.6, (2000, 3)), 2), 0.0
    yield "two near ties", lift(coins(rng, 0.5, (n, 2)), 1), 0.0
    yield "equal coins", lift(coins(rng, 0.5, (n, m)), 3), 0.0
    yield "equal coins, delta", lift(coins(rng, 0.5, (n, m)), 3, 5), 0.02
    yield "300 candidates", lift(coins(rng, 0.5, (40, 300)), 7), 0.0
    same = np.repeat(coins(rng, 0.6, (n, 1)), m, axis=1)
    yield "clones", lift(same.copy(), 3), 0.0
    some = same.copy()
    some[:, :2] = coins(rng, 0.6, (n, 2))
    yield "clones and two others", lift(some, 0), 0.0
    steady = np.zeros((n, m), dtype=int)
    steady[:, 1:] = coins(rng, 0.5, (n, m - 1))
    yield "draws only against coins", lift(steady, 0), 0.0
    rare = coins(rng, 0.5, (n, m), 0.95)
    rare[:, 0] = coins(rng, 0.52, n)
    yield "coins against draws only", lift(rare, 0), 0.0
    yield "90 % draws", lift(coins(rng, 0.55, (n, m), 0.9), 2), 0.0
    yield "99 % draws", lift(coins(rng, 0.6, (n, m), 0.99), 2), 0.0
    hard = np.where(np.arange(n)[:, None] < n // 2, 1, -1) * np.ones((1, m), dtype=int)
    hard = np.where(rng.random(hard.shape) < 0.15, -hard, hard)
    hard[:, 0] = -hard[:, 0]
    yield "the best wins only hard queries", lift(hard, 0), 0.0
    yield "the best wins only hard queries, delta", lift(hard.copy(), 0, 5), 0.02
    rung = coins(rng, np.linspace(0.7, 0.4, m), (n, m))
    yield "two points apart", lift(rung, 0, 2), 0.0
    ladder = np.sort(rng.random((n, m)), axis=0)
    ladder = np.where(np.arange(n)[:, None] < 70 - 2 * np.arange(m), 1, -1)
    ladder = rng.permuted(ladder, axis=0)
    yield "ladder of two queries", ladder, 0.0
    yield "ladder around delta", ladder.copy(), 0.03
    holes = lift(coins(rng, 0.55, (n, m)), 1, 3)
    yield "30 % missing", np.where(rng.random((n, m)) < 0.3, MISSING, holes), 0.0
    wins = lift(coins(rng, 0.6, (n, m)), 1, 8)
    gone = (rng.random(n) < 0.1) & (wins[:, 1] == 1)
    wins[gone, 1] = MISSING
    yield "the best one's wins are missing", wins, 0.0
    halves = coins(rng, 0.5, (n, m))
    halves[:, 1::2] = -halves[:, :1]
    halves[:, 2::2] = halves[:, :1]
    yield "two camps", lift(halves, 1), 0.0
    block = np.ones((n, m), dtype=int)
    block[: n // 4, 0] = -1
    block[:, 1:] = coins(rng, 0.74, (n, m - 1))
    yield "the best loses a quarter and wins the rest", lift(block, 0), 0.0
    yield (
        "baseline in the lead",
        np.minimum(coins(rng, 0.5, (n, m)), 1 - 2 * (np.eye(n, m) > 0)),
        0.0,
    )
    yield (
        "many weak, two strong",
        lift(coins(rng, np.r_[0.8, 0.8, np.full(18, 0.3)], (60, 20)), 1),
        0.0,
    )
    factor = rng.normal(0, 2, (n, 1))
    mixed = np.where(factor * np.linspace(-1, 1, m) + rng.logistic(size=(n, m)) > 0, 1, -1)
    yield "difficulty of opposite sign", lift(mixed, 0), 0.0
    yield from _around_delta(np.random.default_rng([seed, 1]))


def _around_delta(rng: np.random.Generator) -> Iterator[tuple[str, np.ndarray, float]]:
    """Pools in which the best model is just more than delta ahead of others."""
    n, m = SMALL
    yield "near ties, delta", lift(coins(rng, 0.5, (1000, 3)), 1, 21), 0.01
    yield "two near ties, delta", lift(coins(rng, 0.5, (n, 2)), 1, 5), 0.02
    yield "99 % draws, delta", lift(coins(rng, 0.6, (n, m), 0.99), 2, 5), 0.02
    block = np.ones((n, m), dtype=int)
    block[: n // 4, 0] = -1
    block[:, 1:] = coins(rng, 0.71, (n, m - 1))
    yield "skew, delta", lift(block, 0, 5), 0.02
    rungs = np.where(np.arange(n)[:, None] < 70 - 3 * np.arange(m), 1, -1)
    yield "steps below delta", rng.permuted(rungs, axis=0), 0.05
    factor = rng.normal(0, 2, (n, 1))
    mixed = np.where(factor * np.linspace(-1, 1, m) + rng.logistic(size=(n, m)) > 0, 1, -1)
    yield "difficulty of opposite sign, delta", lift(mixed, 0, 5), 0.02
    holes = lift(coins(rng, 0.55, (n, m)), 1, 5)
    yield "30 % missing, delta", np.where(rng.random((n, m)) < 0.3, MISSING, holes), 0.02
    wins = lift(coins(rng, 0.6, (n, m)), 1, 10)
    wins[(rng.random(n) < 0.1) & (wins[:, 1] == 1), 1] = MISSING
    yield "the best one's wins are missing, delta", wins, 0.02


def with_baseline(table: np.ndarray) -> np.ndarray:
    """Add the baseline as the last column: int8 (n, m + 1)."""
    return np.column_stack([table, np.zeros(len(table), dtype=int)]).astype(np.int8)
