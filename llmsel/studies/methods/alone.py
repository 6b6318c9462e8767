"""Methods that play one realization after the other, each a small race of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from llmsel._base.verdicts import EXHAUSTED, INCOMPLETE, ONE_LEFT, TIED
from llmsel.pool import MISSING
from llmsel.studies.methods.desk import Desk, Method

Cell = tuple[int, int]  # place of the query, column of the model


class Sheet:
    """What is judged in one realization; outcomes as y = 1, 1/2, 0 for win, draw, loss.

    Args:
        pool_size: number of queries P.
        n_models: number of models M, the baseline included.
        baseline: its column; known from the start, with y = 1/2.

    Attributes:
        y: float64 (M, P): nan where not judged, or missing for good.
        open: bool (M, P): cells that can still be judged.
        left: int (M,): numbers of open cells.
        lost: int (M,): judgements that gave no outcome.
    """

    def __init__(self, pool_size: int, n_models: int, baseline: int):
        """Know the baseline only."""
        self.pool_size, self.n_models, self.baseline = pool_size, n_models, baseline
        self.y = np.full((n_models, pool_size), np.nan)
        self.y[baseline] = 0.5
        self.open = np.ones((n_models, pool_size), dtype=bool)
        self.open[baseline] = False
        self.count, self.total = np.zeros((2, n_models))
        self.count[baseline], self.total[baseline] = pool_size, 0.5 * pool_size
        self.left = np.where(np.arange(n_models) == baseline, 0, pool_size)
        self.lost = np.zeros(n_models, dtype=int)

    def learn(self, cell: Cell, outcome: int) -> None:
        """Note one outcome: -1, 0, 1 or MISSING."""
        place, model = cell
        self.open[model, place] = False
        self.left[model] -= 1
        if outcome == MISSING:
            self.lost[model] += 1
            return
        self.y[model, place] = value = 0.5 + 0.5 * outcome
        self.count[model] += 1
        self.total[model] += value

    @property
    def known(self) -> np.ndarray:
        """Mark the cells whose outcome is known: bool (M, P)."""
        return np.asarray(~np.isnan(self.y))

    @property
    def mean(self) -> np.ndarray:
        """Mean y over known outcomes: float64 (M,), -inf where there is none."""
        return np.where(self.count > 0, self.total / np.maximum(self.count, 1), -np.inf)


class Alone(ABC):
    """One realization of a method: `ask` for cells, `tell` their outcomes, until `stop` is set.

    Args:
        desk: where it is judged; only sizes and seeds are taken from it.
        r: the realization.

    Attributes:
        sheet: what is judged.
        rng: random numbers of this realization.
        rank: int (M,): random, breaks ties.
        stop: why it ended, empty while it goes on.
        certified: whether its answer carries the promise of the method.
    """

    def __init__(self, desk: Desk, r: int):
        """Nothing is judged yet."""
        self.sheet = Sheet(desk.pool_size, desk.n_models, desk.baseline)
        self.paid = desk.paid
        seed = np.random.SeedSequence(r) if desk.seeds is None else desk.seeds[r]
        self.rng = np.random.default_rng(seed)
        self.rank = self.rng.permutation(desk.n_models)
        self.stop, self.certified = "", False

    @abstractmethod
    def ask(self) -> list[Cell]:
        """Return the next cells to judge; none when it is over."""

    @abstractmethod
    def tell(self, cells: Sequence[Cell], outcomes: Sequence[int]) -> None:
        """Learn the outcomes of the cells asked for, or of the first few where the budget ends."""

    @property
    @abstractmethod
    def winners(self) -> np.ndarray:
        """Mark the present answer: bool (M,)."""

    def best(self, values: np.ndarray) -> int:
        """Return the position of the largest value, ties by rank."""
        return int(np.lexsort((self.rank, -values))[0])

    def end(self, live: np.ndarray, *, promises: bool) -> None:
        """Stop with the models that are left: one, or all that can be known of them is known."""
        sheet = self.sheet
        self.stop = ONE_LEFT
        if live.sum() > 1:
            top = np.where(live, sheet.mean, -np.inf)
            self.stop = TIED if (top == top.max()).sum() > 1 else EXHAUSTED
            if sheet.lost[live].any():
                self.stop = INCOMPLETE  # what is missing might turn the answer
        self.certified = promises and self.stop != INCOMPLETE


class OneByOne(Method):
    """A method whose realizations are played one after the other."""

    @abstractmethod
    def start(self, desk: Desk, r: int) -> Alone:
        """Start one realization."""

    def play(self, desk: Desk, budget: int) -> None:
        """Judge what each realization asks for, while its budget lasts."""
        for r in range(desk.realizations):
            one = self.start(desk, r)
            while cells := one.ask()[: budget - int(desk.calls[r])]:
                one.tell(cells, desk.judge(r, cells, one))
            who = np.array([r])
            desk.answer(who, one.winners[None])
            desk.finish(who, one.stop, one.certified)
