"""LLM Selector in one sitting: a handful of models and queries, one annotation at a time."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from llmsel._base.words import percent
from llmsel.belief import Belief, ExpectedEntropy, entropy, posterior
from llmsel.pool import MISSING, Pool
from llmsel.reporting.explorer.frames import Frame, Panel, Row
from llmsel.strategies import CLOSED, pick
from llmsel.studies.votes import noisy_votes

KGRAM = "k-gram"  # the judges that the pool brings, in place of one of a chosen accuracy


@dataclasses.dataclass(frozen=True)
class Setting:
    """What the sliders say.

    Args:
        eps_loss, eps_draw: of the belief, see `llmsel.Belief`.
        baseline: True if the baseline takes part in the belief.
        accuracy: share of the outcomes that one weak judge guesses right, in [0, 1]; None for the
            pool's own k-gram judges.
    """

    eps_loss: float = 0.2
    eps_draw: float = 0.4
    baseline: bool = True
    accuracy: float | None = None


@dataclasses.dataclass(frozen=True)
class Moment:
    """What is known between two annotations.

    Args:
        annotated: positions of the annotated queries, in order.
        chance: float64 (M,): weight of each model in the belief; 0 for a baseline left out.
        information: float64 (n,): bits that each query is expected to tell; 0 for the annotated.
            Negative where the weak judges expect that doubt will grow.
        chosen: position of the query that comes next, or None at the end.
    """

    annotated: tuple[int, ...]
    chance: np.ndarray
    information: np.ndarray
    chosen: int | None


def sample(pool: Pool, models: Sequence[str], per_category: int, *, seed: int = 0) -> Pool:
    """Take some models, and from every category the same number of queries, at random.

    Args:
        pool: with categories.
        models: names, the baseline among them.
        per_category: how many queries of each.
        seed: of the draw.
    """
    rng = np.random.default_rng(seed)
    kinds = np.array(pool.categories)
    rows = np.concatenate(
        [
            rng.choice(np.flatnonzero(kinds == kind), per_category, replace=False)
            for kind in dict.fromkeys(pool.categories or ())
        ]
    )
    return of_models(pool, models, sorted(rows.tolist()))


def of_models(pool: Pool, models: Sequence[str], rows: Sequence[int] | None = None) -> Pool:
    """Keep some models, and some queries (by position; None keeps all) of a pool.

    Args:
        pool: with votes, outcomes and responses.
        models: names, the baseline among them.
        rows: positions of queries.
    """
    at = list(range(pool.n_queries) if rows is None else rows)
    cells = np.ix_(at, [pool.column(model) for model in models])
    return Pool(
        tuple(pool.queries[i] for i in at),
        tuple(models),
        pool.baseline,
        texts=None if pool.texts is None else tuple(pool.texts[i] for i in at),
        responses=pool.need("responses")[cells],
        votes=pool.need("votes")[cells],
        outcomes=pool.need("outcomes")[cells],
        name=pool.name,
    )


def play(pool: Pool, setting: Setting, *, seed: int = 0) -> Iterator[Moment]:
    """Let LLM Selector annotate the whole pool; yield what is known before each annotation.

    Args:
        pool: with votes and outcomes.
        setting: what the sliders say.
        seed: of a noisy judge's errors. Ties go to the query that stands first.
    """
    belief = Belief(setting.eps_loss, setting.eps_draw)
    keep = np.array([setting.baseline or m != pool.baseline for m in pool.models])
    votes = pool.need("votes")
    if setting.accuracy is not None:
        votes = noisy_votes(pool, 1 - setting.accuracy, seed=seed)
    expected = ExpectedEntropy(belief, np.ascontiguousarray(votes[:, keep]))
    outcomes = pool.need("outcomes")[:, keep]
    weights = belief.prior(1, int(keep.sum()))
    rank = np.arange(pool.n_queries, dtype=np.int32)[None]
    annotated: tuple[int, ...] = ()
    while True:
        left = expected(weights)
        gain = np.where(rank[0] == CLOSED, 0, (entropy(weights) - left[0]) / np.log(2))
        chance = np.zeros(pool.n_models)
        chance[keep] = posterior(weights)[0]
        chosen = int(pick(-left, rank)[0]) if len(annotated) < pool.n_queries else None
        yield Moment(annotated, chance, gain, chosen)
        if chosen is None:
            return
        annotated = (*annotated, chosen)
        rank[0, chosen] = CLOSED
        weights = belief.update(weights, outcomes[chosen][None])


def frames(pool: Pool, setting: Setting, *, seed: int = 0) -> list[Frame]:
    """Draw a sitting: one frame before the first annotation, and one after each.

    Args:
        pool: with votes and outcomes.
        setting: what the sliders say.
        seed: see `play`.
    """
    moments = list(play(pool, setting, seed=seed))
    most = max(0.1, *(float(moment.information.max()) for moment in moments))
    return [_frame(pool, moment, most) for moment in moments]


def _frame(pool: Pool, moment: Moment, most: float) -> Frame:
    done, n = len(moment.annotated), pool.n_queries
    queries = Panel("query, outcomes, bits it is expected to tell", _queries(pool, moment), most)
    beliefs = Panel("belief: chance to be the best", _beliefs(pool, moment), 1.0)
    rates = Panel("win rate on the annotated queries", _rates(pool, moment), 1.0, mark=0.5)
    columns = ", ".join(m for m in pool.models if m != pool.baseline)
    title = f"{done} of {n} queries annotated. Columns: {columns}"
    return Frame(title, _note(pool, moment), ((queries,), (beliefs, rates)))


def _queries(pool: Pool, moment: Moment) -> tuple[Row, ...]:
    outcomes = pool.need("outcomes")[:, pool.candidate_columns]
    rows = []
    for i, query in enumerate(pool.queries):
        known = i in moment.annotated
        bits = float(moment.information[i])
        tone = "next" if i == moment.chosen else "known" if known else "plain"
        cells = tuple(int(a) if known and a != MISSING else None for a in outcomes[i])
        rows.append(Row(query, bits, "known" if known else f"{bits:.2f}", tone, cells))
    return tuple(rows)


def _beliefs(pool: Pool, moment: Moment) -> tuple[Row, ...]:
    top = moment.chance.max()
    return tuple(
        Row(m, float(p), percent(float(p), 1) if p else "left out", _tone(p >= top - 1e-9))
        for m, p in zip(pool.models, moment.chance, strict=True)
    )


def _rates(pool: Pool, moment: Moment) -> tuple[Row, ...]:
    if not moment.annotated:
        return tuple(Row(m, 0.0, "unknown") for m in pool.models)
    rates = pool.win_rates(np.array(moment.annotated))
    return tuple(
        Row(m, float(w), f"{w:.0%}", _tone(w >= rates.max()))
        for m, w in zip(pool.models, rates, strict=True)
    )


def _tone(strong: bool) -> str:
    return "strong" if strong else "plain"


def _note(pool: Pool, moment: Moment) -> str:
    best = [
        m
        for m, p in zip(pool.models, moment.chance, strict=True)
        if p >= moment.chance.max() - 1e-9
    ]
    leads = f"belief: {' and '.join(best)}" if len(best) < 4 else "belief: all alike"
    if moment.chosen is None:
        truth = pool.win_rates()
        winner = " and ".join(
            m for m, w in zip(pool.models, truth, strict=True) if w >= truth.max()
        )
        return f"All is known: {winner} won most; {leads}."
    bits = float(moment.information[moment.chosen])
    return f"Next: {pool.queries[moment.chosen]}, {bits:.2f} bits expected, the most; {leads}."
