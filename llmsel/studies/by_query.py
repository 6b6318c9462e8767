"""Run strategies over many realizations of a benchmark: who would have been picked, and when.

A realization draws a pool of ``pool_size`` queries without replacement and runs a strategy to
the full budget (ARCHITECTURE.md, "Method"). All strategies see the same pools. Realization r
depends only on the seed and on r: it is the same alone, in lockstep with a thousand, or in another
process.
"""

from __future__ import annotations

import copy
import hashlib
import inspect
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from llmsel import belief, strategies
from llmsel._base.errors import InputError
from llmsel._base.files import VERSION
from llmsel.pool import Pool, draw_orders
from llmsel.strategies import CLOSED, Strategy, make, pick
from llmsel.studies.protocol import Result

LOCKSTEP = 50  # realizations per task: large enough for matrix products, small enough to resume


def run(
    pool: Pool,
    wanted: Sequence[str | Strategy] | None = None,
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
        wanted: strategies or their names; None takes all that the pool has the data for.
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
    outcomes = pool.need("outcomes")
    todo = [make(w) for w in (strategies.possible(pool) if wanted is None else wanted)]
    names = [s.name for s in todo]
    if len(set(names)) < len(names):
        raise InputError(f"two strategies share a name in {names}; give each its own 'name'.")
    pool_size = min(400, pool.n_queries) if pool_size is None else pool_size
    if not 1 <= pool_size <= pool.n_queries:
        raise InputError(
            f"pool_size={pool_size} is outside 1..{pool.n_queries}, the queries of '{pool.name}'."
        )
    budget = pool_size if budget is None else budget
    if not 1 <= budget <= pool_size:
        raise InputError(
            f"budget={budget} is outside 1..{pool_size}; a budget cannot exceed the pool."
        )
    if realizations < 1:
        raise InputError(f"realizations={realizations}; at least 1 is needed.")
    orders = draw_orders(pool.n_queries, pool_size, realizations=realizations, seed=seed)
    hidden = pool.hide_outcomes()
    for strategy in todo:
        strategy.prepare(hidden)
    parameters = {
        "benchmark": pool.name,
        "simulated": pool.simulated,
        "strategies": {s.name: repr(s) for s in todo},
        "realizations": realizations,
        "pool_size": pool_size,
        "budget": budget,
        "seed": seed,
        "input_sha256": pool.content_hash,
        "llmsel": VERSION,
        "numpy": np.__version__,
    }
    folder = None
    if checkpoint is not None:
        folder = Path(checkpoint) / _key(parameters, todo)
        folder.mkdir(parents=True, exist_ok=True)
    tasks = [(k, start) for k in range(len(todo)) for start in range(0, realizations, LOCKSTEP)]
    chosen = {name: np.empty((realizations, budget), dtype=np.int32) for name in names}
    jobs = int(os.environ.get("LLMSEL_JOBS", -1)) if jobs is None else jobs
    work = joblib.Parallel(
        n_jobs=min(joblib.effective_n_jobs(jobs), len(tasks)), return_as="generator"
    )(
        joblib.delayed(_block)(
            todo[k],
            outcomes,
            orders[start : start + LOCKSTEP],
            budget,
            None if folder is None else folder / f"{k}-{start}.npy",
        )
        for k, start in tasks
    )
    for (k, start), part in zip(tqdm(tasks, desc=pool.name, disable=None), work, strict=True):
        chosen[names[k]][start : start + LOCKSTEP] = part
    if folder is not None:
        shutil.rmtree(folder)
    return Result(pool, orders, chosen, parameters)


def select(strategy: Strategy, outcomes: np.ndarray, orders: np.ndarray, budget: int) -> np.ndarray:
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


def _block(
    strategy: Strategy, outcomes: np.ndarray, orders: np.ndarray, budget: int, path: Path | None
) -> np.ndarray:
    """Run one task, or read it where an interrupted run has left it."""
    if path is not None and path.exists():
        return np.load(path)
    chosen = select(copy.copy(strategy), outcomes, orders, budget)
    if path is not None:
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            np.save(file, chosen)
        part.replace(path)
    return chosen


def _key(parameters: Mapping[str, Any], todo: Sequence[Strategy]) -> str:
    """Hash of all that a checkpoint depends on, the code of engine and strategies included."""
    code = [inspect.getsource(module) for module in (belief, strategies)]
    for strategy in todo:
        try:
            code.append(inspect.getsource(type(strategy)))
        except (OSError, TypeError):  # a class typed into a console has no source
            code.append(repr(type(strategy)))
    text = json.dumps([parameters, LOCKSTEP, code], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
