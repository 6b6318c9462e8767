"""The race as a method: what it pays for over many realizations."""

from __future__ import annotations

import numpy as np

from llmsel._base.budget import Budget
from llmsel._base.errors import InputError
from llmsel._base.verdicts import CERTAIN
from llmsel.pool import Pool
from llmsel.racing.elimination import REFUSED, Certified, LockstepRule
from llmsel.racing.lockstep import Races
from llmsel.studies.methods.desk import Desk, Method


class Racing(Method):
    """A race as a method of `llmsel.studies.methods.desk.compete`.

    Args:
        rule: elimination rule; None takes `Certified`.
        delta: win-rate margin (0..1) of the early stop, fixed beforehand; 0 for none.
        batch: queries judged per step.
        budget: limits; None for none.
        orders: int, shape ``(R, P)``: each realization's pool in another order than the random one,
            such as a strategy's picks; heuristic rules only.
        name: what tables call it.

    Raises:
        InputError: a parameter out of range, or a certificate asked for in an order that is not
            uniformly random.
    """

    def __init__(
        self,
        rule: LockstepRule | None = None,
        delta: float = 0.0,
        *,
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
        # checks the ranges
        Races(
            1, 2, baseline=0, pool_size=1, rule=self.rule, delta=delta, batch=batch, budget=budget
        )

    def check(self, pool: Pool, pool_size: int) -> None:
        """Refuse orders that leave queries of the pool out: the race must be able to end."""
        if self.orders is not None and self.orders.shape[1] != pool_size:
            raise InputError(
                f"'{self.name}': orders name {self.orders.shape[1]} of the {pool_size} queries of "
                "a pool; a race needs all of them."
            )

    def play(self, desk: Desk, budget: int) -> None:
        """Judge live models on one query (batch) after the other."""
        race = Races(
            desk.realizations,
            desk.n_models,
            baseline=desk.baseline,
            pool_size=desk.pool_size,
            rule=self.rule,
            delta=self.delta,
            batch=self.batch,
            budget=self.budget,
        )
        while len(race.who):
            count = race.begin_batch()
            who = race.who
            race.learn(desk.rows(who, race.now.seen, count, race.now.live))
            desk.answer(who, race.winners[who])
        certified = np.isin(race.stop, CERTAIN) & self.rule.certifies
        desk.finish(np.arange(desk.realizations), race.stop, certified)
