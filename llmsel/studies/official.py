"""Official mode: LLM Selector as its published code runs it, beside our own protocol.

What differs from `llmsel.studies.by_query.run` ("ours") is stated here and nowhere else:

- **Pools.** ``random.Random(seed + r).sample(range(n), size)``, in the order drawn.
- **Models.** Candidates in the order of the file, the baseline last.
- **Score.** The literal formula in float64: for each judge in turn the belief times the factors of
  its votes, normalised, its Shannon entropy; the mean over the judges.
- **Ties.** Plain argmin over the open queries in the order of the pool: no tolerance and no seeded
  order. Where several queries lie within rounding of the best, rounding decides; such steps are
  counted (`OfficialResult.near_ties`).
- **Answer.** The highest mean outcome; ties go to the first model, so the baseline loses them.

The same in both: the belief (baseline included, uniform prior), its factors, the default pool of
``min(400, n)``. Strategies other than LLM Selector are run on the official pools in the usual way,
equal scores in the order of the pool: what the published code does for them is not known.

Source: an audit's description of RobustML-Lab/llm-selector at commit 15faa47. The audit chose the
generator of the pools, the seeds, and the tie rule of the answer; the authors' are not known.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import random
from collections.abc import Mapping, Sequence

import numpy as np
from threadpoolctl import threadpool_limits

from llmsel._base.errors import InputError
from llmsel.pool import Pool
from llmsel.strategies import LLMSelector, Strategy, make
from llmsel.studies.by_query import LOCKSTEP, select
from llmsel.studies.protocol import OFFICIAL, Block, Protocol, Result, names_of, play

RELATIVE, ABSOLUTE = 1e-10, 1e-13  # scores closer than this are told apart by rounding alone


@dataclasses.dataclass(frozen=True, eq=False)
class OfficialResult(Result):
    """A result of the official mode.

    Args:
        near_ties: per strategy, int32 of shape ``(R, B)``: open queries within rounding of the
            best, itself included; 1 is a clear choice, 0 was not counted.
    """

    near_ties: Mapping[str, np.ndarray]


def official_orders(
    n_queries: int, pool_size: int, *, realizations: int, seed: int = 0
) -> np.ndarray:
    """Draw the pools as the official mode does.

    Args:
        n_queries: number of queries drawn from.
        pool_size: number drawn, without replacement, per realization.
        realizations: number of pools; pool r is drawn by ``random.Random(seed + r)``.
        seed: of the first pool.

    Returns:
        int32, shape ``(realizations, pool_size)``: query positions, in the order drawn.
    """
    drawn = [
        random.Random(seed + r).sample(range(n_queries), pool_size) for r in range(realizations)
    ]
    return np.array(drawn, dtype=np.int32)


def source_order(pool: Pool) -> Pool:
    """Return the pool with its candidates in their order and the baseline behind them."""
    if pool.models[-1] == pool.baseline:
        return pool
    return pool.subset(models=(*pool.candidates, pool.baseline))


def run_official(
    pool: Pool,
    strategies: Sequence[str | Strategy] = ("LLM Selector",),
    *,
    realizations: int = 1000,
    pool_size: int | None = None,
    budget: int | None = None,
    seed: int = 0,
    jobs: int | None = None,
) -> OfficialResult:
    """Run strategies in the official mode, on the same pools.

    Args:
        pool: with outcomes and votes. The published files have no missing outcomes; where ours
            have, a missing one has the factor 1/3, as in our mode.
        strategies: strategies or their names.
        realizations: number of pools R.
        pool_size: queries per pool; None takes ``min(400, n)``.
        budget: annotations per realization; None takes the whole pool.
        seed: of the first pool, the next one has ``seed + 1``.
        jobs: parallel processes, as in `llmsel.run`.

    Raises:
        InputError: what `llmsel.run` refuses.
    """
    pool = source_order(pool)
    # checks the sizes; only its pools are replaced
    usual = Protocol.draw(pool, realizations=realizations, pool_size=pool_size, seed=seed)
    size = usual.pool_size
    orders = official_orders(pool.n_queries, size, realizations=realizations, seed=seed)
    budget = size if budget is None else budget
    if not 1 <= budget <= size:
        raise InputError(f"budget={budget} is outside 1..{size}; a budget cannot exceed the pool.")
    todo = [make(one) for one in strategies]
    names = names_of(todo, "strategy")
    hidden = pool.hide_outcomes()
    for strategy in todo:
        strategy.prepare(hidden)
    protocol = Protocol(pool, orders, seed, OFFICIAL)
    parameters = protocol.parameters(strategies={s.name: repr(s) for s in todo}, budget=budget)
    blocks = [
        Block(
            strategy.name,
            start,
            functools.partial(_play, strategy, pool, orders[start : start + LOCKSTEP], budget),
        )
        for strategy in todo
        for start in range(0, realizations, LOCKSTEP)
    ]
    parts = play(blocks, pool.name, jobs=jobs)
    chosen = {name: parts[name]["chosen"] for name in names}
    near = {name: parts[name]["near"] for name in names}
    return OfficialResult(pool, orders, chosen, parameters, near)


def _play(strategy: Strategy, pool: Pool, orders: np.ndarray, budget: int) -> dict[str, np.ndarray]:
    strategy = copy.copy(strategy)
    if type(strategy) is LLMSelector:
        chosen, near = literal_paths(strategy, pool, orders=orders, budget=budget)
    else:
        chosen = select(strategy, pool.need("outcomes"), orders=orders, budget=budget)
        near = np.zeros_like(chosen)
    return {"chosen": chosen, "near": near}


def literal_paths(
    strategy: LLMSelector, pool: Pool, *, orders: np.ndarray, budget: int
) -> tuple[np.ndarray, np.ndarray]:
    """Play LLM Selector by the literal argmin, on some realizations in lockstep.

    The fast scores tell which queries lie within rounding of the best; where these are several,
    the literal formula decides among them.

    Args:
        strategy: after `Strategy.prepare`.
        pool: in `source_order`, with votes and outcomes.
        orders: int32, shape ``(R, P)``: pools in their order.
        budget: annotations per realization.

    Returns:
        Chosen queries and near-ties: int32, shape ``(R, budget)`` each.
    """
    votes, outcomes = pool.need("votes"), pool.need("outcomes")
    realizations = len(orders)
    every = np.arange(realizations)
    table = strategy.belief.likelihood(np.array([-1, 0, 1], dtype=np.int8))
    beliefs = np.full((realizations, pool.n_models), 1 / pool.n_models)
    closed = np.zeros(orders.shape, dtype=bool)
    chosen, near = np.empty((2, realizations, budget), dtype=np.int32)
    with threadpool_limits(limits=1, user_api="blas"):
        strategy.begin(realizations)
        for step in range(budget):
            scores = -np.take_along_axis(strategy.scores(), orders, axis=1)
            level = level_with_best(np.where(closed, np.inf, scores))
            place = level.argmax(axis=1)
            near[:, step] = level.sum(axis=1)
            for r in np.flatnonzero(near[:, step] > 1):
                some = np.flatnonzero(level[r])
                literal = literal_scores(beliefs[r], table[votes[orders[r, some]] + 1])
                place[r] = some[literal.argmin()]
            closed[every, place] = True
            now = chosen[:, step] = orders[every, place]
            strategy.observe(now, outcomes[now])
            beliefs *= strategy.belief.likelihood(outcomes[now])
            beliefs /= beliefs.sum(axis=1, keepdims=True)
    return chosen, near


def level_with_best(scores: np.ndarray) -> np.ndarray:
    """Mark what lies within rounding of the smallest score of each row; inf is closed."""
    best = scores.min(axis=1, keepdims=True)
    return np.asarray(scores <= best + RELATIVE * np.abs(best) + ABSOLUTE)


def literal_scores(belief: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Mean entropy in nats of the belief after each judge's votes, straight from the formula.

    Args:
        belief: float64, shape ``(M,)``, sums to 1.
        factors: float64, shape ``(q, M, z)``: factor of each vote.

    Returns:
        float64, shape ``(q,)``.
    """
    queries, _, judges = factors.shape
    total = np.zeros(queries)
    for k in range(judges):
        after = belief * factors[:, :, k]
        after /= after.sum(axis=1, keepdims=True)
        total += -(after * np.log(np.where(after > 0, after, 1.0))).sum(axis=1)
    mean: np.ndarray = total / judges
    return mean
