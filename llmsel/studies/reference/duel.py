"""One challenger's draws and the predictions behind them, straight from their formulas."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

RATES = [math.exp(5e-4 * 2 ** (k / 6)) for k in range(80)]


@functools.cache
def pad_and_weight(level: int, rate: int, draw_level: int) -> tuple[float, float]:
    """C with f'(c) = rho, and f(c), for the loss fraction (level + 1/2) / 200."""
    p = (level + 0.5) / 200
    draw = 0.1 * draw_level * p * (1 - p)
    loss, win = p - draw / 2, 1 - p - draw / 2
    low, high = -12.0, 10.0
    for _ in range(45):
        c = math.exp((low + high) / 2)
        f = (1 + c) ** loss * (0.5 + c) ** draw * c**win
        if f * (loss / (1 + c) + draw / (0.5 + c) + win / c) > RATES[rate]:
            low = math.log(c)
        else:
            high = math.log(c)
    c = math.exp((low + high) / 2)
    return c, (1 + c) ** loss * (0.5 + c) ** draw * c**win


def expit(z: float) -> float:
    """Turn a logit into a probability."""
    return 1 / (1 + math.exp(-z))


def remove(values: list[Any], at: int) -> None:
    """Leave out one position; the last takes it."""
    values[at] = values[-1]
    values.pop()


class Logistic:
    """logit P(loss) = level + strength_j + difficulty_i, diagonal Newton sweeps."""

    def __init__(self, size: int, models: int):
        """Nothing is judged yet; all chances are even."""
        self.cells: list[tuple[int, int, float]] = []  # query, model, 1 for a loss, 1/2 for a draw
        self.level, self.draws, self.fits = 0.0, 0.0, 0
        self.strength, self.difficulty = [0.0] * models, [0.0] * size
        self.spread_model, self.spread_query = [1.5**2] * models, [1.5**2] * size

    def chance(self, i: int, j: int) -> float:
        """Return the chance that model j loses on query i."""
        return expit(self.level + self.strength[j] + self.difficulty[i])

    def step(
        self,
        values: list[float],
        at: Callable[[tuple[int, int, float]], int],
        ridge: float,
    ) -> None:
        """One Newton step for each entry of a list; ``at`` says which entry a cell belongs to."""
        e, w = [0.0] * len(values), [0.0] * len(values)
        for cell in self.cells:
            p = self.chance(cell[0], cell[1])
            e[at(cell)] += cell[2] - p
            w[at(cell)] += p * (1 - p)
        for k in range(len(values)):
            step = (e[k] - values[k] * ridge) / (w[k] + ridge)
            values[k] += min(max(step, -2.0), 2.0)

    def fit(self) -> None:
        """Fit again from where the last fit ended, and measure spreads and draws."""
        self.fits += 1
        if not self.cells:
            return
        for _ in range(12 if self.fits == 1 else 4):
            level = [self.level]
            self.step(level, lambda _: 0, 1e-3)
            self.level = level[0]
            self.step(self.strength, lambda cell: cell[1], 1 / 1.5**2)
            self.step(self.difficulty, lambda cell: cell[0], 1 / 1.5**2)
        of_model, of_query = [0.0] * len(self.strength), [0.0] * len(self.difficulty)
        for i, j, _ in self.cells:
            p = self.chance(i, j)
            of_model[j] += p * (1 - p)
            of_query[i] += p * (1 - p)
        self.spread_model = [1 / (w + 1 / 1.5**2) for w in of_model]
        self.spread_query = [1 / (w + 1 / 1.5**2) for w in of_query]
        self.draws = sum(y == 0.5 for *_, y in self.cells) / max(sum(of_model), 1e-9)

    def refine(self, model: int) -> None:
        """Take one Newton step for the strength of one model."""
        mine = [self.chance(i, j) for i, j, _ in self.cells if j == model]
        if not mine:
            return
        w = sum(p * (1 - p) for p in mine) + 1 / 1.5**2
        e = sum(y for _, j, y in self.cells if j == model) - sum(mine)
        step = (e - self.strength[model] / 1.5**2) / w
        self.strength[model] += min(max(step, -2.0), 2.0)
        self.spread_model[model] = 1 / w

    def predict(self, model: int, places: Sequence[int]) -> list[float]:
        """Predict the loss fractions of one model, shrunk for doubt and towards their mean."""
        ps = []
        for i in places:
            wide = 1 + math.pi / 8 * (self.spread_model[model] + self.spread_query[i])
            z = self.strength[model] + self.level + self.difficulty[i]
            ps.append(expit(z / math.sqrt(wide)))
        mean = sum(ps) / len(ps)
        return [0.9 * p + 0.1 * mean for p in ps]


class Draw(NamedTuple):
    """One drawn position: the query, its chance, its pad, and the sum of pads (nan: no bet)."""

    place: int
    chance: float
    pad: float
    pads: float

    def gain(self, y: float, d: float) -> float:
        """Return the log of the capital's factor for an outcome y, at slack d."""
        if d < 0 or not d + self.pads > 0:
            return 0.0
        factor = (y + self.pad) / (self.chance * (d + self.pads))
        return math.log(factor) if factor > 0 else -math.inf


def draw(
    logistic: Logistic,
    model: int,
    open_: list[int],
    d: float,
    short: float,
    spare: int,
    stream: np.random.Generator,
) -> list[Draw]:
    """Draw for most growth, without replacement; what is drawn leaves ``open_``.

    Args:
        logistic: predictions.
        model: the challenger.
        open_: its open queries.
        d: slack.
        short: nats that its capital lacks.
        spare: draws at most.
        stream: of its random numbers.
    """
    levels = [min(int(p * 200), 199) for p in logistic.predict(model, open_)]
    draw_level = round(min(max(logistic.draws, 0.0), 2.0) / 0.1)
    reached: list[tuple[float, float]] = []
    count, gain_of_draw = len(open_), 0.0
    for k in range(80):
        terms = [pad_and_weight(level, k, draw_level) for level in levels]
        if sum(f - RATES[k] * c for c, f in terms) <= RATES[k] * d:
            break
        reached, gain_of_draw = terms, 5e-4 * 2 ** (k / 6)
    if reached and short < gain_of_draw * len(open_):
        count = max(1, math.ceil(short / gain_of_draw))
    weights = [f**1.25 for _, f in reached] if reached else [1.0] * len(open_)
    pads = [c for c, _ in reached] if reached else [math.nan] * len(open_)
    drawn = []
    for _ in range(min(count, spare)):
        number, passed = stream.random() * sum(weights), 0.0
        for at, weight in enumerate(weights):  # noqa: B007
            passed += weight
            if passed > number:
                break
        drawn.append(Draw(open_[at], weights[at] / sum(weights), pads[at], sum(pads)))
        for values in (open_, weights, pads):
            remove(values, at)
    return drawn
