"""One challenger under a paired audit: the champion is judged only where a draw needs it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from llmsel.racing.audit.duel import Draw
from llmsel.racing.audit.ledger import UNSEEN, Ledger
from llmsel.racing.audit.pair_bets import best_pair_bet, level_of
from llmsel.racing.audit.predictor import SHRINK, LossPredictor, expit

NODES = np.array([-(3**0.5), 0.0, 3**0.5])[:, None]  # of a query's difficulty, in posterior sd
MASS = np.array([1 / 6, 2 / 3, 1 / 6])
FIRST_LOOK, LOOK_EVERY = 5, 3  # draws after which the challenger may be guessed to be better


class PairDuel:
    """The queries on which a challenger or the champion is not judged.

    Args:
        model: the challenger's column.
        champion: the champion's column.
        ledger: what is judged.
    """

    def __init__(self, model: int, champion: int, ledger: Ledger):
        """Draw nothing yet."""
        self.model, self.champion, self._ledger = model, champion, ledger
        self._drawn, self._look = 0, FIRST_LOOK

    @property
    def _open(self) -> np.ndarray:
        """Mark the open cells: bool (P, 2), of the challenger and of the champion."""
        open_: np.ndarray = self._ledger.outcomes[:, [self.model, self.champion]] == UNSEEN
        return open_

    @property
    def count(self) -> int:
        """The number of open queries."""
        return int(self._open.any(axis=1).sum())

    def draw(
        self,
        predictor: LossPredictor,
        slack: float,
        short: float,
        most: int,
        pick: Callable[[int, np.ndarray], tuple[int, float]],
        *,
        rivals: int,
    ) -> list[Draw]:
        """Draw queries for most growth of the capital per call, without replacement from one q.

        Args:
            predictor: of loss fractions.
            slack: D.
            short: nats that the capital lacks; no more calls than are expected to bring them.
            most: cells that are wanted; the last draw may bring one more.
            pick: takes the model and weights, draws a position, returns it with its chance.
            rivals: challengers to come, this one included: they share the champion's cells.
        """
        open_ = self._open
        places = np.flatnonzero(open_.any(axis=1))
        mine, its = open_[places].T
        p, share = pair_losses(predictor, self.model, self.champion, places, mine, its)
        bet = best_pair_bet(level_of(p, share), mine & its, slack, price=1 + 1 / rivals)
        draws: list[Draw] = []
        wanted = np.inf if bet.growth <= 0 else short / bet.growth
        calls = 0
        while len(places) and calls < min(most, max(1, wanted)):
            at, chance = pick(self.model, bet.weight)
            place = int(places[at])
            pair = zip((self.model, self.champion), open_[place], strict=True)
            cells = tuple((place, j) for j, is_open in pair if is_open)
            draws.append(Draw(self.model, cells, chance, float(bet.pad[at]), float(bet.pad.sum())))
            bet.remove(at)
            places[at] = places[-1]
            places = places[:-1]
            calls += len(cells)
        self._drawn += len(draws)
        return draws

    def seems_better(self, predictor: LossPredictor, least: float) -> bool:
        """Tell, after every few draws, whether the challenger's total is predicted to be larger.

        Args:
            predictor: of loss fractions.
            least: by how much, in units of r.
        """
        if self._drawn < self._look:
            return False
        self._look += LOOK_EVERY * (1 + (self._drawn - self._look) // LOOK_EVERY)
        mine, its = (self._predicted(predictor, j) for j in (self.model, self.champion))
        return mine - its > least

    def _predicted(self, predictor: LossPredictor, j: int) -> float:
        """Predict a model's total."""
        ledger = self._ledger
        places = ledger.open_places(j)
        if not len(places) or not ledger.half[j]:
            return float(ledger.total[j])
        base, doubt = predictor.base(j, places), predictor.doubt(places)
        return float(ledger.total[j] + (0.5 - predictor.predict(j, base, doubt)).sum())


def pair_losses(
    predictor: LossPredictor,
    model: int,
    champion: int,
    places: np.ndarray,
    mine: np.ndarray,
    its: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Predict y, the fraction of what is open that goes against the challenger.

    A query's difficulty is uncertain, and common to both models: three points stand for it.

    Args:
        predictor: of loss fractions.
        model: the challenger's column.
        champion: the champion's column.
        places: int (rem,).
        mine: bool (rem,): the challenger's cell is open.
        its: bool (rem,): the champion's cell is open.

    Returns:
        Means, shrunk towards the mean of their kind, and the chances of y = 1/2 as a part of the
        largest possible: float64 (rem,) each.
    """
    away = NODES * np.sqrt(predictor.spread_query[places])
    loss, lost = (
        expit((predictor.strength[j] + predictor.base(j, places) + away) / predictor.wide(j))
        for j in (model, champion)
    )
    kept = 1 - predictor.draws / 4  # of the variance of a coin, where draws are halves
    spread, spread_of = loss * (1 - loss) * kept, lost * (1 - lost) * kept
    y = np.where(its, np.where(mine, (1 + loss - lost) / 2, 1 - lost), loss)
    variance = np.where(its, np.where(mine, (spread + spread_of) / 4, spread_of), spread)
    mean = MASS @ y
    halves = 4 * (mean - MASS @ (variance + y * y))
    share = halves / (2 * np.minimum(mean, 1 - mean))
    for kind in (mine & its, mine & ~its, ~mine):
        if kind.any():
            mean[kind] += SHRINK * (mean[kind].mean() - mean[kind])
    return mean, share
