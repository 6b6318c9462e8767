"""Growth-optimal bets of an audit, tabulated.

Nothing here is needed for a certificate to hold: any bet that is fixed before the outcome is fair.
"""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np

LEVELS = 200  # loss fractions p = (k + 1/2) / LEVELS
LOG_RATES = [5e-4 * 2.0 ** (k / 6) for k in range(80)]  # growth per draw, in nats
RATES = np.exp(LOG_RATES)  # rho
DRAW_STEP = 0.1  # the share of draws over p (1 - p) is rounded to a multiple of this
MOST_DRAWS = 2.0  # above, p_w or p_l would be negative
# q = f is best for one draw if the predictions are right; with a little more weight on the likely
# losses fewer draws are needed (development boards: 0.4 to 0.6 points of the calls)
TEMPER = 1.25
SMALLEST_PAD = -12.0  # log of it; a pad that rounding could change would be no bet at all


@dataclasses.dataclass(frozen=True, eq=False)
class BetTable:
    """Best pads c and weights f for each predicted loss fraction and growth factor.

    Attributes:
        pad: float64 (len(RATES), LEVELS): c with f'(c) = rho.
        weight: float64, the same shape: f(c) to the power TEMPER; q is proportional to it.
        gain: float64, the same shape: f(c) / rho - c, whose sum over the open queries exceeds D
            exactly where the growth factor rho can be reached.
    """

    pad: np.ndarray
    weight: np.ndarray
    gain: np.ndarray


def bet_table(draws: float) -> BetTable:
    """Return the table for a share of draws over p (1 - p), rounded to DRAW_STEP."""
    return _table(round(min(max(draws, 0.0), MOST_DRAWS) / DRAW_STEP))


@functools.cache
def _table(draw_level: int) -> BetTable:
    p = ((np.arange(LEVELS) + 0.5) / LEVELS)[:, None]
    draw = draw_level * DRAW_STEP * p * (1 - p)
    c, f = best_pads(p - draw / 2, draw, RATES)
    gain = f / RATES - c
    return BetTable(*(np.ascontiguousarray(values.T) for values in (c, f**TEMPER, gain)))


def best_pads(loss: np.ndarray, draw: np.ndarray, rates: np.ndarray) -> tuple[np.ndarray, ...]:
    """Solve f'(c) = rho by bisection in log c; f is concave, so f' falls from infinity to 1.

    Args:
        loss: float64 (n, 1), chances of y = 1.
        draw: float64 (n, 1), chances of y = 1/2.
        rates: float64 (k,), rho.

    Returns:
        c and f(c) = exp E log(c + y): float64 (n, k) each.
    """
    win = 1 - loss - draw

    def weight(c: np.ndarray) -> np.ndarray:
        f: np.ndarray = (1 + c) ** loss * (0.5 + c) ** draw * c**win
        return f

    low = np.full((len(loss), len(rates)), SMALLEST_PAD)
    high = np.full((len(loss), len(rates)), 10.0)
    for _ in range(45):
        c = np.exp((low + high) / 2)
        slope = weight(c) * (loss / (1 + c) + draw / (0.5 + c) + win / c)
        low, high = (
            np.where(slope > rates, np.log(c), low),
            np.where(slope > rates, high, np.log(c)),
        )
    c = np.exp((low + high) / 2)
    return c, weight(c)


class Bet:
    """Where to draw, and what to bet there, for the open queries of one challenger.

    Attributes:
        weight: float64 (rem,): draw with chances proportional to it.
        growth: nats that a draw is expected to bring; 0 without a bet.
        reached: number of growth factors in RATES that can be reached.
    """

    def __init__(self, level: np.ndarray, counts: np.ndarray, table: BetTable, reached: int):
        """Bet for the growth factor ``RATES[reached - 1]``.

        Args:
            level: int (rem,), predicted levels.
            counts: int (LEVELS,), queries of each level.
            table: of all bets.
            reached: 0 for equal weights, and no bet.
        """
        self._level, self._counts, self.reached = level, counts, reached
        self.growth: float = LOG_RATES[reached - 1] if reached else 0.0
        if reached:
            self.weight = table.weight[reached - 1].take(level)
            self._pads = table.pad[reached - 1]
        else:
            self.weight, self._pads = np.ones(len(level)), NO_BET

    def needed(self, nats: float) -> int:
        """Return the draws that are expected to bring some nats; all without a bet."""
        everything = len(self.weight)
        if self.growth <= 0 or nats >= self.growth * everything:
            return everything
        return max(1, math.ceil(nats / self.growth))

    def pad(self, at: int) -> float:
        """Return the pad of one position; nan without a bet."""
        return float(self._pads[self._level[at]])

    @property
    def pads(self) -> float:
        """The sum of all pads; nan without a bet."""
        return float(self._counts @ self._pads)

    def remove(self, at: int) -> None:
        """Leave out one position; the last takes it."""
        self._counts[self._level[at]] -= 1
        self.weight[at], self._level[at] = self.weight[-1], self._level[-1]
        self.weight, self._level = self.weight[:-1], self._level[:-1]

    @property
    def logs(self) -> np.ndarray:
        """Logs of 1 + c, 1/2 + c and c for each position: float64 (3, rem); nan without a bet."""
        c = self._pads[self._level]
        logs: np.ndarray = np.log(np.stack([1 + c, 0.5 + c, c]))
        return logs


NO_BET = np.full(LEVELS, np.nan)


def best_bet(p: np.ndarray, slack: float, draws: float, *, near: int = 0) -> Bet:
    """Return the bet of most growth.

    Args:
        p: float64 (rem,), predicted loss fractions.
        slack: D.
        draws: share of draws over p (1 - p).
        near: ``reached`` of a bet on nearly the same queries; it only saves time.

    Returns:
        Without a growth to be expected: equal weights, and no bet.
    """
    table = bet_table(draws)
    level = np.minimum((p * LEVELS).astype(np.intp), LEVELS - 1)  # p may round to 1
    counts = np.bincount(level, minlength=LEVELS).astype(float)
    return Bet(level, counts, table, _reached(table.gain, counts, slack, near))


def _reached(gain: np.ndarray, counts: np.ndarray, slack: float, near: int) -> int:
    """Count the growth factors within reach; the gain falls with the factor."""
    if 0 < near < len(gain):
        this, next_ = (gain[near - 1 : near + 1] @ counts).tolist()
        if this > slack >= next_:
            return near
    return int(np.count_nonzero(gain @ counts > slack))


def expected_draws(counts: np.ndarray, slack: float, *, short: float, draws: float) -> float:
    """Predict the draws that a challenger still takes; more finely than a bet needs it.

    Args:
        counts: (LEVELS,), queries by predicted loss fraction, not necessarily whole numbers.
        slack: D.
        short: nats that the capital lacks.
        draws: share of draws over p (1 - p).

    Returns:
        At most the number of queries.
    """
    over, everything = bet_table(draws).gain @ counts - slack, float(counts.sum())
    reached = int(np.count_nonzero(over > 0))
    if not reached:
        return everything
    rate = LOG_RATES[reached - 1]
    if reached < len(LOG_RATES):  # the root lies between two rates of the table
        before, after = over[reached - 1], over[reached]
        rate += (LOG_RATES[reached] - rate) * before / (before - after)
    return float(min(everything, max(0.0, short) / rate))


def log_factors(bet: Bet, p: np.ndarray, slack: float, draws: float) -> np.ndarray:
    """Predict the log of the capital's factor for each position; 0 without a bet.

    Args:
        bet: where it is placed.
        p: float64 (..., rem), loss fractions, which need not be those that made the bet.
        slack: D.
        draws: share of draws over p (1 - p).

    Returns:
        float64, as ``p``.
    """
    if bet.growth <= 0:
        return np.zeros_like(p)
    loss, draw, win = bet.logs
    drawn = min(draws, MOST_DRAWS) * p * (1 - p)
    mean: np.ndarray = (p - drawn / 2) * loss + drawn * draw + (1 - p - drawn / 2) * win
    mean -= np.log(bet.weight / bet.weight.sum() * (slack + bet.pads))
    return mean
