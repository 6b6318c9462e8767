"""Elimination rules of a race: what is known after some queries, and who is beaten.

`Certified` drops models by a rule that loses the best one with probability at most alpha,
whenever the race is stopped; `Heuristic` is cheaper and promises nothing. Both place their bets
on a query before they see its row. Outcomes count as ``r`` = +1/2, 0, -1/2 for win, draw, loss
(the baseline always 0), so that a difference of means is a difference of win rates. Arrays have a
realization axis R; M counts all models, the baseline included.

A judgement that is given up (MISSING) has an outcome that nobody knows. Certified: it counts as the
worst value for the claim to be made, a win for the model that would be dropped and a loss for those
that beat it, in every step and at the end of the pool. So what is certified is about the win rates
over the whole pool, and holds whatever the missing outcomes are, also when a judge fails on the
wins of the best model only; the win rates over the judged cells may name another. Heuristic: the
query is left out for every pair that lacks one of its two outcomes.

Proof for missing outcomes. Let r be the true values, r- and r+ the same with each missing one as a
loss and as a win: r- <= r <= r+. The capital of a claim (see `Certified`) grows by x- =
mean_A r- - r+_j <= x, against the allowance m- = -s-/rem with s- = mean_A S- - S+_j <= s, and so
m- >= m. If the claim is true, E[x- - m- | past] <= E[x - m | past] <= 0: K_j stays a
supermartingale. That needs bets that know nothing of later queries: a judgement may go missing by
any rule of its own cell or of what was seen before. (Which of the failed ones are judged again must
not be picked after looking: all are, or none.) Models "out of reach" end surely below another. When
the pool is exhausted, a leader is the answer only if its S- is at least the S+ of every live rival
(less delta P, if a delta is given: it is then "within delta"); a rival that was dropped is the best
with probability at most alpha. Otherwise the race ends without an answer (`INCOMPLETE`): that the
best is among the live models still holds, that the leader is the best need not.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar, overload

import numpy as np

from llmsel._base.checks import made_of
from llmsel._base.errors import InputError
from llmsel.pool import MISSING
from llmsel.racing.rules import Rule as Rule

REFUSED = (
    "no certificate for an order of your own: it holds only for queries in uniformly random "
    "order; leave the order out, or use the Heuristic rule."
)
SHARE_EXACT = 0.7  # of alpha, spent on dropping when a delta is given; the rest on "within delta"


class Standing:
    """What R races know after the same number of queries. Sums of r are exact in float64.

    ``live`` bool (R, M); ``total`` (R, M) sum of r over judged queries; ``unknown`` (R, M) number
    of outcomes given up; ``products`` float32 (R, M, M) sums of r_j r_l; ``half`` (M,) the
    largest |r|: 1/2, the baseline 0.
    """

    def __init__(self, realizations: int, n_models: int, *, baseline: int, pool_size: int):
        """Nothing is seen yet."""
        shape = (realizations, n_models)
        self.pool_size, self.seen = pool_size, 0
        self.half = np.where(np.arange(n_models) == baseline, 0.0, 0.5)
        self.live = np.ones(shape, dtype=bool)
        self.total = np.zeros(shape)
        self.unknown = np.zeros(shape)
        self.products = np.zeros((*shape, n_models), dtype=np.float32)
        # per pair (j, l): queries that lack either outcome; sums of r_j, r_j^2 where l is missing
        self.lacking: np.ndarray | None = None

    def add(self, row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Count one query: int8 (R, M). Return r with missing as a loss and as a win (R, M)."""
        given = self.live & (row != MISSING)
        missing = self.live & ~given
        r = np.where(given, row, 0) * np.float32(0.5)
        self.seen += 1
        self.total += r
        self.products += r[:, :, None] * r[:, None, :]
        if missing.any():
            self.unknown += missing
            if self.lacking is None:
                self.lacking = np.zeros((len(r), 3, *self.products.shape[1:]), dtype=np.float32)
            at = np.flatnonzero(missing.any(axis=1))
            m, x = missing[at], r[at]
            self.lacking[at, 0] += m[:, :, None] | m[:, None, :]
            self.lacking[at, 1] += x[:, :, None] * m[:, None, :]
            self.lacking[at, 2] += (x * x)[:, :, None] * m[:, None, :]
        return r - 0.5 * missing, r + 0.5 * missing

    @property
    def low(self) -> np.ndarray:
        """Sums of r with every missing outcome a loss, shape ``(R, M)``."""
        return self.total - 0.5 * self.unknown

    @property
    def high(self) -> np.ndarray:
        """Sums of r with every missing outcome a win, shape ``(R, M)``."""
        return self.total + 0.5 * self.unknown

    @property
    def rate(self) -> np.ndarray:
        """Mean r over judged queries, shape ``(R, M)``; -inf for the dropped and the unjudged."""
        judged = self.seen - self.unknown
        mean = self.total / np.maximum(judged, 1)
        return np.where(self.live & ((judged > 0) | (self.seen == 0)), mean, -np.inf)

    @property
    def leaders(self) -> np.ndarray:
        """Mark the live models of the highest rate, shape ``(R, M)``."""
        rate = self.rate
        most: np.ndarray = rate == rate.max(axis=1, keepdims=True)
        return most

    @property
    def out_of_reach(self) -> np.ndarray:
        """Mark models that some live model surely ends above, shape ``(R, M)``."""
        ahead = (self.pool_size - self.seen) * self.half
        floor = np.where(self.live, self.low - ahead, -np.inf).max(axis=1, keepdims=True)
        beaten: np.ndarray = floor > self.high + ahead
        return beaten

    def surely_best(self, delta: float) -> np.ndarray:
        """Mark live models that end at most ``delta`` below every live rival, come what may.

        Args:
            delta: win-rate margin (0..1); 0 for a best model.

        Returns:
            bool, shape ``(R, M)``: true whatever is missing or still to come.
        """
        ahead = (self.pool_size - self.seen) * self.half
        ceiling = np.where(self.live, self.high + ahead, -np.inf)
        first, second = -np.sort(-ceiling, axis=1)[:, :2].T
        alone = (ceiling == first[:, None]) & ((ceiling == first[:, None]).sum(axis=1) == 1)[
            :, None
        ]
        rival = np.where(alone, second[:, None], first[:, None])
        sure: np.ndarray = self.live & (self.low - ahead >= rival - delta * self.pool_size)
        return sure

    def against(self, l: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # noqa: E741
        """Compare one model per realization with all on the queries judged for both.

        Returns:
            Number of such queries, mean and variance of ``r_l - r_j``: each shape ``(R, M)``.
        """
        every = np.arange(len(l))
        square = np.einsum("rjj->rj", self.products).astype(float)
        count = np.full(self.total.shape, float(self.seen))
        gap = self.total[every, l, None] - self.total
        power = square[every, l, None] + square - 2.0 * self.products[every, l]
        if self.lacking is not None:
            ours, theirs = self.lacking[every, :, l], self.lacking[every, :, :, l]
            count -= ours[:, 0]
            gap -= ours[:, 1] - theirs[:, 1]
            power -= ours[:, 2] + theirs[:, 2]
        safe = np.maximum(count, 1)
        mean = gap / safe
        return count, mean, power / safe - mean**2

    def keep(self, which: np.ndarray) -> None:
        """Go on with some realizations only."""
        for field in ("live", "total", "unknown", "products"):
            setattr(self, field, getattr(self, field)[which])
        if self.lacking is not None:
            self.lacking = self.lacking[which]


class Evidence(ABC):
    """What an elimination rule has gathered in R races. Order of calls: stake, settle, verdict."""

    def stake(self, now: Standing) -> None:  # noqa: B027 - optional
        """Place bets on the next query, from what is known before it is judged."""

    def settle(self, low: np.ndarray, high: np.ndarray) -> None:  # noqa: B027 - optional
        """Learn the query staked on: r of shape ``(R, M)``, missing as a loss and as a win."""

    @abstractmethod
    def verdict(self, now: Standing) -> tuple[np.ndarray, np.ndarray]:
        """Mark the models that are beaten, and the leaders within delta: bool ``(R, M)`` each."""

    def keep(self, which: np.ndarray) -> None:  # noqa: B027 - optional
        """Go on with some realizations only."""


class LockstepRule(Rule, ABC):
    """A rule of races by whole queries: who is beaten, and who leads within delta."""

    @abstractmethod
    def begin(self, now: Standing, delta: float) -> Evidence:
        """Start ``R`` races; ``delta`` is the margin (win rate, 0..1) of the early stop."""


@dataclasses.dataclass(frozen=True)
class Heuristic(LockstepRule):
    """Drop a model whose paired mean is ``z`` standard errors below the leader's. A heuristic.

    After ``m`` queries with both outcomes, for leader l: ``d = mean(r_l - r_j)``,
    ``v = (m var(r_l - r_j) + floor) / (m + 1)``, ``se = sqrt(v / m (1 - seen / P))``; drop j when
    ``d > z se``; stop within delta when ``max_j(z se - d) <= delta``. Looked at after every
    query, this promises no error rate: `notebooks/race-validity.ipynb` shows how often it loses the
    best on hostile pools.

    Args:
        z: standard errors.
        t0: common queries before anything is dropped.
        floor: prior variance (squared win rate), worth one query.

    Raises:
        InputError: a parameter out of range.
    """

    z: float = 3.0
    t0: int = 8
    floor: float = 0.1

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.z <= 0 or self.t0 < 1 or self.floor < 0:
            raise InputError(f"{self}: z must be above 0, t0 at least 1, floor at least 0.")

    def begin(self, now: Standing, delta: float) -> Evidence:
        """Keep nothing: the sums of the standing are enough."""
        return _PairedErrors(self, delta)


class _PairedErrors(Evidence):
    def __init__(self, rule: Heuristic, delta: float):
        self._rule, self._delta = rule, delta

    def verdict(self, now: Standing) -> tuple[np.ndarray, np.ndarray]:
        """Compare with every tied leader, so that the order of the models does not matter."""
        rule = self._rule
        beaten = np.zeros(now.live.shape, dtype=bool)
        close = np.zeros(now.live.shape, dtype=bool)
        if now.seen < rule.t0:
            return beaten, close
        left = now.leaders
        while left.any():
            leader = left.argmax(axis=1)
            some = np.asarray(left.any(axis=1))
            count, gap, variance = now.against(leader)
            safe = np.maximum(count, 1)
            spread = (safe * np.maximum(variance, 0) + rule.floor) / (safe + 1)
            error = np.sqrt(spread / safe * (1 - now.seen / now.pool_size))
            enough = (count >= rule.t0) & some[:, None]
            beaten |= enough & (gap > rule.z * error)
            others = now.live & (np.arange(now.live.shape[1]) != leader[:, None])
            near = np.where(others, enough & (rule.z * error - gap <= self._delta), True)
            at = np.flatnonzero(some)
            close[at, leader[at]] = near[at].all(axis=1) & (self._delta > 0)
            left[at, leader[at]] = False
        return beaten, close


@dataclasses.dataclass(frozen=True)
class Certified(LockstepRule):
    r"""Bet against every model's claim to be the best; drop it when the bet has won 1 / alpha.

    Claim of model j: "I am a best model of this pool". If it is true, then for any group A of
    other models the pool mean of ``x = mean_A r - r_j`` is at most 0. Before query t (of P, in
    uniformly random order, ``rem = P - t + 1`` still to come) the capital ``K_j`` (1 at first)
    stakes a part lambda on ``x`` exceeding what the claim allows::

        A       models with the k highest rates, k = max(1, min(ceil(share n_live), n_live - 1)),
                j left out, all that tie for the last place let in
        s       mean_A S - S_j       (S: sums of r so far), so the claim allows a conditional mean
        m       = -s / rem           of the next x, drawn without replacement
        B       = h_j + mean_A h     largest loss (h: 1/2, baseline 0)
        d, e    = s / (t + 4), max(d, 0) P / rem
        v       = max(0.01, (sum of past x^2 for this A + 1.25) / (t + 4) - d^2)
        lambda  = min(e / (v + e^2), 0.9 / max(B + m, 1e-9))
        K_j    <- K_j (1 + lambda (x - m))

    Proof. All that lambda and A are made of is known before the query (they are predictable), and
    given the past the query is uniform on the rem remaining ones. If the claim is true, the pool
    sum of x is at most 0, so the remaining ones sum to at most -s and E[x | past] <= m; and
    1 + lambda (x - m) >= 0.1. So K_j is a non-negative supermartingale that starts at 1, whatever
    other claims are true, and by Ville's inequality P(K_j ever reaches 1 / alpha) <= alpha. A
    race goes wrong only if the best model itself is dropped. That is one capital, so no
    correction for the number of rivals, and no fixed time of stopping, is needed. (With several
    best models, any one of them may stand for "the best".) Models that can no longer catch up are
    dropped for certain. Missing outcomes: S and r of A take them as losses, of j as wins; this
    lowers x and s, so E[x | past] <= m still holds. In a batch, rows are taken in drawn order.

    Within delta: for each pair a second capital W_lj bets against "j is better than l by more
    than delta": A = {l}, ``m = (-delta P - s) / rem``, ``e = max(d + delta, 0) P / rem``. Drop at
    ``0.7 K_j >= 1 / alpha``; stop with leader l when for each other live j ``0.7 K_j + 0.3 W_lj /
    (M - 1) >= 1 / alpha``, or j is surely not better by more than delta. For the best model b, all
    mistakes need ``0.7 K_b + 0.3 / (M - 1) sum_l W_lb``, over the l that are more than delta
    worse, to reach 1 / alpha: a supermartingale that starts at most at 1. The sum over l is why
    the leader may be picked from the data; one capital against a changing leader would be wrong.

    Source: the bets of Waudby-Smith and Ramdas, "Estimating means of bounded random variables by
    betting" (2023), without replacement (2020); the claims are this project's.

    Args:
        alpha: probability of losing the best model, in (0, 1).
        share: part of the live models that plays the opponents, in (0, 1].

    Raises:
        InputError: a parameter out of range.
    """

    alpha: float = 0.05
    share: float = 0.1
    certifies: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 0 < self.alpha < 1 or not 0 < self.share <= 1:
            raise InputError(f"{self}: alpha must be in (0, 1) and share in (0, 1].")

    def begin(self, now: Standing, delta: float) -> Evidence:
        """Start all capitals at 1."""
        return _Capitals(self, now, delta)


class _Capitals(Evidence):
    def __init__(self, rule: Certified, now: Standing, delta: float):
        self._rule, self._delta = rule, delta
        self.capital = np.ones(now.total.shape)
        self.pairs = np.ones(now.products.shape) if delta > 0 else None  # W[l, j]

    def stake(self, now: Standing) -> None:
        t, size, live = now.seen + 1, now.pool_size, now.live
        rem = size - t + 1
        count = live.sum(axis=1)
        k = np.maximum(1, np.minimum(np.ceil(self._rule.share * count), count - 1)).astype(int)
        rate = now.rate
        ranked = -np.sort(-rate, axis=1)
        every = np.arange(len(live))
        top = live & (rate >= ranked[every, k - 1][:, None])
        wider = live & (rate >= ranked[every, np.minimum(k, live.shape[1] - 1)][:, None])
        # j among the top: its opponents are the top k + 1 without j
        self._groups = np.stack([top, wider], axis=2).astype(np.float32)
        self._inside = top
        size_of = self._groups.sum(axis=1).astype(float)
        self._n = np.where(top, np.maximum(size_of[:, 1:] - 1, 1), size_of[:, :1])
        low, high = now.low, now.high
        s = self._mean(low) - high
        bound = now.half + self._mean(np.broadcast_to(now.half, low.shape))
        cross = now.products @ self._groups  # (R, M, 2): sum over A of sum r_l r_j; exact
        quad = np.einsum("rjg,rjg->rg", cross, self._groups, dtype=float)
        own = np.einsum("rjj->rj", now.products).astype(float)
        pair = np.where(top, cross[..., 1] - own, cross[..., 0])
        whole = np.where(top, quad[:, 1:] - 2.0 * cross[..., 1] + own, quad[:, :1])
        power = whole / self._n**2 - 2.0 * pair / self._n + own
        self._mean_allowed = -s / rem
        self._part = kelly(
            s / (t + 4), 0.0, power=power, loss=bound + self._mean_allowed, t=t, size=size
        )
        if self.pairs is not None:  # pairs of live models, flat: soon they are few
            at = np.flatnonzero(live[:, :, None] & live[:, None, :])
            r, l, j = np.unravel_index(at, self.pairs.shape)  # noqa: E741
            self._at, self._left, self._right = at, (r, l), (r, j)
            s = low[r, l] - high[r, j]
            self._pair_allowed = (-self._delta * size - s) / rem
            power = own[r, l] + own[r, j] - 2.0 * now.products.reshape(-1)[at]
            bound = now.half[l] + now.half[j]
            self._pair_part = kelly(
                s / (t + 4),
                self._delta,
                power=power,
                loss=bound + self._pair_allowed,
                t=t,
                size=size,
            )

    def settle(self, low: np.ndarray, high: np.ndarray) -> None:
        x = self._mean(low.astype(float)) - high
        self.capital *= np.maximum(0, 1 + self._part * (x - self._mean_allowed))
        if self.pairs is not None:
            x = low[self._left] - high[self._right].astype(float)
            growth = np.maximum(0, 1 + self._pair_part * (x - self._pair_allowed))
            self.pairs.reshape(-1)[self._at] *= growth

    def verdict(self, now: Standing) -> tuple[np.ndarray, np.ndarray]:
        alpha, close = self._rule.alpha, np.zeros(now.live.shape, dtype=bool)
        if self.pairs is None:
            return self.capital >= 1 / alpha, close
        n_models = now.live.shape[1]
        left = (now.pool_size - now.seen) * now.half
        for r, l in np.argwhere(now.leaders):  # noqa: E741
            ours = SHARE_EXACT * self.capital[r]
            ours = ours + (1 - SHARE_EXACT) * self.pairs[r, l] / (n_models - 1)
            surely = now.low[r, l] - now.high[r] + self._delta * now.pool_size >= left[l] + left
            done = (ours >= 1 / alpha) | surely | ~now.live[r]
            done[l] = True
            close[r, l] = done.all()
        return SHARE_EXACT * self.capital >= 1 / alpha, close

    def keep(self, which: np.ndarray) -> None:
        self.capital = self.capital[which]
        if self.pairs is not None:
            self.pairs = self.pairs[which]

    def _mean(self, values: np.ndarray) -> np.ndarray:
        """Mean of values (R, M) over each model's opponents: (R, M). Sums of halves are exact."""
        total = np.einsum("rj,rjg->rg", values, self._groups.astype(float))
        mean: np.ndarray = np.where(self._inside, total[:, 1:] - values, total[:, :1]) / self._n
        return mean


def kelly(
    d: np.ndarray,
    delta: float,
    *,
    power: np.ndarray,
    loss: np.ndarray,
    t: int | np.ndarray,
    size: int,
) -> np.ndarray:
    """Return the part of the capital to stake on query t (formulas in `Certified`).

    Args:
        d: mean of x so far, shrunk.
        delta: margin of the claim, 0 for none.
        power: sum of past x^2.
        loss: largest loss, the mean allowed included.
        t: number of the query, from 1.
        size: of the pool.
    """
    v = np.maximum(0.01, (power + 1.25) / (t + 4) - d * d)
    e = np.maximum(d + delta, 0) * (size / (size - t + 1))
    part: np.ndarray = np.minimum(e / (v + e * e), 0.9 / np.maximum(loss, 1e-9))
    return part


R = TypeVar("R", bound=Rule)
RULES: dict[str, type[LockstepRule]] = {"Certified": Certified, "Heuristic": Heuristic}


@overload
def from_settings(settings: Mapping[str, Any]) -> LockstepRule: ...
@overload
def from_settings(settings: Mapping[str, Any], rules: Mapping[str, type[R]]) -> R: ...
def from_settings(settings: Mapping[str, Any], rules: Any = RULES) -> Any:
    """Make the rule that has these `Rule.settings`.

    Args:
        settings: what was written down.
        rules: the rules that are known, by name.

    Raises:
        InputError: a rule that is not known, or parameters that it does not have.
    """
    return made_of(settings, rules, kind="rule")
