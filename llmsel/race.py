"""Race: one real decision, judging only the models that can still win.

It names the next query and the candidates to judge on it, learns the outcomes, and says who is
beaten, who leads and what that is worth. It knows nothing of judges, widgets or files, and it is
`llmsel.lockstep.Lockstep` with one realization: the same code as in the experiments.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from llmsel._base.errors import InputError, unknown
from llmsel.elimination import (
    BUDGET,
    CERTAIN,
    EXHAUSTED,
    ONE_LEFT,
    REFUSED,
    TIED,
    WITHIN,
    Certified,
    Rule,
    rule_of,
    rule_settings,
)
from llmsel.lockstep import Budget, Lockstep
from llmsel.pool import MISSING, Pool
from llmsel.studies.by_query import draw_orders


@dataclasses.dataclass(frozen=True)
class Task:
    """One query to judge.

    Parameters
    ----------
    query: its id.
    text: its text, or None.
    models: the candidates whose response must be compared with the baseline's.
    """

    query: str
    text: str | None
    models: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Certificate:
    """What a race can say now.

    Parameters
    ----------
    winners: the answer, or the present leaders; several if tied.
    live: the models that can still be the best.
    dropped: model -> number of queries after which it was dropped.
    certified: True if ``winners`` holds with probability at least ``1 - alpha``.
    stop: why the race ended, or empty while it goes on.
    calls, queries: what was paid: judged cells, and queries touched.
    statement: all that in one or two sentences.
    """

    winners: tuple[str, ...]
    live: tuple[str, ...]
    dropped: Mapping[str, int]
    certified: bool
    stop: str
    calls: int
    queries: int
    statement: str


class Race:
    """One real decision: ask for the next query and models to judge, tell the outcomes.

    Rows are learned in the drawn order. A judgement that failed (None) is asked for again, and
    the race waits for it: putting the query off would make the order depend on the outcomes, and
    the certificate with it. `give_up` ends the waiting; see llmsel.elimination for how it counts.

    Parameters
    ----------
    pool: the queries and models; outcomes in it are ignored.
    rule: elimination rule; None takes `Certified`.
    seed: of the random order of the queries.
    delta: win-rate margin (0..1) of the early stop, fixed beforehand; 0 for none.
    batch: queries asked for at once; models are dropped only after each batch.
    budget: limits; None for none.
    order: query ids in an order of your own, heuristic rules only; None draws a random order.

    Raises
    ------
    InputError: a parameter out of range, an unknown query id, an order that is not one of all
        queries, or a certificate asked for in an order that is not uniformly random.
    """

    def __init__(
        self,
        pool: Pool,
        rule: Rule | None = None,
        seed: int = 0,
        delta: float = 0.0,
        batch: int = 1,
        budget: Budget | None = None,
        order: Sequence[str] | None = None,
    ):
        """Draw the order and open the first step."""
        self.rule = Certified() if rule is None else rule
        if order is not None and self.rule.certifies:
            raise InputError(REFUSED)
        if order is not None and sorted(order) != sorted(pool.queries):
            raise InputError(
                f"'order' must name each of the {pool.n_queries} queries of '{pool.name}' once."
            )
        self._pool = pool.hide_outcomes()
        place = {q: i for i, q in enumerate(pool.queries)}
        if order is None:
            self._order = draw_orders(pool.n_queries, pool.n_queries, 1, seed)[0]
        else:
            self._order = np.array([place[q] for q in order])
        self._delta = delta
        self._seed, self._batch = seed, batch
        self._given_order = None if order is None else list(order)
        self._race = Lockstep(
            1,
            pool.n_models,
            pool.baseline_index,
            pool.n_queries,
            self.rule,
            delta,
            batch,
            budget,
        )
        self._live = np.ones(pool.n_models, dtype=bool)
        self._calls = self._seen = 0
        self._open: dict[str, dict[str, int]] = {}
        self._begin()

    @property
    def settings(self) -> dict[str, Any]:
        """All that the course of the race depends on beside the outcomes, as JSON can hold it.

        The budget is not in it: it ends a race, but changes none of its steps.
        """
        return {
            "rule": rule_settings(self.rule),
            "seed": self._seed,
            "delta": self._delta,
            "batch": self._batch,
            "order": self._given_order,
        }

    @classmethod
    def of_settings(cls, pool: Pool, settings: Mapping[str, Any]) -> Race:
        """Make the race that has these `settings`, at its start.

        Raises
        ------
        InputError: a rule that llmsel does not know.
        """
        rest = {key: settings[key] for key in ("seed", "delta", "batch", "order")}
        return cls(pool, rule_of(settings["rule"]), **rest)

    @property
    def live(self) -> tuple[str, ...]:
        """The models that can still be the best, the baseline included."""
        return self._names(self._live)

    def ask(self) -> tuple[Task, ...]:
        """Return the queries of this step and whom to judge on each; empty when the race is over.

        Models already told are not asked for again.
        """
        judged = [m for m in self.live if m != self._pool.baseline]
        tasks = []
        for query, told in self._open.items():
            models = tuple(m for m in judged if m not in told)
            if models:
                texts = self._pool.texts
                text = None if texts is None else texts[self._pool.queries.index(query)]
                tasks.append(Task(query, text, models))
        return tuple(tasks)

    def tell(self, query: str, outcomes: Mapping[str, int | None]) -> None:
        """Learn outcomes of one query: model -> -1, 0, 1, or None where the judgement failed.

        Raises
        ------
        InputError: a query or model that was not asked for, or an outcome that is none.
        """
        told = self._told(query)
        judged = [m for m in self.live if m != self._pool.baseline]
        for model, outcome in outcomes.items():
            if model not in self._pool.models:
                raise unknown("model", model, judged)
            if model not in judged or model in told:
                why = "it was told before" if model in told else "it is not judged any more"
                if model == self._pool.baseline:
                    why = "it is the baseline"
                raise InputError(f"model '{model}' was not asked for on query '{query}': {why}.")
            if outcome not in (-1, 0, 1, None):
                raise InputError(
                    f"the outcome of model '{model}' on query '{query}' is {outcome}; it must be "
                    "-1 (loss), 0 (draw), 1 (win), or None if the judgement failed."
                )
        told.update({m: int(a) for m, a in outcomes.items() if a is not None})
        self._learn()

    def give_up(self, query: str) -> None:
        """Ask no more for the outcomes that this query lacks: they stay unknown.

        Raises
        ------
        InputError: a query that was not asked for.
        """
        told = self._told(query)
        for model in self.live:
            if model != self._pool.baseline:
                told.setdefault(model, MISSING)
        self._learn()

    def certificate(self) -> Certificate:
        """Say who wins, or leads, and what that is worth."""
        return certify(self._race, self._pool, self.rule, self._delta, *self._paid)

    @property
    def _paid(self) -> tuple[int, int]:
        """Cells told and queries touched so far, those of the open batch included."""
        told = [len(row) for row in self._open.values() if row]
        return self._calls + sum(told), self._seen + len(told)

    def _names(self, which: np.ndarray) -> tuple[str, ...]:
        return tuple(m for m, w in zip(self._pool.models, which, strict=True) if w)

    def _told(self, query: str) -> dict[str, int]:
        if query not in self._pool.queries:
            raise unknown("query id", query, self._open or self._pool.queries)
        if query not in self._open:
            now = ", ".join(f"'{q}'" for q in self._open) or "none, the race is over"
            raise InputError(f"query '{query}' was not asked for; open now: {now}.")
        return self._open[query]

    def _begin(self) -> None:
        """Open the next batch, unless the race is over."""
        race = self._race
        self._open = {}
        if not len(race.who):
            return
        count = race.begin_batch()
        if len(race.who):
            places = self._order[race.now.seen : race.now.seen + count]
            self._open = {self._pool.queries[i]: {} for i in places}

    def _learn(self) -> None:
        """Hand the batch to the race once every row is complete, in drawn order."""
        if self.ask():
            return
        rows = np.full((1, len(self._open), self._pool.n_models), MISSING, dtype=np.int8)
        rows[0, :, self._pool.baseline_index] = 0
        for row, told in zip(rows[0], self._open.values(), strict=True):
            for model, outcome in told.items():
                row[self._pool.models.index(model)] = outcome
        self._calls, self._seen = self._paid
        self._race.learn(rows)
        self._live = self._live & (self._race.dropped[0] == 0)
        self._begin()


def certify(
    race: Lockstep, pool: Pool, rule: Rule, delta: float, calls: int, queries: int
) -> Certificate:
    """Say who wins, or leads, in the one realization of a race, and what that is worth.

    Parameters
    ----------
    race: with one realization, at whatever step.
    pool, rule, delta: of the race.
    calls, queries: what was paid.
    """

    def names(which: np.ndarray) -> tuple[str, ...]:
        return tuple(m for m, w in zip(pool.models, which, strict=True) if w)

    winners, stop = names(race.winners[0]), str(race.stop[0])
    live = names(race.dropped[0] == 0)
    who = " and ".join(f"'{w}'" for w in winners)
    many = len(winners) > 1
    alpha = getattr(rule, "alpha", None)
    if stop == TIED:
        text = f"{who} cannot be told apart on this pool: their win rates are equal"
    elif stop in (ONE_LEFT, EXHAUSTED):
        text = f"{who} is the best of this pool"
    elif stop == WITHIN:
        text = f"{who} {'are' if many else 'is'} within {delta:.1%} of the best win rate"
    else:
        if len(winners) > 3:
            who = f"{len(winners)} models"
        text = (
            f"{who} {'lead' if many else 'leads'}; the best is one of the {len(live)} models left "
            f"of {pool.n_models}"
        )
    worth = (
        "by a heuristic rule, without a certificate"
        if alpha is None
        else f"with probability at least {1 - alpha:.0%}"
    )
    cost = f"{calls} calls on {queries} of {pool.n_queries} queries"
    return Certificate(
        winners=winners,
        live=live,
        dropped={m: int(t) for m, t in zip(pool.models, race.dropped[0], strict=True) if t > 0},
        certified=rule.certifies and stop in CERTAIN,
        stop=stop,
        calls=calls,
        queries=queries,
        statement=f"{text} ({worth}; {cost}).{' The budget is spent.' if stop == BUDGET else ''}",
    )
