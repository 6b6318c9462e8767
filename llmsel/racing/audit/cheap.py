"""A cheap judge beside the dear one: what it said, and for whom it pays to ask it.

Its verdicts are a feature of cells for the loss predictor, and nothing else. They are asked for
before a round is planned, all of a challenger at once, so that the bets stay fixed before the
outcomes: no certificate depends on them, not even if they were made by one who knows the outcomes.

**Whom to ask about.** The champion comes first: it is judged on every query, so its verdicts show
how far the judges agree, unless even a good cheap judge would not pay. Then a challenger is looked
at before its first draws, and again each time it has taken twice as many. Its bet is compared with
the expected bet after the verdicts, for the agreement measured so far: they are bought where the
draws they are predicted to save cost more than they do. When the gauge says that they do not bring
their price, the cheap judge is switched off.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from llmsel._base.errors import InputError
from llmsel.pool import MISSING
from llmsel.racing.audit.bets import LEVELS, expected_draws
from llmsel.racing.audit.duel import Cell, Duel
from llmsel.racing.audit.gauge import Gauge, words
from llmsel.racing.audit.ledger import UNSEEN
from llmsel.racing.audit.predictor import LossPredictor, expit

HOPED = 1.5  # logits that a good cheap judge's verdict moves a prediction by
SHY = 3.0  # models without verdicts that the mean of a query counts in
AGAIN = 1.1  # the gauge is asked again when its draws have grown by this factor
FIRST_LOOK = 8  # draws of a challenger before its second look


def with_column(features: np.ndarray | None, shape: tuple[int, int]) -> np.ndarray:
    """Append a column of zeros to features: float64 (P, M, F + 1), a copy."""
    empty = np.zeros((*shape, 1))
    return empty if features is None else np.concatenate([features, empty], axis=2)


class CheapJudge:
    """Verdicts of a cheap judge in one race, and the decision whom to ask it about.

    Args:
        feature: float64 (P, M), written to: the predictor's column for the verdicts, each less
            the means of its model and, as far as known, its query, so that strengths and
            difficulties mean the same with them and without.
        price: of one verdict, in calls of the dear judge.

    Attributes:
        verdicts: int8 (P, M): -1, 0, 1, MISSING where it failed, UNSEEN where it was not asked.
        bought: bool (M,): models whose verdicts are known.
        off: no more are bought.
        gauge: what the verdicts brought.
    """

    def __init__(self, feature: np.ndarray, price: float):
        """Know nothing, want nothing."""
        if not price >= 0 or math.isinf(price):
            raise InputError(f"cheap_price={price} must be a number of calls, 0 or more.")
        self.price, self.gauge, self.off = price, Gauge(len(feature)), False
        self.verdicts = np.full(feature.shape, UNSEEN, dtype=np.int8)
        self.bought = np.zeros(feature.shape[1], dtype=bool)
        self._feature = feature
        self._wanted: dict[Cell, None] = {}
        self._looks: dict[int, float] = {}
        self._judged = 0  # draws that the gauge had counted when it was last asked

    @property
    def waits(self) -> bool:
        """Tell whether some verdict is waited for."""
        return bool(self._wanted)

    def wanted(self, limit: int | None = None) -> list[Cell]:
        """Return cells whose verdict is waited for, at most so many."""
        return list(itertools.islice(self._wanted, limit))

    @property
    def asked(self) -> int:
        """Number of verdicts told, failed ones included."""
        return int(np.count_nonzero(self.verdicts != UNSEEN))

    @property
    def cost(self) -> float:
        """Price of all verdicts so far, in calls of the dear judge."""
        return self.price * self.asked

    def want(self, model: int) -> None:
        """Ask for a model's verdicts on all queries."""
        self._wanted.update(dict.fromkeys((i, model) for i in range(len(self.verdicts))))

    def tell(self, cell: Cell, verdict: int) -> None:
        """Learn one verdict: -1, 0, 1, or MISSING where the cheap judge failed.

        Raises:
            InputError: a cell that is not wanted, or a verdict that is none.
        """
        if cell not in self._wanted:
            raise InputError(f"no cheap verdict is wanted on query {cell[0]} of model {cell[1]}.")
        if verdict not in (-1, 0, 1, MISSING):
            raise InputError(f"verdict {verdict} must be -1 (loss), 0 (draw), 1 (win) or MISSING.")
        del self._wanted[cell]
        self.verdicts[cell] = verdict

    def settle(self) -> None:
        """Make features of the verdicts that arrived; unknown ones count as their model's mean."""
        self.bought |= (self.verdicts != UNSEEN).all(axis=0)
        verdicts = self.verdicts[:, self.bought]
        known = verdicts != MISSING
        means = np.where(known, verdicts, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
        rest = np.where(known, verdicts - means, 0.0)
        hard = rest.sum(axis=1, keepdims=True) / (rest.shape[1] + SHY)
        self._feature[:, self.bought] = np.where(known, rest - hard, 0.0)

    # -- whom to ask about --------------------------------------------------------------------

    def due(self, model: int, draws: int) -> bool:
        """Tell whether it is time to look at a challenger after some draws; note that it was."""
        if self.off or self.bought[model] or draws < self._looks.get(model, 0):
            return False
        self._looks[model] = max(FIRST_LOOK, 2 * draws)
        return True

    def explore(self, model: int, hoped: Iterable[float]) -> None:
        """Ask about one model first, to see how far the judges agree, or never ask at all.

        Args:
            model: one that is judged on many queries.
            hoped: draws that a good cheap judge would save each challenger.
        """
        gain = sum(max(saving - self.budget, 0.0) for saving in hoped)
        self.off = gain < self.budget
        if not self.off:
            self.want(model)

    @property
    def budget(self) -> float:
        """Price of one model's verdicts, in calls of the dear judge."""
        return self.price * len(self.verdicts)

    def pays(self, saving: float) -> bool:
        """Tell whether a challenger's verdicts are worth a number of draws."""
        return saving >= self.budget

    def switch_off_if_worthless(self) -> None:
        """Stop buying when the calls saved are surely worth less than the verdicts cost."""
        if self.off or not self.gauge.ready or self.gauge.draws < AGAIN * self._judged:
            return
        self._judged = self.gauge.draws
        self.off = self.gauge.saved()[2] < self.cost

    def saving(self, duel: Duel, predictor: LossPredictor, needs: tuple[float, float]) -> float:
        """Predict the draws that verdicts save a challenger, as the judges agree so far.

        Args:
            duel: the challenger's.
            predictor: with the verdicts as its last feature.
            needs: D, and the nats that its capital lacks.
        """
        known = self._feature[:, self.bought]
        shift = float(known.std()) * predictor.pull if self.bought.any() else HOPED
        p, (slack, short) = duel.predict(predictor), needs
        return predicted_saving(p, shift, slack=slack, short=short, draws=predictor.draws)

    def report(self, calls: int) -> Mapping[str, Any]:
        """Say what it is worth, as JSON can hold it.

        Args:
            calls: of the dear judge so far.
        """
        ready = self.gauge.ready
        return {
            "verdicts": self.asked,
            "challengers": int(self.bought.sum()),
            "cost": self.cost,
            "saved": [round(x, 1) for x in self.gauge.saved()] if ready else None,
            "off": self.off,
            "words": words(self.gauge, calls=calls, cost=self.cost, off=self.off),
        }


def predicted_saving(
    p: np.ndarray, shift: float, *, slack: float, short: float, draws: float
) -> float:
    """Predict the draws that verdicts save a challenger.

    Args:
        p: float64 (rem,), loss fractions predicted without them.
        shift: logits by which a verdict moves a prediction up or down, both as often.
        slack: D.
        short: nats that the capital lacks.
        draws: share of draws over p (1 - p).
    """
    counts = np.bincount((p * LEVELS).astype(np.intp), minlength=LEVELS)
    needed = [
        expected_draws(some, slack, short=short, draws=draws)
        for some in (counts, moved(counts, shift))
    ]
    return needed[0] - needed[1]


def moved(counts: np.ndarray, shift: float) -> np.ndarray:
    """Spread predicted loss fractions as verdicts would, the mean of each kept.

    Args:
        counts: (LEVELS,), queries by predicted loss fraction.
        shift: logits, up for one half of the queries of each level and down for the other.

    Returns:
        float64 (LEVELS,): expected counts.
    """
    p = (np.arange(LEVELS) + 0.5) / LEVELS
    low, high = np.full(LEVELS, -20.0), np.full(LEVELS, 20.0)
    for _ in range(40):  # the logit from which both moves together keep the mean
        z = (low + high) / 2
        less = expit(z + shift) + expit(z - shift) < 2 * p
        low, high = np.where(less, z, low), np.where(less, high, z)
    out = np.zeros(LEVELS)
    for end in (expit(z + shift), expit(z - shift)):
        # between two levels, so that the mean is kept
        at = np.clip(end * LEVELS - 0.5, 0, LEVELS - 1)
        below = at.astype(np.intp)
        above = np.minimum(below + 1, LEVELS - 1)
        out += np.bincount(below, counts * (1 - at + below) / 2, LEVELS)
        out += np.bincount(above, counts * (at - below) / 2, LEVELS)
    return out
