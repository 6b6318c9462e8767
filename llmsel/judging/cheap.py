"""A cheap judge beside the one that counts: what it says goes to the log, and never stops a race.

Its verdicts are lines of their own: they are no outcomes and no calls, and with them a race is
rebuilt from its log as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llmsel.answers.prices import BudgetSpent
from llmsel.judging.crew import Crew
from llmsel.judging.judges import Group, Judge, Verdict, checked_verdict, groups, settled, text_of
from llmsel.judging.log import AnnotationLog
from llmsel.pool import MISSING
from llmsel.racing.race import Task

Job = tuple[str, Group]


class Beside:
    """A cheap judge of a race: `fill` asks it for what the race wants.

    Args:
        judge: who it is; None for none any more: everything that is wanted is unknown then.
        workers: comparisons at a time, each with one request in flight.
    """

    def __init__(self, judge: Judge | None, *, workers: int = 1) -> None:
        """Nothing is asked yet."""
        self._judge, self._workers = judge, workers
        self._gone = "there is no cheap judge" if judge is None else ""

    def fill(self, log: AnnotationLog, tasks: Sequence[Task]) -> None:
        """Record a verdict on all that is wanted and not in the log; MISSING where it fails.

        Args:
            log: takes the verdicts.
            tasks: queries and candidates, see `llmsel.racing.race.Race.ask_cheap`.
        """
        pool, held = log.session.pool, log.contents.cheap
        jobs = [
            (task.query, group)
            for task in tasks
            for group in groups(
                pool, task.query, [m for m in task.models if m not in held.get(task.query, {})]
            )
        ]
        name = "none" if self._judge is None else self._judge.name

        def verdict(job: Job) -> Verdict:
            return self._verdict(text_of(pool, job[0]), job[1])

        def keep(job: Job, given: Verdict) -> None:
            query, group = job
            said: dict[str, Any] = {"outcome": given.outcome, "by": name}
            cost = {name: value for name, value in given.detail.items() if name == "cost"}
            why = {name: value for name, value in given.detail.items() if name != "cost"}
            if given.outcome == MISSING:
                said |= {"outcome": None, "detail": why}
            lines = [{"cheap": query, "model": model, **said} for model in group.models]
            if cost:  # once for a group
                lines[0]["detail"] = lines[0].get("detail", {}) | cost
            log.note(lines)

        stop = {} if self._judge is None else {"stop": self._judge.stop}
        Crew(verdict, keep, workers=self._workers, **stop).do(jobs)

    def _verdict(self, query: str, group: Group) -> Verdict:
        """Ask the judge; whatever goes wrong is an unknown verdict."""
        known = settled(group)
        if known is not None:
            return Verdict(known)
        if self._judge is None or self._gone:
            return Verdict(MISSING, detail={"failed": self._gone})
        try:
            return checked_verdict(
                self._judge.judge(query, group.response, group.baseline_response)
            )
        except BudgetSpent:
            raise  # that of the race
        except (Exception, SystemExit) as error:
            # a server that is gone is not waited for again and again
            self._gone = f"{type(error).__name__}: {error}"
            return Verdict(MISSING, detail={"failed": self._gone})
