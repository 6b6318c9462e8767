"""Cells judged one at a time, every model going up the same order of queries at its own pace."""

from __future__ import annotations

import numpy as np

from llmsel.pool import MISSING
from llmsel.studies.methods.desk import Desk


class Ladder:
    """Cells judged one at a time, every model going up the same order of queries at its own pace.

    Model j has been judged on the first ``n_j`` queries, so two models share the first
    ``min(n_j, n_l)``. The baseline stands at the top from the start. Outcomes count as
    r = +1/2, 0, -1/2; a missing one is left out of its model's mean and of its pairs.

    Attributes:
        places: int (R, M): n_j. judged: (R, M): outcomes among them. total: (R, M): sums of r.
        pair_count, pair_sum, pair_square: float32 (R, M, M): number of queries judged for both,
            sums
        of ``r_j - r_l`` and of its square. row_count, row_total: (R, P): models judged on a query
            and
        sum of their r (a missing outcome as the model's mean). rank: int (R, M): random, breaks
            ties.
    """

    def __init__(self, desk: Desk):
        """Nothing is judged yet."""
        size, n_models, pool_size = desk.realizations, desk.n_models, desk.pool_size
        shape = (size, n_models)
        self.desk = desk
        self.every = np.arange(size)
        self.places = np.zeros(shape, dtype=np.int64)
        self.places[:, desk.baseline] = pool_size
        self.judged = self.places.astype(float)
        self.total = np.zeros(shape)
        self.pair_count, self.pair_sum, self.pair_square = np.zeros(
            (3, *shape, n_models), dtype=np.float32
        )
        self.rank = ranks(desk)
        self.row_count, self.row_total = np.zeros((2, size, pool_size))
        self._rows = np.full((size, pool_size, n_models), MISSING, dtype=np.int8)
        self._rows[:, :, desk.baseline] = 0

    def climb(self, who: np.ndarray, models: np.ndarray) -> None:
        """Judge the next query of one model in each of some realizations: int (r,) each."""
        place = self.places[who, models]
        outcome = self.desk.cells(who, place, models)
        self._rows[who, place, models] = outcome
        given = outcome != MISSING
        value = np.where(given, outcome, 0)
        self.places[who, models] = place + 1
        self.judged[who, models] += given
        self.total[who, models] += 0.5 * value
        fill = self.total[who, models] / np.maximum(self.judged[who, models], 1)
        self.row_count[who, place] += 1
        self.row_total[who, place] += np.where(given, 0.5 * value, fill)
        row = self._rows[who, place]
        both = ((row != MISSING) & given[:, None]).astype(np.float32)
        both[np.arange(len(who)), models] = 0
        gap = both * np.float32(0.5) * (value[:, None] - row).astype(np.float32)
        for sums, change, sign in (
            (self.pair_count, both, 1),
            (self.pair_sum, gap, -1),
            (self.pair_square, gap * gap, 1),
        ):
            sums[who, models] += change
            sums[who, :, models] += sign * change

    def level(self, models: np.ndarray) -> None:
        """Judge the first query not judged, of each model marked: bool (R, M)."""
        for j in np.flatnonzero(models.any(axis=0)):
            who = np.flatnonzero(models[:, j] & (self.places[:, j] < self.desk.pool_size))
            if len(who):
                self.climb(who, np.full(len(who), j))

    def row(self, who: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Return what is known of one query each: int8 (r, M), MISSING where not judged."""
        return np.asarray(self._rows[who, places])

    @property
    def mean(self) -> np.ndarray:
        """Mean r over judged queries, shape ``(R, M)``; -inf where there is none."""
        return np.where(self.judged > 0, self.total / np.maximum(self.judged, 1), -np.inf)


def ranks(desk: Desk) -> np.ndarray:
    """Draw a random rank of the models per realization, to break ties: int ``(R, M)``."""
    seeds = desk.seeds or [np.random.SeedSequence(r) for r in range(desk.realizations)]
    return np.stack([np.random.default_rng(s).permutation(desk.n_models) for s in seeds])


def top(values: np.ndarray) -> np.ndarray:
    """Mark the largest values of each row, several where tied: bool, shape as given."""
    return np.asarray(values == values.max(axis=1, keepdims=True))


def best_of(values: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """Position of the largest value of each row, ties by rank: int ``(R,)``."""
    return np.asarray(np.where(top(values), rank, rank.shape[1]).argmin(axis=1))
