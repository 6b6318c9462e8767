"""Run strategies over many realizations of a benchmark: who would have been picked, and when.

In each realization a strategy is run to the full budget (ARCHITECTURE.md, "Method"). All
strategies see the same pools (`llmsel.studies.protocol`).
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from llmsel._base.errors import InputError
from llmsel.pool import Pool
from llmsel.strategies import CLOSED, Strategy, make, pick, possible
from llmsel.studies.protocol import Block, Protocol, Result, checkpoint_of, names_of, play

LOCKSTEP = 50  # realizations per block: large enough for matrix products, small enough to resume


def run(
    pool: Pool,
    strategies: Sequence[str | Strategy] | None = None,
    *,
    realizations: int = 1000,
    pool_size: int | None = None,
    budget: int | None = None,
    seed: int = 0,
    jobs: int | None = None,
    checkpoint: str | Path | None = None,
) -> Result:
    """Run strategies on the same random pools.

    Args:
        pool: with outcomes, and with votes if a strategy needs them.
        strategies: strategies or their names; None takes all that the pool has the data for.
        realizations: number of random pools R.
        pool_size: queries per pool; None takes ``min(400, n)``.
        budget: annotations per realization; None takes the whole pool.
        seed: any realization can be re-run alone from it.
        jobs: parallel processes; None takes ``LLMSEL_JOBS`` from the environment, or all cores.
            They run on whatever joblib backend is active (see `joblib.parallel_config`).
        checkpoint: a folder; finished realizations are kept there, an interrupted run continues,
            and a finished run clears up after itself.

    Raises:
        InputError: an unknown strategy, two of one name, a pool size or budget out of range.
    """
    protocol = Protocol.draw(pool, realizations=realizations, pool_size=pool_size, seed=seed)
    todo = [make(one) for one in (possible(pool) if strategies is None else strategies)]
    names = names_of(todo, "strategy")
    budget = protocol.pool_size if budget is None else budget
    if not 1 <= budget <= protocol.pool_size:
        raise InputError(
            f"budget={budget} is outside 1..{protocol.pool_size}; a budget cannot exceed the pool."
        )
    hidden = pool.hide_outcomes()
    for strategy in todo:
        strategy.prepare(hidden)
    parameters = protocol.parameters(strategies={s.name: repr(s) for s in todo}, budget=budget)
    outcomes, orders = pool.need("outcomes"), protocol.orders
    blocks = [
        Block(
            strategy.name,
            start,
            functools.partial(
                _chosen, strategy, outcomes, orders[start : start + LOCKSTEP], budget
            ),
        )
        for strategy in todo
        for start in range(0, realizations, LOCKSTEP)
    ]
    folder = checkpoint_of(checkpoint, parameters, contestants=todo)
    parts = play(blocks, pool.name, jobs=jobs, checkpoint=folder)
    return Result(pool, orders, {name: parts[name]["chosen"] for name in names}, parameters)


def select(
    strategy: Strategy, outcomes: np.ndarray, *, orders: np.ndarray, budget: int
) -> np.ndarray:
    """Run one prepared strategy on some realizations in lockstep.

    Args:
        strategy: after `Strategy.prepare`.
        outcomes: int8, shape ``(n, M)``; the strategy is given only the rows it chose.
        orders: int32, shape ``(R, P)``: each realization's pool in its random order.
        budget: annotations per realization.

    Returns:
        int32, shape ``(R, budget)``: the chosen queries, in order.
    """
    realizations, pool_size = orders.shape
    every = np.arange(realizations)
    rank = np.full((realizations, len(outcomes)), CLOSED, dtype=np.int32)
    np.put_along_axis(rank, orders, np.arange(pool_size, dtype=np.int32)[None], axis=1)
    chosen = np.empty((realizations, budget), dtype=np.int32)
    # the matrices are small and the other cores have realizations of their own: BLAS threads that
    # wait for each other cost up to sixty times the product itself
    with threadpool_limits(limits=1, user_api="blas"):
        strategy.begin(realizations)
        scores = strategy.scores()
        for step in range(budget):
            if step and strategy.adaptive:
                scores = strategy.scores()
            now = pick(scores, rank)
            chosen[:, step] = now
            rank[every, now] = CLOSED
            if strategy.adaptive and step + 1 < budget:
                strategy.observe(now, outcomes[now])
    return chosen


def _chosen(
    strategy: Strategy, outcomes: np.ndarray, orders: np.ndarray, budget: int
) -> dict[str, np.ndarray]:
    return {"chosen": select(copy.copy(strategy), outcomes, orders=orders, budget=budget)}
