"""The audit race itself, cell by cell. Rule and proof: `llmsel.racing.audit`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from llmsel._base.errors import InputError
from llmsel._base.verdicts import ONE_LEFT, WITHIN
from llmsel.pool import MISSING
from llmsel.racing.audit.duel import Cell, Draw, Duel
from llmsel.racing.audit.ending import best_rated, exhausted, exhausted_best
from llmsel.racing.audit.forecast import predicted_rest
from llmsel.racing.audit.ledger import Ledger
from llmsel.racing.audit.pair_duel import PairDuel
from llmsel.racing.audit.predictor import LossPredictor
from llmsel.racing.audit.rounds import Rounds
from llmsel.racing.audit.schedule import Schedule
from llmsel.racing.audit.shared_bets import SharedBets
from llmsel.racing.audit.streams import Streams
from llmsel.racing.audit.tenure import Tenure
from llmsel.racing.rules import check_margin

if TYPE_CHECKING:
    from llmsel.racing.audit.rule import Audit

PLAIN, PRUNE, CHAMPION, CHALLENGE = "plain", "prune", "champion", "challenge"
PAIRED, OVER = "paired", "over"
PAIR_SHARE = 0.3  # see Audit.few
REFIT = 1.05  # the predictor is fitted again when the judged cells have grown by this factor


class AuditRace(Rounds[Cell]):
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
        phase: PLAIN, PRUNE, CHAMPION, CHALLENGE, PAIRED or OVER.
        live: bool (M,): models that can still be named.
        racing: bool (M,): models judged on the next shared query.
        champion: column, or -1 before there is one.
        capital: float64 (M,): log K.
        ledger: what is judged.
        calls: cells told.
        dropped: int (M,): calls told when a model was dropped, 0 for the live.
        stop: why the race ended, empty while it goes on.

    Raises:
        InputError: a delta or width out of range, or too few models for the rule.
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
        super().__init__()
        check_margin(delta)
        if width < 1:
            raise InputError(f"width={width}; at least one cell is planned at once.")
        if rule.best >= n_models:
            raise InputError(
                f"best={rule.best}: there are only {n_models} models, the baseline in."
            )
        self.rule, self.delta, self.baseline, self._width = rule, delta, baseline, width
        self.phase, self.champion = PLAIN, -1
        self.ledger = Ledger(pool_size, n_models, baseline)
        self.predictor = LossPredictor(pool_size, n_models, features=features)
        self.live = np.ones(n_models, dtype=bool)
        self.racing = self.live.copy()
        self.seen, self.switched = 0, 0
        self.dropped = np.zeros(n_models, dtype=int)
        self._limit, self._margin = math.log(rule.best / rule.alpha), delta * pool_size
        self._rank = np.random.default_rng([seed, 0]).permutation(n_models)
        self._schedule = Schedule(rule, pool_size, n_models, delta)
        self._court: list[int] = []  # the champions: as many as are to be named
        unpaired = self._schedule.few and not self._schedule.paired
        self._bets = SharedBets(
            self.ledger.half,
            pool_size=pool_size,
            rank=self._rank,
            delta=delta,
            pair_share=PAIR_SHARE if unpaired else 0.0,
        )
        self.capital = self._bets.capital
        self._tenure = Tenure(n_models)
        self._streams = Streams(seed)
        self._duels: dict[int, Duel | PairDuel] = {}
        self._round: list[Draw] = []
        self._changed = True  # a model was dropped or judged in full since it was last looked at
        self._advance()

    # -- the conversation ---------------------------------------------------------------------

    def _words(self, cell: Cell) -> str:
        return f"query {cell[0]} of model {cell[1]}"

    @property
    def winners(self) -> np.ndarray:
        """Mark the answer, or the present leaders: bool (M,)."""
        if self.stop:
            return self._answer.copy()
        if self.rule.best == 1:
            return best_rated(self.ledger, self._may_lead())
        return np.asarray(np.isin(np.arange(len(self.live)), self._leaders()))

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
            elif self.phase in (CHALLENGE, PAIRED):
                self._plan_draws()

    def _plan_shared(self) -> None:
        """Plan the next shared queries for all that race, unless the plain race is over."""
        if self.phase == PLAIN and self._schedule.pair_now(self.seen, self.calls):
            self._enthrone(self._leaders())
            self.phase = PAIRED
            self._drop_beaten()
            return
        if self.phase == PLAIN and self._switch_now():
            self.phase, self.switched = PRUNE, self.seen
        if self.phase == PRUNE and not self._prune():
            self._enthrone(self._leaders())
            self.phase = CHAMPION
            return
        paid = [int(j) for j in np.flatnonzero(self.racing) if j != self.baseline]
        count = min(max(1, self._width // len(paid)), self.ledger.pool_size - self.seen)
        self._plan([(i, j) for i in range(self.seen, self.seen + count) for j in paid])

    def _enthrone(self, court: list[int]) -> None:
        """Name the champions; capitals are those against a claim to beat the least of them."""
        self._court, low = court, self.ledger.low
        self.champion = min(court, key=lambda c: float(low[c]))
        self.capital = self._bets.against(self.champion) + self._tenure.capital

    def _plan_champion(self) -> None:
        """Plan all that the champions are not judged on, at once; then the challengers' turn."""
        open_ = [(i, c) for c in self._court for i in self.ledger.open_places(c).tolist()]
        self._plan(open_)
        if not open_:
            self.phase = CHALLENGE
            self._enthrone(self._court)
            self._drop_beaten()

    def _plan_draws(self) -> None:
        """Plan the next ``width`` cells: the strongest challenger's as far as it needs them."""
        left = self._width
        for duel in self._challengers():
            draws = self._draw(duel, left)
            self._round += draws
            left -= sum(len(draw.cells) for draw in draws)
            if left <= 0:
                break
        self._plan([cell for draw in self._round for cell in draw.cells])

    def _draw(self, duel: Duel | PairDuel, most: int) -> list[Draw]:
        """Draw for one challenger."""
        slack = self.ledger.slack(duel.model, self.champion, self._margin)
        short = self._limit - float(self.capital[duel.model])
        if isinstance(duel, Duel):
            return duel.draw(self.predictor, slack, short, most, self._pick)
        rivals = max(1, int(self.live.sum()) - 1)
        return duel.draw(self.predictor, slack, short, most, self._pick, rivals=rivals)

    def _pick(self, j: int, weight: np.ndarray) -> tuple[int, float]:
        return self._streams.pick(j, weight)

    def _challengers(self) -> Iterator[Duel | PairDuel]:
        """Yield the open duels, then new ones, strongest first."""
        yield from tuple(self._duels.values())
        self.predictor.refresh(REFIT)
        waiting = self.live & (self._open_queries() > 0)
        waiting[[self.champion, *self._duels]] = False
        # rounded, so that models that did alike are told apart by rank and not by rounding
        strength = np.where(waiting, self.predictor.strength.round(9), np.inf)
        for j in np.lexsort((self._rank, strength))[: waiting.sum()].tolist():
            self._duels[j] = self._duel(j)
            yield self._duels[j]

    def _open_queries(self) -> np.ndarray:
        """Count the queries on which a model, or the champion, is not judged: float64 (M,)."""
        judged = self.ledger.judged
        return np.asarray(self.ledger.pool_size - np.minimum(judged, judged[self.champion]))

    def _duel(self, j: int) -> Duel | PairDuel:
        """Begin the audit of a challenger."""
        if self.phase == PAIRED:
            return PairDuel(j, self.champion, self.ledger)
        return Duel(j, self.ledger.open_places(j))

    # -- settling -----------------------------------------------------------------------------

    def _settle(self) -> None:
        """Use the outcomes of the round, in planned order; then drop who is beaten."""
        if self.phase in (CHALLENGE, PAIRED):
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
            if self.rule.best == 1:
                self._bets.stake(ledger.low, ledger.high, rate, self.seen)
            for cell, outcome in self._told.items():
                if cell[0] == self.seen:
                    self._learn(cell, outcome)
            row = np.where(self.racing, ledger.outcomes[self.seen], 0)
            missing = row == MISSING
            r = np.where(missing, 0, row) * 0.5
            if self.rule.best == 1:
                self._bets.settle(r - 0.5 * missing, r + 0.5 * missing, self.racing)
            self.seen += 1

    def _settle_draws(self) -> bool:
        """Settle the draws of a round; return whether some duel is decided."""
        slack = {j: self.ledger.slack(j, self.champion, self._margin) for j in self._duels}
        for draw in self._round:
            y = sum(self._against(cell) for cell in draw.cells)
            self._settle_draw(draw, slack[draw.model], y)
            slack[draw.model] -= y
        for cell, outcome in self._told.items():
            self._learn(cell, outcome)
        decided = False
        for j, duel in self._duels.items():
            self.predictor.refine(j)
            slack_now = self.ledger.slack(j, self.champion, self._margin)
            decided |= bool(self.capital[j] >= self._limit or slack_now < 0 or not duel.count)
        return decided or self._guess()

    def _against(self, cell: Cell) -> float:
        """Return what a told cell takes from the slack: a challenger's loss, a champion's win."""
        outcome = self._told[cell]
        if outcome == MISSING:
            return 0.0
        return 0.5 + 0.5 * outcome if cell[1] == self.champion else 0.5 - 0.5 * outcome

    def _settle_draw(self, draw: Draw, slack: float, y: float) -> None:
        """Multiply a challenger's capital by the factor of one draw."""
        if self.capital[draw.model] < self._limit:  # no earlier draw of the round has won
            gained = draw.gain(y, slack)
            self.capital[draw.model] += gained
            self._tenure.capital[draw.model] += gained

    def _crown(self) -> None:
        """Let the best of those judged in full be champions, if the least sum of them rises."""
        full = self.live & (self.ledger.judged == self.ledger.pool_size)
        low, best = np.where(full, self.ledger.low, -np.inf), self.rule.best
        court = np.lexsort((~np.isin(np.arange(len(low)), self._court), -low))[:best].tolist()
        if full[self.champion] and low[court[-1]] > low[self.champion]:
            self._tenure.crown()
            self._enthrone(court)

    def _guess(self) -> bool:
        """Replace the champion of a paired audit by a challenger that is predicted to be better."""
        least = max(1 + self._tenure.changes, 0.5 * self._margin)
        for duel in self._duels.values():
            if isinstance(duel, PairDuel) and duel.seems_better(self.predictor, least):
                back = self._tenure.guess()
                self.live |= back
                self.dropped[back] = 0
                self._enthrone([duel.model])
                return True
        return False

    def _drop_beaten(self) -> None:
        """Drop models by capital, and those that can no longer catch up."""
        self._changed = True
        ledger, keep = self.ledger, self._leaders()
        if self.phase in (CHALLENGE, PAIRED):
            floor = ledger.low[self.champion] - ledger.ahead[self.champion] + self._margin
        else:
            floor = np.sort(np.where(self.live, ledger.low - ledger.ahead, -np.inf))[
                -self.rule.best
            ]
        gone = self.live & ((floor > ledger.high + ledger.ahead) | (self.capital >= self._limit))
        gone[keep] = False
        self.live &= ~gone
        self.racing &= ~gone
        self.dropped[gone] = max(1, self.calls)
        if self.phase == PAIRED:
            self._tenure.gone |= gone
        self._duels = {j: duel for j, duel in self._duels.items() if self._goes_on(duel)}

    def _goes_on(self, duel: Duel | PairDuel) -> bool:
        """Tell whether a duel is undecided, and with the present champion."""
        old = isinstance(duel, PairDuel) and duel.champion != self.champion
        return bool(self.live[duel.model] and duel.count and not old)

    # -- deciding -----------------------------------------------------------------------------

    def _may_lead(self) -> np.ndarray:
        """Mark the models that may lead: those that race, later the champion."""
        if self.phase in (PLAIN, PRUNE):
            return self.racing
        return np.asarray(np.isin(np.arange(len(self.live)), self._court))

    def _leaders(self) -> list[int]:
        """Return the models of the highest rates among those that may lead; ties by rank."""
        return [int(j) for j in self._ranked(self._may_lead())[: self.rule.best]]

    def _ranked(self, some: np.ndarray) -> np.ndarray:
        """Order the models by rate, those marked first; ties by rank."""
        return np.lexsort((self._rank, -np.where(some, self.ledger.rate, -np.inf), ~some))

    def _finish_if_decided(self) -> None:
        """End the race when no more are left than wanted, or no live model has an open query."""
        self._changed, ledger = False, self.ledger
        known = ledger, self.live, self.champion, self._margin
        if self.live.sum() == self.rule.best:
            self.stop = WITHIN if self.delta > 0 and self.champion >= 0 else ONE_LEFT
            self._answer = self.live.copy()
        elif (ledger.judged[self.live] == ledger.pool_size).all():
            best = self.rule.best
            self.stop, self._answer = (
                exhausted(*known) if best == 1 else exhausted_best(*known, best)
            )
        elif self.phase in (PLAIN, PRUNE) and self._within():
            self.stop = WITHIN
            self._answer = np.arange(len(self.live)) == self._leaders()[0]
        if self.stop:
            self.phase = OVER

    def _within(self) -> bool:
        """Tell whether the leader is shown to be within delta of every live model."""
        if not self.delta or not self.seen or self.rule.best > 1:
            return False
        leader, ledger = self._leaders()[0], self.ledger
        won = self._bets.against(leader) >= self._limit
        lead = ledger.low[leader] - ledger.high + self._margin
        shown = won | (lead >= ledger.ahead[leader] + ledger.ahead) | ~self.live
        shown[leader] = True
        return bool(shown.all())

    def _switch_now(self) -> bool:
        """Decide whether an audit with the champion in full starts now."""
        may = self._schedule.may_switch(self.seen, self.calls)
        return may and self._schedule.pays(*self.predicted_rest())

    def _prune(self) -> bool:
        """Let only the best race on; return whether the plain race goes on at all."""
        part = self._schedule.racing_on(self.seen, self.switched)
        if not part:
            return False
        count = max(self.rule.best, math.ceil(part * self.live.sum()))
        self.racing[self._ranked(self.racing)[count:]] = False
        return bool(self.racing.sum() > self.rule.best)

    def predicted_rest(self) -> tuple[float, float]:
        """Predict the calls that are left, if the plain race goes on and if the audit starts."""
        return predicted_rest(
            self.ledger,
            self._bets,
            live=self.live,
            leader=self._leaders()[0],
            seen=self.seen,
            delta=self.delta,
            limit=self._limit,
        )
