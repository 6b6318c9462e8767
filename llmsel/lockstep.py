"""Races over many realizations: judge only the models that can still win.

A race takes the queries of a pool one after the other in one order, judges every live model on
each, and drops the models that are beaten (llmsel.elimination). It saves judge calls (cells), not
queries. The baseline takes part as a model of win rate 1/2 that costs no call.

`Racing` is the race as a method of `llmsel.studies.by_call.compete`; `llmsel.race.Race` is one real
decision by ask and tell. Both run `Lockstep`.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from llmsel._base.errors import InputError
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
)
from llmsel.pool import Pool
from llmsel.studies.methods.desk import Desk, Method


@dataclasses.dataclass(frozen=True)
class Budget:
    """How much a race may spend; what is not given is not limited.

    Parameters
    ----------
    calls: judged cells.
    queries: queries touched.
    money: in the currency of ``price``.
    price: of one judge call.

    Raises
    ------
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


class Lockstep:
    """R races side by side, each on its own pool of P queries; the number seen is the same in all.

    Alternate `begin_batch` and `learn` until no race is left in ``who``. Realization r depends on
    its own rows only, so it is the same alone or with a thousand others.

    Parameters
    ----------
    realizations, n_models, pool_size: sizes R, M, P.
    baseline: column of the baseline.
    rule: elimination rule.
    delta: win-rate margin (0..1) of the early stop; 0 for none.
    batch: queries judged per step; models are dropped only after each batch.
    budget: a batch is begun only if it can be paid in full.

    Attributes
    ----------
    who: int (r,): realizations still racing. ``now``: their `Standing`; calls: (r,) their cost.
    winners: bool (R, M): present leaders, at the end the answer. stop: str (R,): why it ended.
    dropped: int (R, M): queries seen when a model was dropped, 0 for the live.
    """

    def __init__(
        self,
        realizations: int,
        n_models: int,
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
        self.now = Standing(realizations, n_models, baseline, pool_size)
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

        Parameters
        ----------
        rows: int8, shape ``(r, count, M)``: outcomes of the live models; those of others are not
            looked at; MISSING where a judgement was given up.
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


class Racing(Method):
    """A race as a method of `llmsel.studies.methods.desk.compete`.

    Parameters
    ----------
    rule: elimination rule; None takes `Certified`.
    delta: win-rate margin (0..1) of the early stop, fixed beforehand; 0 for none.
    batch: queries judged per step.
    budget: limits; None for none.
    orders: int, shape ``(R, P)``: each realization's pool in another order than the random one,
        such as a strategy's picks; heuristic rules only.
    name: what tables call it.

    Raises
    ------
    InputError: a parameter out of range, or a certificate asked for in an order that is not
        uniformly random.
    """

    def __init__(
        self,
        rule: Rule | None = None,
        delta: float = 0.0,
        batch: int = 1,
        budget: Budget | None = None,
        orders: np.ndarray | None = None,
        name: str | None = None,
    ):
        """Check the parameters."""
        self.rule = Certified() if rule is None else rule
        self.delta, self.batch, self.budget, self.orders = delta, batch, budget, orders
        self.name = name or f"{type(self.rule).__name__.lower()} race"
        if orders is not None and self.rule.certifies:
            raise InputError(REFUSED)
        Lockstep(1, 2, 0, 1, self.rule, delta, batch, budget)  # checks the ranges

    def check(self, pool: Pool, pool_size: int) -> None:
        """Refuse orders that leave queries of the pool out: the race must be able to end."""
        if self.orders is not None and self.orders.shape[1] != pool_size:
            raise InputError(
                f"'{self.name}': orders name {self.orders.shape[1]} of the {pool_size} queries of "
                "a pool; a race needs all of them."
            )

    def play(self, desk: Desk, budget: int) -> None:
        """Judge live models on one query (batch) after the other."""
        race = Lockstep(
            desk.realizations,
            desk.n_models,
            desk.baseline,
            desk.pool_size,
            self.rule,
            self.delta,
            self.batch,
            self.budget,
        )
        while len(race.who):
            count = race.begin_batch()
            who = race.who
            race.learn(desk.rows(who, race.now.seen, count, race.now.live))
            desk.answer(who, race.winners[who])
        certified = np.isin(race.stop, CERTAIN) & self.rule.certifies
        desk.finish(np.arange(desk.realizations), race.stop, certified)
