"""Greedy against optimal: on tiny pools, every subset of queries is tried."""

from __future__ import annotations

import itertools
import math

import numpy as np

from llmsel._base.errors import InputError
from llmsel.belief import Belief, entropy
from llmsel.pool import MISSING, Pool
from llmsel.strategies import TIE, LLMSelector
from llmsel.studies.by_query import run
from llmsel.studies.scores import SLACK

MOST = 100_000  # subsets


def subsets(n_queries: int, budget: int) -> np.ndarray:
    """List all subsets of ``budget`` queries.

    Returns:
        int64, shape ``(C, budget)``.

    Raises:
        InputError: a budget out of range, or more than `MOST` subsets.
    """
    if not 1 <= budget <= n_queries:
        raise InputError(f"budget={budget} is outside 1..{n_queries}.")
    if math.comb(n_queries, budget) > MOST:
        raise InputError(
            f"{n_queries} queries have {math.comb(n_queries, budget)} subsets of {budget}; "
            f"at most {MOST} can be tried."
        )
    return np.array(list(itertools.combinations(range(n_queries), budget)))


def entropy_after(pool: Pool, chosen: np.ndarray, *, belief: Belief) -> np.ndarray:
    """Entropy in nats after annotating each subset: int ``(C, b)`` to float64 ``(C,)``."""
    logs = np.log(belief.likelihood(pool.need("outcomes")))
    return np.asarray(entropy(logs[chosen].sum(axis=1)))


def planned_entropy(pool: Pool, chosen: np.ndarray, *, belief: Belief) -> np.ndarray:
    """Entropy after each subset as the weak judges foresee it, averaged over the judges."""
    votes = pool.need("votes")
    total = np.zeros(len(chosen))
    for k in range(votes.shape[2]):
        logs = np.log(belief.likelihood(votes[:, :, k]))
        total += entropy(logs[chosen].sum(axis=1))
    return np.asarray(total / votes.shape[2])


def plan_greedily(pool: Pool, budget: int, *, belief: Belief) -> np.ndarray:
    """Choose queries one at a time for the smallest planned entropy; int64 ``(budget,)``."""
    chosen: list[int] = []
    for _ in range(budget):
        rest = [i for i in range(pool.n_queries) if i not in chosen]
        values = planned_entropy(pool, np.array([[*chosen, i] for i in rest]), belief=belief)
        chosen.append(rest[int(np.argmax(values <= values.min() * (1 + TIE)))])
    return np.array(chosen)


def credit(pool: Pool, chosen: np.ndarray) -> np.ndarray:
    """Share of the leading models that are truly best, per subset: float64 ``(C,)``."""
    rates = pool.win_rates(chosen)
    leads = rates >= rates.max(axis=1, keepdims=True) - SLACK
    truth = pool.win_rates()
    best = truth >= truth.max() - SLACK
    return np.asarray((leads & best).sum(axis=1) / leads.sum(axis=1))


def against_all(
    pool: Pool, budget: int, *, belief: Belief | None = None, seeds: int = 5
) -> dict[str, float]:
    """Hold the greedy rule against every subset of the same size.

    Args:
        pool: a tiny one, with outcomes and votes, and every cell judged.
        budget: queries in a subset.
        belief: of the rule; None takes the default.
        seeds: random orders that break the rule's ties; its numbers are averaged over them.

    Returns:
        ``plan``: information (entropy lost, in nats) of the greedy plan on the votes alone, over
        that of the best subset (1: optimal). ``information``: the same for the adaptive rule and
        the true outcomes (NaN if no subset informs). ``beaten``: share of subsets that inform
        strictly less than the rule's. ``greedy``, ``random``, ``best_informed``: chance to name a
        best model of the rule, of a subset drawn at random (exact), and of the subset that informs
        most.

    Raises:
        InputError: see `subsets`; a pool with unjudged cells.
    """
    if (pool.need("outcomes") == MISSING).any():
        raise InputError("every cell of a tiny pool must be judged; drop queries with gaps.")
    belief = Belief() if belief is None else belief
    every = subsets(pool.n_queries, budget)
    start = math.log(pool.n_models)
    planned = start - planned_entropy(pool, every, belief=belief)
    plan = plan_greedily(pool, budget, belief=belief)[None]
    informed = start - entropy_after(pool, every, belief=belief)
    rule = LLMSelector(belief.eps_loss, belief.eps_draw)
    own = run(
        pool, [rule], realizations=seeds, pool_size=pool.n_queries, budget=budget, jobs=1
    ).chosen[rule.name]
    greedy = start - entropy_after(pool, own, belief=belief)
    right = credit(pool, every)
    top = informed >= informed.max() - SLACK
    return {
        "plan": _ratio(float(start - planned_entropy(pool, plan, belief=belief)[0]), planned.max()),
        "information": _ratio(float(greedy.mean()), informed.max()),
        "beaten": float((informed[None] < greedy[:, None] - SLACK).mean()),
        "greedy": float(credit(pool, own).mean()),
        "random": float(right.mean()),
        "best_informed": float(right[top].mean()),
    }


def _ratio(value: float, best: float) -> float:
    return value / float(best) if best > SLACK else float("nan")
