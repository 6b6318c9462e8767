"""What is known of the cells of one pool: outcomes, and the sums that races and audits use."""

from __future__ import annotations

import numpy as np

from llmsel.pool import MISSING

UNSEEN = 127  # in a table of outcomes: not judged yet


class Ledger:
    """Outcomes of one pool as far as they are judged; r = +1/2, 0, -1/2 for win, draw, loss.

    Args:
        pool_size: number of queries P.
        n_models: number of models M, the baseline included.
        baseline: its column; it is judged for free, with r = 0.

    Attributes:
        outcomes: int8 (P, M): -1, 0, 1, MISSING or UNSEEN.
        half: float64 (M,): the largest r, 1/2, the baseline 0.
        total: float64 (M,): sums of judged r, exact.
        unknown: float64 (M,): judgements given up for good.
        judged: float64 (M,): queries judged, those given up included.
    """

    def __init__(self, pool_size: int, n_models: int, baseline: int):
        """Know the baseline's outcomes only."""
        self.pool_size, self.baseline = pool_size, baseline
        self.outcomes = np.full((pool_size, n_models), UNSEEN, dtype=np.int8)
        self.outcomes[:, baseline] = 0
        self.half = np.where(np.arange(n_models) == baseline, 0.0, 0.5)
        self.total, self.unknown, self.judged = np.zeros((3, n_models))
        self.judged[baseline] = pool_size

    def learn(self, place: int, model: int, outcome: int) -> None:
        """Count one outcome."""
        self.outcomes[place, model] = outcome
        self.judged[model] += 1
        if outcome == MISSING:
            self.unknown[model] += 1
        else:
            self.total[model] += 0.5 * outcome

    @property
    def low(self) -> np.ndarray:
        """Sums of judged r with every missing outcome a loss: float64 (M,)."""
        low: np.ndarray = self.total - 0.5 * self.unknown
        return low

    @property
    def high(self) -> np.ndarray:
        """Sums of judged r with every missing outcome a win: float64 (M,)."""
        high: np.ndarray = self.total + 0.5 * self.unknown
        return high

    @property
    def ahead(self) -> np.ndarray:
        """How much the open queries can still bring, up or down: float64 (M,)."""
        ahead: np.ndarray = (self.pool_size - self.judged) * self.half
        return ahead

    @property
    def known(self) -> np.ndarray:
        """Numbers of outcomes that are known: float64 (M,)."""
        known: np.ndarray = self.judged - self.unknown
        return known

    @property
    def rate(self) -> np.ndarray:
        """Mean r over known outcomes; 0 before any judgement, -inf if all of them failed."""
        mean = self.total / np.maximum(self.known, 1)
        return np.where((self.known > 0) | (self.judged == 0), mean, -np.inf)

    def slack(self, model: int, champion: int, margin: float) -> float:
        """Return D: how much may still go against "I end ``margin`` above the champion's low sum".

        That is what the model may still lose and the champion win.
        """
        total, unknown = self.total.item, self.unknown.item  # numbers of Python's: three a draw
        judged, half, size = self.judged.item, self.half.item, self.pool_size
        best = total(model) + 0.5 * unknown(model) + (size - judged(model)) * half(model)
        worst = total(champion) - 0.5 * unknown(champion)
        worst -= (size - judged(champion)) * half(champion)
        slack: float = best - worst - margin
        return slack

    def open_places(self, model: int) -> np.ndarray:
        """Return the queries on which a model is not judged: int (rem,)."""
        return np.flatnonzero(self.outcomes[:, model] == UNSEEN)
