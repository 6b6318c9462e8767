"""Session: one real decision, one annotated query at a time.

It knows nothing of widgets, judges or files: it names the next query, learns the oracle's
outcomes, and says which model leads. It runs the same strategies as the experiments do, with one
realization.
"""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Mapping

import numpy as np

from llmsel._base.checks import check_outcome
from llmsel._base.errors import InputError
from llmsel._base.intervals import wilson
from llmsel._base.verdicts import RaceVerdict
from llmsel._base.words import counted, percent
from llmsel.belief import Belief, bootstrap_best, entropy, posterior
from llmsel.pool import MISSING, Pool, draw_orders
from llmsel.racing.elimination import LockstepRule
from llmsel.racing.lockstep import Races
from llmsel.racing.pairs import has_pairs
from llmsel.strategies import CLOSED, LLMSelector, Random, Strategy, make, pick


@dataclasses.dataclass(frozen=True)
class Question:
    """The next query to annotate, and why.

    Args:
        query: its id.
        text: its text, or None.
        responses: response per model, or None.
        reason: why it was picked, in one sentence.
    """

    query: str
    text: str | None
    responses: Mapping[str, str] | None
    reason: str


@dataclasses.dataclass(frozen=True)
class Answer:
    """What the annotations so far say.

    Args:
        leaders: the model, or the models tied, with the highest win rate so far.
        win_rate: of the leaders on the annotated queries, in [0, 1].
        low, high: 95 % Wilson interval of that win rate for the whole pool, shrunk for a finite
            pool. Valid for queries drawn at random and a model fixed beforehand; otherwise a guide.
        chance: P(best of the pool) per model by `llmsel.belief.bootstrap_best`; calibrated for
            queries drawn at random, otherwise a guide.
        belief: weight of each model in the two-parameter belief that may choose the queries; no
            calibrated probability.
        annotated, queries: number of annotated queries, and of all.
        certificate: what the stopping rule says, see `llmsel.RaceVerdict`; None without a rule.
        statement: the answer in one sentence, with what it is worth.
    """

    leaders: tuple[str, ...]
    win_rate: float
    low: float
    high: float
    chance: Mapping[str, float]
    belief: Mapping[str, float]
    annotated: int
    queries: int
    certificate: RaceVerdict | None
    statement: str


class Session:
    """Ask for the next query, tell its outcomes, see who leads.

    Args:
        pool: the queries and models, with votes if the strategy needs them. Outcomes in it are
            ignored.
        strategy: a `Strategy` or its name; Random by default, for which the interval holds.
        seed: of the order that breaks ties; the order itself, for the strategy Random. None draws
            one, see the attributes ``seed`` and ``seed_drawn``.
        rule: stopping rule, as of a race: `llmsel.Certified` (with the strategy Random) or
            `llmsel.Heuristic` (any strategy); None for none. It only speaks: `ask` goes on.
        delta: win-rate margin (0..1) within which the rule may stop, fixed beforehand; 0 for none.

    Raises:
        InputError: an unknown strategy, a pool without what the strategy needs, or a certificate
            asked for in an order that is not random.

    Example:
        >>> session = Session(Pool(["q1", "q2", "q3"], ["new", "old"], "old"), "Random", seed=0)
        >>> session.ask().query
        'q1'
        >>> session.tell("q1", {"new": 1})
        >>> session.best().leaders
        ('new',)
        >>> session.undo()
        'q1'
    """

    def __init__(
        self,
        pool: Pool,
        strategy: str | Strategy = "Random",
        *,
        seed: int | None = None,
        rule: LockstepRule | None = None,
        delta: float = 0.0,
    ):
        """Start with no annotation."""
        self.rule, self.delta = rule, delta
        self.seed_drawn: bool | None = seed is None  # None: not known, in logs of llmsel 0.2
        self.seed = secrets.randbelow(2**32) if seed is None else seed
        self.pool = pool.hide_outcomes()
        self.strategy = make(strategy)
        self.strategy.prepare(self.pool)
        self._order = draw_orders(pool.n_queries, pool.n_queries, realizations=1, seed=self.seed)[0]
        if rule is not None and rule.certifies and not self._random:
            raise InputError(
                f"no certificate for queries that {self.strategy.name} chooses: it holds only for "
                "a random order; take the strategy Random, or the Heuristic rule."
            )
        # the belief that chooses is the belief that is shown
        self._belief = getattr(self.strategy, "belief", None) or Belief()
        self.history: list[tuple[str, np.ndarray]] = []
        self._restart()

    def _restart(self) -> None:
        self._rank = np.full((1, self.pool.n_queries), CLOSED, dtype=np.int32)
        self._rank[0, self._order] = np.arange(self.pool.n_queries)
        self.strategy.begin(1)
        self._log_weights = self._belief.prior(1, self.pool.n_models)
        self._race: Races | None = None
        if self.rule is not None:
            self._race = Races(
                1,
                self.pool.n_models,
                baseline=self.pool.baseline_index,
                pool_size=self.pool.n_queries,
                rule=self.rule,
                delta=self.delta,
            )
        self._waiting: dict[int, np.ndarray] = {}  # told ahead of their turn

    @property
    def _random(self) -> bool:
        return type(self.strategy) is Random

    @property
    def remaining(self) -> int:
        """Number of queries not yet annotated."""
        return self.pool.n_queries - len(self.history)

    @property
    def _caveat(self) -> str:
        if self._random:
            return "for queries drawn at random"
        return (
            "which only a random choice of queries would justify: these were chosen, and the rest "
            "may differ"
        )

    def ask(self) -> Question:
        """Name the next query; asking again without telling gives the same one.

        Raises:
            InputError: every query is annotated, or the pool has no baseline.
        """
        self._need_baseline()
        if not self.remaining:
            raise InputError(
                f"all {self.pool.n_queries} queries are annotated; best() is exact now."
            )
        scores = np.broadcast_to(self.strategy.scores(), self._rank.shape)
        i = int(pick(scores, self._rank)[0])
        query = self.pool.queries[i]
        return Question(
            query=query,
            text=None if self.pool.texts is None else self.pool.texts[i],
            responses=None if self.pool.responses is None else self.pool.responses_to(query),
            reason=self._reason(scores[0], i),
        )

    def _need_baseline(self) -> None:
        """Refuse a pool of all pairs, whose win rates are against another model each."""
        if has_pairs(self.pool):
            raise InputError(
                f"pool '{self.pool.name}' has no baseline, so only a race can decide it: "
                "llmsel.Race (session ask --race)."
            )

    def _reason(self, scores: np.ndarray, i: int) -> str:
        if not self.strategy.adaptive:
            name = self.strategy.name
            return f"{name}: its order does not depend on the annotations."
        better = int((scores[self._rank[0] != CLOSED] < scores[i]).sum())
        chance = posterior(self._log_weights)[0]
        top = np.argsort(-chance, kind="stable")[:3]
        named = ", ".join(f"{self.pool.models[j]} {percent(chance[j])}" for j in top)
        told = ""
        if isinstance(self.strategy, LLMSelector):  # its score is minus the expected entropy
            doubt = float(entropy(self._log_weights)[0]) / np.log(2)
            bits = doubt + float(scores[i]) / np.log(2)
            told = f"expected to tell {bits:.2g} bits of the {doubt:.2g} in doubt, "
        return (
            f"{self.strategy.name}: {told}scores higher than {better} of the {self.remaining} "
            f"open queries; believed best now (weight in the belief): {named}."
        )

    def tell(self, query: str, outcomes: Mapping[str, int]) -> None:
        """Learn the oracle's outcomes on a query (any open one, not only the one asked for).

        Args:
            query: its id.
            outcomes: candidate -> -1 (loss), 0 (draw), 1 (win) against the baseline. A candidate
                that is not named was not judged: unknown, never a draw.

        Raises:
            InputError: an unknown query or model, a query annotated before, another outcome.
                Nothing is changed then.
        """
        i = self.pool.place(query)
        if self._rank[0, i] == CLOSED:
            raise InputError(f"query '{query}' is annotated already; undo() takes the last back.")
        row = np.full(self.pool.n_models, MISSING, dtype=np.int8)
        for model, outcome in outcomes.items():
            j = self.pool.column(model)
            check_outcome(outcome, model, query=query, known=(-1, 0, 1, MISSING))
            row[j] = outcome
        if row[self.pool.baseline_index] not in (0, MISSING):
            raise InputError(
                f"the baseline '{self.pool.baseline}' cannot win or lose against itself."
            )
        row[self.pool.baseline_index] = 0
        self._learn(i, row)
        self.history.append((query, row))

    def _learn(self, i: int, row: np.ndarray) -> None:
        self._rank[0, i] = CLOSED
        self.strategy.observe(np.array([i]), row[None])
        self._log_weights = self._belief.update(self._log_weights, row[None])
        if self._race is not None:
            self._waiting[i] = row
            self._run(self._race, i)

    def _run(self, race: Races, i: int) -> None:
        """Let the rule learn what it may: under a certificate, rows in the drawn order only."""
        while len(race.who):
            turn = int(self._order[race.now.seen]) if self._random else i
            if turn not in self._waiting:
                return
            race.begin_batch()
            race.learn(self._waiting.pop(turn)[None, None])

    def race_verdict(self) -> RaceVerdict | None:
        """Say what the stopping rule says; None without a rule."""
        if self._race is None or self.rule is None:
            return None
        rows = np.array([row for _, row in self.history]).reshape(-1, self.pool.n_models)
        return self._race.verdict(
            self.pool.models,
            calls=int((rows != MISSING).sum()) - len(rows),
            queries=len(rows),
            failed=dict(zip(self.pool.models, (rows == MISSING).sum(axis=0).tolist(), strict=True)),
            seed_chosen=self._random and self.seed_drawn is False,
        )

    def undo(self) -> str:
        """Take the last annotation back; return its query id.

        Raises:
            InputError: nothing to undo.
        """
        if not self.history:
            raise InputError("nothing to undo: no query is annotated yet.")
        query, _ = self.history.pop()
        self._restart()
        for told, row in self.history:
            self._learn(self.pool.place(told), row)
        return query

    def best(self) -> Answer:
        """Say who leads, and how much that is worth.

        Raises:
            InputError: no query is annotated yet, or the pool has no baseline.
        """
        self._need_baseline()
        if not self.history:
            raise InputError("no query is annotated yet; ask() names the first.")
        rows = np.array([row for _, row in self.history])
        judged = rows != MISSING
        count = judged.sum(axis=0)
        points = np.where(judged, (rows + 1.0) / 2, 0).sum(axis=0)
        rate = np.where(count > 0, points / np.maximum(count, 1), -np.inf)
        top = np.flatnonzero(rate >= rate.max() - 1e-12)
        low, high = self._interval(float(rate.max()), int(count[top].min()), top)
        rng = np.random.default_rng([self.seed, len(rows)])
        size, base = self.pool.n_queries, self.pool.baseline_index
        chance = bootstrap_best(rows, size, baseline=base, rng=rng)
        held = self.race_verdict()
        return Answer(
            leaders=tuple(self.pool.models[j] for j in top),
            win_rate=float(rate.max()),
            low=low,
            high=high,
            chance=dict(zip(self.pool.models, chance.tolist(), strict=True)),
            belief=dict(
                zip(self.pool.models, posterior(self._log_weights)[0].tolist(), strict=True)
            ),
            annotated=len(rows),
            queries=size,
            certificate=held,
            statement=self._statement(rows, rate, (low, high), float(chance[top].sum())),
        )

    def _interval(self, rate: float, count: int, top: np.ndarray) -> tuple[float, float]:
        """95 % interval of the leaders' win rate, exact for the baseline and the whole pool."""
        n = self.pool.n_queries
        if count >= n or top.tolist() == [self.pool.baseline_index]:
            return rate, rate
        # a finite pool: with every query judged nothing is left to chance
        low, high = wilson(np.array(rate), count * (n - 1) / (n - count))
        return float(low), float(high)

    def _statement(
        self, rows: np.ndarray, rate: np.ndarray, band: tuple[float, float], chance: float
    ) -> str:
        """Say who leads and what that is worth; what is certain comes first."""
        count = (rows != MISSING).sum(axis=0)
        held, n, baseline = self.race_verdict(), self.pool.n_queries, self.pool.baseline
        lead = _lead(self.pool, rate, judged=int(count.sum()) - len(rows))
        if (count == n).all():
            return f"{lead}; every query is judged: this is exact."
        top = np.flatnonzero(rate >= rate.max() - 1e-12)
        worth = f"{int(count[top].min())} of {n} queries"
        if [baseline] != [self.pool.models[j] for j in top]:
            worth += f"; 95 % interval {band[0]:.1%} to {band[1]:.1%}, {self._caveat}"
        chance = min(max(chance, 1e-9), 1 - 1e-9)  # of so many draws: never certain
        guide = "" if self._random else ", as a guide"
        which = "one of them" if len(top) > 1 else "it"
        worth += f". The chance that {which} is the best of the pool is {percent(chance)}{guide}."
        lost = int((rows == MISSING).sum())
        if lost:
            worth += f" {counted(lost, 'judgement')} missing: what they hide may change that."
        statement = f"{lead}; {worth}"
        if held is None or not held.certified:
            statement += " No certificate."
        if held is not None and held.stop:
            return f"{held.statement} {statement}"
        if held is not None:
            statement += f" {len(held.live)} of {self.pool.n_models} models can still be best."
        return statement


def _lead(pool: Pool, rate: np.ndarray, *, judged: int) -> str:
    if not judged:
        return "nothing is judged yet: every outcome so far is missing"
    top = np.flatnonzero(rate >= rate.max() - 1e-12)
    name = " and ".join(pool.models[j] for j in top)
    tied = f"{name} are tied" if len(top) > 1 else f"{name} leads"
    if top.tolist() == [pool.baseline_index]:
        return f"{tied}: no candidate wins half of its comparisons with it"
    return f"{tied} with a win rate of {rate.max():.1%} against {pool.baseline}"
