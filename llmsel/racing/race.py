"""Race: one real decision, judging only the models that can still win.

It names the next query and the candidates to judge on it, learns the outcomes, and says who is
beaten, who leads and what that is worth. It knows nothing of judges, widgets or files, and it is
`Races` with one realization: the same code as in the experiments.
"""

from __future__ import annotations

import dataclasses
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from llmsel._base.budget import Budget as Budget
from llmsel._base.checks import check_outcome
from llmsel._base.errors import InputError, unknown
from llmsel._base.verdicts import RaceVerdict as RaceVerdict
from llmsel.pool import MISSING, Pool, draw_orders
from llmsel.racing.elimination import REFUSED, Certified, LockstepRule, Rule, from_settings
from llmsel.racing.lockstep import Races

FEW, MOST_FAILED = 5, 0.05  # failed judgements, and share of all, that never stop a race


@dataclasses.dataclass(frozen=True)
class Task:
    """One query to judge.

    Args:
        query: its id.
        text: its text, or None.
        models: the candidates whose response must be compared with the baseline's.
    """

    query: str
    text: str | None
    models: tuple[str, ...]


class Race:
    """One real decision: ask for the next query and models to judge, tell the outcomes.

    Rows are learned in the drawn order. A judgement that failed (None) is asked for again, and
    the race waits for it: putting the query off would make the order depend on the outcomes, and
    the certificate with it. After ``tries`` failures, or by `give_up`, its outcome stays missing;
    llmsel.racing.elimination says how that counts. When many are missing, `ask` stops asking.

    Args:
        pool: the queries and models; outcomes in it are ignored.
        rule: elimination rule; None takes `Certified`.
        seed: of the random order of the queries; None draws one, which `settings` records. A chosen
            seed is said to be chosen: with outcomes known beforehand, one that suits can be found.
        delta: win-rate margin (0..1) of the early stop, fixed beforehand; 0 for none.
        batch: queries asked for at once; models are dropped only after each batch.
        budget: limits; None for none.
        order: query ids in an order of your own, heuristic rules only; None draws a random order.
        tries: failures (None) of a cell after which it is given up.
        most_failed: share of the judgements (0..1) that may fail; when more than that (and more
            than five) have failed, the race stops. It can be set later, to go on.
        seed_drawn: True if the seed that is given was drawn at random, as by a log; None if that
            is not known (logs of llmsel 0.2).

    Raises:
        InputError: a parameter out of range, an order that is not one of all queries, or a
            certificate asked for in an order that is not uniformly random.

    Example:
        >>> race = Race(Pool(["q1", "q2", "q3"], ["new", "odd", "old"], "old"), seed=0)
        >>> while tasks := race.ask():
        ...     for task in tasks:  # your judge goes here
        ...         race.tell(task.query, {m: 1 if m == "new" else 0 for m in task.models})
        >>> race.verdict().winners
        ('new',)
    """

    def __init__(
        self,
        pool: Pool,
        rule: Rule | None = None,
        *,
        seed: int | None = None,
        delta: float = 0.0,
        batch: int = 1,
        budget: Budget | None = None,
        order: Sequence[str] | None = None,
        tries: int = 3,
        most_failed: float = MOST_FAILED,
        seed_drawn: bool | None = False,
    ):
        """Draw the order and open the first step."""
        self.rule = Certified() if rule is None else rule
        if not isinstance(self.rule, LockstepRule):
            raise InputError(f"{self.rule} is no rule of races by whole queries.")
        n = pool.n_queries
        if order is not None and self.rule.certifies:
            raise InputError(REFUSED)
        if order is not None and sorted(order) != sorted(pool.queries):
            raise InputError(f"'order' must name each of the {n} queries of '{pool.name}' once.")
        if tries < 1 or not 0 <= most_failed <= 1:
            said = f"tries={tries}, most_failed={most_failed}"
            raise InputError(f"{said}: at least one try, and a share in [0, 1].")
        self.tries, self.most_failed = tries, most_failed
        self._pool = pool.hide_outcomes()
        self._delta, self._batch = delta, batch
        self._drawn = True if seed is None else seed_drawn
        self._seed = secrets.randbelow(2**32) if seed is None else seed
        self._given = None if order is None else list(order)
        self._order = draw_orders(n, n, realizations=1, seed=self._seed)[0]
        if order is not None:
            self._order = np.array([pool.place(q) for q in order])
        self._race = Races(
            1,
            pool.n_models,
            baseline=pool.baseline_index,
            pool_size=n,
            rule=self.rule,
            delta=delta,
            batch=batch,
            budget=budget,
        )
        self._live = np.ones(pool.n_models, dtype=bool)
        self._calls, self._seen, self._failed = 0, 0, Counter[str]()  # of the rows that are learned
        self._open: dict[str, dict[str, int]] = {}
        self._begin()

    @property
    def settings(self) -> dict[str, Any]:
        """All that the course of the race depends on beside the outcomes, as JSON can hold it.

        ``seed_drawn`` is in it only if the seed was drawn at random. Limits (budget, tries,
        most_failed) are not: they end a race, but change none of its steps.
        """
        return {
            "rule": self.rule.settings,
            "seed": self._seed,
            **({"seed_drawn": True} if self._drawn else {}),
            "delta": self._delta,
            "batch": self._batch,
            "order": self._given,
        }

    @classmethod
    def of_settings(cls, pool: Pool, settings: Mapping[str, Any], **limits: Any) -> Race:
        """Make the race that has these `settings`, at its start.

        Args:
            pool: of the race.
            settings: what `settings` said.
            limits: ``budget``, ``tries`` and ``most_failed``, as for a new race.

        Raises:
            InputError: a rule that llmsel does not know.
        """
        rest = {key: settings[key] for key in ("seed", "delta", "batch", "order")}
        drawn = settings.get("seed_drawn", False)
        return cls(pool, from_settings(settings["rule"]), seed_drawn=drawn, **rest, **limits)

    def continuing(self, settings: Mapping[str, Any]) -> Race:
        """Return the race of a log, at its start, if this one may go on with it.

        A seed that was drawn gives way to the log's; a chosen one must be the same.

        Args:
            settings: of the race in the log.

        Raises:
            InputError: another setting differs; naming it.
        """
        own = self.settings
        for key in ("rule", "seed", "delta", "batch", "order"):
            kept = settings.get(key)
            if own[key] != kept and not (key == "seed" and self._drawn):
                raise InputError(
                    f"the log holds a race with {key} {kept}, not {own[key]}: a certificate is "
                    "worth nothing when its settings are chosen after looking; go on with those, "
                    "or begin a new log."
                )
        return Race.of_settings(self._pool, settings, **self._limits())

    def _limits(self) -> dict[str, Any]:
        return {"tries": self.tries, "most_failed": self.most_failed, "budget": self._race.budget}

    @property
    def live(self) -> tuple[str, ...]:
        """The models that can still be the best, the baseline included."""
        return tuple(m for m, w in zip(self._pool.models, self._live, strict=True) if w)

    def ask(self) -> tuple[Task, ...]:
        """Return the queries of this step and whom to judge on each; empty when the race is over.

        Models already told are not asked for again. It is empty, too, while too many judgements
        have failed: see ``most_failed``.
        """
        return () if self.failing else self._tasks()

    @property
    def failing(self) -> bool:
        """True while more judgements have failed than ``most_failed`` allows."""
        failed = sum(self._failures.values())
        return failed > max(FEW, self.most_failed * (self._paid[0] + failed))

    def _tasks(self) -> tuple[Task, ...]:
        judged, tasks = [m for m in self.live if m != self._pool.baseline], []
        for query, told in self._open.items():
            if models := tuple(m for m in judged if m not in told):
                text = None if self._pool.texts is None else self._pool.text_of(query)
                tasks.append(Task(query, text, models))
        return tuple(tasks)

    def tell(self, query: str, outcomes: Mapping[str, int | None]) -> None:
        """Learn outcomes of one query.

        Args:
            query: its id.
            outcomes: model -> -1, 0, 1; None where the judgement failed and may be tried again
                (after ``tries`` times it is given up); `Outcome.MISSING` where it is given up.

        Raises:
            InputError: a query or model that was not asked for, or an outcome that is none.
                Nothing is changed then.
        """
        told = self._told(query)
        for model, outcome in outcomes.items():
            self._check(query, model, outcome)
        for model, outcome in outcomes.items():
            if outcome is not None:
                told[model] = int(outcome)
                continue
            self._tried[query, model] += 1
            if self._tried[query, model] >= self.tries:
                told[model] = MISSING
        self._learn()

    def _check(self, query: str, model: str, outcome: int | None) -> None:
        judged = [m for m in self.live if m != self._pool.baseline]
        if model not in self._pool.models:
            raise unknown("model", model, judged)
        why = "it was told before" if model in self._open[query] else ""
        if model not in judged:
            is_baseline = model == self._pool.baseline
            why = "it is the baseline" if is_baseline else "it is not judged any more"
        if why:
            raise InputError(f"model '{model}' was not asked for on query '{query}': {why}.")
        check_outcome(outcome, model, query=query, known=(-1, 0, 1, None, MISSING))

    def give_up(self, query: str) -> None:
        """Ask no more for the outcomes that this query lacks: they stay unknown.

        Raises:
            InputError: a query that was not asked for.
        """
        told = self._told(query)
        for model in self.live:
            if model != self._pool.baseline:
                told.setdefault(model, MISSING)
        self._learn()

    def verdict(self) -> RaceVerdict:
        """Say who wins, or leads, and what that is worth."""
        calls, queries = self._paid
        return self._race.verdict(
            self._pool.models,
            failing=self.failing,
            calls=calls,
            queries=queries,
            failed=self._failures,
            seed_chosen=self._drawn is False and self._given is None,
        )

    @property
    def _paid(self) -> tuple[int, int]:
        """Outcomes told and queries touched so far, those of the open batch included."""
        told = [row.values() for row in self._open.values() if row]
        given = sum(outcome != MISSING for row in told for outcome in row)
        return self._calls + given, self._seen + len(told)

    @property
    def _failures(self) -> Counter[str]:
        """Judgements that are given up, per model, those of the open batch included."""
        rows = self._open.values()
        return self._failed + Counter(m for row in rows for m, a in row.items() if a == MISSING)

    def _told(self, query: str) -> dict[str, int]:
        if query not in self._pool.queries:
            raise unknown("query id", query, self._open or self._pool.queries)
        if query not in self._open:
            now = ", ".join(f"'{q}'" for q in self._open) or "none, the race is over"
            raise InputError(f"query '{query}' was not asked for; open now: {now}.")
        return self._open[query]

    def _begin(self) -> None:
        """Open the next batch, unless the race is over."""
        race = self._race
        self._open = {}
        self._tried: Counter[tuple[str, str]] = Counter()
        if not len(race.who):
            return
        count = race.begin_batch()
        if len(race.who):
            places = self._order[race.now.seen : race.now.seen + count]
            self._open = {self._pool.queries[i]: {} for i in places}

    def _learn(self) -> None:
        """Hand the batch to the race once every row is complete, in drawn order."""
        if self._tasks():
            return
        rows = np.full((1, len(self._open), self._pool.n_models), MISSING, dtype=np.int8)
        for row, told in zip(rows[0], self._open.values(), strict=True):
            row[self._pool.baseline_index] = 0
            for model, outcome in told.items():
                row[self._pool.column(model)] = outcome
        (self._calls, self._seen), self._failed = self._paid, self._failures
        self._race.learn(rows)
        self._live = self._live & (self._race.dropped[0] == 0)
        self._begin()
