"""One challenger under audit: its open queries, what is predicted for them, and its draws."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from llmsel.racing.audit.bets import Bet, best_bet
from llmsel.racing.audit.gauge import Trial, compare, logit
from llmsel.racing.audit.predictor import LossPredictor

EVERY = 4  # draws between two comparisons of bets for the gauge

Cell = tuple[int, int]  # place of the query, column of the model


class Draw(NamedTuple):
    """One drawn cell and the bet on it: K *= (1/2 - r + pad) / (chance (D + pads)).

    Attributes:
        cell: what is to be judged.
        chance: q, the chance with which it was drawn.
        pad: its c; nan without a bet.
        pads: the sum of c over the queries that were open; nan without a bet.
        trial: for the gauge of a cheap judge; None where its verdicts are not known.
    """

    cell: Cell
    chance: float
    pad: float
    pads: float
    trial: Trial | None = None


class Duel:
    """The open queries of a challenger, in an order that depends on its past draws only.

    Args:
        model: its column.
        places: int (rem,), its open queries.

    Attributes:
        count, drawn: queries open, and drawn.
        gauged: its bets are compared with those that know nothing of the last feature.
    """

    def __init__(self, model: int, places: np.ndarray):
        """Predict nothing yet."""
        self.model, self.count, self.drawn = model, len(places), 0
        self.gauged = False
        self._places = places
        self._known = np.empty((3, len(places)))  # base, spread and part of LossPredictor
        self._version = -1

    def predict(self, predictor: LossPredictor) -> np.ndarray:
        """Predict the loss fractions of the open queries: float64 (count,)."""
        if self._version != predictor.version:
            places = self._places[: self.count]
            self._known[0, : self.count] = predictor.base(self.model, places)
            self._known[1, : self.count] = predictor.spread_query[places]
            self._known[2, : self.count] = predictor.part(self.model, places)
            self._version = predictor.version
        return predictor.predict(self.model, *self._known[:2, : self.count])

    def outdate(self) -> None:
        """Have everything predicted anew, for the features changed."""
        self._version = -1

    def draw(
        self,
        predictor: LossPredictor,
        slack: float,
        short: float,
        most: int,
        pick: Callable[[int, np.ndarray], tuple[int, float]],
    ) -> list[Draw]:
        """Draw queries for most growth of the capital, without replacement from one q.

        Args:
            predictor: of loss fractions.
            slack: D.
            short: nats that the capital lacks; no more draws than are expected to bring them.
            most: at most so many draws.
            pick: takes the model and weights, draws a position, returns it with its chance.
        """
        p = self.predict(predictor)
        bet = best_bet(p, slack, predictor.draws)
        trials = self._trials(predictor, bet, p, slack) if self.gauged else None
        draws = []
        for _ in range(min(most, bet.needed(short))):
            at, chance = pick(self.model, bet.weight)
            cell = (int(self._places[at]), self.model)
            trial = None if trials is None else trials(cell[0])
            draws.append(Draw(cell, chance, bet.pad(at), bet.pads, trial))
            bet.remove(at)
            self._remove(at)
        return draws

    def _trials(
        self, predictor: LossPredictor, bet: Bet, p: np.ndarray, slack: float
    ) -> Callable[[int], Trial]:
        """Compare a bet with one that does not know the last feature; return trials by place."""
        base, spread, part = self._known[:, : self.count]
        # the mean stays: the verdicts have chosen which queries are still open
        without = predictor.predict(self.model, base - part + part.mean(), spread)
        shift, growth = logit(p) - logit(without), None
        if self.drawn % EVERY == 0 and bet.growth > 0:
            other = best_bet(without, slack, predictor.draws)
            growth = compare(bet, other, without, shift, slack=slack, draws=predictor.draws)
        places, logits = self._places[: self.count].copy(), logit(without)

        def trial(place: int) -> Trial:
            at = int(np.flatnonzero(places == place)[0])
            return Trial(float(logits[at]), float(shift[at]), growth)

        return trial

    def _remove(self, at: int) -> None:
        """Close one query: the last one takes its position."""
        self.count -= 1
        self.drawn += 1
        self._places[at] = self._places[self.count]
        self._known[:, at] = self._known[:, self.count]
