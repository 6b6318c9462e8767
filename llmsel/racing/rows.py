"""One race by whole queries, asked and told cell by cell."""

from __future__ import annotations

import numpy as np

from llmsel.pool import MISSING
from llmsel.racing.elimination import LockstepRule
from llmsel.racing.lockstep import Races

Cell = tuple[int, int]  # place of the query in the order, column of the model


class RowRace:
    """`Races` with one realization: the same code as in the experiments, fed by cells.

    Rows are learned in order once every cell of a batch is told. It has what a race has of
    `llmsel.racing.audit.AuditRace`: `ask`, `tell`, and the attributes.

    Args:
        rule: elimination rule.
        pool_size: number of queries P.
        n_models: number of models M, the baseline included.
        baseline: its column.
        delta: win-rate margin of the early stop, in [0, 1); 0 for none.
        batch: queries asked for at once; models are dropped only after each batch.

    Raises:
        InputError: a parameter out of range.
    """

    def __init__(
        self,
        rule: LockstepRule,
        pool_size: int,
        n_models: int,
        *,
        baseline: int,
        delta: float = 0.0,
        batch: int = 1,
    ):
        """Open the first batch."""
        self._races = Races(
            1, n_models, baseline=baseline, pool_size=pool_size, rule=rule, delta=delta, batch=batch
        )
        self._baseline = baseline
        self._cells: list[Cell] = []
        self._told: dict[Cell, int] = {}
        self._first = 0  # place of the batch's first query
        self._open()

    @property
    def live(self) -> np.ndarray:
        """Mark the models that can still be named: bool (M,)."""
        return np.asarray(self._races.dropped[0] == 0)

    @property
    def winners(self) -> np.ndarray:
        """Mark the answer, or the present leaders: bool (M,)."""
        return np.asarray(self._races.winners[0])

    @property
    def stop(self) -> str:
        """Why the race ended, empty while it goes on."""
        return str(self._races.stop[0])

    def ask(self, limit: int | None = None) -> list[Cell]:
        """Return the cells of the batch that are not told yet; empty when over."""
        return [cell for cell in self._cells if cell not in self._told][:limit]

    def tell(self, cell: Cell, outcome: int) -> None:
        """Learn one cell that was asked for: -1, 0, 1 or MISSING."""
        self._told[cell] = outcome
        if len(self._told) == len(self._cells):
            self._settle()
            self._open()

    def _open(self) -> None:
        """Open the next batch, unless the race is over."""
        races, self._cells, self._told = self._races, [], {}
        if not len(races.who):
            return
        self._first = races.now.seen
        places = range(self._first, self._first + races.begin_batch())
        paid = [int(j) for j in np.flatnonzero(self.live) if j != self._baseline]
        self._cells = [(place, j) for place in places for j in paid]

    def _settle(self) -> None:
        """Hand the batch to the race."""
        count = 1 + max(place for place, _ in self._told) - self._first
        rows = np.full((1, count, len(self.live)), MISSING, dtype=np.int8)
        rows[..., self._baseline] = 0
        for (place, j), outcome in self._told.items():
            rows[0, place - self._first, j] = outcome
        self._races.learn(rows)
