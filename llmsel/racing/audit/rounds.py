"""Races cell by cell: a round is planned, told in any order, and used in the planned one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

from llmsel._base.errors import InputError
from llmsel._base.verdicts import CERTAIN
from llmsel.pool import MISSING
from llmsel.racing.audit.ledger import UNSEEN

C = TypeVar("C", bound=Hashable)


class Rounds(ABC, Generic[C]):
    """The conversation of a race: `ask` for what is to be judged, `tell` the outcomes.

    Whoever inherits plans the first round at the end of its own ``__init__``.

    Attributes:
        calls: cells told.
        stop: why the race ended, empty while it goes on.
    """

    def __init__(self) -> None:
        """Nothing is planned yet."""
        self.calls, self.stop = 0, ""
        self._told: dict[C, int] = {}  # UNSEEN until it is told
        self._left = 0

    def ask(self, limit: int | None = None) -> list[C]:
        """Return what is planned and not told yet; empty when the race is over.

        Args:
            limit: at most so many; it does not change what the race needs.
        """
        return [cell for cell, told in self._told.items() if told == UNSEEN][:limit]

    def tell(self, cell: C, outcome: int) -> None:
        """Learn one outcome, in any order: -1, 0, 1, or MISSING for one given up for good.

        Raises:
            InputError: what was not asked for, was told before, or an outcome that is none.
        """
        if self._told.get(cell) != UNSEEN:
            why = "not asked for" if cell not in self._told else "told before"
            raise InputError(f"{self._words(cell)} was {why}.")
        if outcome not in (-1, 0, 1, MISSING):
            raise InputError(f"outcome {outcome} must be -1 (loss), 0 (draw), 1 (win) or MISSING.")
        self._told[cell] = int(outcome)
        self.calls += 1
        self._left -= 1
        if not self._left:
            self._settle()
            self._advance()

    @property
    def certified(self) -> bool:
        """Tell whether the answer holds with probability at least 1 - alpha."""
        return self.stop in CERTAIN

    def _plan(self, cells: Iterable[C]) -> None:
        """Plan a round; what is named twice is asked for once."""
        self._told = dict.fromkeys(cells, UNSEEN)
        self._left = len(self._told)

    @abstractmethod
    def _words(self, cell: C) -> str:
        """Name a cell, for a message."""

    @abstractmethod
    def _settle(self) -> None:
        """Use the outcomes of the round, in planned order."""

    @abstractmethod
    def _advance(self) -> None:
        """Plan the next round, unless the race is over."""
