"""What a cheap judge is worth on this data, measured while the race runs.

Every draw of a challenger whose cheap verdicts are known was predicted beforehand with them, at
logit z + s, and without, at logit z. How far the verdicts can be trusted is the factor t in
``logit P(loss) = z + t s``, fitted to the outcomes of those draws, each predicted before it was
known: t = 1 where they say as much as the predictor believes, 0 where they say nothing. Its
interval allows for outcomes that go together within a challenger.

At every fourth draw the bet that was placed stands beside the one that would have been placed
without verdicts. For any t the growth to be expected of both is known, and the ratio of their sums
over a challenger says how many draws it would have taken without verdicts. Only challengers that
are dropped count: one that is judged to its last query costs the same either way. The interval is
of the trust t alone; luck comes on top, and so does what one draw cannot see: the gauge is
somewhat optimistic (notebooks/two-judges.ipynb shows how much on real judges).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from llmsel.racing.audit.bets import Bet, log_factors
from llmsel.racing.audit.predictor import expit

TRUST = np.array(
    [0.0, 0.5, 1.0, 1.5, 2.0, 3.0]
)  # values of t between which worths are interpolated
FEWEST = 5  # challengers before anything is said
LEAST = 0.1  # the growth without verdicts is taken to be at least this part of that with them
WIDE = 1.96  # standard errors on either side
SWEEPS = 8  # Newton steps


def logit(p: np.ndarray) -> np.ndarray:
    """Return the log odds of p."""
    return np.asarray(np.log(p / (1 - p)))


class Trial(NamedTuple):
    """One draw, as it was seen before its outcome.

    Attributes:
        logit: of a loss, without verdicts.
        shift: what the verdicts add to it.
        growth: float64 (2, len(TRUST)): nats expected of the bet placed and of the one that knows
            no verdicts, for each t; None where they are not compared.
    """

    logit: float
    shift: float
    growth: np.ndarray | None


def compare(
    told: Bet, untold: Bet, p: np.ndarray, shift: np.ndarray, *, slack: float, draws: float
) -> np.ndarray:
    """Predict the growth of two bets for each t: float64 (2, len(TRUST)), in nats per draw.

    Args:
        told: the bet placed.
        untold: the one without verdicts.
        p: float64 (rem,), loss fractions predicted without verdicts.
        shift: float64 (rem,), logits that the verdicts add.
        slack: D.
        draws: share of draws over p (1 - p).
    """
    trusted = expit(logit(p) + TRUST[:, None] * shift)
    return np.stack(
        [
            log_factors(bet, trusted, slack, draws) @ (bet.weight / bet.weight.sum())
            for bet in (told, untold)
        ]
    )


class _Challenger:
    """The trials of one challenger, summed."""

    def __init__(self) -> None:
        self.draws, self.dropped = 0, False
        self.growth = np.zeros((2, len(TRUST)))

    def saved(self, trust: float, most: int) -> float:
        """Draws that it would have taken without verdicts, at most so many, less those it took."""
        told, untold = (np.interp(trust, TRUST, sums) for sums in self.growth)
        if told <= 0 and untold <= 0:
            return 0.0
        part = float(np.clip(untold / max(told, 1e-9), LEAST, 1 / LEAST))
        return min(self.draws / part, most) - self.draws


class Gauge:
    """Trials and their outcomes, and what they say.

    Args:
        most: draws that a challenger can take, the number of queries.
    """

    def __init__(self, most: int) -> None:
        """Know nothing."""
        self._most = most
        self._rows: list[tuple[int, float, float, float]] = []  # model, logit, shift, loss
        self._challengers: dict[int, _Challenger] = {}
        self._fitted = 0
        self._trust = (0.0, 0.0)

    def learn(self, model: int, trial: Trial, loss: float) -> None:
        """Count one draw of a challenger: a loss 1, a draw 1/2, a win 0."""
        self._rows.append((model, trial.logit, trial.shift, loss))
        one = self._challengers.setdefault(model, _Challenger())
        one.draws += 1
        if trial.growth is not None:
            one.growth += trial.growth

    def drop(self, model: int) -> None:
        """Note that a challenger is beaten."""
        if model in self._challengers:
            self._challengers[model].dropped = True

    @property
    def draws(self) -> int:
        """Number of draws counted."""
        return len(self._rows)

    @property
    def ready(self) -> bool:
        """Tell whether there were challengers enough for an interval."""
        return len(self._challengers) >= FEWEST

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
        if math.isnan(trust):
            return trust
        beaten = (one for one in self._challengers.values() if one.dropped)
        return sum(one.saved(trust, self._most) for one in beaten)


def _fit(rows: np.ndarray) -> tuple[float, float]:
    """Fit t to the draws: float64 (k, 4); return it with its error, over challengers."""
    model, z, shift, loss = rows.T
    t, inform = 0.0, 0.0
    for _ in range(SWEEPS):
        p = expit(z + t * shift)
        inform = float((p * (1 - p)) @ shift**2)
        t += min(max(float((loss - p) @ shift) / max(inform, 1e-9), -1.0), 1.0)
    score = np.bincount(model.astype(np.intp), (loss - expit(z + t * shift)) * shift)
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
