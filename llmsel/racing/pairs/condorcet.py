"""The race for the Condorcet winner. Rule and proof: `llmsel.racing.pairs`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from llmsel._base.verdicts import EXHAUSTED, INCOMPLETE, NO_WINNER, ONE_LEFT, WITHIN
from llmsel.pool import MISSING
from llmsel.racing.audit.duel import Draw, Duel
from llmsel.racing.audit.predictor import LossPredictor
from llmsel.racing.audit.race import REFIT
from llmsel.racing.pairs.course import DUEL, PairsRace, pair_of
from llmsel.racing.pairs.table import Comparison

FIRST_LOOK, LOOK_EVERY = 5, 3  # draws after which a challenger may be guessed to beat the champion


class CondorcetRace(PairsRace):
    """Is there a model that no other beats? Arguments as of `PairsRace`.

    Attributes:
        gain: float64 (M, M): log K of champion over challenger.
        prey: whom a champion that is beaten itself is still to beat; -1 if it is not.
    """

    def __init__(self, *args: Any, **options: Any):
        """Plan the first round."""
        self.prey, self._changes = -1, 0
        self._duels: dict[int, Duel] = {}
        self._looks_at: dict[int, int] = {}
        super().__init__(*args, **options)

    def _after_search(self) -> str:
        n = self.table.n_models
        self.gain = np.zeros((n, n))
        # sums are halves: 0.29 of 100 must not fall below 29
        self._margin = round(self.delta * self.table.pool_size, 9)
        self._enthrone(self.champion)
        self._drop_beaten()
        return DUEL

    def _enthrone(self, champion: int, prey: int = -1) -> None:
        """Begin a tenure: duels and predictions are about this champion from now on."""
        table, self.champion, self.prey = self.table, champion, prey
        self._duels, self._looks_at = {}, {}
        self.predictor = LossPredictor(table.pool_size, table.n_models)
        for j, i in np.argwhere(table.known(champion)).tolist():
            if j != champion:
                self.predictor.add(i, j, 0.5 - 0.5 * int(table.outcomes[j, champion, i]))

    # -- what is known ------------------------------------------------------------------------

    def _past(self, gain: np.ndarray) -> float:
        """Sum the losses of other champions' capitals: log, at most 0."""
        others = np.arange(len(gain)) != self.champion
        return float(np.minimum(gain[others], 0).sum())

    @property
    def _safe(self) -> np.ndarray:
        """Mark those that surely do not beat the champion by more than delta: bool (M,)."""
        safe: np.ndarray = self.table.most[:, self.champion] <= self._margin
        return safe

    @property
    def _capital(self) -> np.ndarray:
        row: np.ndarray = self.gain[self.champion]
        return row

    @property
    def _needed(self) -> float:
        """The capital that the champion needs against each challenger, for a certificate: log."""
        return self._limit - self._past(self.gain.min(axis=1))

    def _slack(self, j: int) -> float:
        """Return D: how much may still go against "I am ahead of the champion by delta P"."""
        return float(self.table.most[j, self.champion]) - self._margin

    @property
    def _undecided(self) -> np.ndarray:
        """Mark challengers that may beat the champion for all that is shown: bool (M,)."""
        undecided = ~self._safe & (self.gain[self.champion] < self._needed)
        undecided[self.champion] = False
        return np.asarray(undecided)

    def _drop_beaten(self) -> None:
        """Drop who surely loses to another, and, without a margin, who has lost its claim."""
        gone = self.live & (self.table.least > self._margin).any(axis=0)
        if not self.delta:
            for j in np.flatnonzero(self.live & (self.gain[self.champion] > 0)).tolist():
                shown = self.gain[self.champion, j] + self._past(self.gain[:, j])
                gone[j] |= shown >= self._limit
        self.live &= ~gone

    @property
    def _blocked(self) -> np.ndarray:
        """Mark models whose claim hangs on a missing outcome: bool (M,)."""
        table = self.table
        done = (table.judged == table.pool_size) & (table.most > self._margin)
        np.fill_diagonal(done, val=False)
        return np.asarray(self.live & done.any(axis=0))

    # -- planning -----------------------------------------------------------------------------

    def _plan_phase(self) -> None:
        """Plan the next draws; change the champion, or end the race, where that is due."""
        if self._over():
            return
        if not self._stays():
            self._enthrone(self._ranked(self.live & ~self._blocked)[0])
            return
        self._plan_draws()

    def _pair(self, draw: Draw) -> Comparison:
        ((place, _),) = draw.cells
        return pair_of(place, draw.model, self.champion)

    def _stays(self) -> bool:
        """Tell whether the champion has something left to show."""
        if self.prey >= 0:
            return bool(self.live[self.prey] and len(self._open(self.prey)))
        return bool(self.live[self.champion] and not self._blocked[self.champion])

    def _open(self, j: int) -> np.ndarray:
        return self.table.open_places(j, self.champion)

    def _over(self) -> bool:
        """End the race if the champion is shown to be unbeaten, or nobody can be."""
        if self.live[self.champion] and not self._undecided.any():
            sure = bool(self._safe.all())
            self.live = self._leader
            stop = WITHIN if self.delta else EXHAUSTED if sure else ONE_LEFT
            self._end(stop, self.live)
        elif not self.live.any():
            self._end(NO_WINNER, self.live)
        elif not (self.live & ~self._blocked).any():
            self.champion = self._ranked(self.live)[0]  # the last one may be weak
            self._end(INCOMPLETE, self._leader)
        return bool(self.stop)

    def _challengers(self) -> Iterator[Duel]:
        """Yield the open duels, then new ones, strongest first."""
        yield from tuple(self._duels.values())
        self.predictor.refresh(REFIT)
        waiting = self._undecided
        if self.prey >= 0:
            waiting = np.arange(len(waiting)) == self.prey
        waiting[list(self._duels)] = False
        for j in self._ranked(waiting):
            self._duels[j] = Duel(j, self._open(j))
            self._looks_at[j] = FIRST_LOOK
            yield self._duels[j]

    # -- settling -----------------------------------------------------------------------------

    def _settle(self) -> None:
        """Multiply capitals, learn; then see who is beaten, and whether the champion is."""
        if self.phase == DUEL:
            self._settle_draws()
            for draw in self._round:
                if self._told[self._pair(draw)] != MISSING:
                    self.predictor.add(draw.cells[0][0], draw.model, self._loss(draw))
        self._learn_round()
        if self.phase == DUEL:
            self._drop_beaten()
            self._look()

    def _look(self) -> None:
        """Let a challenger that is predicted to beat the champion take its place."""
        undecided = self._undecided
        for j, duel in tuple(self._duels.items()):
            self.predictor.refine(j)
            if not undecided[j] or not duel.count:
                del self._duels[j]
            elif duel.drawn >= self._looks_at[j]:
                self._looks_at[j] = duel.drawn + LOOK_EVERY
                ahead = float(self.table.total[j, self.champion])
                ahead += float((0.5 - duel.predict(self.predictor)).sum())
                if ahead > max(1 + self._changes, 0.5 * self._margin):
                    self._changes += 1
                    self._enthrone(j, prey=-1 if self.live[j] else self.champion)
                    return
