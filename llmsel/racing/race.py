"""Race: one real decision, judging only the models that can still win.

It names the next query and the candidates to judge on it, learns the outcomes, and says who is
beaten, who leads and what that is worth. It knows nothing of judges, widgets or files, and it runs
the same code as the experiments: `RowRace` for rules by whole queries, `AuditRace` for the audit.
"""

from __future__ import annotations

import dataclasses
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from llmsel._base.budget import Budget as Budget
from llmsel._base.checks import check_numbers, check_outcome
from llmsel._base.errors import InputError, unknown
from llmsel._base.verdicts import BUDGET, FAILED, give_verdict
from llmsel._base.verdicts import RaceVerdict as RaceVerdict
from llmsel.pool import MISSING, Pool, draw_orders
from llmsel.racing.audit import Audit, AuditRace, TwoJudges
from llmsel.racing.elimination import REFUSED, RULES, LockstepRule, Rule, from_settings
from llmsel.racing.pairs import (
    Borda,
    Condorcet,
    PairsCourse,
    PairsRule,
    check_pairs,
    contestants,
    has_pairs,
)
from llmsel.racing.rows import Cell, RowRace

FEW, MOST_FAILED = 5, 0.05  # failed judgements, and share of all, that never stop a race
DELTA = 0.01  # win-rate margin of a race that is begun for a user who names none
SHOWN = 5  # open queries that a message names


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

    Cells are asked for in steps, which are told in any order and learned in the planned one. A
    judgement that failed (None) is asked for again, and the race waits for it: putting it off would
    make the order depend on the outcomes, and the certificate with it. After ``tries`` failures, or
    by `give_up`, its outcome stays missing; the rules say how that counts. When many are missing,
    `ask` stops asking.

    Args:
        pool: the queries and models; outcomes in it are ignored.
        rule: None takes `llmsel.Audit`: shared queries first, then challengers alone against one
            champion. `Certified` and `Heuristic` go by shared queries to the end. A pool of
            `llmsel.all_pairs`, without a baseline, takes `llmsel.Condorcet` (None) or `Borda`.
        seed: of the random order of the queries; None draws one, which `settings` records. A chosen
            seed is said to be chosen: with outcomes known beforehand, one that suits can be found.
        delta: win-rate margin (0..1) of the early stop, fixed beforehand; 0 for none.
        batch: what is planned at once, for judges that work in parallel: queries, with `Audit`
            cells. It is part of the race: models are dropped only after each step.
        budget: limits; None for none.
        order: query ids in an order of your own, heuristic rules only; None draws a random order.
        tries: failures (None) of a cell after which it is given up.
        most_failed: share of the judgements (0..1) that may fail; when more than that (and more
            than five) have failed, the race stops. It can be set later, to go on.
        seed_drawn: True if the seed that is given was drawn at random, as by a log; None if that
            is not known (logs of llmsel 0.2).
        cheap_price: of a verdict of a cheap judge, in calls of the one that counts: the race then
            buys some, see `ask_cheap`. `Audit` only; None for none.

    Raises:
        InputError: a parameter out of range, an order that is not one of all queries, a rule that
            is not for this pool, or a certificate asked for in an order that is not uniformly
            random.

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
        cheap_price: float | None = None,
    ):
        """Draw the order and open the first step."""
        check_numbers(
            {"seed": (seed, 0), "batch": (batch, 1), "tries": (tries, 1)},
            {"delta": delta, "most_failed": most_failed, "cheap_price": cheap_price},
        )
        if not isinstance(budget, Budget | None):
            raise InputError(f"budget={budget!r} must be a Budget, as Budget(calls=500).")
        usual: Rule = Condorcet() if has_pairs(pool) else Audit()
        self.rule, self._rule_given = usual if rule is None else rule, rule is not None
        if has_pairs(pool) != isinstance(self.rule, PairsRule):
            raise InputError(
                f"the rule {type(self.rule).__name__} is not for this pool: over all pairs (a pool "
                "of llmsel.all_pairs) a race goes by Condorcet or Borda, with a baseline by others."
            )
        if has_pairs(pool):
            check_pairs(pool)
        n = pool.n_queries
        if order is not None and self.rule.certifies:
            raise InputError(REFUSED)
        if order is not None and sorted(order) != sorted(pool.queries):
            raise InputError(f"'order' must name each of the {n} queries of '{pool.name}' once.")
        if not 0 <= most_failed <= 1:
            raise InputError(f"most_failed={most_failed} must be a share in [0, 1].")
        self.tries, self.most_failed = tries, most_failed
        self._pool, self.budget = pool.hide_outcomes(), Budget() if budget is None else budget
        self._delta, self._batch, self._cheap_price = delta, batch, cheap_price
        self._drawn = True if seed is None else seed_drawn
        self._seed = secrets.randbelow(2**32) if seed is None else seed
        self._given = None if order is None else list(order)
        self._order = draw_orders(n, n, realizations=1, seed=self._seed)[0]
        if order is not None:
            self._order = np.array([pool.place(q) for q in order])
        elif has_pairs(pool):  # such a race draws for itself
            self._order = np.arange(n, dtype=self._order.dtype)
        self._told: dict[str, dict[str, int]] = {}
        # a query of all pairs takes several rows of their pool
        self._rows, self._touched = pool.n_models - 2 if has_pairs(pool) else 1, set[int]()
        self._tried: Counter[tuple[str, str]] = Counter()
        self._missing: Counter[str] = Counter()  # judgements that are given up, per model
        self._paid = 0  # cells told, those given up included
        self._dropped: dict[str, int] = {}
        self._course = self._begin()
        self._open: dict[str, dict[str, Cell]] = {}
        self._wanted: dict[str, dict[str, Cell]] = {}  # of the cheap judge
        self._show()

    def _begin(self) -> RowRace | AuditRace | PairsCourse:
        """Start the race in the way of its rule."""
        size, n_models = self._pool.n_queries, self._pool.n_models
        baseline = self._pool.baseline_index
        if self._cheap_price is not None and not isinstance(self.rule, Audit):
            raise InputError("only a race by audit can use a cheap judge; leave its price out.")
        if isinstance(self.rule, PairsRule):
            options = {"delta": self._delta, "width": self._batch, "seed": self._seed}
            return PairsCourse(self.rule.begin(size // self._rows, n_models - 1, **options))
        if isinstance(self.rule, Audit):
            return self.rule.begin(
                size,
                n_models,
                baseline=baseline,
                delta=self._delta,
                seed=self._seed,
                width=self._batch,
                cheap_price=self._cheap_price,
            )
        if not isinstance(self.rule, LockstepRule):
            raise InputError(f"{self.rule!r} is no rule that a race can be played by.")
        return RowRace(
            self.rule, size, n_models, baseline=baseline, delta=self._delta, batch=self._batch
        )

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
            **({} if self._cheap_price is None else {"cheap_price": self._cheap_price}),
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
        rest |= {"seed_drawn": settings.get("seed_drawn", False)}
        rest |= {"cheap_price": settings.get("cheap_price")}
        return cls(pool, rule_of(settings), **rest, **limits)

    def continuing(self, settings: Mapping[str, Any]) -> Race:
        """Return the race of a log, at its start, if this one may go on with it.

        A seed that was drawn gives way to the log's, and a rule that was not named, and the price
        of a cheap judge; what was chosen must be the same.

        Args:
            settings: of the race in the log.

        Raises:
            InputError: another setting differs; naming it.
        """
        own = self.settings
        for key in ("rule", "seed", "delta", "batch", "order"):
            kept = settings.get(key)
            free = (key == "seed" and self._drawn) or (key == "rule" and not self._rule_given)
            if own[key] != kept and not free:
                raise InputError(
                    f"the log holds a race with {key} {kept}, not {own[key]}: a certificate is "
                    "worth nothing when its settings are chosen after looking; go on with those, "
                    "or begin a new log."
                )
        return Race.of_settings(self._pool, settings, **self._limits())

    def _limits(self) -> dict[str, Any]:
        return {"tries": self.tries, "most_failed": self.most_failed, "budget": self.budget}

    @property
    def live(self) -> tuple[str, ...]:
        """The models that can still be named, the baseline included."""
        return tuple(m for m, w in zip(self._pool.models, self._course.live, strict=True) if w)

    def ask(self) -> tuple[Task, ...]:
        """Return what to judge in this step: queries, and whom on each; empty when it is over.

        What is told already is not asked for again. It is empty, too, while too many judgements
        have failed (see ``most_failed``), and when the budget does not pay for the step.
        """
        if self.failing or self._broke:
            return ()
        left = self.budget.most_calls - self._paid  # an audit's step may be paid in part
        tasks = []
        for query, cells in self._open.items():
            if left <= 0:
                break
            models = tuple(cells)[: int(min(left, len(cells)))]
            tasks.append(self._task(query, models))
            left -= len(models)
        return tuple(tasks)

    def ask_cheap(self) -> tuple[Task, ...]:
        """Return what a cheap judge is wanted for now; `ask` is empty until it is all told.

        Its verdicts are no outcomes: they only help to choose what is asked for next.
        """
        if self.failing or self._paid >= self.budget.most_calls:
            return ()
        return tuple(self._task(query, tuple(row)) for query, row in self._wanted.items())

    def _task(self, query: str, models: tuple[str, ...]) -> Task:
        text = None if self._pool.texts is None else self._pool.text_of(query)
        return Task(query, text, models)

    def tell_cheap(self, query: str, verdicts: Mapping[str, int | None]) -> None:
        """Learn verdicts of the cheap judge: -1, 0, 1; None or MISSING where it gave none.

        Raises:
            InputError: a query or model that it is not wanted for, or a verdict that is none.
        """
        for model, verdict in verdicts.items():
            cell = self._wanted.get(query, {}).get(model)
            if cell is None or not isinstance(self._course, TwoJudges):
                raise InputError(f"no cheap verdict on '{model}' is wanted for query '{query}'.")
            self._course.tell_cheap(cell, MISSING if verdict is None else int(verdict))
            del self._wanted[query][model]
            if not self._wanted[query]:
                del self._wanted[query]
        if not self._wanted:
            self._show()

    @property
    def cheap(self) -> Mapping[str, Any] | None:
        """What the cheap judge is worth so far, in numbers and ``words``; None without one."""
        if not isinstance(self._course, TwoJudges):
            return None
        return self._course.cheap.report(self._paid)

    @property
    def failing(self) -> bool:
        """True while more judgements have failed than ``most_failed`` allows."""
        failed = sum(self._missing.values())
        return failed > max(FEW, self.most_failed * self._paid)

    def tell(self, query: str, outcomes: Mapping[str, int | None]) -> None:
        """Learn outcomes of one query, in any order.

        Args:
            query: its id.
            outcomes: model -> -1, 0, 1; None where the judgement failed and may be tried again
                (after ``tries`` times it is given up); `Outcome.MISSING` where it is given up.

        Raises:
            InputError: a query or model that was not asked for, or an outcome that is none.
                Nothing is changed then.
        """
        cells = dict(self._asked(query))
        for model, outcome in outcomes.items():
            self._check(query, model, outcome)
        for model, outcome in outcomes.items():
            if outcome is None:
                self._tried[query, model] += 1
                if self._tried[query, model] < self.tries:
                    continue
            self._learn(query, model, MISSING if outcome is None else int(outcome), cells[model])

    def _check(self, query: str, model: str, outcome: int | None) -> None:
        if model not in self._pool.models:
            raise unknown("model", model, self._open[query])
        if model not in self._open[query]:
            why = "it is not judged on it"
            if model in self._told.get(query, ()):
                why = "it was told before"
            elif model == self._pool.baseline:
                why = "it is the baseline"
            elif model not in self.live:
                why = "it is not judged any more"
            raise InputError(f"model '{model}' was not asked for on query '{query}': {why}.")
        check_outcome(outcome, model, query=query, known=(-1, 0, 1, None, MISSING))

    def give_up(self, query: str) -> None:
        """Ask no more for the outcomes that this query lacks now: they stay unknown.

        Raises:
            InputError: a query that was not asked for.
        """
        for model, cell in list(self._asked(query).items()):
            self._learn(query, model, MISSING, cell)

    def verdict(self) -> RaceVerdict:
        """Say who wins, or leads, and what that is worth."""
        stop = self._course.stop or (BUDGET if self._broke else FAILED if self.failing else "")
        dropped = [self._dropped.get(model, 0) for model in self._pool.models]
        models = contestants(self._pool)  # the opponent, which is none, comes last
        return give_verdict(
            models,
            winners=self._course.winners[: len(models)],
            dropped=np.array(dropped[: len(models)]),
            stop=stop,
            alpha=getattr(self.rule, "alpha", None) if self.rule.certifies else None,
            delta=self._delta,
            n_queries=self._pool.n_queries // self._rows,
            calls=self._paid - sum(self._missing.values()),
            queries=len(self._touched),
            failed=self._missing,
            seed_chosen=self._drawn is False and self._given is None,
            best=getattr(self.rule, "best", 1),
            near=isinstance(self._course, AuditRace) and self._course.champion >= 0,
            claim=self.rule.claim if isinstance(self.rule, PairsRule) else None,
        )

    @property
    def _broke(self) -> bool:
        """True if the budget does not pay for the step that is open."""
        return bool(self._open) and (self._too_dear or self._paid >= self.budget.most_calls)

    def _asked(self, query: str) -> dict[str, Cell]:
        if query not in self._open:
            self._pool.place(query)  # raises for one that the pool does not have
            named = [f"'{q}'" for q in self._open]
            now = ", ".join(named[:SHOWN]) or "none, the race is over"
            more = f" and {len(named) - SHOWN} more" if len(named) > SHOWN else ""
            raise InputError(f"query '{query}' was not asked for; open now: {now}{more}.")
        return self._open[query]

    def _learn(self, query: str, model: str, outcome: int, cell: Cell) -> None:
        """Count one outcome; with the last one of a step the race goes on."""
        self._told.setdefault(query, {})[model] = outcome
        self._touched.add(cell[0] // self._rows)
        self._paid += 1
        self._missing[model] += outcome == MISSING
        del self._open[query][model]
        if not self._open[query]:
            del self._open[query]
        self._course.tell(cell, outcome)
        if not self._open:
            self._note_dropped()
            self._show()

    def _show(self) -> None:
        """Open the step that the race plans now, by query."""
        cells = self._course.ask()
        self._open = self._by_query(cells)
        two = self._course if isinstance(self._course, TwoJudges) else None
        self._wanted = {} if two is None else self._by_query(two.ask_cheap())
        touched = len(self._touched) + len({i // self._rows for i, _ in cells} - self._touched)
        price = len(cells) if isinstance(self._course, RowRace) else 1
        self._too_dear = self._paid + price > self.budget.most_calls
        self._too_dear |= touched > self.budget.most_queries

    def _by_query(self, cells: Sequence[Cell]) -> dict[str, dict[str, Cell]]:
        rows: dict[str, dict[str, Cell]] = {}
        for place, column in cells:
            row = rows.setdefault(self._pool.queries[self._order[place]], {})
            row[self._pool.models[column]] = place, column
        return rows

    def _note_dropped(self) -> None:
        """Note for newly dropped models on how many queries they were judged."""
        live = set(self.live)
        for model in live & self._dropped.keys():  # a paired audit takes models back
            del self._dropped[model]
        for model in set(self._pool.models) - live - self._dropped.keys():
            judged = sum(model in row for row in self._told.values())
            if isinstance(self._course, PairsCourse):
                judged = self._course.judged(self._pool.column(model))
            self._dropped[model] = judged if model != self._pool.baseline else len(self._told)


def rule_of(settings: Mapping[str, Any]) -> Rule:
    """Make the rule of a race with these `Race.settings`.

    Raises:
        InputError: a rule that llmsel does not know, or parameters that it does not have.
    """
    known: tuple[type[Rule], ...] = (*RULES.values(), Audit, Condorcet, Borda)
    return from_settings(settings.get("rule", {}), {rule.__name__: rule for rule in known})
