"""Judge calls as the cost: one call reveals one cell (query, candidate).

A strategy pays for whole rows (`llmsel.studies.by_query`). The methods of this room choose which
cells to reveal: races, their published peers and the anytime allocation. A method sees no outcome
that it has not paid for: it holds a `Desk`, which hands out cells, counts them, and notes who led
at each number of calls. `llmsel.studies.by_call` runs methods on the same pools.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

import numpy as np

from llmsel.pool import MISSING, Pool


class HasWinners(Protocol):
    """What can state a present answer."""

    @property
    def winners(self) -> np.ndarray:
        """Mark the answer: bool (M,), several where tied."""


class Desk:
    """Reveals outcomes against payment, for R realizations; what a method holds instead of them.

    Queries are named by their place 0..P-1 in the realization's order. A judged cell costs one
    call, also when the oracle gave no outcome (MISSING); the baseline costs nothing.

    Args:
        outcomes: int8, shape ``(n, M)``: kept to itself.
        orders: int, shape ``(R, P)``: query positions of each realization's pool, in its order.
        baseline: column of the baseline.
        grid: int, shape ``(G,)``, increasing: numbers of calls at which the answer is noted.
        seeds: one per realization, for methods that need random numbers; None for none.
    """

    def __init__(
        self,
        outcomes: np.ndarray,
        orders: np.ndarray,
        *,
        baseline: int,
        grid: np.ndarray,
        seeds: Sequence[np.random.SeedSequence] | None = None,
    ):
        """Open the desk; nothing is judged yet."""
        self.realizations, self.pool_size = orders.shape
        self.n_models = outcomes.shape[1]
        self.baseline = baseline
        self.paid = np.arange(self.n_models) != baseline
        self.seeds = seeds
        self.calls = np.zeros(self.realizations, dtype=np.int64)
        self.queries = np.zeros(self.realizations, dtype=np.int64)
        self.winners = np.ones((self.realizations, self.n_models), dtype=bool)
        self.certified = np.zeros(self.realizations, dtype=bool)
        self.stop = np.full(self.realizations, "", dtype="<U16")
        self.leaders = np.zeros((self.realizations, len(grid), self.n_models), dtype=bool)
        self._outcomes, self._orders = outcomes, orders
        self._grid = np.append(grid, np.iinfo(np.int64).max)
        self._next = np.zeros(self.realizations, dtype=np.int64)  # first grid point not noted
        self._touched = np.zeros(orders.shape, dtype=bool)  # by `judge`

    def rows(self, who: np.ndarray, first: int, count: int, models: np.ndarray) -> np.ndarray:
        """Judge some models on the queries ``first .. first + count - 1`` of the order.

        Args:
            who: int, shape ``(r,)``: realizations.
            first: place of the first query.
            count: number of queries.
            models: bool, shape ``(r, M)``: whom to judge.

        Returns:
            int8, shape ``(r, count, M)``: outcomes; MISSING where not asked or not to be had.
        """
        self._charge(who, count * (models & self.paid).sum(axis=1))
        self.queries[who] = np.maximum(self.queries[who], first + count)
        asked = self._orders[who, first : first + count]
        return np.where(models[:, None], self._outcomes[asked], np.int8(MISSING))

    def cells(self, who: np.ndarray, places: np.ndarray, models: np.ndarray) -> np.ndarray:
        """Judge one cell in each of some realizations: int, shapes ``(r,)``; int8 ``(r,)``.

        For counting queries, places must be asked in increasing order.
        """
        self._charge(who, self.paid[models].astype(np.int64))
        self.queries[who] = np.maximum(self.queries[who], places + 1)
        return np.asarray(self._outcomes[self._orders[who, places], models])

    def judge(self, r: int, cells: Sequence[tuple[int, int]], race: HasWinners) -> list[int]:
        """Judge some cells (place, model) of one realization, in any order.

        Args:
            r: the realization.
            cells: none of the baseline's, none asked before.
            race: its present answer is looked at only where a budget is passed.

        Returns:
            Their outcomes.
        """
        places, models = zip(*cells, strict=True)
        if self.calls[r] + len(cells) > self._grid[self._next[r]]:
            self.winners[r] = race.winners
            self._charge(np.array([r]), np.array([len(cells)]))
        else:
            self.calls[r] += len(cells)
        self._touched[r, list(places)] = True
        self.queries[r] = np.count_nonzero(self._touched[r])
        judged: list[int] = self._outcomes[self._orders[r, list(places)], list(models)].tolist()
        return judged

    def positions(self, r: int) -> np.ndarray:
        """Return which queries of the benchmark one realization holds, in its order: int (P,)."""
        return np.asarray(self._orders[r])

    def in_order(self, r: int, known: np.ndarray) -> np.ndarray:
        """Lay out something that is known of all queries (n, ...) by place: (P, ...)."""
        laid_out: np.ndarray = known[self._orders[r]]
        return laid_out

    def due(self, who: np.ndarray, cost: int = 1) -> bool:
        """Tell whether paying ``cost`` calls passes a budget at which answers are noted."""
        return bool((self.calls[who] + cost > self._grid[self._next[who]]).any())

    def answer(self, who: np.ndarray, winners: np.ndarray) -> None:
        """State the present answer: bool, shape ``(r, M)``, several where tied."""
        self.winners[who] = winners

    def finish(self, who: np.ndarray, stop: str | np.ndarray, certified: Any = False) -> None:
        """Say why some realizations ended, and whether their answer carries a certificate."""
        self.stop[who] = stop
        self.certified[who] = certified

    def close(self) -> None:
        """Note the final answer at all budgets not reached."""
        places = np.arange(self.leaders.shape[1])
        late = places >= self._next[:, None]
        self.leaders[late] = np.repeat(self.winners, late.sum(axis=1), axis=0)

    def _charge(self, who: np.ndarray, cost: np.ndarray) -> None:
        """Count calls; the answer stated before them holds at every budget they exceed."""
        self.calls[who] += cost
        passed = who[self.calls[who] > self._grid[self._next[who]]]
        while len(passed):
            self.leaders[passed, self._next[passed]] = self.winners[passed]
            self._next[passed] += 1
            passed = passed[self.calls[passed] > self._grid[self._next[passed]]]


class Method(ABC):
    """A way to spend judge calls. `play` is all that must be written."""

    name: str
    anytime: ClassVar[bool] = True  # False: needs its budget in advance, so it is run once for each
    orders: np.ndarray | None = None  # int (R, B): queries in another order than the random one
    block: ClassVar[int] = 50  # realizations in lockstep; pairwise arrays stay in the cache

    def check(self, pool: Pool, pool_size: int) -> None:  # noqa: B027 - optional
        """Raise InputError if the method cannot be used on this pool."""

    def __repr__(self) -> str:
        """Class name and parameters, as result tables keep them; orders by their shape."""
        shown = (f"{k}={_shown(v)}" for k, v in vars(self).items() if not k.startswith("_"))
        return f"{type(self).__name__}({', '.join(shown)})"

    @abstractmethod
    def play(self, desk: Desk, budget: int) -> None:
        """Spend calls at the desk, at most ``budget`` in each realization; state answers."""


def _shown(value: object) -> str:
    """A parameter in words: thousands of orders would be cut, so their shape stands for them."""
    return f"array of shape {value.shape}" if isinstance(value, np.ndarray) else repr(value)
