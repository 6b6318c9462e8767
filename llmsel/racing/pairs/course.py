"""What both races over all pairs share: the conversation, and the search for a first champion."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

import numpy as np

from llmsel._base.errors import InputError
from llmsel._base.verdicts import CERTAIN
from llmsel.pool import MISSING
from llmsel.racing.audit.ledger import UNSEEN
from llmsel.racing.audit.streams import Streams
from llmsel.racing.pairs.table import Comparison, PairTable
from llmsel.racing.rules import check_margin

SEEK, CHAMPION, DUEL, OVER = "seek", "champion", "duel", "over"
LOOKS = 3  # stars around a first champion, at most, before anything is bet


class PairsRace(ABC):
    """One race over all pairs of one pool: `ask` for comparisons, `tell` their outcomes.

    A comparison is ``(query, a, b)``, columns a < b, its outcome from the side of a. The search for
    a first champion bets nothing: the champion meets the better half on a few random queries, until
    it is the best rated itself.

    Args:
        alpha: probability of a wrong certificate.
        seek: queries of a star.
        pool_size: number of queries P.
        n_models: number of models M.
        delta: win-rate margin of the claim, in [0, 1).
        width: comparisons planned at once, for parallel judges; part of the race.
        seed: of all draws and of ties.

    Attributes:
        phase: SEEK, CHAMPION, DUEL or OVER.
        champion: its column.
        table: what is judged.
        live: bool (M,): models that can still be named.
        calls: comparisons told.
        stop: why the race ended, empty while it goes on.

    Raises:
        InputError: a delta or width out of range.
    """

    def __init__(
        self,
        alpha: float,
        seek: int,
        pool_size: int,
        n_models: int,
        *,
        delta: float = 0.0,
        width: int = 1,
        seed: int = 0,
    ):
        """Plan the first round; nothing is judged yet."""
        check_margin(delta)
        if width < 1:
            raise InputError(f"width={width}; at least one comparison is planned at once.")
        self.delta, self._width, self._limit = delta, width, float(-np.log(alpha))
        self.table = PairTable(pool_size, n_models)
        self.live = np.ones(n_models, dtype=bool)
        self.phase, self.stop, self.calls = SEEK, "", 0
        draw = np.random.default_rng([seed, 0])
        self._rank, self._order = draw.permutation(n_models), draw.permutation(pool_size)
        self._streams = Streams(seed)
        self.champion = int(self._rank.argmin())
        self._seek, self._looks = min(seek, pool_size), 0
        self._told: dict[Comparison, int] = {}  # UNSEEN until it is told
        self._left = 0
        self._answer = np.zeros(n_models, dtype=bool)
        self._advance()

    # -- the conversation ---------------------------------------------------------------------

    def ask(self) -> list[Comparison]:
        """Return the planned comparisons that are not told yet; empty when it is over."""
        return [pair for pair, told in self._told.items() if told == UNSEEN]

    def tell(self, pair: Comparison, outcome: int) -> None:
        """Learn one comparison, in any order: -1, 0, 1, or MISSING for one given up for good.

        Raises:
            InputError: one that was not asked for, told before, or an outcome that is none.
        """
        if self._told.get(pair) != UNSEEN:
            why = "not asked for" if pair not in self._told else "told before"
            raise InputError(f"models {pair[1]} and {pair[2]} on query {pair[0]}: {why}.")
        if outcome not in (-1, 0, 1, MISSING):
            raise InputError(f"outcome {outcome} must be -1 (loss), 0 (draw), 1 (win) or MISSING.")
        self._told[pair] = int(outcome)
        self.calls += 1
        self._left -= 1
        if not self._left:
            self._settle()
            self._advance()

    @property
    def winners(self) -> np.ndarray:
        """Mark the answer, or who leads: bool (M,)."""
        return self._answer.copy() if self.stop else self._leader

    @property
    def _leader(self) -> np.ndarray:
        """Mark the champion, or if it is beaten the best rated that is not: bool (M,)."""
        leader = self.champion if self.live[self.champion] else self._best(self.live)
        return np.asarray(np.arange(len(self.live)) == leader)

    def _best(self, among: np.ndarray) -> int:
        """Return the best rated of some models."""
        rating = np.where(among, self.table.rating().round(9), -np.inf)
        return int(np.lexsort((self._rank, -rating))[0])

    @property
    def certified(self) -> bool:
        """Tell whether the answer holds with probability at least 1 - alpha."""
        return self.stop in CERTAIN

    # -- planning -----------------------------------------------------------------------------

    def _advance(self) -> None:
        """Go through the phases until there is a round to judge, or the race is over."""
        self._told = {}
        while not self._told and self.phase != OVER:
            if self.phase == SEEK:
                self._plan_star()
            else:
                self._plan_phase()

    def _plan(self, pairs: Iterable[Comparison]) -> None:
        self._told = dict.fromkeys(pairs, UNSEEN)
        self._left = len(self._told)

    def _plan_star(self) -> None:
        """Plan comparisons of the champion with who may be better; or end the search."""
        by_rating = np.lexsort((self._rank, -self.table.rating().round(9)))
        champion = int(by_rating[0]) if self._looks else self.champion
        if self._looks == LOOKS or (self._looks and champion == self.champion):
            self.champion = champion
            self.phase = self._after_search()
            return
        self.champion = champion
        some = by_rating if not self._looks else by_rating[: (len(by_rating) + 2) // 2]
        first = self._looks * self._seek
        places = self._order[first : first + self._seek].tolist()
        self._looks += 1
        pairs = [pair_of(i, champion, int(j)) for i in places for j in some if j != champion]
        self._plan(pair for pair in pairs if self._outcome(pair) == UNSEEN)

    def _outcome(self, pair: Comparison) -> int:
        i, a, b = pair
        return int(self.table.outcomes[a, b, i])

    @abstractmethod
    def _after_search(self) -> str:
        """Begin the next phase and name it."""

    @abstractmethod
    def _plan_phase(self) -> None:
        """Plan the next round after the search, or end the race."""

    @abstractmethod
    def _settle(self) -> None:
        """Use the outcomes of the round, in planned order."""

    def _learn_round(self) -> None:
        for pair, outcome in self._told.items():
            self.table.learn(pair, outcome)

    def _pick(self, j: int, weight: np.ndarray) -> tuple[int, float]:
        return self._streams.pick(j, weight)

    def _end(self, stop: str, answer: np.ndarray) -> None:
        self.stop, self._answer, self.phase = stop, answer, OVER


def pair_of(i: int, a: int, b: int) -> Comparison:
    """Name a comparison; the models in any order."""
    return (i, a, b) if a < b else (i, b, a)


def loss_of(outcome: int, *, turned: bool) -> float:
    """Return the loss fraction of the first model, or with ``turned`` of the second.

    A missing outcome counts as a win for whichever is asked about: the worst for a refutation.
    """
    if outcome == MISSING:
        return 0.0
    return 0.5 + 0.5 * outcome if turned else 0.5 - 0.5 * outcome
