"""The audit race as a method: what it pays for over many realizations."""

from __future__ import annotations

import numpy as np

from llmsel.racing.audit import Audit, AuditRace
from llmsel.studies.methods.desk import Desk, Method


class Auditing(Method):
    """An audit race as a method of `llmsel.studies.by_call.compete`.

    It plays `llmsel.racing.audit.AuditRace` itself, one realization after the other, so
    that its choices are those of a real decision with the same seed.

    Args:
        rule: settings; None takes `Audit` with its defaults.
        delta: win-rate margin (0..1) of the claim, fixed beforehand; 0 for the best model itself.
        width: cells that each race plans at once, for parallel judges.
        name: what tables call it.

    Raises:
        InputError: a parameter out of range.
    """

    def __init__(
        self,
        rule: Audit | None = None,
        delta: float = 0.0,
        *,
        width: int = 1,
        name: str | None = None,
    ):
        """Check the parameters."""
        self.rule, self.delta = Audit() if rule is None else rule, delta
        self.width = width
        self.name = name or "audit race"
        self.rule.begin(2, 2, baseline=1, delta=delta, width=width)  # checks the ranges

    def start(self, desk: Desk, r: int) -> AuditRace:
        """Start the race of one realization, with a seed of its own."""
        seed = r if desk.seeds is None else int(desk.seeds[r].generate_state(1, np.uint64)[0])
        return self.rule.begin(
            desk.pool_size,
            desk.n_models,
            baseline=desk.baseline,
            delta=self.delta,
            seed=seed,
            width=self.width,
        )

    def play(self, desk: Desk, budget: int) -> None:
        """Judge the cells each race asks for."""
        for r in range(desk.realizations):
            race = self.start(desk, r)
            while cells := race.ask():
                outcomes = desk.judge(r, cells, race)
                for cell, outcome in zip(cells, outcomes, strict=True):
                    race.tell(cell, outcome)
            who = np.array([r])
            desk.answer(who, race.winners[None])
            desk.finish(who, race.stop, race.certified)
