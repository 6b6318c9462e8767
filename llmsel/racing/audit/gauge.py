"""What a cheap judge is worth on this data, measured while the race runs.

Every draw of a challenger whose cheap verdicts are known was predicted beforehand with them, at
logit z + s, and without, at logit z. How far the verdicts can be trusted is the factor t in
``logit P(loss) = z + t s``, fitted to the outcomes of those draws, each predicted before it was
known: t = 1 where they say as much as the predictor believes, 0 where they say nothing. Its
interval allows for outcomes that go together within a challenger.

Two bets stand beside each other at every draw: the one that was placed, and the one that would have
been placed without verdicts. For any t their expected growth is known, and the ratio of the two
sums, draws weighed by the calls they stand for, says how many draws the verdicts replace.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from llmsel.racing.audit.bets import Bet, log_factors
from llmsel.racing.audit.predictor import expit

TRUST = np.array([0.0, 0.5, 1.0, 1.5])  # values of t between which worths are interpolated
FEWEST = 5  # challengers before anything is said
LEAST = 0.1  # the growth without verdicts is taken to be at least this part of that with them
WIDE = 1.96  # standard errors on either side
SWEEPS = 8  # Newton steps


class Trial(NamedTuple):
    """One draw, as it was seen before its outcome.

    Attributes:
        logit: of a loss, without verdicts.
        shift: what the verdicts add to it.
        told: float64 (len(TRUST),): growth expected of the bet placed, for each t, over that for
            t = 1.
        untold: the same of the bet that knows no verdicts, over the same.
    """

    logit: float
    shift: float
    told: np.ndarray
    untold: np.ndarray


class Comparison:
    """The bet of a challenger beside the one that would be placed without verdicts.

    Args:
        told: the bet placed.
        untold: the other, on the same positions.
        p: float64 (2, rem), loss fractions predicted with the verdicts, and without.
        slack: D.
        draws: share of draws over p (1 - p).
    """

    def __init__(self, told: Bet, untold: Bet, p: np.ndarray, slack: float, draws: float):
        """Compare them for each t."""
        with_, self._logit = np.log(p / (1 - p))
        self._shift = with_ - self._logit
        trusted = expit(self._logit + TRUST[:, None] * self._shift)
        told_growth, self._untold = (
            log_factors(bet, trusted, slack, draws) @ (bet.weight / bet.weight.sum())
            for bet in (told, untold)
        )
        self._growth, self._told = float(told_growth[2]), told_growth

    def trial(self, at: int) -> Trial | None:
        """Note a position that is drawn; None where no growth was expected."""
        if self._growth <= 0:
            return None
        told, untold = self._told / self._growth, self._untold / self._growth
        return Trial(float(self._logit[at]), float(self._shift[at]), told, untold)

    def remove(self, at: int) -> None:
        """Leave out one position; the last takes it."""
        for values in (self._logit, self._shift):
            values[at] = values[-1]
        self._logit, self._shift = self._logit[:-1], self._shift[:-1]


class Gauge:
    """Trials and their outcomes, and what they say."""

    def __init__(self) -> None:
        """Know nothing."""
        self._rows: list[tuple[int, float, float, float]] = []  # model, logit, shift, loss
        self._models: set[int] = set()
        self._told, self._untold = np.zeros((2, len(TRUST)))
        self._fitted = 0
        self._trust = (0.0, 0.0)

    def learn(self, model: int, trial: Trial, loss: float) -> None:
        """Count one draw of a challenger: a loss 1, a draw 1/2, a win 0."""
        self._rows.append((model, trial.logit, trial.shift, loss))
        self._models.add(model)
        self._told += trial.told
        self._untold += trial.untold

    @property
    def draws(self) -> int:
        """Number of draws counted."""
        return len(self._rows)

    @property
    def ready(self) -> bool:
        """Tell whether there were challengers enough for an interval."""
        return len(self._models) >= FEWEST

    def trust(self) -> tuple[float, float, float]:
        """Return t: low, estimate, high (95 %); nan before the gauge is `ready`."""
        if not self.ready:
            return (math.nan,) * 3
        if self._fitted != len(self._rows):
            self._trust, self._fitted = _fit(np.array(self._rows)), len(self._rows)
        t, error = self._trust
        return t - WIDE * error, t, t + WIDE * error

    def saved(self) -> tuple[float, float, float]:
        """Return the calls saved so far, the price of verdicts aside: low, estimate, high (95 %).

        Nan before the gauge is `ready`.
        """
        low, mean, high = (self._saved(t) for t in self.trust())
        return low, mean, high

    def _saved(self, trust: float) -> float:
        """Draws that would have been taken without verdicts, less those that were."""
        told, untold = (np.interp(trust, TRUST, sums) for sums in (self._told, self._untold))
        return float(self.draws * (told / max(untold, LEAST * abs(told)) - 1))


def _fit(rows: np.ndarray) -> tuple[float, float]:
    """Fit t to the draws: float64 (k, 4); return it with its error, over challengers."""
    model, logit, shift, loss = rows.T
    t, inform = 0.0, 0.0
    for _ in range(SWEEPS):
        p = expit(logit + t * shift)
        inform = float((p * (1 - p)) @ shift**2)
        t += min(max(float((loss - p) @ shift) / max(inform, 1e-9), -1.0), 1.0)
    score = np.bincount(model.astype(np.intp), (loss - expit(logit + t * shift)) * shift)
    count = len(np.unique(model))
    error = math.sqrt(float(score @ score) * count / (count - 1)) / max(inform, 1e-9)
    return t, error


def words(gauge: Gauge, *, calls: int, cost: float, off: bool) -> str:
    """Say in a few words what the cheap judge is worth.

    Args:
        gauge: what was measured.
        calls: of the dear judge so far.
        cost: of all cheap verdicts so far, in calls of the dear judge.
        off: no more verdicts are bought.
    """
    if off:
        said = "worthless here: switched off"
    elif not gauge.ready:
        said = "too early to say"
    else:
        low, mean, high = (round(100 * s / max(1.0, calls + s)) for s in gauge.saved())
        verb = "saves" if mean >= 0 else "costs"
        said = f"{verb} {abs(mean)} % of the calls so far ({low} to {high} %)"
    price = f", at the price of {cost:.3g} calls" if cost else ""
    return f"cheap judge: {said}{price}"
