"""Intervals: Wilson, order statistics, means of few values."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import ArrayLike

COVERAGE = 0.95


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
