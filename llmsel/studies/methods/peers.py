"""Peers of the race at the same cost: published ways to find the best model with few judge calls.

Each is written from its description, for a finite pool of queries in one shared order, and spends
at most its budget in cells. The candidates compete; the baseline, whose win rate 1/2 is known and
free, joins when the answer is given. Ties are broken by a seeded random order of the models
(implementations that break them by column leak the order of the data set).
"""

from __future__ import annotations

import numpy as np

from llmsel._base.errors import InputError
from llmsel._base.verdicts import EXHAUSTED
from llmsel.pool import MISSING
from llmsel.studies.methods.desk import Desk, Method
from llmsel.studies.methods.ladder import Ladder, best_of, ranks, top

APART = "told apart"


class Uniform(Method):
    """Judge every candidate on every query: the plain way.

    Args:
        orders: int, shape ``(R, B)``: queries in another order, such as the picks of a strategy
            (``llmsel.studies.by_query.Result.chosen``); None for random.
        name: what tables call it.
    """

    def __init__(self, orders: np.ndarray | None = None, name: str = "uniform"):
        """Keep the order."""
        self.orders, self.name = orders, name

    def play(self, desk: Desk, budget: int) -> None:
        """Judge row after row while the budget lasts."""
        everyone = np.ones((desk.realizations, desk.n_models), dtype=bool)
        tally = _Tally(desk)
        while tally.seen < desk.pool_size and (tally.seen + 1) * desk.paid.sum() <= budget:
            tally.judge(everyone, 1)
            desk.answer(tally.every, tally.leaders(everyone))
        desk.finish(tally.every, EXHAUSTED)


class SuccessiveRejects(Method):
    """Successive Rejects on shared queries (SySRs, arXiv 2606.07726). Needs its budget in advance.

    K - 1 phases; after phase k the live candidate with the lowest mean is dropped. All live
    candidates are judged on the first ``n_k = min(P, floor(c / (K + 1 - k)))`` queries of one
    order: paired comparisons. ``c`` is the largest that the budget pays for; on an endless pool
    this is the published ``n_k = ceil((n - K) / (logbar(K) (K + 1 - k)))`` up to rounding, and on
    a finite one it hands what the last phases cannot use to the first (as published, with a cap
    at P, calls are left unspent and identification is lower).
    """

    anytime = False

    def __init__(self, name: str = "SySRs"):
        """Only a name to choose."""
        self.name = name

    def play(self, desk: Desk, budget: int) -> None:
        """Run the phases."""
        tally, rank = _Tally(desk), ranks(desk)
        live = np.tile(desk.paid, (desk.realizations, 1))
        for count in phases(int(desk.paid.sum()), desk.pool_size, budget=budget):
            tally.judge(live, count - tally.seen)
            worst = best_of(np.where(live, -tally.mean, -np.inf), rank)
            live[tally.every, worst] = False
        last = ~live.any(axis=1)  # one candidate: nothing was to be rejected
        live[last] = desk.paid
        desk.answer(tally.every, tally.leaders(live | ~desk.paid))


def phases(candidates: int, pool_size: int, *, budget: int) -> np.ndarray:
    """Queries judged by the end of each phase of `SuccessiveRejects`: int, shape ``(K - 1,)``."""
    width = np.arange(candidates, 1, -1)  # live candidates in phase k = 1 .. K - 1

    def plan(c: float) -> np.ndarray:
        return np.minimum(pool_size, np.floor(c / width)).astype(np.int64)

    low, high = 0.0, float(pool_size * candidates + 1)
    for _ in range(60):
        c = (low + high) / 2
        if (np.diff(plan(c), prepend=0) * width).sum() <= budget:
            low = c
        else:
            high = c
    return plan(low)


class SequentialHalving(Method):
    """Sequential halving on shared queries. Needs its budget in advance.

    ``ceil(log2 K)`` rounds; each judges the live candidates on equally many new queries, as many
    as an equal part of the budget still left pays for, and keeps the better half. Source: Karnin,
    Koren, Somekh, "Almost optimal exploration in multi-armed bandits" (2013); means are kept over
    the rounds, since the queries are shared.
    """

    anytime = False

    def __init__(self, name: str = "sequential halving"):
        """Only a name to choose."""
        self.name = name

    def play(self, desk: Desk, budget: int) -> None:
        """Run the rounds."""
        tally, rank = _Tally(desk), ranks(desk)
        live = np.tile(desk.paid, (desk.realizations, 1))
        width, left = int(desk.paid.sum()), budget
        rounds = max(1, int(np.ceil(np.log2(width))))
        for r in range(rounds):
            count = min(desk.pool_size - tally.seen, left // (rounds - r) // width)
            tally.judge(live, count)
            left -= count * width
            width = (width + 1) // 2
            score = np.where(live, tally.mean, -np.inf)
            for _ in range(int(live.sum(axis=1).max()) - width):
                worst = best_of(np.where(live, -score, -np.inf), rank)
                live[tally.every, worst] = False
        desk.answer(tally.every, tally.leaders(live | ~desk.paid))


class UCBE(Method):
    """UCB-E (arXiv 2407.06172): judge the candidate with the largest ``mean + sqrt(a / n)``.

    One cell at a time; means of (outcome + 1) / 2 over ``n`` judged cells. It needs the constant
    ``a``, not a budget, and has no stop of its own.

    Args:
        a: exploration; the best value differs by benchmark.
        shared: True: each candidate goes up the same order of queries; False: its own random order,
            as published.
        name: what tables call it.

    Raises:
        InputError: a not above 0.
    """

    block = 500

    def __init__(self, a: float = 1.0, shared: bool = True, *, name: str | None = None):
        """Check the range."""
        if not a > 0:
            raise InputError(f"a={a}; the exploration constant of UCB-E must be above 0.")
        self.a, self.shared = a, shared
        self.name = name or f"UCB-E, a = {a:g}{'' if shared else ', own orders'}"

    def play(self, desk: Desk, budget: int) -> None:
        """Judge cell after cell."""
        size, every = desk.pool_size, np.arange(desk.realizations)
        rank = ranks(desk)
        columns = rank.argsort(axis=1)  # models in random order, so that argmax breaks ties
        paid = desk.paid[columns]
        count, total, places = np.zeros((3, *columns.shape))
        bound = np.where(paid, np.inf, -np.inf)
        own = None if self.shared else _own_orders(desk)
        for _ in range(min(budget, size * int(desk.paid.sum()))):
            if desk.due(every):
                desk.answer(every, self.leaders(count, total, rank=rank, desk=desk))
            at = bound.argmax(axis=1)
            model, place = columns[every, at], places[every, at].astype(np.int64)
            asked = place if own is None else own[every, model, place]
            outcome = desk.cells(every, asked, model)
            given = outcome != MISSING
            places[every, at] += 1
            count[every, at] += given
            total[every, at] += np.where(given, 0.5 * outcome, 0)
            n = count[every, at]
            value = total[every, at] / np.maximum(n, 1) + np.sqrt(self.a / np.maximum(n, 1))
            value = np.where(n > 0, value, np.inf)
            bound[every, at] = np.where(places[every, at] < size, value, -np.inf)
        desk.answer(every, self.leaders(count, total, rank=rank, desk=desk))
        desk.finish(every, EXHAUSTED)

    @staticmethod
    def leaders(
        count: np.ndarray, total: np.ndarray, *, rank: np.ndarray, desk: Desk
    ) -> np.ndarray:
        """Mark the models of the highest mean, in the order of the models."""
        mean = np.where(count > 0, total / np.maximum(count, 1), -np.inf)
        mean = np.take_along_axis(mean, rank, axis=1)
        mean[:, desk.baseline] = 0.0
        return top(mean)


class LUCB(Method):
    """LUCB on paired differences: judge the leader and its strongest challenger, in turn.

    Everyone is judged on ``t0`` queries. Then, for leader h (highest mean) and each j, on the m
    queries judged for both: ``d = mean(r_h - r_j)``, ``v = (m var + 0.1) / (m + 1)``, radius
    ``sqrt(2 v beta (1 - m / P) / m)`` with ``beta = log(M (1 + log m)^2 / alpha)``. The challenger
    has the largest ``radius - d``; whichever of the two stands lower on the shared order is
    judged, both if level. It stops when that is below 0, or both have seen all queries. Source:
    Kalyanakrishnan et al., "PAC subset selection in stochastic multi-armed bandits" (2012), with
    Gaussian paired radii and a finite-pool correction of ours: a heuristic stop.

    Args:
        alpha: confidence of the radii.
        t0: queries on which everyone is judged.
        name: what tables call it.

    Raises:
        InputError: a parameter out of range.
    """

    block = 250

    def __init__(self, alpha: float = 0.05, t0: int = 3, *, name: str = "LUCB, paired"):
        """Check the ranges."""
        if not 0 < alpha < 1 or t0 < 1:
            raise InputError(f"LUCB: alpha={alpha} must be in (0, 1), t0={t0} at least 1.")
        self.alpha, self.t0, self.name = alpha, t0, name

    def play(self, desk: Desk, budget: int) -> None:
        """Judge one or two cells per step."""
        ladder, size = Ladder(desk), desk.pool_size
        open_ = np.ones(desk.realizations, dtype=bool)
        for _ in range(min(self.t0, size)):
            desk.answer(ladder.every, top(ladder.mean))
            ladder.level(np.tile(desk.paid, (desk.realizations, 1)))
        while open_.any():
            who = np.flatnonzero(open_)
            mean = ladder.mean[who]
            if desk.due(who, 2):
                desk.answer(who, top(mean))
            h = best_of(mean, ladder.rank[who])
            m = np.maximum(ladder.pair_count[who, h].astype(float), 1)
            d = ladder.pair_sum[who, h] / m
            spread = ladder.pair_square[who, h] - m * d * d
            v = (np.maximum(spread, 0) + 0.1) / (m + 1)
            beta = np.log(desk.n_models * (1 + np.log(m)) ** 2 / self.alpha)
            radius = np.sqrt(2 * v * beta * np.maximum(1 - m / size, 0) / m)
            excess = radius - d
            excess[np.arange(len(who)), h] = -np.inf
            j = best_of(excess, ladder.rank[who])
            worst = excess[np.arange(len(who)), j]
            here, there = ladder.places[who, h], ladder.places[who, j]
            ended = (worst < 0) | (np.minimum(here, there) >= size)
            over = who[ended]
            desk.answer(over, top(mean[ended]))
            desk.finish(over, np.where(worst[ended] < 0, APART, EXHAUSTED))
            open_[over] = False
            for model, place, other in ((h, here, there), (j, there, here)):
                some = ~ended & (place <= other) & (place < size)
                if some.any():
                    ladder.climb(who[some], model[some])


class _Tally:
    """Sums over rows judged in step."""

    def __init__(self, desk: Desk):
        self.every = np.arange(desk.realizations)
        self.seen = 0
        self._desk = desk
        self._total, self._count = np.zeros((2, desk.realizations, desk.n_models))

    def judge(self, live: np.ndarray, count: int) -> None:
        """Judge the live models on the next queries."""
        if count <= 0:
            return
        rows = self._desk.rows(self.every, self.seen, count, live)
        given = rows != MISSING
        self._total += 0.5 * np.where(given, rows, 0).sum(axis=1)
        self._count += given.sum(axis=1)
        self.seen += count

    @property
    def mean(self) -> np.ndarray:
        """Mean r over judged cells, shape ``(R, M)``; the baseline 0, without any cell -inf."""
        mean = np.where(self._count > 0, self._total / np.maximum(self._count, 1), -np.inf)
        mean[:, self._desk.baseline] = 0.0
        return mean

    def leaders(self, live: np.ndarray) -> np.ndarray:
        """Mark the live models of the highest mean."""
        return top(np.where(live, self.mean, -np.inf))


def _own_orders(desk: Desk) -> np.ndarray:
    """Draw an order of the queries for each realization and model: int ``(R, M, P)``."""
    seeds = desk.seeds or [np.random.SeedSequence(r) for r in range(desk.realizations)]
    orders = np.empty((desk.realizations, desk.n_models, desk.pool_size), dtype=np.int32)
    for mine, seed in zip(orders, seeds, strict=True):
        rng = np.random.default_rng(seed)
        mine[:] = rng.permuted(np.tile(np.arange(desk.pool_size), (desk.n_models, 1)), axis=1)
    return orders
