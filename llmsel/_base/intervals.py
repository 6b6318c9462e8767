"""Intervals: Wilson, order statistics, means of few values; tests and intervals of pairs."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import ArrayLike

COVERAGE = 0.95
PRECISION = 1e-6  # of the ends of a betting interval


def mean_interval(values: ArrayLike, *, coverage: float = COVERAGE) -> tuple[float, float, float]:
    """Lower end, mean and upper end of Student's interval of a mean.

    With few values the normal quantile promises too much: of four groups, 1.96 standard errors
    cover the mean in 86 % of cases and not in 95 %.

    Args:
        values: one number per independent unit (a realization, a group, a benchmark), shape
            ``(n,)``.
        coverage: probability (0..1) that the interval holds the mean, for normal values.

    Returns:
        Low, mean, high, in the unit of the values. The ends are NaN for a single value, about
        whose spread nothing is known.
    """
    numbers = np.asarray(values, dtype=float)
    n, mean = len(numbers), float(np.mean(numbers))
    if n < 2:
        return math.nan, mean, math.nan
    error = t_quantile(0.5 + coverage / 2, n - 1) * float(np.std(numbers, ddof=1)) / math.sqrt(n)
    return mean - error, mean, mean + error


@cache
def t_quantile(probability: float, freedom: int) -> float:
    """Quantile of Student's t distribution.

    Args:
        probability: between 0.5 and 1, both excluded: the share of the distribution below.
        freedom: degrees of freedom, 1 or more.

    Returns:
        The t at which `t_central` is ``2 probability - 1``, to the precision of a float.
    """
    low, high = 0.0, math.pi / 2
    while low < (middle := (low + high) / 2) < high:
        if t_central(middle, freedom) < 2 * probability - 1:
            low = middle
        else:
            high = middle
    return math.sqrt(freedom) * math.tan(high)


def t_central(angle: float, freedom: int) -> float:
    """Probability that Student's t lies within ``sqrt(freedom) tan(angle)`` of 0.

    The finite sums of Abramowitz and Stegun, *Handbook of Mathematical Functions*, 26.7.3 and
    26.7.4: exact for whole degrees of freedom.

    Args:
        angle: in radians, 0 to pi / 2.
        freedom: degrees of freedom, 1 or more.

    Returns:
        A probability.
    """
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = freedom % 2
    k = np.arange(1 + odd, freedom - 1, 2, dtype=float)  # factors k / (k + 1) of the next term
    terms = np.cumprod(np.concatenate([[1.0], k / (k + 1) * cosine**2]))
    if not odd:
        return sine * float(terms.sum())
    rest = sine * cosine * float(terms.sum()) if freedom > 1 else 0.0
    return 2 / math.pi * (angle + rest)


def wilson(rate: np.ndarray, count: float, z: float = 1.96) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's interval of a binomial rate; with tied answers the rate is a mean of credits."""
    centre = (rate + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z * np.sqrt(rate * (1 - rate) / count + z**2 / (4 * count**2)) / (1 + z**2 / count)
    return np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)


def percentile(array: np.ndarray, q: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Quantile over axis 0 with the 95 % interval of order statistics (no assumption)."""
    ordered = np.sort(array, axis=0).astype(float)
    count = len(ordered)
    half = 1.96 * np.sqrt(count * q * (1 - q))
    ranks = [q * count, q * count - half, q * count + half + 1]
    value, low, high = (ordered[int(np.clip(np.ceil(r) - 1, 0, count - 1))] for r in ranks)
    return value, low, high


def sign_test(wins: int, losses: int) -> float:
    """Exact two-sided sign test; on pass and fail it is McNemar's.

    Args:
        wins: pairs in which the first is better; draws say nothing and are left out.
        losses: pairs in which the second is.

    Returns:
        The probability of a split at least this uneven if either were as likely: 1 without pairs.
    """
    n, few = wins + losses, min(wins, losses)
    term, total = 1, 0  # whole numbers: exact however small
    for k in range(few + 1):
        total += term
        term = term * (n - k) // (k + 1)
    return min(1.0, 2 * total / (1 << n))


def betting_interval(
    values: ArrayLike, *, alpha: float = 1 - COVERAGE, total: int | None = None
) -> tuple[float, float]:
    """Interval of a mean of values in [0, 1] that holds at any sample size and for any shape.

    For every possible mean a gambler bets that it is too low and another that it is too high, each
    with half of the money and stakes set before the value is seen; means at which one of them ever
    has ``1 / alpha`` times the money are left out. Waudby-Smith and Ramdas, *Estimating means of
    bounded random variables by betting* (JRSS B, 2024): the hedged capital process. A gambler's
    money falls (or rises) with the mean that is bet against, so the ends are found by halving.

    Args:
        values: float in [0, 1], shape ``(n,)``: independent, in an order that does not depend on
            them.
        alpha: chance that the interval misses the mean, at most.
        total: the values are drawn without replacement from so many, whose mean is meant (section 5
            there: what is bet against is the mean of those left); None for independent values.

    Returns:
        Low and high; 0 and 1 without values.
    """
    x = np.asarray(values, dtype=float)
    count = np.arange(1, len(x) + 1)
    mean = (0.5 + np.cumsum(x)) / (count + 1)
    spread = (0.25 + np.cumsum((x - mean) ** 2)) / (count + 1)
    before = np.concatenate([[0.25], spread[:-1]])  # a stake is placed before its value is seen
    stake = np.sqrt(2 * math.log(2 / alpha) / (max(len(x), 1) * before))
    if total is not None and len(x) == total:
        return float(x.mean()), float(x.mean())
    return _end(x, stake, alpha, total), 1 - _end(1 - x, stake, alpha, total)


def _end(x: np.ndarray, stake: np.ndarray, alpha: float, total: int | None) -> float:
    """The lower end: means up to it lose against the gambler who says that they are too low."""
    drawn = np.arange(len(x))
    sums = np.cumsum(x) - x

    def lost(m: float) -> bool:
        mean = np.full(len(x), m) if total is None else (total * m - sums) / (total - drawn)
        if mean.min(initial=m) <= 0:  # so low a mean leaves nothing for the rest
            return True
        bets = np.log1p(np.minimum(stake, 0.5 / mean) * (x - mean))
        return bool(np.cumsum(bets).max(initial=0.0) >= math.log(2 / alpha))

    low, high = 0.0, 1.0
    while high - low > PRECISION:
        middle = (low + high) / 2
        low, high = (middle, high) if lost(middle) else (low, middle)
    return low
