"""Bets of a plain race, on shared queries in random order.

The proof is in `llmsel.racing.audit`.

``K_j`` bets against "j is a best model", on its best opponents, weighted for growth. With a margin
delta and few models ``W_lj`` bets against "j is better than l by more than delta".
"""

from __future__ import annotations

import numpy as np

OPPONENTS = 3
STAKE = 0.9  # largest part of the capital that a query may take


def _directions() -> np.ndarray:
    """Return the weights of three opponents in quarters: float64 (15, 3)."""
    steps = range(5)
    return np.array([(a, b, 4 - a - b) for a in steps for b in steps if a + b <= 4]) / 4


DIRECTIONS = _directions()


def best_opponents(rate: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """Name the opponents of each model: those of the highest rates, itself left out.

    Args:
        rate: float64 (M,), -inf for models that do not race.
        rank: int (M,), breaks ties.

    Returns:
        int (M, OPPONENTS); with fewer opponents the best is repeated, with none the model itself
        stands there, against which it bets nothing.
    """
    top = np.lexsort((rank, -rate))[: OPPONENTS + 1]
    best = [int(a) for a in top if rate[a] > -np.inf]
    opponents = np.tile(_padded(best or [0]), (len(rate), 1))
    for j in best:
        opponents[j] = _padded([a for a in best if a != j] or [j])
    return opponents


def _padded(best: list[int]) -> list[int]:
    """Cut or fill up to OPPONENTS names."""
    return (best + best[:1] * OPPONENTS)[:OPPONENTS]


def weigh_opponents(
    gap: np.ndarray, power: np.ndarray, loss: np.ndarray, *, seen: int, pool_size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Weigh each model's opponents for most growth of the bet on the next query.

    Args:
        gap: float64 (M, 3), sums of r_a - r_j so far, missing as the worst for the claim.
        power: float64 (M, 3, 3), sums of (r_a - r_j) (r_b - r_j).
        loss: float64 (M, 3), the largest possible r_j - r_a.
        seen: number of queries seen.
        pool_size: number of all queries.

    Returns:
        Stakes, float64 (M, 3), non-negative; and the expected growth, float64 (M,), in nats.
    """
    s = gap @ DIRECTIONS.T
    square = np.einsum("ka,jab,kb->jk", DIRECTIONS, power, DIRECTIONS, optimize=True)
    loss = loss @ DIRECTIONS.T - s / (pool_size - seen)
    stake, growth = best_stake(s, square, loss, 0.0, seen=seen, pool_size=pool_size)
    best = growth.round(12).argmax(axis=1)  # ties go to the first, and not to rounding
    every = np.arange(len(best))
    return stake[every, best, None] * DIRECTIONS[best], growth[every, best]


def best_stake(
    s: np.ndarray, square: np.ndarray, loss: np.ndarray, delta: float, *, seen: int, pool_size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return plug-in Kelly stakes on the next query, and the growth they promise, in nats.

    Args:
        s: sums so far of what is bet on.
        square: sums of its squares.
        loss: how far it may fall below what the claim allows.
        delta: the margin of the claim.
        seen: number of queries seen.
        pool_size: number of all queries.
    """
    n = seen + 5  # the query to come, and a prior worth four
    d = s / n
    v = np.maximum(0.01, (square + 1.25) / n - d * d)
    e = np.maximum(d + delta, 0) * (pool_size / (pool_size - seen))
    stake = np.minimum(e / (v + e * e), STAKE / np.maximum(loss, 1e-9))
    return stake, stake * e - stake * stake * (v + e * e) / 2


class SharedBets:
    """Capitals on shared queries, as logarithms. For each query: `stake`, then `settle`.

    Args:
        half: float64 (M,): the largest r, 1/2, the baseline 0.
        pool_size: P.
        rank: int (M,), breaks ties.
        delta: margin of the pair capitals.
        pair_share: share of alpha that is bet on pairs, in [0, 1); 0 keeps no pair capitals.

    Attributes:
        capital: float64 (M,): log K, which starts at log(1 - pair_share).
        pairs: float64 (M, M): log W of (l, j), which starts at log(pair_share / (M - 1)); or None.
        growth, pair_growth: what the last stakes promised, in nats per query.
    """

    def __init__(
        self, half: np.ndarray, *, pool_size: int, rank: np.ndarray, delta: float, pair_share: float
    ):
        """Start all capitals."""
        n_models = len(half)
        self.capital = np.full(n_models, np.log1p(-pair_share))
        self.growth = np.zeros(n_models)
        self.pairs: np.ndarray | None = None
        if pair_share > 0:
            self.pairs = np.full((n_models, n_models), np.log(pair_share / max(1, n_models - 1)))
            np.fill_diagonal(self.pairs, -np.inf)
            self.pair_growth = np.zeros((n_models, n_models))
        self._half, self._size, self._rank, self._delta = half, pool_size, rank, delta
        self._products = np.zeros((n_models, n_models))

    def against(self, leader: int) -> np.ndarray:
        """Return the log capital against "I am better than the leader by more than delta"."""
        if self.pairs is None:
            return self.capital
        both: np.ndarray = np.logaddexp(self.capital, self.pairs[leader])
        return both

    def stake(self, low: np.ndarray, high: np.ndarray, rate: np.ndarray, seen: int) -> None:
        """Place the bets on the next query.

        Args:
            low: float64 (M,), sums of r, missing ones as losses.
            high: float64 (M,), sums of r, missing ones as wins.
            rate: float64 (M,), mean r; -inf for models that do not race.
            seen: number of shared queries so far.
        """
        a = best_opponents(rate, self._rank)
        own, products = np.arange(len(a))[:, None], self._products
        square = np.diag(products)
        cross = products[a, own]
        power = products[a[:, :, None], a[:, None, :]] + square[:, None, None]
        power = power - cross[:, :, None] - cross[:, None, :]
        gap, loss = low[a] - high[:, None], self._half[a] + self._half[:, None]
        self._opponents, self._allowed = a, -gap / (self._size - seen)
        self._stakes, self.growth = weigh_opponents(
            gap, power, loss, seen=seen, pool_size=self._size
        )
        if self.pairs is not None:
            gap = low[:, None] - high
            self._pair_allowed = (-self._delta * self._size - gap) / (self._size - seen)
            self._pair_stakes, self.pair_growth = best_stake(
                gap,
                square[:, None] + square - 2 * products,
                self._half[:, None] + self._half + self._pair_allowed,
                self._delta,
                seen=seen,
                pool_size=self._size,
            )

    def settle(self, low: np.ndarray, high: np.ndarray, racing: np.ndarray) -> None:
        """Learn the query staked on.

        Args:
            low: float64 (M,), r, a missing one as a loss; 0 outside the race.
            high: float64 (M,), r, a missing one as a win; 0 outside the race.
            racing: bool (M,): models judged on it; the others' capitals stay.
        """
        at = np.flatnonzero(racing)
        x = low[self._opponents[at]] - high[at, None]
        factor = 1 + (self._stakes[at] * (x - self._allowed[at])).sum(axis=1)
        self.capital[at] += np.log(factor)
        if self.pairs is not None:
            both = np.ix_(at, at)
            x = low[at, None] - high[at]
            self.pairs[both] += np.log1p(self._pair_stakes[both] * (x - self._pair_allowed[both]))
        r = (low + high) / 2
        self._products += r[:, None] * r
