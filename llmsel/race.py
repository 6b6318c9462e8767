"""Race: one real decision, judging only the models that can still win.

It names the next query and the candidates to judge on it, learns the outcomes, and says who is
beaten, who leads and what that is worth. It knows nothing of judges, widgets or files, and it is
`Races` with one realization: the same code as in the experiments.
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
    Standing,
    from_settings,
)
from llmsel.pool import MISSING, Pool, draw_orders


@dataclasses.dataclass(frozen=True)
class Task:
    """One query to judge.

    Args:
        query: its id.
        text: its text, or None.
        models: the candidates whose response must be compared with the baseline's.
    """

    query: str
    text: str | None
    models: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class RaceVerdict:
    """What a race can say now.

    Args:
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

    Args:
        pool: the queries and models; outcomes in it are ignored.
        rule: elimination rule; None takes `Certified`.
        seed: of the random order of the queries.
        delta: win-rate margin (0..1) of the early stop, fixed beforehand; 0 for none.
        batch: queries asked for at once; models are dropped only after each batch.
        budget: limits; None for none.
        order: query ids in an order of your own, heuristic rules only; None draws a random order.

    Raises:
        InputError: a parameter out of range, an unknown query id, an order that is not one of all
            queries, or a certificate asked for in an order that is not uniformly random.

    Example:
        >>> race = Race(Pool(["q1", "q2", "q3"], ["new", "odd", "old"], "old"), seed=0)
        >>> while tasks := race.ask():
        ...     for task in tasks:  # your judge goes here
        ...         race.tell(task.query, {m: 1 if m == "new" else 0 for m in task.models})
        >>> race.verdict().winners
        ('new',)
    """

    def __init__(
        self,
        pool: Pool,
        rule: Rule | None = None,
        *,
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
        if order is None:
            self._order = draw_orders(pool.n_queries, pool.n_queries, realizations=1, seed=seed)[0]
        else:
            self._order = np.array([pool.place(q) for q in order])
        self._delta = delta
        self._seed, self._batch = seed, batch
        self._given_order = None if order is None else list(order)
        self._race = Races(
            1,
            pool.n_models,
            baseline=pool.baseline_index,
            pool_size=pool.n_queries,
            rule=self.rule,
            delta=delta,
            batch=batch,
            budget=budget,
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
            "rule": self.rule.settings,
            "seed": self._seed,
            "delta": self._delta,
            "batch": self._batch,
            "order": self._given_order,
        }

    @classmethod
    def of_settings(cls, pool: Pool, settings: Mapping[str, Any]) -> Race:
        """Make the race that has these `settings`, at its start.

        Raises:
            InputError: a rule that llmsel does not know.
        """
        rest = {key: settings[key] for key in ("seed", "delta", "batch", "order")}
        return cls(pool, from_settings(settings["rule"]), **rest)

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
                text = None if texts is None else texts[self._pool.place(query)]
                tasks.append(Task(query, text, models))
        return tuple(tasks)

    def tell(self, query: str, outcomes: Mapping[str, int | None]) -> None:
        """Learn outcomes of one query: model -> -1, 0, 1, or None where the judgement failed.

        Raises:
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

        Raises:
            InputError: a query that was not asked for.
        """
        told = self._told(query)
        for model in self.live:
            if model != self._pool.baseline:
                told.setdefault(model, MISSING)
        self._learn()

    def verdict(self) -> RaceVerdict:
        """Say who wins, or leads, and what that is worth."""
        calls, queries = self._paid
        return race_verdict(
            self._race,
            self._pool,
            rule=self.rule,
            delta=self._delta,
            calls=calls,
            queries=queries,
        )

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
                row[self._pool.column(model)] = outcome
        self._calls, self._seen = self._paid
        self._race.learn(rows)
        self._live = self._live & (self._race.dropped[0] == 0)
        self._begin()


def race_verdict(
    race: Races, pool: Pool, *, rule: Rule, delta: float, calls: int, queries: int
) -> RaceVerdict:
    """Say who wins, or leads, in the one realization of a race, and what that is worth.

    Args:
        race: with one realization, at whatever step.
        pool: of the race.
        rule: of the race.
        delta: of the race.
        calls: cells paid for.
        queries: queries touched.
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
    return RaceVerdict(
        winners=winners,
        live=live,
        dropped={m: int(t) for m, t in zip(pool.models, race.dropped[0], strict=True) if t > 0},
        certified=rule.certifies and stop in CERTAIN,
        stop=stop,
        calls=calls,
        queries=queries,
        statement=f"{text} ({worth}; {cost}).{' The budget is spent.' if stop == BUDGET else ''}",
    )


@dataclasses.dataclass(frozen=True)
class Budget:
    """How much a race may spend; what is not given is not limited.

    Args:
        calls: judged cells.
        queries: queries touched.
        money: in the currency of ``price``.
        price: of one judge call.

    Raises:
        InputError: a negative limit, or money without a price.
    """

    calls: float | None = None
    queries: int | None = None
    money: float | None = None
    price: float | None = None

    def __post_init__(self) -> None:
        """Check that the limits can be used."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value is not None and not value >= 0:
                raise InputError(f"budget: {field.name}={value} must be at least 0.")
        if self.money is not None and not self.price:
            raise InputError(
                f"budget: money={self.money:g} needs the price of one judge call; give 'price'."
            )

    @property
    def most_calls(self) -> float:
        """The number of calls that calls and money allow; infinite without either."""
        paid = (
            np.inf if self.money is None else np.floor(self.money / float(self.price or 1) + 1e-9)
        )
        return float(min(np.inf if self.calls is None else self.calls, paid))

    @property
    def most_queries(self) -> float:
        """The number of queries allowed; infinite without a limit."""
        return np.inf if self.queries is None else self.queries


class Races:
    """R races side by side, each on its own pool of P queries; the number seen is the same in all.

    Alternate `begin_batch` and `learn` until no race is left in ``who``. Realization r depends on
    its own rows only, so it is the same alone or with a thousand others.

    Args:
        realizations, n_models, pool_size: sizes R, M, P.
        baseline: column of the baseline.
        rule: elimination rule.
        delta: win-rate margin (0..1) of the early stop; 0 for none.
        batch: queries judged per step; models are dropped only after each batch.
        budget: a batch is begun only if it can be paid in full.

    Attributes:
        who: int (r,): realizations still racing. ``now``: their `Standing`; calls: (r,) their cost.
        winners: bool (R, M): present leaders, at the end the answer. stop: str (R,): why it ended.
        dropped: int (R, M): queries seen when a model was dropped, 0 for the live.
    """

    def __init__(
        self,
        realizations: int,
        n_models: int,
        *,
        baseline: int,
        pool_size: int,
        rule: Rule,
        delta: float = 0.0,
        batch: int = 1,
        budget: Budget | None = None,
    ):
        """Line up; nothing is judged yet."""
        if not 0 <= delta < 1:
            raise InputError(f"delta={delta} must be a win-rate margin in [0, 1), as 0.01 for 1 %.")
        if batch < 1:
            raise InputError(f"batch={batch}; at least one query is judged per step.")
        self.budget = Budget() if budget is None else budget
        self.who = np.arange(realizations)
        self.now = Standing(realizations, n_models, baseline=baseline, pool_size=pool_size)
        self.calls = np.zeros(realizations)
        self.winners = np.ones((realizations, n_models), dtype=bool)
        self.stop = np.full(realizations, "", dtype="<U16")
        self.dropped = np.zeros((realizations, n_models), dtype=int)
        self._evidence = rule.begin(self.now, delta)
        self._paid = np.arange(n_models) != baseline
        self._batch = batch

    def begin_batch(self) -> int:
        """Return the number of queries to judge now, after ending the races that cannot pay."""
        count = min(self._batch, self.now.pool_size - self.now.seen)
        price = count * (self.now.live & self._paid).sum(axis=1)
        broke = self.calls + price > self.budget.most_calls
        broke |= self.now.seen + count > self.budget.most_queries
        self._end(broke, np.full(len(broke), BUDGET))
        self.calls += price[~broke]
        return count

    def learn(self, rows: np.ndarray) -> None:
        """Learn the judged queries in order, then drop who is beaten.

        Args:
            rows: int8, shape ``(r, count, M)``: outcomes of the live models; those of others are
                not looked at; MISSING where a judgement was given up.
        """
        now = self.now
        for q in range(rows.shape[1]):
            self._evidence.stake(now)  # before the row is seen
            self._evidence.settle(*now.add(rows[:, q]))
        leaders = now.leaders
        beaten, close = self._evidence.verdict(now)
        going = now.live & ((beaten & ~leaders) | now.out_of_reach)
        now.live &= ~going
        self.dropped[self.who] += going * now.seen
        self.winners[self.who] = leaders
        stop = np.full(len(self.who), "", dtype="<U16")
        within = close.any(axis=1) & (now.seen < now.pool_size)
        self.winners[self.who[within]] = (close & leaders)[within]
        stop[within] = WITHIN
        if now.seen == now.pool_size:  # all is known, which says more than "within delta"
            stop[:] = np.where(leaders.sum(axis=1) > 1, TIED, EXHAUSTED)
        stop[now.live.sum(axis=1) == 1] = ONE_LEFT
        self.winners[self.who[stop == ONE_LEFT]] = now.live[stop == ONE_LEFT]
        self._end(stop != "", stop)

    def _end(self, which: np.ndarray, stop: np.ndarray) -> None:
        """End some of the races still going."""
        if not which.any():
            return
        self.stop[self.who[which]] = stop[which]
        self.who, self.calls = self.who[~which], self.calls[~which]
        self.now.keep(~which)
        self._evidence.keep(~which)
