"""Winners by category, and for the mix of categories that production will see.

In each category the leader is tested against every other model on the same queries. The best model
of a category is wrongly excluded only if the leader is shown to be better than it, which is one
test for each other model; so at a level of ``alpha / (categories * (models - 1))`` each, all the
lists of contenders together hold their best models with probability ``1 - alpha``, whichever
model leads. The queries of a category count as a sample of those to come.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from llmsel._base.errors import InputError, unknown
from llmsel._base.intervals import betting_interval
from llmsel._base.words import at_least
from llmsel.judging.replay import Contents
from llmsel.pool import MISSING, Pool

MIX = "the mix"
SHUFFLE = 20250601  # bets go in an order that depends on no outcome
SHOWN = 6  # contenders that a sentence names


@dataclasses.dataclass(frozen=True)
class CategoryWinner:
    """Who is best in one category.

    Args:
        category: its name.
        queries: judged for every model.
        rates: model -> win rate against the baseline, the highest first.
        contenders: the leader, and every model that is not shown to be worse than it.
        alpha: chance that a best model is missing from any of the lists, over all categories.
    """

    category: str
    queries: int
    rates: Mapping[str, float]
    contenders: tuple[str, ...]
    alpha: float

    @property
    def winner(self) -> str | None:
        """The one model that is shown to be the best; None if several may be."""
        return self.contenders[0] if len(self.contenders) == 1 else None

    @property
    def statement(self) -> str:
        """All that in one sentence."""
        leader, rate = self.contenders[0], self.rates[self.contenders[0]]
        where = f"{self.category} ({self.queries} queries): '{leader}'"
        if self.winner is not None:
            return f"{where} is the best, with a win rate of {rate:.1%}."
        others = [f"'{model}'" for model in self.contenders[1:]]
        more = f" and {len(others) - SHOWN} more" if len(others) > SHOWN else ""
        return (
            f"{where} leads with a win rate of {rate:.1%}, and {', '.join(others[:SHOWN])}{more} "
            "may be better."
        )


def winners_by_category(
    source: Pool | Contents, *, alpha: float = 0.05, weights: Mapping[str, float] | None = None
) -> list[CategoryWinner]:
    """Name the winner of each category, and of the mix that production will see.

    Args:
        source: a pool with outcomes and categories, or a log of whole queries. Not of a race: it
            judges a model on as many queries as its outcomes make worth judging.
        alpha: chance that any best model is not among the contenders, over all that is returned.
        weights: category -> share in production, in any unit; one more winner is returned then,
            of the mix. A category without a weight has none.

    Returns:
        One a category, in the pool's order.

    Raises:
        InputError: no categories, nothing judged for every model, a race, or an unknown category.
    """
    pool, judged = whole(source)
    if pool.categories is None:
        raise InputError(
            f"pool '{pool.name}' has no categories; give its answers a column 'category'."
        )
    kinds = np.array(pool.categories, dtype=object)
    strata = {kind: np.flatnonzero(judged & (kinds == kind)) for kind in dict.fromkeys(kinds)}
    strata = {kind: rows for kind, rows in strata.items() if len(rows)}
    mixes: list[tuple[str, dict[str, float]]] = [(kind, {kind: 1.0}) for kind in strata]
    if weights is not None:
        mixes.append((MIX, _shares(weights, strata)))
    level = alpha / (len(mixes) * (pool.n_models - 1))
    return [
        _winner(pool, name, [(strata[k], w) for k, w in mix.items()], level=level, alpha=alpha)
        for name, mix in mixes
    ]


def told(found: Sequence[CategoryWinner]) -> str:
    """Say once what all the lists together are worth."""
    alpha = found[0].alpha
    return (
        f"with probability at least {at_least(alpha)} every best model is among those named, over "
        f"all {len(found)} lines together."
    )


def with_outcomes(source: Pool | Contents) -> Pool:
    """The pool with its outcomes: its own, or those of a log."""
    if isinstance(source, Pool):
        return source
    pool = source.pool
    outcomes = np.full((pool.n_queries, pool.n_models), MISSING, dtype=np.int8)
    outcomes[:, pool.baseline_index] = 0
    for each in source.given:
        outcomes[pool.place(each.query), pool.column(each.model)] = each.outcome
    judged = (np.delete(outcomes, pool.baseline_index, axis=1) != MISSING).any()
    return pool.replace(outcomes=outcomes) if judged else pool


def whole(source: Pool | Contents) -> tuple[Pool, np.ndarray]:
    """The pool, and which of its queries are judged for every model: bool ``(n,)``.

    Raises:
        InputError: a race, or no such query.
    """
    if isinstance(source, Contents) and source.race is not None:
        raise InputError(
            "the log holds a race, which judges a model on as many queries as its outcomes make "
            "worth judging: this it cannot say. Judge whole queries (--queries) for that."
        )
    pool = with_outcomes(source)
    judged = (pool.need("outcomes") != MISSING).all(axis=1)
    if not judged.any():
        raise InputError("no query is judged for every model; finish some, or leave models out.")
    return pool, judged


def _shares(weights: Mapping[str, float], strata: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Weights as shares that add up to 1."""
    for kind, weight in weights.items():
        if kind not in strata:
            raise unknown("category", kind, strata)
        if not 0 <= weight < float("inf"):
            raise InputError(f"the weight of category '{kind}' is {weight}; give 0 or more.")
    total = sum(weights.values())
    if not total > 0:
        raise InputError("the weights add up to 0; give one category at least some.")
    return {kind: weight / total for kind, weight in weights.items() if weight}


def _winner(
    pool: Pool,
    name: str,
    strata: Sequence[tuple[np.ndarray, float]],
    *,
    level: float,
    alpha: float,
) -> CategoryWinner:
    outcomes = pool.need("outcomes")
    means = sum(weight * outcomes[rows].mean(axis=0, dtype=float) for rows, weight in strata)
    order = np.argsort(-np.asarray(means), kind="stable").tolist()
    first = order[0]
    contenders = [first]
    for other in order[1:]:
        gaps = [
            (outcomes[rows, first].astype(float) - outcomes[rows, other], weight)
            for rows, weight in strata
        ]
        if lower(gaps, level) <= 0:
            contenders.append(other)
    rates = {pool.models[j]: float((np.asarray(means)[j] + 1) / 2) for j in order}
    return CategoryWinner(
        name,
        sum(len(rows) for rows, _ in strata),
        rates,
        tuple(pool.models[j] for j in contenders),
        alpha,
    )


def lower(gaps: Sequence[tuple[np.ndarray, float]], level: float) -> float:
    """Lower bound of a weighted mean of differences in [-2, 2]; every stratum has its share."""
    low = 0.0
    for gap, weight in gaps:
        order = np.random.default_rng(SHUFFLE).permutation(len(gap))
        # of the two sides that an interval may miss on, only the lower one counts
        ends = betting_interval((gap[order] + 2) / 4, alpha=min(2 * level / len(gaps), 1.0))
        low += weight * (4 * ends[0] - 2)
    return low
