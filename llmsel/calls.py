"""Judge calls as the cost: one call reveals one cell (query, candidate).

A strategy pays for whole rows (llmsel.experiment). The methods here choose which cells to reveal:
races (llmsel.lockstep), their peers (llmsel.peers) and the anytime allocation
(llmsel.allocation). A method sees no outcome that it has not paid for: it holds a `Desk`, which
hands out cells, counts them, and notes who led at each number of calls. `llmsel.contest` runs
methods on the same pools.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from llmsel.errors import InputError
from llmsel.pool import MISSING, Pool


class Desk:
    """Reveals outcomes against payment, for R realizations; what a method holds instead of them.

    Queries are named by their place 0..P-1 in the realization's order. A judged cell costs one
    call, also when the oracle gave no outcome (MISSING); the baseline costs nothing.

    Parameters
    ----------
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

    def rows(self, who: np.ndarray, first: int, count: int, models: np.ndarray) -> np.ndarray:
        """Judge some models on the queries ``first .. first + count - 1`` of the order.

        Parameters
        ----------
        who: int, shape ``(r,)``: realizations.
        models: bool, shape ``(r, M)``: whom to judge.

        Returns
        -------
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
        return self._outcomes[self._orders[who, places], models]

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


class Ladder:
    """Cells judged one at a time, every model going up the same order of queries at its own pace.

    Model j has been judged on the first ``n_j`` queries, so two models share the first
    ``min(n_j, n_l)``. The baseline stands at the top from the start. Outcomes count as
    r = +1/2, 0, -1/2; a missing one is left out of its model's mean and of its pairs.

    Attributes
    ----------
    places: int (R, M): n_j. judged: (R, M): outcomes among them. total: (R, M): sums of r.
    pair_count, pair_sum, pair_square: float32 (R, M, M): number of queries judged for both, sums
    of ``r_j - r_l`` and of its square. row_count, row_total: (R, P): models judged on a query and
    sum of their r (a missing outcome as the model's mean). rank: int (R, M): random, breaks ties.
    """

    def __init__(self, desk: Desk):
        """Nothing is judged yet."""
        size, n_models, pool_size = desk.realizations, desk.n_models, desk.pool_size
        shape = (size, n_models)
        self.desk = desk
        self.every = np.arange(size)
        self.places = np.zeros(shape, dtype=np.int64)
        self.places[:, desk.baseline] = pool_size
        self.judged = self.places.astype(float)
        self.total = np.zeros(shape)
        self.pair_count, self.pair_sum, self.pair_square = np.zeros(
            (3, *shape, n_models), dtype=np.float32
        )
        self.rank = ranks(desk)
        self.row_count, self.row_total = np.zeros((2, size, pool_size))
        self._rows = np.full((size, pool_size, n_models), MISSING, dtype=np.int8)
        self._rows[:, :, desk.baseline] = 0

    def climb(self, who: np.ndarray, models: np.ndarray) -> None:
        """Judge the next query of one model in each of some realizations: int (r,) each."""
        place = self.places[who, models]
        outcome = self.desk.cells(who, place, models)
        self._rows[who, place, models] = outcome
        given = outcome != MISSING
        value = np.where(given, outcome, 0)
        self.places[who, models] = place + 1
        self.judged[who, models] += given
        self.total[who, models] += 0.5 * value
        fill = self.total[who, models] / np.maximum(self.judged[who, models], 1)
        self.row_count[who, place] += 1
        self.row_total[who, place] += np.where(given, 0.5 * value, fill)
        row = self._rows[who, place]
        both = ((row != MISSING) & given[:, None]).astype(np.float32)
        both[np.arange(len(who)), models] = 0
        gap = both * np.float32(0.5) * (value[:, None] - row).astype(np.float32)
        for sums, change, sign in (
            (self.pair_count, both, 1),
            (self.pair_sum, gap, -1),
            (self.pair_square, gap * gap, 1),
        ):
            sums[who, models] += change
            sums[who, :, models] += sign * change

    def level(self, models: np.ndarray) -> None:
        """Judge the first query not judged, of each model marked: bool (R, M)."""
        for j in np.flatnonzero(models.any(axis=0)):
            who = np.flatnonzero(models[:, j] & (self.places[:, j] < self.desk.pool_size))
            if len(who):
                self.climb(who, np.full(len(who), j))

    def row(self, who: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Return what is known of one query each: int8 (r, M), MISSING where not judged."""
        return self._rows[who, places]

    @property
    def mean(self) -> np.ndarray:
        """Mean r over judged queries, shape ``(R, M)``; -inf where there is none."""
        return np.where(self.judged > 0, self.total / np.maximum(self.judged, 1), -np.inf)


def ranks(desk: Desk) -> np.ndarray:
    """Draw a random rank of the models per realization, to break ties: int ``(R, M)``."""
    seeds = desk.seeds or [np.random.SeedSequence(r) for r in range(desk.realizations)]
    return np.stack([np.random.default_rng(s).permutation(desk.n_models) for s in seeds])


def best_of(values: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """Position of the largest value of each row, ties by rank: int ``(R,)``."""
    top = values == values.max(axis=1, keepdims=True)
    return np.where(top, rank, rank.shape[1]).argmin(axis=1)


class Method(ABC):
    """A way to spend judge calls. `play` is all that must be written."""

    name: str
    anytime: ClassVar[bool] = True  # False: needs its budget in advance, so it is run once for each
    orders: np.ndarray | None = None  # int (R, B): queries in another order than the random one
    block: ClassVar[int] = 50  # realizations in lockstep; pairwise arrays stay in the cache

    def check(self, pool: Pool, pool_size: int) -> None:  # noqa: B027 - optional
        """Raise InputError if the method cannot be used on this pool."""

    @abstractmethod
    def play(self, desk: Desk, budget: int) -> None:
        """Spend calls at the desk, at most ``budget`` in each realization; state answers."""

    def __repr__(self) -> str:
        """Class name and parameters, as result tables keep them; orders by their shape."""
        shown = (f"{k}={_shown(v)}" for k, v in vars(self).items() if not k.startswith("_"))
        return f"{type(self).__name__}({', '.join(shown)})"


def _shown(value: object) -> str:
    """A parameter in words: thousands of orders would be cut, so their shape stands for them."""
    return f"array of shape {value.shape}" if isinstance(value, np.ndarray) else repr(value)


def stratified(pool: Pool, orders: np.ndarray) -> np.ndarray:
    """Spread each category evenly over every realization's order, random within a category.

    Returns
    -------
    int32, shape ``(R, P)``: the same pools; not a uniformly random order.

    Raises
    ------
    InputError: a pool without categories.
    """
    if pool.categories is None:
        raise InputError(f"'{pool.name}' has no categories to stratify by.")
    _, category = np.unique(np.array(pool.categories), return_inverse=True)
    spread = np.empty(orders.shape, dtype=np.int32)
    for out, order in zip(spread, orders, strict=True):
        mine = category[order]
        key = np.empty(len(order))
        for c in np.unique(mine):
            key[mine == c] = (np.arange((mine == c).sum()) + 0.5) / (mine == c).sum()
        out[:] = order[np.argsort(key, kind="stable")]
    return spread
