"""How often a race breaks its promise on one table of outcomes, raced as a whole."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from llmsel._base.intervals import wilson
from llmsel.pool import MISSING
from llmsel.racing.audit import Audit


def broken(table: np.ndarray, rule: Audit, *, delta: float, seed: int) -> tuple[float, bool]:
    """Race in a random order of a seed.

    What is missing is held to be wins of the model that would then be the best, and losses of all
    others: a certificate holds whatever it is.

    Args:
        table: int8 (n, M): outcomes, the baseline in the last column.
        rule: of the race.
        delta: its margin.
        seed: of the order and of the race.

    Returns:
        Share of the cells that were judged, and whether the race certified a wrong answer.
    """
    order = np.random.default_rng([seed, 5]).permutation(len(table))
    mine = table[order]
    race = rule.begin(*mine.shape, baseline=mine.shape[1] - 1, delta=delta, seed=seed)
    while cells := race.ask():
        for cell in cells:
            race.tell(cell, int(mine[cell]))
    low = np.where(mine == MISSING, -1, mine).mean(axis=0) / 2
    high = np.where(mine == MISSING, 1, mine).mean(axis=0) / 2
    low[high.argmax()] = high.max()
    off = low[race.winners].min() < high.max() - delta - 1e-9
    return race.calls / (len(table) * (table.shape[1] - 1)), bool(race.certified and off)


def promise_table(
    pools: Sequence[tuple[str, np.ndarray, float]],
    rule: Audit,
    *,
    races: int,
    cells: int | None = None,
    jobs: int | None = None,
) -> pd.DataFrame:
    """Race on some pools many times.

    Args:
        pools: name, table as for `broken`, and the margin.
        rule: of the races.
        races: on each pool.
        cells: on a pool of more cells than this, proportionally fewer races; None for no limit.
        jobs: processes; None for one per processor.

    Returns:
        One row per pool: ``pool``, ``delta``, ``races``, ``failures``, ``wrong``, ``low``,
        ``high`` (share and its Wilson interval, 95 %), ``calls`` (mean share of judging everyone).
    """
    rows = []
    with Parallel(n_jobs=-1 if jobs is None else jobs) as workers:
        for name, table, delta in pools:
            count = races if cells is None else max(1, round(races * min(1, cells / table.size)))
            ends = workers(
                delayed(broken)(table, rule, delta=delta, seed=seed) for seed in range(count)
            )
            failures = sum(off for _, off in ends)
            low, high = wilson(failures / count, count)
            share = float(np.mean([part for part, _ in ends]))
            rows.append(
                (name, delta, count, failures, failures / count, float(low), float(high), share)
            )
    columns = ["pool", "delta", "races", "failures", "wrong", "low", "high", "calls"]
    return pd.DataFrame(rows, columns=columns)
