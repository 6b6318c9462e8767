"""Random numbers of a race: a stream for each model, so that no model's draws move another's."""

from __future__ import annotations

import numpy as np


class Streams:
    """Draws positions with chosen chances, by a stream of random numbers for each model.

    Args:
        seed: of all of them.
    """

    def __init__(self, seed: int):
        """Begin no stream yet."""
        self._seed = seed
        self._streams: dict[int, tuple[np.random.Generator, list[float]]] = {}

    def pick(self, j: int, weight: np.ndarray) -> tuple[int, float]:
        """Draw a position for model j with chances proportional to its weight; return both."""
        if j not in self._streams:
            self._streams[j] = (np.random.default_rng([self._seed, 1, j]), [])
        stream, numbers = self._streams[j]
        if not numbers:
            numbers.extend(stream.random(64)[::-1].tolist())
        total = weight.cumsum()
        at = int(total.searchsorted(numbers.pop() * total[-1], side="right"))
        at = min(at, len(total) - 1)  # a number rounded up to the sum
        return at, float(weight[at] / total[-1])
