"""Intervals: Wilson, order statistics, means."""

from __future__ import annotations

import math

import numpy as np


def interval(values: np.ndarray) -> tuple[float, float, float]:
    """Lower end, mean, upper end of the 95 % normal interval of a mean over axis 0."""
    mean = float(np.mean(values))
    error = 1.96 * float(np.std(values, ddof=min(1, len(values) - 1))) / math.sqrt(len(values))
    return mean - error, mean, mean + error


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
