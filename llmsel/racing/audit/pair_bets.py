"""Growth-optimal bets of a paired audit, tabulated. Any other bet would be as fair.

A draw judges what is open of a pair of cells, and brings a fraction y in [0, 1] of what was open:
the challenger's loss, or the champion's win, or half the sum of both.
"""

from __future__ import annotations

import bisect
import dataclasses
import functools

import numpy as np

from llmsel.racing.audit.bets import best_pads

LEVELS = 100  # mean fractions p = (k + 1/2) / LEVELS
SHARES = 13  # chances of y = 1/2, as a part of the largest possible: k / (SHARES - 1)
STEPS = 6  # steps of the growth per call that double it
RATES = 80
GROWTH = 5e-4 * 2.0 ** (np.arange(RATES + STEPS) / STEPS)  # per call, in nats


@dataclasses.dataclass(frozen=True, eq=False)
class PairTable:
    """Best pads by growth and by level of a query: float64 (len(GROWTH), SHARES * LEVELS).

    Attributes:
        pad: a with f'(a) = exp(growth), for f(a) = exp E log(a + y).
        weight: f(a) exp(-growth): draw with chances proportional to it.
        gain: weight - pad, whose sum over the open queries exceeds D exactly where a growth can
            be reached.
    """

    pad: np.ndarray
    weight: np.ndarray
    gain: np.ndarray


@functools.cache
def pair_table() -> PairTable:
    """Return the table of all levels."""
    share, p = np.divmod(np.arange(SHARES * LEVELS), LEVELS)
    p = (p + 0.5) / LEVELS
    draw = share / (SHARES - 1) * 2 * np.minimum(p, 1 - p)
    pad, f = best_pads((p - draw / 2)[:, None], draw[:, None], np.exp(GROWTH))
    weight = f / np.exp(GROWTH)
    columns = (np.ascontiguousarray(values.T) for values in (pad, weight, weight - pad))
    return PairTable(*columns)


def level_of(p: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Return the columns of the table for mean fractions and shares of y = 1/2: int (rem,)."""
    u = (share.clip(0, 1) * (SHARES - 1)).round().astype(np.intp)
    return u * LEVELS + np.minimum((p * LEVELS).astype(np.intp), LEVELS - 1)  # p may round to 1


class PairBet:
    """Where to draw, and what to bet there.

    Attributes:
        weight: float64 (rem,): draw with chances proportional to it.
        pad: float64 (rem,): a, in units of r; nan without a bet.
        growth: nats that a call is expected to bring; 0 without a bet.
    """

    def __init__(self, weight: np.ndarray, pad: np.ndarray, growth: float):
        """Keep what `best_pair_bet` found."""
        self.weight, self.pad, self.growth = weight, pad, growth

    def remove(self, at: int) -> None:
        """Leave out one position; the last takes it."""
        for values in (self.weight, self.pad):
            values[at] = values[-1]
        self.weight, self.pad = self.weight[:-1], self.pad[:-1]


def best_pair_bet(level: np.ndarray, both: np.ndarray, slack: float, *, price: float) -> PairBet:
    """Return the bet of most growth per call.

    Args:
        level: int (rem,), of `level_of`.
        both: bool (rem,): the cells of both models are open, so y counts twice.
        slack: D.
        price: calls that a draw of both cells is charged, in [1, 2]; one cell is one call.

    Returns:
        Without a growth to be expected: equal weights, and no bet.
    """
    table, scale = pair_table(), np.where(both, 2.0, 1.0)
    ahead = np.where(both, round(STEPS * np.log2(price)), 0)

    def missed(k: int) -> bool:
        return float(table.gain[k + ahead, level] @ scale) <= slack

    reached = bisect.bisect_left(range(RATES), True, key=missed)
    if not reached:
        return PairBet(np.ones(len(level)), np.full(len(level), np.nan), 0.0)
    at = (reached - 1 + ahead, level)
    weight, pad = table.weight[at] * scale, table.pad[at] * scale
    return PairBet(weight, pad, float(GROWTH[reached - 1]))
