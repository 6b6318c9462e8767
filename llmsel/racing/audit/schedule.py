"""When a race goes from shared queries to an audit, and to which. No certificate depends on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmsel.racing.audit.rule import Audit

FIRST_SHARED, FIRST_PAIRED = 2, 3  # shared queries before an audit, a paired one, may start


class Schedule:
    """The schedule of one race.

    Args:
        rule: settings.
        pool_size: number of queries P.
        n_models: number of models M, the baseline included.
        delta: win-rate margin of the claim.

    Attributes:
        paired: whether an audit of this race is a paired one.
    """

    def __init__(self, rule: Audit, pool_size: int, n_models: int, delta: float):
        """Choose the kind of audit."""
        self._rule, self._size = rule, pool_size
        self.few = delta > 0 and n_models <= rule.few and rule.best == 1
        self.paired = self.few and rule.pairing > 0
        self._never = rule.switch == "never"

    def pair_now(self, seen: int, calls: int) -> bool:
        """Decide whether a paired audit starts now."""
        if not self.paired or self._never:
            return False
        return seen >= FIRST_PAIRED and calls >= self._rule.pairing * self._size

    def may_switch(self, seen: int, calls: int) -> bool:
        """Tell whether an audit with the champion in full may start."""
        if self.paired or self._never:
            return False
        return seen >= FIRST_SHARED and calls >= self._rule.start * self._size

    def pays(self, plain: float, audit: float) -> bool:
        """Tell whether an audit that may start is worth it.

        Args:
            plain: calls that are left if the plain race goes on, as predicted.
            audit: calls that are left if the audit starts.
        """
        early = self._rule.switch == "early" or self._rule.best > 1
        return early or audit < self._rule.gain * plain

    def racing_on(self, seen: int, switched: int) -> float:
        """Return which part of the live models races on after the switch; 0 if none does."""
        for factor, share in self._rule.prune:
            if seen < min(factor * switched, self._size):
                return share
        return 0.0
