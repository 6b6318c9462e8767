"""What a race is likely to cost: races played in worlds that fit what is judged so far.

Every world is a full table of outcomes drawn from the audit's two-way logistic model
(`llmsel.racing.audit.predictor`): strengths and difficulties from their posterior given the
outcomes known, or from the prior if none is. A race is played in each, as it would be here. This is
a forecast and no promise: it knows nothing of what the model leaves out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from llmsel._base.errors import InputError
from llmsel._base.words import margin
from llmsel.pool import MISSING, Pool
from llmsel.racing.audit.predictor import SD_MODEL, SD_QUERY, LossPredictor, expit
from llmsel.racing.elimination import Rule
from llmsel.racing.race import Race

DELTAS = (0.0, 0.01, 0.05)
SPREADS = np.geomspace(0.2, 2.0, 10)  # of strengths and of difficulties, in logits
SPAN = (0.1, 0.5, 0.9)  # quantiles over the worlds


@dataclasses.dataclass(frozen=True)
class Forecast:
    """The likely cost of a race within one margin.

    Args:
        delta: win-rate margin of the race.
        low, middle, high: calls: 10, 50 and 90 % of the worlds need at most so many.
        everyone: calls that judging every answer takes.
        known: outcomes that the worlds were fitted to; 0 for a forecast from the sizes alone.
    """

    delta: float
    low: int
    middle: int
    high: int
    everyone: int
    known: int

    @property
    def statement(self) -> str:
        """All that in one sentence."""
        what = f"within {margin(self.delta)} of the best" if self.delta else "the best model"
        basis = f"{self.known} outcomes" if self.known else "no outcome yet: a wide guess"
        return (
            f"{what}: likely {self.low} to {self.high} calls ({self.low / self.everyone:.0%} to "
            f"{self.high / self.everyone:.0%} of judging everyone; from {basis})."
        )


def forecast(
    pool: Pool,
    known: Mapping[str, Mapping[str, int]] | None = None,
    *,
    deltas: Sequence[float] = DELTAS,
    rule: Rule | None = None,
    batch: int = 1,
    worlds: int = 20,
    seed: int = 0,
) -> tuple[Forecast, ...]:
    """Forecast what races within several margins are likely to cost, from their start.

    Args:
        pool: the queries and models; outcomes in it are not looked at.
        known: outcomes by query and model, as of a first part of a race; None for none.
        deltas: win-rate margins (0..1).
        rule: of the race; None takes its default.
        batch: of the race.
        worlds: number of simulated tables per margin; the same for all margins.
        seed: of the worlds.

    Returns:
        One forecast per margin, in their order.

    Raises:
        InputError: a query or model that the pool does not have, or a parameter out of range.
    """
    if worlds < 1:
        raise InputError(f"worlds={worlds}: simulate at least one.")
    cells = _cells(pool, known or {})
    predictor = LossPredictor(pool.n_queries, pool.n_models)
    for cell, outcome in cells.items():
        predictor.add(*cell, 0.5 - 0.5 * outcome)
    predictor.fit()
    tables = [
        _world(predictor, pool, cells, np.random.default_rng([seed, world]))
        for world in range(worlds)
    ]
    found = []
    for delta in deltas:
        calls = [
            _calls(pool, table, Race(pool, rule, seed=world, delta=delta, batch=batch))
            for world, table in enumerate(tables)
        ]
        low, middle, high = np.quantile(calls, SPAN, method="inverted_cdf").astype(int).tolist()
        everyone = pool.n_queries * len(pool.candidates)
        found.append(Forecast(delta, low, middle, high, everyone, len(cells)))
    return tuple(found)


def _cells(pool: Pool, known: Mapping[str, Mapping[str, int]]) -> dict[tuple[int, int], int]:
    """Name what is known by place and column of the pool, without the baseline and MISSING."""
    return {
        (pool.place(query), pool.column(model)): outcome
        for query, row in known.items()
        for model, outcome in row.items()
        if outcome != MISSING and model != pool.baseline
    }


def _world(
    predictor: LossPredictor,
    pool: Pool,
    cells: Mapping[tuple[int, int], int],
    rng: np.random.Generator,
) -> np.ndarray:
    """Draw one table of outcomes: int8 (P, M), the baseline 0, what is known as it is."""
    strength = _effects(predictor.strength, predictor.spread_model, SD_MODEL, rng)
    difficulty = _effects(predictor.difficulty, predictor.spread_query, SD_QUERY, rng)
    p = expit(predictor.level + strength + difficulty[:, None])
    draw = min(predictor.draws, 2.0) * p * (1 - p)
    u = rng.random(p.shape)
    table = np.where(u < p - draw / 2, -1, np.where(u < p + draw / 2, 0, 1)).astype(np.int8)
    table[:, pool.baseline_index] = 0
    for cell, outcome in cells.items():
        table[cell] = outcome
    return table


def _effects(
    mean: np.ndarray, spread: np.ndarray, sd: float, rng: np.random.Generator
) -> np.ndarray:
    """Draw effects from their posterior, with a common spread that is uncertain itself.

    Args:
        mean: posterior means under the prior N(0, sd^2).
        spread: posterior variances.
        sd: of that prior, which is taken out again.
        rng: draws the common spread, with chances proportional to what it makes of the data.
    """
    weight = np.maximum(1 / spread - sd**-2, 0)  # what the data alone say
    seen = weight > 1e-9
    found = np.divide(mean / spread, weight, out=np.zeros_like(mean), where=seen)
    var = SPREADS[:, None] ** 2 + 1 / weight[seen]
    fit = -0.5 * (found[seen] ** 2 / var + np.log(var)).sum(axis=1)
    chances = np.exp(fit - fit.max())
    own = rng.choice(SPREADS, p=chances / chances.sum())
    posterior = 1 / (weight + own**-2)
    drawn: np.ndarray = rng.normal(found * weight * posterior, np.sqrt(posterior))
    return drawn


def _calls(pool: Pool, table: np.ndarray, race: Race) -> int:
    """Play a race in one world."""
    while tasks := race.ask():
        for task in tasks:
            row = table[pool.place(task.query)]
            race.tell(task.query, {m: int(row[pool.column(m)]) for m in task.models})
    return race.verdict().calls
