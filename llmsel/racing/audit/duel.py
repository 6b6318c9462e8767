"""One challenger under audit: its open queries, what is predicted for them, and its draws."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from llmsel.racing.audit.bets import Bet, best_bet
from llmsel.racing.audit.gauge import Trial, compare, logit
from llmsel.racing.audit.predictor import LossPredictor

EVERY = 4  # draws from one comparison of bets for the gauge to the next

Cell = tuple[int, int]  # place of the query, column of the model


class Draw(NamedTuple):
    """One drawn query and the bet on it: K *= (y + pad) / (chance (D + pads)).

    Attributes:
        model: the challenger.
        cells: what is to be judged: of the challenger, of the champion or of both.
        chance: q, the chance with which it was drawn.
        pad: of this query; nan without a bet.
        pads: the sum of pads over the queries that were open; nan without a bet.
        trial: for the gauge of a cheap judge; None where its verdicts are not known.
    """

    model: int
    cells: tuple[Cell, ...]
    chance: float
    pad: float
    pads: float
    trial: Trial | None = None

    def gain(self, y: float, slack: float) -> float:
        """Return the log of the factor; 0 without a bet.

        Args:
            y: what its outcomes took from the slack.
            slack: D before it.
        """
        if slack < 0 or not slack + self.pads > 0:  # nor is it, where the pads are nan
            return 0.0
        # in this order a win's factor is the pad itself, however small
        return math.log((y + self.pad) / (self.chance * (slack + self.pads)))


class Duel:
    """The open queries of a challenger, in an order that depends on its past draws only.

    Args:
        model: its column.
        places: int (rem,), its open queries.

    Attributes:
        count, drawn: numbers of queries that are open, and that were drawn.
        gauged: bets are compared with those that would not know the last feature.
    """

    def __init__(self, model: int, places: np.ndarray):
        """Predict nothing yet."""
        self.model, self.count, self.drawn = model, len(places), 0
        self.gauged = False
        self._places = places
        self._base, self._doubt = np.empty((2, len(places)))  # see LossPredictor
        self._version, self._reached = -1, 0

    def predict(self, predictor: LossPredictor) -> np.ndarray:
        """Predict the loss fractions of the open queries: float64 (count,)."""
        if self._version != predictor.version:
            places = self._places[: self.count]
            self._base[: self.count] = predictor.base(self.model, places)
            self._doubt[: self.count] = predictor.doubt(places)
            self._version = predictor.version
        return predictor.predict(self.model, self._base[: self.count], self._doubt[: self.count])

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
        bet = best_bet(p, slack, predictor.draws, near=self._reached)
        self._reached = bet.reached
        trials = self._trials(predictor, bet, p, slack) if self.gauged else None
        draws = []
        for later in reversed(range(min(most, bet.needed(short)))):
            at, chance = pick(self.model, bet.weight)
            place = int(self._places[at])
            trial = None if trials is None else trials(place)
            cells = ((place, self.model),)
            draws.append(Draw(self.model, cells, chance, bet.pad(at), bet.pads, trial))
            self._remove(at)
            if later:
                bet.remove(at)
        return draws

    def _trials(
        self, predictor: LossPredictor, bet: Bet, p: np.ndarray, slack: float
    ) -> Callable[[int], Trial]:
        """Compare a bet with one that does not know the last feature; return trials by place."""
        places = self._places[: self.count].copy()
        part = predictor.part(self.model, places)
        # the mean stays: the verdicts have chosen which queries are still open
        base = self._base[: self.count] - part + part.mean()
        without = predictor.predict(self.model, base, self._doubt[: self.count])
        logits, growth = logit(without), None
        shift = logit(p) - logits
        if self.drawn % EVERY == 0 and bet.growth > 0:
            other = best_bet(without, slack, predictor.draws)
            growth = compare(bet, other, without, shift, slack=slack, draws=predictor.draws)

        def trial(place: int) -> Trial:
            at = int(np.flatnonzero(places == place)[0])
            return Trial(float(logits[at]), float(shift[at]), growth)

        return trial

    def _remove(self, at: int) -> None:
        """Close one query: the last one takes its position."""
        self.count -= 1
        self.drawn += 1
        for values in (self._places, self._base, self._doubt):
            values[at] = values[self.count]
