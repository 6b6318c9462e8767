"""Growth-optimal bets: of an audit, tabulated; and of a plain race, on its best opponents.

Nothing here is needed for a certificate to hold. A bet only has to be fixed before the outcome.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

LEVELS = 200  # loss fractions p = (k + 1/2) / LEVELS
RATES = np.exp(5e-4 * 2.0 ** (np.arange(80) / 6))  # growth factors rho per draw
DRAW_STEP = 0.1  # the share of draws over p (1 - p) is rounded to a multiple of this
MOST_DRAWS = 2.0  # above, p_w or p_l would be negative
OPPONENTS = 3
SMALLEST_PAD = -12.0  # log of it; a pad that rounding could change would be no bet at all
STAKE = 0.9  # largest part of the capital that a query may take


@dataclasses.dataclass(frozen=True, eq=False)
class BetTable:
    """Best pads c and weights f for each predicted loss fraction and growth factor.

    Attributes:
        pad: float64 (LEVELS, len(RATES)): c with f'(c) = rho.
        weight: float64, the same shape: f(c).
        gain: float64, the same shape: f(c) - rho c, whose sum over the open queries exceeds
            rho D exactly where the growth factor rho can be reached.
    """

    pad: np.ndarray
    weight: np.ndarray
    gain: np.ndarray


def bet_table(draws: float) -> BetTable:
    """Return the table for a share of draws over p (1 - p), rounded to DRAW_STEP."""
    return _table(int(round(min(max(draws, 0.0), MOST_DRAWS) / DRAW_STEP)))


@functools.lru_cache(maxsize=None)
def _table(draw_level: int) -> BetTable:
    """Solve f'(c) = rho by bisection in log c; f is concave, so f' falls from infinity to 1."""
    p = ((np.arange(LEVELS) + 0.5) / LEVELS)[:, None]
    draw = draw_level * DRAW_STEP * p * (1 - p)
    loss, win = p - draw / 2, 1 - p - draw / 2

    def weight(c: np.ndarray) -> np.ndarray:
        f: np.ndarray = (1 + c) ** loss * (0.5 + c) ** draw * c**win
        return f

    low = np.full((LEVELS, len(RATES)), SMALLEST_PAD)
    high = np.full((LEVELS, len(RATES)), 10.0)
    for _ in range(45):
        c = np.exp((low + high) / 2)
        slope = weight(c) * (loss / (1 + c) + draw / (0.5 + c) + win / c)
        low, high = (
            np.where(slope > RATES, np.log(c), low),
            np.where(slope > RATES, high, np.log(c)),
        )
    c = np.exp((low + high) / 2)
    f = weight(c)
    return BetTable(c, f, f - RATES * c)


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
    t, rem = seen + 1, pool_size - seen
    s = gap @ DIRECTIONS.T
    d = s / (t + 4)
    square = np.einsum("ka,jab,kb->jk", DIRECTIONS, power, DIRECTIONS, optimize=True)
    v = np.maximum(0.01, (square + 1.25) / (t + 4) - d * d)
    e = np.maximum(d, 0) * (pool_size / rem)
    bound = np.maximum(loss @ DIRECTIONS.T - s / rem, 1e-9)
    stake = np.minimum(e / (v + e * e), STAKE / bound)
    growth = stake * e - stake * stake * (v + e * e) / 2
    best = growth.argmax(axis=1)
    every = np.arange(len(best))
    return stake[every, best, None] * DIRECTIONS[best], growth[every, best]
