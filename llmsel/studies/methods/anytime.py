"""Anytime allocation: which cell to judge next when the budget may be cut at any moment.

A race judges every live model alike, which is wasteful below its own stopping point. `Anytime`
judges one cell at a time, where it helps most to tell the leader from its strongest challenger.
It needs no constant of the problem and no budget in advance.
"""

from __future__ import annotations

from math import erf

import numpy as np

from llmsel._base.errors import InputError
from llmsel._base.verdicts import EXHAUSTED, INCOMPLETE, ONE_LEFT, TIED
from llmsel.pool import MISSING
from llmsel.racing.elimination import REFUSED, kelly
from llmsel.studies.methods.desk import Desk, Method
from llmsel.studies.methods.ladder import Ladder, best_of, top

SPREAD = 0.02  # smallest outcome variance believed
LIKE = 0.95  # largest correlation of two models' outcomes believed
WIDER, CHANCE_NODES = 1.25, 40  # of `chance_of_best`


class Anytime(Method):
    r"""Judge the leader or its strongest challenger, on one shared random order of the queries.

    Everyone is judged on the first ``first`` queries; then model j stands at its ``n_j``-th query
    and the next cell is chosen so:

    1. sigma^2: variance of r within a candidate, pooled, at least 0.02. rho: correlation of two
       models' outcomes on a query, ``1 - V / (2 sigma^2)`` within [0, 0.95], V the pooled variance
       of paired differences against the live candidate judged most.
    2. Query effects. Models are compared on different numbers of queries, so the difficulty of a
       query is taken out: with N_i models judged on query i and e_j their present estimates,
       ``b_i = rho / (1 - rho + N_i rho) sum_j (r_ij - e_j)`` (the shrunken mean of a model with
       r = model + query + noise), then ``e_j = mean_i (r_ij - b_i)`` over the queries of j. One
       such sweep per step, from the last estimates. ``s_j^2 = (1 - rho) sigma^2 (1 / n_j - 1 /
       P)``. The baseline is known, without error: 0 less
       ``sum_i b_i / P``, which all the candidates' means over the pool have in common.
    3. Leader L: the largest e. Challenger J: the largest ``D exp(-zeta^2 / 2) / (1 + zeta^2)``,
       the expected improvement of a Gaussian up to a factor, with ``D^2 = s_J^2 + s_L^2`` and
       ``zeta = (e_L - e_J) / D``. Judge whichever has seen fewer queries, J if level. Within a
       batch, cells already chosen count as seen.
    4. Drop j when its paired mean on at least ``t0`` common queries is z standard errors below L's
       (as `Heuristic`), or when it can no longer catch up. Stop at one model left.

    Means are not shrunk towards each other: on the development boards every prior on the models
    cost identification, as it pulls the best down.

    **Certificate.** The capital of `Certified` does *not* carry over. Its opponents
    and bets at query i may depend on all live models' earlier rows, and every live model must be
    judged on query i after that. Here models stand at different queries. Counter-example: two
    equal models, L ahead of j. If j's bet on query i is placed after L's outcome on i is known,
    betting only when L has won makes ``x = r_L - r_j`` at least 0 whenever a bet is placed: the
    capital against a true claim grows without bound.

    What does hold is one capital per ordered pair. W_lj (the bet of `Certified` with A = {l},
    delta 0) is a function of the outcomes of l and j on the first q queries, for each q, and of
    nothing else; as such it is a non-negative supermartingale in q while "j is a best model" is
    true, and P(max over q of W_lj >= c) <= 1 / c. The allocation decides only how far along q it
    is looked at, q = min(n_l, n_j); a bound on the maximum holds for any way of looking. Each
    capital is looked at its own time, so they must not be averaged (a mean of maxima is not
    bounded), but a union bound holds: **dropping j when some W_lj >= (M - 1) / alpha loses the
    best model with probability at most alpha**, under any allocation on one shared, uniformly
    random order. That is ``alpha``: it replaces z, and costs more calls to the stop than the plain
    certified race, whose single capital needs no correction for the number of rivals. Missing
    outcomes count as the worst for the claim, as there.

    Args:
        alpha: in (0, 1): drop with the certificate above; None: drop by z, a heuristic.
        orders: int, shape ``(R, P)``: another order than the random one, without a certificate.
        z, t0, floor: see `llmsel.Heuristic`; z = 3 is too bold here, as pairs are
            looked at after every cell.
        first: queries on which everyone is judged at the start.
        batch: cells per step, for judges called in parallel.
        name: what tables call it.

    Raises:
        InputError: a parameter out of range.
    """

    block = 250

    def __init__(
        self,
        alpha: float | None = 0.05,
        z: float = 4.0,
        *,
        t0: int = 8,
        floor: float = 0.5,
        first: int = 1,
        batch: int = 1,
        orders: np.ndarray | None = None,
        name: str | None = None,
    ):
        """Check the ranges."""
        if alpha is not None and orders is not None:
            raise InputError(REFUSED)
        if alpha is not None and not 0 < alpha < 1:
            raise InputError(
                f"anytime: alpha={alpha} must be in (0, 1), or None for no certificate."
            )
        if z <= 0 or floor < 0 or min(t0, first, batch) < 1:
            raise InputError(
                f"anytime: z={z} must be above 0, floor={floor} at least 0, and t0={t0}, "
                f"first={first}, batch={batch} at least 1."
            )
        self.alpha, self.z, self.t0, self.floor = alpha, z, t0, floor
        self.first, self.batch, self.orders = first, batch, orders
        self.name = name or ("anytime" if alpha is not None else "anytime, heuristic stop")

    def play(self, desk: Desk, budget: int) -> None:
        """Judge cell after cell until one model is left or all is judged."""
        ladder = Ladder(desk)
        live = np.ones((desk.realizations, desk.n_models), dtype=bool)
        racing = np.ones(desk.realizations, dtype=bool)
        pairs = None if self.alpha is None else _PairCapitals(ladder)
        for _ in range(min(self.first, desk.pool_size)):
            desk.answer(ladder.every, top(ladder.mean))
            for j in np.flatnonzero(desk.paid):
                self._judge(ladder, pairs, ladder.every, np.full(desk.realizations, j))
        estimate = np.where(ladder.judged > 0, ladder.mean, 0.0)
        while racing.any():
            who = np.flatnonzero(racing)
            e, noise = _estimate(ladder, who, live[who], estimate[who])
            estimate[who] = e
            score = np.where(live[who], e, -np.inf)
            leader = best_of(score, ladder.rank[who])
            if desk.due(who, self.batch):
                desk.answer(who, np.arange(desk.n_models) == leader[:, None])
            live[who] &= ~self._beaten(ladder, pairs, who, live[who], leader)
            picks, ended = self._choose(ladder, who, live[who], e, noise, leader)
            for some, models in picks:
                if some.any():
                    self._judge(ladder, pairs, who[some], models[some])
            over = who[ended]
            # all judged to the end: the exact means, with their ties
            desk.answer(over, top(np.where(live[over], ladder.mean[over], -np.inf)))
            tied = np.where(desk.winners[over].sum(axis=1) > 1, TIED, EXHAUSTED)
            holes = ((ladder.places[over] > ladder.judged[over]) & live[over]).any(axis=1)
            stop = np.where(holes, INCOMPLETE, tied)  # what is missing might turn the answer
            stop[live[over].sum(axis=1) == 1] = ONE_LEFT
            desk.finish(over, stop, (stop != INCOMPLETE) & (self.alpha is not None))
            racing[over] = False

    def _judge(
        self, ladder: Ladder, pairs: _PairCapitals | None, who: np.ndarray, models: np.ndarray
    ) -> None:
        """Judge one cell each; bets on it are placed before."""
        if pairs is not None:
            pairs.stake(who, models)
        ladder.climb(who, models)
        if pairs is not None:
            pairs.settle(who, models)

    def _beaten(
        self,
        ladder: Ladder,
        pairs: _PairCapitals | None,
        who: np.ndarray,
        live: np.ndarray,
        leader: np.ndarray,
    ) -> np.ndarray:
        """Mark the models to drop: bool ``(r, M)``."""
        desk, size = ladder.desk, ladder.desk.pool_size
        ahead = np.where(desk.paid, 0.5, 0.0) * (size - ladder.places[who])
        unknown = 0.5 * (ladder.places[who] - ladder.judged[who])
        total = ladder.total[who]
        floor = np.where(live, total - unknown - ahead, -np.inf).max(axis=1, keepdims=True)
        beaten = floor > total + unknown + ahead
        if pairs is None:
            m = np.maximum(ladder.pair_count[who, leader].astype(float), 1)
            d = ladder.pair_sum[who, leader] / m
            variance = np.maximum(ladder.pair_square[who, leader] / m - d * d, 0)
            spread = (m * variance + self.floor) / (m + 1)
            # the shorter of the two stands at place min(n_j, n_L): what is left of the pool
            place = np.minimum(ladder.places[who], ladder.places[who, leader][:, None])
            error = np.sqrt(spread / m * (1 - place / size))
            beaten |= (m >= min(self.t0, size)) & (d > self.z * error)
        else:
            beaten |= pairs.largest[who] >= (desk.n_models - 1) / float(self.alpha or 1)
        beaten[np.arange(len(who)), leader] = False
        return np.asarray(beaten)

    def _choose(
        self,
        ladder: Ladder,
        who: np.ndarray,
        live: np.ndarray,
        e: np.ndarray,
        noise: np.ndarray,
        leader: np.ndarray,
    ) -> tuple[list[tuple[np.ndarray, np.ndarray]], np.ndarray]:
        """Choose the cells of one step.

        Returns:
            Per cell: which realizations (bool (r,)) judge which model (int (r,)); and which
            realizations have ended (bool (r,)).
        """
        size, row, rank = ladder.desk.pool_size, np.arange(len(who)), ladder.rank[who]
        n = ladder.places[who].astype(float)
        gap = e[row, leader][:, None] - e
        ended = live.sum(axis=1) == 1
        picks = []
        for cell in range(self.batch):
            s2 = noise * np.maximum(1 / np.maximum(n, 1) - 1 / size, 0)
            both = s2 + s2[row, leader][:, None]
            rival = live & (both > 0)
            rival[row, leader] = False
            both = np.where(rival, both, 1.0)
            zeta2 = gap * gap / both
            value = np.where(rival, 0.5 * np.log(both) - zeta2 / 2 - np.log1p(zeta2), -np.inf)
            challenger = best_of(value, rank)
            none = ~rival.any(axis=1)
            if cell == 0:
                ended |= none
            model = np.where(n[row, leader] < n[row, challenger], leader, challenger)
            some = ~ended & ~none
            picks.append((some, model))
            n[row[some], model[some]] += 1
        return picks, ended


class _PairCapitals:
    """Capitals W[l, j] against "j is a best model", each in the order of the pair's queries."""

    def __init__(self, ladder: Ladder):
        shape = ladder.pair_sum.shape
        self._ladder = ladder
        self._half = np.where(ladder.desk.paid, 0.5, 0.0)
        self._capital = np.ones(shape)
        self._lead = np.zeros(shape)  # [l, j]: sum of r_l - r_j, missing as loss of l, win of j
        self.largest = np.ones(shape[:2])  # over l, ever

    def stake(self, who: np.ndarray, models: np.ndarray) -> None:
        """Bet on the next query of the models, from what the pairs have seen before it only."""
        ladder, size = self._ladder, self._ladder.desk.pool_size
        self._place = ladder.places[who, models]
        seen = self._place[:, None].astype(float)
        self._common = ladder.places[who] > seen  # the others were judged on it already
        power = ladder.pair_square[who, models].astype(float)
        bound = self._half + self._half[models][:, None]
        self._bets = []
        for at in ((who, models), (who, slice(None), models)):  # as l, and as j
            s = self._lead[at]
            allowed = -s / (size - seen)
            part = kelly(
                s / (seen + 5), 0.0, power=power, loss=bound + allowed, t=seen + 1, size=size
            )
            self._bets.append((at, allowed, part))

    def settle(self, who: np.ndarray, models: np.ndarray) -> None:
        """Learn the cells staked on."""
        row = self._ladder.row(who, self._place)
        low, high = (0.5 * np.where(row == MISSING, worst, row) for worst in (-1, 1))
        k = np.arange(len(who))
        gaps = (low[k, models][:, None] - high, low - high[k, models][:, None])
        for (at, allowed, part), x in zip(self._bets, gaps, strict=True):
            growth = np.maximum(0, 1 + part * (x - allowed))
            self._capital[at] *= np.where(self._common, growth, 1.0)
            self._lead[at] += np.where(self._common, x, 0.0)
        self.largest[who] = np.maximum(self.largest[who], self._capital[who, models])
        against = self._capital[who, :, models].max(axis=1)
        self.largest[who, models] = np.maximum(self.largest[who, models], against)


def _estimate(
    ladder: Ladder, who: np.ndarray, live: np.ndarray, e: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return steps 1 and 2 of `Anytime`: estimates e (r, M), and (1 - rho) sigma^2 (r, 1)."""
    desk, row = ladder.desk, np.arange(len(who))
    paid, base = desk.paid, desk.baseline
    n, total = ladder.judged[who], ladder.total[who]
    mean = total / np.maximum(n, 1)
    square = ladder.pair_square[who, :, base].astype(float)  # against the baseline: sums of r^2
    within = (square - n * mean * mean)[:, paid].sum(axis=1)
    freedom = np.maximum(n - 1, 0)[:, paid].sum(axis=1)
    sigma2 = np.maximum(within / np.maximum(freedom, 1), SPREAD)
    most = best_of(np.where(live & paid, ladder.places[who], -1).astype(float), ladder.rank[who])
    m = ladder.pair_count[who, most].astype(float)
    d = ladder.pair_sum[who, most] / np.maximum(m, 1)
    others = live & paid & (m > 1)
    others[row, most] = False
    paired = np.where(others, ladder.pair_square[who, most] - m * d * d, 0).sum(axis=1)
    freedom = np.where(others, m - 1, 0).sum(axis=1)
    rho = 1 - paired / np.maximum(freedom, 1) / (2 * sigma2)
    rho = np.where(freedom > 0, np.clip(rho, 0, LIKE), 0)[:, None]
    places = np.where(paid, ladder.places[who], 0)
    top = int(places.max())
    count, sums = ladder.row_count[who, :top], ladder.row_total[who, :top]
    # sum of e over the models judged on each query: those that stand above it
    slots = (row[:, None] * (top + 1) + places)[:, paid].ravel()
    stand = np.bincount(slots, e[:, paid].ravel(), len(who) * (top + 1)).reshape(-1, top + 1)
    expected = np.cumsum(stand[:, ::-1], axis=1)[:, ::-1][:, 1:]
    effect = rho / (1 - rho + count * rho) * (sums - expected)
    run = np.concatenate([np.zeros((len(who), 1)), np.cumsum(effect, axis=1)], axis=1)
    e = mean - np.take_along_axis(run, places, axis=1) / np.maximum(places, 1)
    # what the seen effects add to the pool's mean: the same for all candidates, not the baseline
    e[:, base] = -run[:, -1] / desk.pool_size
    return e, (1 - rho) * sigma2[:, None]


def chance_of_best(estimate: np.ndarray, error: np.ndarray) -> float:
    """Return the chance that the model of the largest estimate is the best one.

    The estimates are taken as normal and independent, with errors `WIDER` than `Anytime` states
    them: the leader of an adaptive allocation is chosen for a lucky mean, and difficulties are
    estimated too. On the development boards the chances stated were then about right or too small;
    with the errors as they are, clearly too large. An estimate, not a certificate.

    Args:
        estimate: float64 (m,), of the models that can still be the best.
        error: float64 (m,), their standard errors, 0 where known.
    """
    leader = int(estimate.argmax())
    node, weight = np.polynomial.hermite_e.hermegauss(CHANCE_NODES)
    spread = WIDER * np.maximum(np.delete(error, leader), 1e-9)
    ahead = estimate[leader] + WIDER * error[leader] * node[:, None] - np.delete(estimate, leader)
    below = 0.5 * (1 + np.vectorize(erf, otypes=[float])(ahead / spread / np.sqrt(2)))
    return float(weight @ below.prod(axis=1) / weight.sum())
