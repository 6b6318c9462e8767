"""What both races over all pairs share: the conversation, and the search for a first champion."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator

import numpy as np

from llmsel._base.errors import InputError
from llmsel.pool import MISSING
from llmsel.racing.audit.duel import Draw, Duel
from llmsel.racing.audit.ledger import UNSEEN
from llmsel.racing.audit.predictor import LossPredictor
from llmsel.racing.audit.rounds import Rounds
from llmsel.racing.audit.streams import Streams
from llmsel.racing.pairs.table import Comparison, PairTable
from llmsel.racing.rules import check_margin

SEEK, CHAMPION, DUEL, OVER = "seek", "champion", "duel", "over"
LOOKS = 3  # stars around a first champion, at most, before anything is bet


class PairsRace(Rounds[Comparison]):
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

    predictor: LossPredictor  # made after the search

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
        super().__init__()
        check_margin(delta)
        if width < 1:
            raise InputError(f"width={width}; at least one comparison is planned at once.")
        self.delta, self._width, self._limit = delta, width, float(-np.log(alpha))
        self.table = PairTable(pool_size, n_models)
        self.live = np.ones(n_models, dtype=bool)
        self.phase = SEEK
        draw = np.random.default_rng([seed, 0])
        self._rank, self._order = draw.permutation(n_models), draw.permutation(pool_size)
        self._streams = Streams(seed)
        self.champion = int(self._rank.argmin())
        self._seek, self._looks = min(seek, pool_size), 0
        self._round: list[Draw] = []
        self._answer = np.zeros(n_models, dtype=bool)
        self._advance()

    # -- the conversation ---------------------------------------------------------------------

    def _words(self, cell: Comparison) -> str:
        return f"query {cell[0]} between models {cell[1]} and {cell[2]}"

    @property
    def winners(self) -> np.ndarray:
        """Mark the answer, or who leads: bool (M,)."""
        return self._answer.copy() if self.stop else self._leader

    @property
    def _leader(self) -> np.ndarray:
        """Mark the champion, or if it is beaten the best rated that is not: bool (M,)."""
        leader = self.champion if self.live[self.champion] else self._ranked(self.live)[0]
        return np.asarray(np.arange(len(self.live)) == leader)

    def _ranked(self, some: np.ndarray) -> list[int]:
        """Order some models by rating, the best first; ties by rank."""
        # rounded, so that models that did alike are told apart by rank and not by rounding
        rating = np.where(some, self.table.rating().round(9), -np.inf)
        order: list[int] = np.lexsort((self._rank, -rating))[: some.sum()].tolist()
        return order

    # -- planning -----------------------------------------------------------------------------

    def _advance(self) -> None:
        """Go through the phases until there is a round to judge, or the race is over."""
        self._told = {}
        while not self._told and self.phase != OVER:
            if self.phase == SEEK:
                self._plan_star()
            else:
                self._plan_phase()

    def _plan_star(self) -> None:
        """Plan comparisons of the champion with who may be better; or end the search."""
        by_rating = self._ranked(np.ones_like(self.live))
        champion = by_rating[0] if self._looks else self.champion
        if self._looks == LOOKS or (self._looks and champion == self.champion):
            self.champion = champion
            self.phase = self._after_search()
            return
        self.champion = champion
        some = by_rating if not self._looks else by_rating[: (len(by_rating) + 2) // 2]
        first = self._looks * self._seek
        places = self._order[first : first + self._seek].tolist()
        self._looks += 1
        pairs = [pair_of(i, champion, j) for i in places for j in some if j != champion]
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

    # -- duels --------------------------------------------------------------------------------

    @property
    @abstractmethod
    def _capital(self) -> np.ndarray:
        """Log capitals of the champion against each challenger: float64 (M,), to be changed."""

    @property
    @abstractmethod
    def _needed(self) -> float:
        """The log capital that refutes a challenger."""

    @abstractmethod
    def _slack(self, j: int) -> float:
        """Return D of a challenger: how much may still go against its claim."""

    @abstractmethod
    def _challengers(self) -> Iterator[Duel]:
        """Yield the duels that go on, then new ones, strongest first."""

    @abstractmethod
    def _pair(self, draw: Draw) -> Comparison:
        """Return the comparison that was drawn."""

    def _plan_draws(self) -> None:
        """Plan the next ``width`` draws: the strongest challenger's as far as it needs them."""
        left, needed, self._round = self._width, self._needed, []
        for duel in self._challengers():
            short = needed - float(self._capital[duel.model])
            slack = self._slack(duel.model)
            self._round += duel.draw(self.predictor, slack, short, left, self._pick)
            left = self._width - len(self._round)
            if left <= 0:
                break
        self._plan(self._pair(draw) for draw in self._round)

    def _settle_draws(self) -> None:
        """Multiply capitals by the factors of the round's draws."""
        capital, needed = self._capital, self._needed
        slack = {draw.model: self._slack(draw.model) for draw in self._round}
        for draw in self._round:
            j, y = draw.model, self._loss(draw)
            if capital[j] < needed:  # no earlier draw of the round has won
                capital[j] += draw.gain(y, slack[j])
            slack[j] -= y

    def _loss(self, draw: Draw) -> float:
        """Return the loss fraction that a told draw brought its challenger.

        A missing outcome counts as a win for whom a claim is about: the worst for a refutation.
        """
        pair = self._pair(draw)
        outcome = self._told[pair]
        if outcome == MISSING:
            return 0.0
        return 0.5 + 0.5 * outcome if draw.model == pair[2] else 0.5 - 0.5 * outcome

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
