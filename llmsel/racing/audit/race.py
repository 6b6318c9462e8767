"""The audit race itself, cell by cell. Rule and proof: `llmsel.racing.audit`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from llmsel._base.errors import InputError
from llmsel._base.verdicts import CERTAIN, EXHAUSTED, INCOMPLETE, ONE_LEFT, TIED, WITHIN
from llmsel.pool import MISSING
from llmsel.racing.audit.duel import Cell, Draw, Duel
from llmsel.racing.audit.forecast import predicted_rest
from llmsel.racing.audit.ledger import UNSEEN, Ledger
from llmsel.racing.audit.predictor import LossPredictor
from llmsel.racing.audit.shared_bets import SharedBets

if TYPE_CHECKING:
    from llmsel.racing.audit.rule import Audit

PLAIN, PRUNE, CHAMPION, CHALLENGE, OVER = "plain", "prune", "champion", "challenge", "over"
FIRST_SHARED = 2  # shared queries before the audit may start
PAIR_SHARE = 0.3  # see Audit.few
REFIT = 1.05  # the predictor is fitted again when the judged cells have grown by this factor


class AuditRace:
    """One race over one pool, cell by cell: `ask` for cells, `tell` their outcomes.

    Queries are named by their place in a uniformly random order, models by their column.

    Args:
        rule: settings.
        pool_size: number of queries P.
        n_models: number of models M, the baseline included.
        baseline: its column.
        delta: win-rate margin of the claim, in [0, 1); 0 for the best model itself.
        width: cells planned at once, for parallel judges; part of the race, see the package.
        seed: of the audit's own draws and of ties; the order of the queries is the caller's.
        features: float64 (P, M, F) known for all cells, to help the predictor; None for none.

    Attributes:
        phase: PLAIN, PRUNE, CHAMPION, CHALLENGE or OVER.
        live: bool (M,): models that can still be named.
        racing: bool (M,): models judged on the next shared query.
        champion: column, or -1 before there is one.
        capital: float64 (M,): log K.
        ledger: what is judged.
        calls: cells told.
        dropped: int (M,): calls told when a model was dropped, 0 for the live.
        stop: why the race ended, empty while it goes on.

    Raises:
        InputError: a delta or width out of range.
    """

    _waits = False  # for something else than outcomes, see TwoJudges

    def __init__(
        self,
        rule: Audit,
        pool_size: int,
        n_models: int,
        *,
        baseline: int,
        delta: float = 0.0,
        width: int = 1,
        seed: int = 0,
        features: np.ndarray | None = None,
    ):
        """Plan the first round; nothing is judged yet."""
        if not 0 <= delta < 1:
            raise InputError(f"delta={delta} must be a win-rate margin in [0, 1), as 0.01 for 1 %.")
        if width < 1:
            raise InputError(f"width={width}; at least one cell is planned at once.")
        self.rule, self.delta, self.baseline, self._width = rule, delta, baseline, width
        self.phase, self.champion, self.stop = PLAIN, -1, ""
        self.ledger = Ledger(pool_size, n_models, baseline)
        self.predictor = LossPredictor(pool_size, n_models, features=features)
        self.live = np.ones(n_models, dtype=bool)
        self.racing = self.live.copy()
        self.calls, self.seen, self.switched = 0, 0, 0
        self.dropped = np.zeros(n_models, dtype=int)
        self._limit, self._margin = -math.log(rule.alpha), delta * pool_size
        self._rank = np.random.default_rng([seed, 0]).permutation(n_models)
        few = delta > 0 and n_models <= rule.few
        self._bets = SharedBets(
            self.ledger.half,
            pool_size=pool_size,
            rank=self._rank,
            delta=delta,
            pair_share=PAIR_SHARE if few else 0.0,
        )
        self.capital = self._bets.capital
        self._seed, self._fitted = seed, 0
        self._streams: dict[int, tuple[np.random.Generator, list[float]]] = {}
        self._duels: dict[int, Duel] = {}
        self._round: list[Draw] = []
        self._told: dict[Cell, int] = {}  # UNSEEN until it is told
        self._left = 0
        self._changed = True  # a model was dropped or judged in full since it was last looked at
        self._advance()

    # -- the conversation ---------------------------------------------------------------------

    def ask(self, limit: int | None = None) -> list[Cell]:
        """Return the planned cells (place, model) that are not told yet; empty when over.

        Args:
            limit: at most so many; it does not change which cells the race needs.
        """
        return [cell for cell, told in self._told.items() if told == UNSEEN][:limit]

    def tell(self, cell: Cell, outcome: int) -> None:
        """Learn one cell, in any order: -1, 0, 1, or MISSING for a judgement given up for good.

        Raises:
            InputError: a cell that was not asked for, told before, or an outcome that is none.
        """
        if self._told.get(cell) != UNSEEN:
            why = "not asked for" if cell not in self._told else "told before"
            raise InputError(f"query {cell[0]} of model {cell[1]} was {why}.")
        if outcome not in (-1, 0, 1, MISSING):
            raise InputError(f"outcome {outcome} must be -1 (loss), 0 (draw), 1 (win) or MISSING.")
        self._told[cell] = int(outcome)
        self.calls += 1
        self._left -= 1
        if not self._left:
            self._settle()
            self._advance()

    @property
    def winners(self) -> np.ndarray:
        """Mark the answer, or the present leaders: bool (M,)."""
        return self._answer.copy() if self.stop else self._best_rated(self._may_lead())

    @property
    def certified(self) -> bool:
        """Tell whether the answer holds with probability at least 1 - alpha."""
        return self.stop in CERTAIN

    def state(self) -> Mapping[str, Any]:
        """Return what a log should note of the present state, as JSON can hold it."""
        return {
            "phase": self.phase,
            "champion": self.champion,
            "live": int(self.live.sum()),
            "calls": self.calls,
            "stop": self.stop,
        }

    # -- planning -----------------------------------------------------------------------------

    def _advance(self) -> None:
        """Go through the phases until there is a round to judge, or the race is over."""
        self._round, self._told = [], {}
        while not (self._told or self._waits or self.phase == OVER):
            if self._changed:
                self._finish_if_decided()
            if self.phase in (PLAIN, PRUNE):
                self._plan_shared()
            elif self.phase == CHAMPION:
                self._plan_champion()
            elif self.phase == CHALLENGE:
                self._plan_draws()

    def _plan(self, cells: Sequence[Cell]) -> None:
        self._told.update(dict.fromkeys(cells, UNSEEN))
        self._left = len(self._told)

    def _plan_shared(self) -> None:
        """Plan the next shared queries for all that race, unless the plain race is over."""
        if self.phase == PLAIN and self._switch_now():
            self.phase, self.switched = PRUNE, self.seen
        if self.phase == PRUNE and not self._prune():
            self.phase, self.champion = CHAMPION, self._leader()
            self.capital = self._bets.against(self.champion)
            return
        paid = [int(j) for j in np.flatnonzero(self.racing) if j != self.baseline]
        count = min(max(1, self._width // len(paid)), self.ledger.pool_size - self.seen)
        self._plan([(i, j) for i in range(self.seen, self.seen + count) for j in paid])

    def _plan_champion(self) -> None:
        """Plan all that the champion is not judged on, at once; then the challengers' turn."""
        places = self.ledger.open_places(self.champion).tolist()
        self._plan([(i, self.champion) for i in places])
        if not places:
            self.phase = CHALLENGE
            self._drop_beaten()

    def _plan_draws(self) -> None:
        """Plan the next ``width`` draws: the strongest challenger's as far as it needs them."""
        left = self._width
        for duel in self._challengers():
            slack, short = self._needs(duel)
            draws = duel.draw(self.predictor, slack, short, left, self._pick)
            self._round += draws
            left -= len(draws)
            if not left:
                break
        self._plan([draw.cell for draw in self._round])

    def _needs(self, duel: Duel) -> tuple[float, float]:
        """Return the slack of a challenger, and the nats that its capital lacks."""
        slack = self.ledger.slack(duel.model, self.champion, self._margin)
        return slack, self._limit - float(self.capital[duel.model])

    def _challengers(self) -> Iterator[Duel]:
        """Yield the open duels, then new ones, strongest first."""
        yield from tuple(self._duels.values())
        if self.predictor.n_cells > REFIT * self._fitted:
            self.predictor.fit()
            self._fitted = self.predictor.n_cells
        waiting = self.live & (self.ledger.judged < self.ledger.pool_size)
        waiting[list(self._duels)] = False
        # rounded, so that models that did alike are told apart by rank and not by rounding
        strength = np.where(waiting, self.predictor.strength.round(9), np.inf)
        for j in np.lexsort((self._rank, strength))[: waiting.sum()].tolist():
            self._duels[j] = Duel(j, self.ledger.open_places(j))
            yield self._duels[j]

    def _pick(self, j: int, weight: np.ndarray) -> tuple[int, float]:
        """Pick a position with chances proportional to its weight, by model j's own stream."""
        if j not in self._streams:
            self._streams[j] = (np.random.default_rng([self._seed, 1, j]), [])
        stream, numbers = self._streams[j]
        if not numbers:
            numbers.extend(stream.random(64)[::-1].tolist())
        total = weight.cumsum()
        at = int(total.searchsorted(numbers.pop() * total[-1], side="right"))
        at = min(at, len(total) - 1)  # a number rounded up to the sum
        return at, float(weight[at] / total[-1])

    # -- settling -----------------------------------------------------------------------------

    def _settle(self) -> None:
        """Use the outcomes of the round, in planned order; then drop who is beaten."""
        if self.phase == CHALLENGE:
            if not self._settle_draws():
                return
            self._crown()
        elif self.phase == CHAMPION:
            for cell, outcome in self._told.items():
                self._learn(cell, outcome)
        else:
            self._settle_shared()
        self._drop_beaten()

    def _learn(self, cell: Cell, outcome: int) -> None:
        """Count one outcome."""
        self.ledger.learn(*cell, outcome)
        if outcome != MISSING:
            self.predictor.add(*cell, 0.5 - 0.5 * outcome)

    def _settle_shared(self) -> None:
        """Take the shared queries of the round one after the other: bet, then learn."""
        ledger, last = self.ledger, max(place for place, _ in self._told)
        while self.seen <= last:
            rate = np.where(self.racing, ledger.rate, -np.inf)
            self._bets.stake(ledger.low, ledger.high, rate, self.seen)
            for cell, outcome in self._told.items():
                if cell[0] == self.seen:
                    self._learn(cell, outcome)
            row = np.where(self.racing, ledger.outcomes[self.seen], 0)
            missing = row == MISSING
            r = np.where(missing, 0, row) * 0.5
            self._bets.settle(r - 0.5 * missing, r + 0.5 * missing, self.racing)
            self.seen += 1

    def _settle_draws(self) -> bool:
        """Settle the draws of a round; return whether some duel is decided."""
        for draw in self._round:
            self._settle_draw(draw, self._told[draw.cell])
        decided = False
        for j, duel in self._duels.items():
            self.predictor.refine(j)
            slack = self.ledger.slack(j, self.champion, self._margin)
            decided |= bool(self.capital[j] >= self._limit or slack < 0 or not duel.count)
        return decided

    def _settle_draw(self, draw: Draw, outcome: int) -> None:
        """Multiply a challenger's capital by the factor of one draw."""
        j = draw.cell[1]
        slack = self.ledger.slack(j, self.champion, self._margin)
        won = self.capital[j] >= self._limit  # by an earlier draw of the round
        # without a bet the pads are nan, and the comparison is false
        if slack >= 0 and slack + draw.pads > 0 and not won:
            lost = 0.0 if outcome == MISSING else 0.5 - 0.5 * outcome
            # in this order a win's factor is the pad itself, however small
            self.capital[j] += math.log((lost + draw.pad) / (draw.chance * (slack + draw.pads)))
        self._learn(draw.cell, outcome)

    def _crown(self) -> None:
        """Replace the champion by a fully judged model of a larger sum, if there is one."""
        full = self.live & (self.ledger.judged == self.ledger.pool_size)
        low = np.where(full, self.ledger.low, -np.inf)
        best = int(low.argmax())
        if low[best] > low[self.champion]:
            self.champion = best

    def _drop_beaten(self) -> None:
        """Drop models by capital, and those that can no longer catch up."""
        self._changed = True
        ledger, keep = self.ledger, self._leader()
        if self.phase == CHALLENGE:
            floor = ledger.low[self.champion] + self._margin
        else:
            floor = np.where(self.live, ledger.low - ledger.ahead, -np.inf).max()
        gone = self.live & ((floor > ledger.high + ledger.ahead) | (self.capital >= self._limit))
        gone[keep] = False
        self.live &= ~gone
        self.racing &= ~gone
        self.dropped[gone] = max(1, self.calls)
        self._duels = {j: duel for j, duel in self._duels.items() if self.live[j] and duel.count}

    # -- deciding -----------------------------------------------------------------------------

    def _may_lead(self) -> np.ndarray:
        """Mark the models that may lead: those that race, later the champion."""
        if self.phase in (PLAIN, PRUNE):
            return self.racing
        return np.asarray(np.arange(len(self.live)) == self.champion)

    def _leader(self) -> int:
        """Return the model of the highest rate among those that may lead; ties by rank."""
        return int(self._ranked(self._may_lead())[0])

    def _ranked(self, some: np.ndarray) -> np.ndarray:
        """Order the models by rate, those marked first; ties by rank."""
        return np.lexsort((self._rank, -np.where(some, self.ledger.rate, -np.inf), ~some))

    def _best_rated(self, some: np.ndarray) -> np.ndarray:
        """Mark the models of the highest rate among some."""
        rate = np.where(some, self.ledger.rate, -np.inf)
        return np.asarray(some & (rate == rate.max()))

    def _finish_if_decided(self) -> None:
        """End the race when one model is left, or no live model has an open query."""
        self._changed = False
        if self.live.sum() == 1:
            self.stop = WITHIN if self.delta > 0 and self.champion >= 0 else ONE_LEFT
            self._answer = self.live.copy()
        elif (self.ledger.judged[self.live] == self.ledger.pool_size).all():
            self.stop, self._answer = self._exhausted()
        elif self.phase in (PLAIN, PRUNE) and self._within():
            self.stop = WITHIN
            self._answer = np.arange(len(self.live)) == self._leader()
        if self.stop:
            self.phase = OVER

    def _exhausted(self) -> tuple[str, np.ndarray]:
        """Say why a race ends that has asked everything of the live, and mark its answer."""
        leaders, low = self._best_rated(self.live), self.ledger.low
        if self.champion >= 0:  # sums never fall below a champion's: the proof needs it
            leaders = self.live & (low == low[self.champion])
        lead = low - self._best_rival()
        best, near = leaders & (lead >= 0), leaders & (lead >= -self._margin)
        if best.any():
            return (TIED if best.sum() > 1 else EXHAUSTED), best
        if near.any() and self.delta > 0:
            return WITHIN, near
        return INCOMPLETE, self._best_rated(self.live)

    def _best_rival(self) -> np.ndarray:
        """Return what the best of the other live models may have won: float64 (M,)."""
        high = np.where(self.live, self.ledger.high, -np.inf)
        rival = np.full(len(high), high.max())
        rival[high.argmax()] = np.delete(high, high.argmax()).max()
        return rival

    def _within(self) -> bool:
        """Tell whether the leader is shown to be within delta of every live model."""
        if self._bets.pairs is None or not self.seen:
            return False
        leader, ledger = self._leader(), self.ledger
        won = self._bets.against(leader) >= self._limit
        lead = ledger.low[leader] - ledger.high + self._margin
        shown = won | (lead >= ledger.ahead[leader] + ledger.ahead) | ~self.live
        shown[leader] = True
        return bool(shown.all())

    def _switch_now(self) -> bool:
        """Decide whether the audit starts now."""
        rule, least = self.rule, self.rule.start * self.ledger.pool_size
        if rule.switch == "never" or self.seen < FIRST_SHARED or self.calls < least:
            return False
        if rule.switch == "early":
            return True
        plain, audit = self.predicted_rest()
        return audit < rule.gain * plain

    def _prune(self) -> bool:
        """Let only the best race on; return whether the plain race goes on at all."""
        for factor, share in self.rule.prune:
            if self.seen < min(factor * self.switched, self.ledger.pool_size):
                count = math.ceil(share * self.live.sum())
                self.racing[self._ranked(self.racing)[count:]] = False
                return bool(self.racing.sum() > 1)
        return False

    def predicted_rest(self) -> tuple[float, float]:
        """Predict the calls that are left, if the plain race goes on and if the audit starts."""
        return predicted_rest(
            self.ledger,
            self._bets,
            live=self.live,
            leader=self._leader(),
            seen=self.seen,
            delta=self.delta,
            limit=self._limit,
        )
