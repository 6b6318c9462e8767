"""The race for the Borda winner. Rule and proof: `llmsel.racing.pairs`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from llmsel._base.verdicts import INCOMPLETE, ONE_LEFT, WITHIN
from llmsel.pool import MISSING
from llmsel.racing.audit.duel import Draw, Duel
from llmsel.racing.audit.ending import settled
from llmsel.racing.audit.ledger import UNSEEN
from llmsel.racing.audit.predictor import LossPredictor
from llmsel.racing.audit.race import REFIT
from llmsel.racing.pairs.course import CHAMPION, DUEL, PairsRace, pair_of
from llmsel.racing.pairs.table import Comparison


class BordaRace(PairsRace):
    """Which model wins most against all others together? Arguments as of `PairsRace`.

    A *row* is a query and an opponent, ``i * M + o``; a model's own rows are draws, and known.

    Attributes:
        capital: float64 (M,): log K of each challenger.
    """

    def __init__(self, *args: Any, **options: Any):
        """Plan the first round."""
        self._challenging: list[int] = []  # in the order in which they began
        super().__init__(*args, **options)

    def _after_search(self) -> str:
        size, n = self.table.pool_size, self.table.n_models
        self.capital = np.zeros(n)
        self._margin = self.delta * size * (n - 1)
        self.predictor = LossPredictor(size * n, n)
        for j in range(n):
            for o, i in np.argwhere(self.table.known(j)).tolist():
                self._predict_from((i, j, o), int(self.table.outcomes[j, o, i]))
        return CHAMPION

    def _predict_from(self, pair: Comparison, outcome: int) -> None:
        i, j, o = pair
        if j != o and outcome != MISSING:  # its own rows tell nothing
            self.predictor.add(i * self.table.n_models + o, j, 0.5 - 0.5 * outcome)

    # -- what is known ------------------------------------------------------------------------

    @property
    def _most(self) -> np.ndarray:
        most: np.ndarray = self.table.most.sum(axis=1)
        return most

    @property
    def _least(self) -> np.ndarray:
        least: np.ndarray = self.table.least.sum(axis=1)
        return least

    @property
    def _capital(self) -> np.ndarray:
        return self.capital

    @property
    def _needed(self) -> float:
        return self._limit

    def _slack(self, j: int) -> float:
        """Return D: how much may still go against "I end delta above the champion"."""
        return float(self._most[j] - self._least[self.champion]) - self._margin

    def _open(self, j: int) -> np.ndarray:
        """Return the open rows of a model: int (rem,)."""
        return np.flatnonzero(self.table.outcomes[j].T.reshape(-1) == UNSEEN)

    @property
    def _full(self) -> np.ndarray:
        """Mark the models that are judged on all their rows: bool (M,)."""
        return np.asarray((self.table.judged == self.table.pool_size).all(axis=1))

    # -- planning -----------------------------------------------------------------------------

    def _plan_phase(self) -> None:
        """Plan what the champion is not judged on; then draws of its challengers."""
        if self.phase == CHAMPION:
            c, size = self.champion, self.table.pool_size
            others = [j for j in range(self.table.n_models) if j != c]
            pairs = [pair_of(i, c, j) for i in range(size) for j in others]
            self._plan(pair for pair in pairs if self._outcome(pair) == UNSEEN)
            if not self._told:
                self.phase = DUEL
                self._crown()
            return
        if self._over():
            return
        self._plan_draws()

    def _pair(self, draw: Draw) -> Comparison:
        ((row, j),) = draw.cells
        i, o = divmod(row, self.table.n_models)
        return pair_of(i, j, o)

    def _challengers(self) -> Iterator[Duel]:
        """Yield the duels that go on, then new ones, strongest first."""
        for j in self._challenging:  # anew: the draws of others fill rows of theirs
            yield Duel(j, self._open(j))
        self.predictor.refresh(REFIT)
        waiting = self.live & ~self._full
        waiting[self._challenging] = False
        for j in self._ranked(waiting):
            self._challenging.append(j)
            yield Duel(j, self._open(j))

    def _over(self) -> bool:
        """End the race when one is left, or no live model has an open row."""
        champion = np.arange(self.table.n_models) == self.champion
        if self.live.sum() == 1:
            self._end(WITHIN if self.delta else ONE_LEFT, champion)
        elif self._full[self.live].all():
            leaders = self.live & (self._least == self._least[self.champion])
            known = self._least, self._most, self.live, leaders, self._margin
            ended = settled(*known, near=self.delta > 0) or (INCOMPLETE, champion)
            self._end(*ended)
        return bool(self.stop)

    # -- settling -----------------------------------------------------------------------------

    def _settle(self) -> None:
        """Multiply capitals, learn; then see who is beaten, and who leads those in full."""
        if self.phase == DUEL:
            self._settle_draws()
        self._learn_round()
        if self.phase in (CHAMPION, DUEL):
            for (i, a, b), outcome in self._told.items():
                self._predict_from((i, a, b), outcome)
                self._predict_from((i, b, a), -outcome if outcome != MISSING else outcome)
        if self.phase == DUEL:
            for j in self._challenging:
                self.predictor.refine(j)
            self._crown()

    def _crown(self) -> None:
        """Let the best of those in full be champion, and drop who is beaten."""
        least = np.where(self.live & self._full, self._least, -np.inf)
        if least.max() > self._least[self.champion]:
            self.champion = int(least.argmax())
        gone = self.live & (self._most < self._least[self.champion] + self._margin)
        gone |= self.live & (self.capital >= self._limit)
        gone[self.champion] = False
        self.live &= ~gone
        goes_on = self.live & ~self._full
        self._challenging = [j for j in self._challenging if goes_on[j]]
