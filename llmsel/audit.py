r"""The audit race: judge one champion in full, then test each challenger alone against it.

After a plain race over shared queries one model, the *champion* c, is judged on every query, so
that its sum S_c is a known number. Each *challenger* j is then tested alone, on queries drawn
with chosen probabilities, until its claim to beat the champion is refuted. It is the idea of a
risk-limiting audit of an election. Outcomes count as ``r`` = +1/2, 0, -1/2 for win, draw, loss
(the baseline always 0 and free); all probability is over the race's own draws of queries.

Claim of j: "I am better than the champion by at least delta", ``S_j >= S_c + delta P`` (delta 0:
"I am at least as good", true of a best model whatever c is). With R the queries on which j is not
judged yet, rem = |R| and seen the sum of its judged r::

    tau = S_c + delta P - seen      what R must still bring if the claim is true
    D   = rem / 2 - tau             slack: what j may still lose; D < 0 drops j for certain
    i ~ q on R, any q > 0, any pads c_i >= 0, both fixed before the outcome
    K_j <- K_j (1/2 + c_i - r_ij) / (q_i (D + sum_R c))
    K_j >= 1 / alpha drops j

Proof. r <= 1/2, so the factor is never negative. Given the past its mean is
``(rem / 2 + sum_R c - sum_R r_j) / (D + sum_R c)``. The claim says ``sum_R r_j >= tau``, so the
numerator is at most ``rem / 2 - tau + sum_R c = D + sum_R c`` and the mean at most 1: K_j is a
non-negative supermartingale while the claim is true, whatever the predictions that made c and q.
(If D + sum_R c = 0 there is no bet.) It goes on from the capital of the plain race, where
`llmsel.elimination.Certified` proves the same of the claim "j is a best model". Let b be a best
model, and call c *bad* if ``S_b >= S_c + delta P`` fails to be excluded, that is, if b's claim
against c is true: a fixed set of models. A race errs only if it ends with a bad champion and b
dropped. A champion is replaced only by a model whose known sum is larger, so if the last champion
is bad (more than delta worse than b), all before it were bad too: every audit bet against b was
a bet on a true claim, no certain drop can have hit b (D >= 0 under a true claim), and K_b is one
supermartingale that starts at 1. By Ville's inequality it ever reaches 1 / alpha with probability
at most alpha. There is no correction for the number of rivals or champions, nor for delta, and no
fixed time of stopping.

Plain bets. Before a shared query, in uniformly random order, j bets on its best opponents a, with
stakes w_a >= 0: ``K_j <- K_j (1 + sum_a w_a (r_a - r_j - m_a))``, ``m_a = -(S_a - S_j) / rem``, which
has mean at most 1 if j is a best model, since then ``sum_R (r_a - r_j) <= -(S_a - S_j)`` for every
a; ``sum_a w_a (largest loss + m_a) <= 0.9`` keeps it positive. Models that stop racing (pruned)
keep their capital as it is, a factor of 1.

Missing judgements (given up for good) count as the worst for what is to be shown: +1/2 for the
challenger, -1/2 in S_c, as wins of j and losses of a in a plain bet. A factor only falls, and
``S_c`` counted so is at most the true one, so the certificate holds whatever the missing outcomes
are, and also for the win rate over judged queries. For the chain of champions the sums counted in
this way are what must rise, and do.

Several cells at once. A round is planned in full before any of its outcomes is used: several
challengers at a time, and several draws each. The draws of one challenger are without replacement
from one q: the second, given the first, is drawn from ``q / (1 - q_1)`` on R without it, and R, D and
sum c are those after the first. The first outcome is a fixed number, so given the first draw the
factor of the second has mean at most 1 as well. Outcomes are used in the planned order, however
they arrive.

What a seed promises. The cells of a race are a function of the seed, the settings (``width``
among them), the order of the queries and the outcomes. They do not depend on how many cells are
asked for at a time, on the order in which outcomes are told, on timing or on processes. The k-th
draw of model j takes the k-th number of a stream of its own. Another ``width`` is another race,
as valid as the first: a draw that may use an outcome differs from one that may not.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from llmsel._base.bets import best_bet
from llmsel._base.errors import InputError
from llmsel._base.predictor import LossPredictor
from llmsel._base.shared_bets import SharedBets
from llmsel.pool import MISSING

PLAIN, PRUNE, CHAMPION, CHALLENGE, OVER = "plain", "prune", "champion", "challenge", "over"
ONE_LEFT, WITHIN, TIED, EXHAUSTED = "one left", "within delta", "tied", "pool exhausted"
UNSEEN = 127  # in a table of outcomes: not judged yet
SWITCH = ("predicted", "early", "never")
FIRST_SHARED = 2  # shared queries before the audit may start
LARGEST_PART = 0.8  # of its open queries that a model is predicted to need at most
PAIR_SHARE = 0.3  # see Audit.few
REFIT = 1.05  # the predictor is fitted again when the judged cells have grown by this factor

Cell = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Audit:
    """Settings of an audit race; `begin` starts one. See the module for the rule and its proof.

    Attributes:
        alpha: probability of a wrong certificate, in (0, 1).
        switch: when the audit starts: "predicted", where it is predicted to cost less than
            ``gain`` times the rest of the plain race; "early", as soon as it may; "never", a
            plain race to its end.
        gain: see switch.
        start: calls per query of the pool that come before the audit.
        width: cells planned at once, for parallel judges; part of the race, see the module.
        prune: (factor, share) pairs: after the switch at query t, the best ``share`` of the live
            models race on until query ``factor t``, to find the champion.
        few: with a margin delta and at most so many models, PAIR_SHARE of alpha goes to bets on
            pairs in the plain race; with more they would cost more than they bring.

    Raises:
        InputError: a parameter out of range.
    """

    alpha: float = 0.05
    switch: str = "predicted"
    gain: float = 0.8
    start: float = 0.5
    width: int = 1
    prune: tuple[tuple[float, float], ...] = ((2.5, 1 / 3), (6.0, 0.1))
    few: int = 20

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 0 < self.alpha < 1:
            raise InputError(f"alpha={self.alpha} must be in (0, 1).")
        if self.switch not in SWITCH:
            raise InputError(f"switch='{self.switch}' must be one of {', '.join(SWITCH)}.")
        if self.width < 1 or self.gain <= 0 or self.start < 0:
            raise InputError(f"{self}: width is at least 1, gain above 0, start at least 0.")
        if any(factor < 1 or not 0 < share <= 1 for factor, share in self.prune):
            raise InputError(f"prune={self.prune}: factors are at least 1, shares in (0, 1].")

    def begin(
        self,
        pool_size: int,
        n_models: int,
        *,
        baseline: int,
        delta: float = 0.0,
        seed: int = 0,
        features: np.ndarray | None = None,
    ) -> AuditRace:
        """Start a race; arguments as of `AuditRace`."""
        return AuditRace(
            self,
            pool_size,
            n_models,
            baseline=baseline,
            delta=delta,
            seed=seed,
            features=features,
        )


@dataclasses.dataclass
class Duel:
    """A challenger under audit: its open queries, and what is predicted for them.

    Attributes:
        places: int (rem,): open queries, in an order that depends on the past draws only.
        base, spread: float64 (rem,): see `LossPredictor`.
        version: of the predictor that made them.
    """

    model: int
    places: np.ndarray
    base: np.ndarray
    spread: np.ndarray
    version: int

    def remove(self, at: int) -> None:
        """Close one query: the last one takes its position."""
        for name in ("places", "base", "spread"):
            setattr(self, name, _without(getattr(self, name), at))


@dataclasses.dataclass(frozen=True)
class Draw:
    """One drawn cell and the bet on it, of pad c: K *= (1/2 + c - r) / (chance (D + pads))."""

    cell: Cell
    chance: float
    pad: float
    pads: float


class AuditRace:
    """One race over one pool, cell by cell: `ask` for cells, `tell` their outcomes.

    Queries are named by their place in a uniformly random order, models by their column.

    Args:
        rule: settings.
        pool_size, n_models: P and M, the baseline included.
        baseline: its column.
        delta: win-rate margin of the claim, in [0, 1); 0 for the best model itself.
        seed: of the audit's own draws and of ties; the order of the queries is the caller's.
        features: float64 (P, M, F) known for all cells, to help the predictor; None for none.

    Attributes:
        phase: PLAIN, PRUNE, CHAMPION, CHALLENGE or OVER.
        live: bool (M,): models that can still be named.
        champion: column, or -1 before there is one.
        capital: float64 (M,): log K.
        outcomes: int8 (P, M): -1, 0, 1, MISSING or UNSEEN.
        calls: cells told, the baseline's not counted.
        dropped: int (M,): calls told when a model was dropped, 0 for the live.
        stop: why the race ended, empty while it goes on.
    """

    def __init__(
        self,
        rule: Audit,
        pool_size: int,
        n_models: int,
        *,
        baseline: int,
        delta: float = 0.0,
        seed: int = 0,
        features: np.ndarray | None = None,
    ):
        """Plan the first round; nothing is judged yet."""
        if not 0 <= delta < 1:
            raise InputError(f"delta={delta} must be a win-rate margin in [0, 1), as 0.01 for 1 %.")
        self.rule, self.delta, self.pool_size, self.baseline = rule, delta, pool_size, baseline
        self.phase, self.champion, self.stop = PLAIN, -1, ""
        self.live = np.ones(n_models, dtype=bool)
        self.racing = self.live.copy()
        self.outcomes = np.full((pool_size, n_models), UNSEEN, dtype=np.int8)
        self.outcomes[:, baseline] = 0
        self.half = np.where(np.arange(n_models) == baseline, 0.0, 0.5)
        self.total, self.unknown, self.judged = np.zeros((3, n_models))
        self.judged[baseline] = pool_size
        self.calls, self.seen, self.switched = 0, 0, 0
        self.dropped = np.zeros(n_models, dtype=int)
        self.predictor = LossPredictor(pool_size, n_models, features=features)
        self._fitted = 0
        self._rank = np.random.default_rng([seed, 0]).permutation(n_models)
        few = delta > 0 and n_models <= rule.few
        self._bets = SharedBets(
            self.half,
            pool_size=pool_size,
            rank=self._rank,
            delta=delta,
            pair_share=PAIR_SHARE if few else 0.0,
        )
        self.capital = self._bets.capital
        self._seed = seed
        self._streams: dict[int, tuple[np.random.Generator, list[float]]] = {}
        self._duels: dict[int, Duel] = {}
        self._round: list[Draw | Cell] = []
        self._told: dict[Cell, int | None] = {}
        self._left = 0
        self._changed = True  # a model was dropped or judged in full since it was last looked at
        self._advance()

    # -- the conversation ---------------------------------------------------------------------

    def ask(self, limit: int | None = None) -> list[Cell]:
        """Return the planned cells (place, model) that are not told yet; empty when over.

        Args:
            limit: at most so many; it does not change which cells the race needs.
        """
        return [cell for cell, told in self._told.items() if told is None][:limit]

    def tell(self, cell: Cell, outcome: int) -> None:
        """Learn one cell, in any order: -1, 0, 1, or MISSING for a judgement given up for good.

        Raises:
            InputError: a cell that was not asked for, told before, or an outcome that is none.
        """
        if cell not in self._told or self._told[cell] is not None:
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
        some = self.live if self.stop else self._candidates()
        rate = np.where(some, self.rate, -np.inf)
        best: np.ndarray = some & (rate == rate.max())
        return best

    @property
    def certified(self) -> bool:
        """Tell whether the answer holds with probability at least 1 - alpha."""
        return self.stop != ""

    @property
    def low(self) -> np.ndarray:
        """Sums of judged r with every missing outcome a loss: float64 (M,)."""
        low: np.ndarray = self.total - 0.5 * self.unknown
        return low

    @property
    def high(self) -> np.ndarray:
        """Sums of judged r with every missing outcome a win: float64 (M,)."""
        high: np.ndarray = self.total + 0.5 * self.unknown
        return high

    @property
    def rate(self) -> np.ndarray:
        """Mean r over judged queries; -inf for the dropped, and for models never judged."""
        known = self.judged - self.unknown
        mean = self.total / np.maximum(known, 1)
        return np.where(self.live & ((known > 0) | (self.judged == 0)), mean, -np.inf)

    def _candidates(self) -> np.ndarray:
        """Mark the models that may lead: the champion, or those that race."""
        if self.phase in (PLAIN, PRUNE):
            return self.racing
        return np.arange(len(self.live)) == self.champion

    # -- planning -----------------------------------------------------------------------------

    def _advance(self) -> None:
        """Go through the phases until there is a round to judge, or the race is over."""
        self._round, self._told, self._left = [], {}, 0
        while not self._told and self.phase != OVER:
            if self._changed:
                self._finish_if_decided()
            if self.phase in (PLAIN, PRUNE):
                self._plan_shared()
            elif self.phase == CHAMPION:
                self._plan_champion()
            elif self.phase == CHALLENGE:
                self._plan_draws()

    def _finish_if_decided(self) -> None:
        """End the race when one model is left, or no live model has an open query."""
        self._changed = False
        if self.live.sum() == 1:
            self.stop = WITHIN if self.delta > 0 and self.champion >= 0 else ONE_LEFT
        elif (self.judged[self.live] == self.pool_size).all():
            rate = self.rate
            self.stop = TIED if (rate == rate.max()).sum() > 1 else EXHAUSTED
        elif self.phase in (PLAIN, PRUNE) and self._within():
            self.stop = WITHIN
            self.live &= np.arange(len(self.live)) == self._leader()
        if self.stop:
            self.phase = OVER

    def _within(self) -> bool:
        """Tell whether the leader is shown to be within delta of every live model."""
        if self._bets.pairs is None or not self.seen:
            return False
        l, ahead = self._leader(), (self.pool_size - self.judged) * self.half  # noqa: E741
        won = self._bets.against(l) >= -math.log(self.rule.alpha)
        surely = self.low[l] - self.high + self.delta * self.pool_size >= ahead[l] + ahead
        return bool((won | surely | ~self.live | (np.arange(len(won)) == l)).all())

    def _plan_shared(self) -> None:
        """Plan the next shared queries for all that race."""
        if self.phase == PLAIN and self._switch_now():
            self.phase, self.switched = PRUNE, self.seen
        if self.phase == PRUNE and not self._prune():
            self.phase, self.champion = CHAMPION, self._leader()
            self.capital = self._bets.against(self.champion)
            return
        paid = [int(j) for j in np.flatnonzero(self.racing) if j != self.baseline]
        count = min(max(1, self.rule.width // max(1, len(paid))), self.pool_size - self.seen)
        for place in range(self.seen, self.seen + count):
            self._plan([(place, j) for j in paid])

    def _plan(self, round_: list[Draw | Cell]) -> None:
        """Add draws or cells to the open round."""
        self._round += round_
        for item in round_:
            self._told[item.cell if isinstance(item, Draw) else item] = None
        self._left = len(self._told)

    def _plan_champion(self) -> None:
        """Plan all that the champion is not judged on, at once; then the challengers' turn."""
        places = np.flatnonzero(self.outcomes[:, self.champion] == UNSEEN)
        self._plan([(int(i), self.champion) for i in places])
        if not len(places):
            self.phase = CHALLENGE
            self._drop_beaten()

    def _plan_draws(self) -> None:
        """Plan the next draws of up to ``width`` challengers, strongest first."""
        if len(self._duels) < self.rule.width:
            self._refit_if_grown()
            self._open_duels()
        duels, width = list(self._duels.values()), self.rule.width
        for turn, duel in enumerate(duels):
            self._plan(self._draw(duel, width // len(duels) + (turn < width % len(duels))))

    def _refit_if_grown(self) -> None:
        if self.predictor.n_cells > REFIT * self._fitted:
            self.predictor.fit()
            self._fitted = self.predictor.n_cells

    def _open_duels(self) -> None:
        """Take in the strongest challengers that have open queries."""
        waiting = self.live & (self.judged < self.pool_size)
        # rounded, so that models that did alike are told apart by rank and not by rounding
        strength = np.where(waiting, self.predictor.strength.round(9), np.inf)
        for j in np.lexsort((self._rank, strength)):
            if len(self._duels) >= self.rule.width or not waiting[j]:
                return
            if j not in self._duels:
                places = np.flatnonzero(self.outcomes[:, j] == UNSEEN)
                empty = np.zeros(0)
                self._duels[int(j)] = Duel(int(j), places, empty, empty, -1)

    def _slack(self, j: int) -> float:
        """Return D of challenger j: how much it may still lose if its claim is true."""
        c, total, unknown = self.champion, self.total, self.unknown
        need = total[c] - 0.5 * unknown[c] + self.delta * self.pool_size
        most = total[j] + 0.5 * unknown[j] + (self.pool_size - self.judged[j]) * self.half[j]
        return float(most - need)

    def _draw(self, duel: Duel, count: int) -> list[Draw | Cell]:
        """Draw queries of one challenger, for most growth of its capital."""
        predictor, j = self.predictor, duel.model
        if duel.version != predictor.version:
            duel.base = predictor.base(j, duel.places)
            duel.spread = predictor.spread_query[duel.places]
            duel.version = predictor.version
        weight, pad = best_bet(
            predictor.predict(j, duel.base, duel.spread), self._slack(j), predictor.draws
        )
        draws: list[Draw | Cell] = []
        for _ in range(min(count, len(duel.places))):
            at, chance = self._pick(j, weight)
            cell = (int(duel.places[at]), j)
            draws.append(Draw(cell, chance, float(pad[at]), float(pad.sum())))
            duel.remove(at)
            weight, pad = _without(weight, at), _without(pad, at)
        return draws

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
        """Use the outcomes of the round, in the planned order; then drop who is beaten."""
        if self.phase in (PLAIN, PRUNE):
            self._settle_shared()
        elif self.phase == CHAMPION:
            for cell in self._told:
                self._learn(cell)
        if self.phase != CHALLENGE or self._settle_draws():
            self._drop_beaten()

    def _settle_draws(self) -> bool:
        """Settle the draws of a round; return whether some duel is decided."""
        for draw in self._round:
            self._settle_draw(draw)
        limit, decided = -math.log(self.rule.alpha), False
        for j, duel in self._duels.items():
            self.predictor.refine(j)
            decided |= bool(self.capital[j] >= limit or self._slack(j) < 0 or not len(duel.places))
        if decided:
            self._crown()
        return decided

    def _learn(self, cell: Cell) -> None:
        """Count one outcome."""
        outcome = self._told[cell]
        place, j = cell
        self.outcomes[cell] = outcome
        self.judged[j] += 1
        if outcome == MISSING:
            self.unknown[j] += 1
        else:
            self.total[j] += 0.5 * outcome
            self.predictor.add(place, j, 0.5 - 0.5 * outcome)

    def _settle_draw(self, draw: Draw) -> None:
        """Multiply a challenger's capital by the factor of one draw."""
        j, outcome = draw.cell[1], self._told[draw.cell]
        slack = self._slack(j)
        won = self.capital[j] >= -math.log(self.rule.alpha)  # by an earlier draw of the round
        # without a bet the pads are nan, and the comparison is false
        if slack >= 0 and slack + draw.pads > 0 and not won:
            r = 0.5 if outcome == MISSING else 0.5 * outcome
            # in this order the sum is exact to rounding for a win, where the pad is all there is
            factor = (0.5 - r + draw.pad) / (draw.chance * (slack + draw.pads))
            self.capital[j] += math.log(factor) if factor > 0 else -math.inf
        self._learn(draw.cell)

    def _crown(self) -> None:
        """Replace the champion by a fully judged model of a larger sum, if there is one."""
        full = self.live & (self.judged == self.pool_size)
        low = np.where(full, self.low, -np.inf)
        best = int(low.argmax())
        if low[best] > low[self.champion]:
            self.champion = best

    def _drop_beaten(self) -> None:
        """Drop models by capital, and those that can no longer catch up."""
        self._changed = True
        ahead = (self.pool_size - self.judged) * self.half
        limit = -math.log(self.rule.alpha)
        if self.phase in (PLAIN, PRUNE, CHAMPION):
            keep = np.arange(len(self.live)) == self._leader()
            floor = np.where(self.live, self.low - ahead, -np.inf).max()
            gone = floor > self.high + ahead
        else:
            keep = np.arange(len(self.live)) == self.champion
            gone = self.low[self.champion] + self.delta * self.pool_size > self.high + ahead
        gone = self.live & ~keep & (gone | (self.capital >= limit))
        self.live &= ~gone
        self.racing &= ~gone
        self.dropped[gone] = max(1, self.calls)
        self._duels = {
            j: duel for j, duel in self._duels.items() if self.live[j] and len(duel.places)
        }

    def _leader(self) -> int:
        """Return the model of the highest rate among those that may lead; ties by rank."""
        rate = np.where(self._candidates(), self.rate, -np.inf)
        return int(np.lexsort((self._rank, -rate))[0])

    # -- the plain race -----------------------------------------------------------------------

    def _settle_shared(self) -> None:
        """Take the shared queries of the round one after the other: bet, then learn."""
        cells: dict[int, list[Cell]] = {}
        for place, j in self._told:
            cells.setdefault(place, []).append((place, j))
        for row in cells.values():
            rate = np.where(self.racing, self.rate, -np.inf)
            self._bets.stake(self.low, self.high, rate, self.seen)
            for cell in row:
                self._learn(cell)
            outcome = self.outcomes[self.seen]
            missing = self.racing & (outcome == MISSING)
            r = np.where(self.racing & ~missing, outcome, 0) * 0.5
            self._bets.settle(r - 0.5 * missing, r + 0.5 * missing, self.racing)
            self.seen += 1

    def _switch_now(self) -> bool:
        """Decide whether the audit starts now."""
        rule = self.rule
        if rule.switch == "never" or self.seen < FIRST_SHARED:
            return False
        if self.calls < rule.start * self.pool_size:
            return False
        if rule.switch == "early":
            return True
        plain, audit = self.predicted_rest()
        return audit < rule.gain * plain

    def predicted_rest(self) -> tuple[float, float]:
        """Predict the calls that are left, if the plain race goes on and if the audit starts."""
        leader, rem = self._leader(), self.pool_size - self.seen
        others = self.live & (np.arange(len(self.live)) != leader)
        paid = others & (np.arange(len(self.live)) != self.baseline)
        limit = -math.log(self.rule.alpha)
        need = limit - self._bets.against(leader)
        known = self.judged - self.unknown
        loss = (known / 2 - self.total + 1) / (known + 2)
        gap = _divergence(loss, max(loss[leader] - self.delta, 0.01))
        gap = np.where(loss > loss[leader] - self.delta, gap, 0.0)
        most = LARGEST_PART * rem
        plain = np.minimum((limit - self.capital) / np.maximum(self._bets.growth, 1e-12), most)
        if self._bets.pairs is not None:
            pair = limit - self._bets.pairs[leader]
            plain = np.minimum(plain, pair / np.maximum(self._bets.pair_growth[leader], 1e-12))
        audit = np.minimum(need / np.maximum(gap, 1e-12), most)
        first = 0.0 if leader == self.baseline else float(rem)
        longest = plain[others].max() if leader != self.baseline else 0.0
        return float(plain[paid].sum() + longest), first + float(audit[paid].sum())

    def _prune(self) -> bool:
        """Let only the best race on; return whether the plain race goes on at all."""
        for factor, share in self.rule.prune:
            if self.seen < min(factor * self.switched, self.pool_size):
                count = math.ceil(share * self.live.sum())
                rate = np.where(self.racing, self.rate, -np.inf)
                order = np.lexsort((self._rank, -rate))
                if self.racing.sum() > count:
                    self.racing = self.racing & np.isin(np.arange(len(rate)), order[:count])
                return bool(self.racing.sum() > 1)
        return False

    def state(self) -> Mapping[str, Any]:
        """Return what a log should note of the present state, as JSON can hold it."""
        return {
            "phase": self.phase,
            "champion": self.champion,
            "live": int(self.live.sum()),
            "calls": self.calls,
            "stop": self.stop,
        }


def _without(values: np.ndarray, at: int) -> np.ndarray:
    """Leave out one position; the last value takes it."""
    values[at] = values[-1]
    return values[:-1]


def _divergence(p: np.ndarray, q: float) -> np.ndarray:
    """Return the Kullback-Leibler divergence of coins p from a coin q, in nats."""
    out: np.ndarray = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
    return out
