"""What is known of all comparisons of one pool, every model against every other."""

from __future__ import annotations

import numpy as np

from llmsel.pool import MISSING
from llmsel.racing.audit.ledger import UNSEEN

SPREAD = 1.5  # prior standard deviation of a rating, in logits
SWEEPS = 8  # Newton steps of a rating; it only orders models

Comparison = tuple[int, int, int]  # query, and two models a < b; its outcome is from a's side


def most_sums(outcomes: np.ndarray) -> np.ndarray:
    """Sum r of each model against each other, every missing outcome a win: float64 (M, M), exact.

    The least sums, every missing outcome a loss, are these turned: ``-most.T``.

    Args:
        outcomes: int8 (M, M, n), of the first model against the second.
    """
    most: np.ndarray = np.where(outcomes == MISSING, 1, outcomes).sum(axis=2, dtype=np.int64) / 2
    np.fill_diagonal(most, 0)
    return most


class PairTable:
    """Outcomes between all pairs of models; r = +1/2, 0, -1/2 for win, draw, loss.

    Args:
        pool_size: number of queries P.
        n_models: number of models M.

    Attributes:
        outcomes: int8 (M, M, P), from the side of the first model; MISSING or UNSEEN. A model
            against itself: draws.
        total: float64 (M, M): sums of r, exact.
        unknown, judged: float64 (M, M): judgements given up; all judgements, those included.
        most: float64 (M, M): the largest sums of r that are still possible.
    """

    def __init__(self, pool_size: int, n_models: int):
        """Know nothing."""
        self.pool_size, self.n_models = pool_size, n_models
        self.outcomes = np.full((n_models, n_models, pool_size), UNSEEN, dtype=np.int8)
        self.total, self.unknown, self.judged = np.zeros((3, n_models, n_models))
        every = np.arange(n_models)
        self.outcomes[every, every] = 0
        self.judged[every, every] = pool_size
        self.most = (pool_size - self.judged) / 2

    def learn(self, comparison: Comparison, outcome: int) -> None:
        """Count one outcome, from the side of the first model."""
        i, a, b = comparison
        for one, other, sign in ((a, b, 1), (b, a, -1)):
            self.judged[one, other] += 1
            self.outcomes[one, other, i] = outcome if outcome == MISSING else sign * outcome
            if outcome == MISSING:
                self.unknown[one, other] += 1
            else:
                self.total[one, other] += 0.5 * sign * outcome
                self.most[one, other] += 0.5 * (sign * outcome - 1)

    @property
    def least(self) -> np.ndarray:
        """The smallest sums of r that are still possible: float64 (M, M)."""
        least: np.ndarray = -self.most.T
        return least

    def known(self, model: int) -> np.ndarray:
        """Mark a model's comparisons whose outcome is known: bool (M, P)."""
        row = self.outcomes[model]
        return np.asarray((row != UNSEEN) & (row != MISSING))

    def open_places(self, a: int, b: int) -> np.ndarray:
        """Return the queries on which two models are not compared yet: int (rem,)."""
        return np.flatnonzero(self.outcomes[a, b] == UNSEEN)

    def rating(self) -> np.ndarray:
        """Rate the models by all known outcomes, in logits: float64 (M,).

        Bradley and Terry's model with a ridge, draws as half a win. No certificate depends on it.
        """
        known = self.judged - self.unknown
        np.fill_diagonal(known, 0)
        points = (self.total + known / 2).sum(axis=1)
        rating = np.zeros(self.n_models)
        for _ in range(SWEEPS):
            chance = 1 / (1 + np.exp(rating - rating[:, None]))
            slope = points - (known * chance).sum(axis=1) - rating / SPREAD**2
            weight = known * chance * (1 - chance)
            curve = np.diag(weight.sum(axis=1) + SPREAD**-2) - weight
            rating += np.clip(np.linalg.solve(curve, slope), -2, 2)
        return rating
