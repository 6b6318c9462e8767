"""How a judge fills a log: whole queries in the order of a session, or what a race asks for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from llmsel._base.errors import InputError
from llmsel._base.verdicts import CERTAIN
from llmsel.answers.prices import BudgetSpent, Purse
from llmsel.judging.cheap import Beside
from llmsel.judging.crew import Crew
from llmsel.judging.judges import Group, Judge, Verdict, asked, groups, settled, text_of
from llmsel.judging.log import AnnotationLog
from llmsel.judging.provenance import told
from llmsel.judging.replay import Annotation, Contents
from llmsel.pool import MISSING, Pool
from llmsel.racing.forecast import Forecast, forecast
from llmsel.racing.race import Race, RaceVerdict, Task

Cells = Iterable[tuple[str, Sequence[str]]]  # query ids, and the candidates to judge on each


def annotate(
    log: AnnotationLog,
    judge: Judge,
    *,
    queries: int | None = None,
    workers: int = 1,
    retry_failed: bool = False,
    budget: float | None = None,
    kept: Callable[[], None] | None = None,
) -> AnnotationLog:
    """Let a judge annotate whole queries in the order of the session's strategy.

    Stop it and call it again: what is in the log is not judged again.

    Args:
        log: takes the outcomes, and says what is open.
        judge: gives them.
        queries: how many to finish now; None takes all that are open.
        workers: comparisons at a time, each with one request in flight.
        retry_failed: judge those first that failed, see `retry`.
        budget: see `judge_race`.
        kept: see `fill`.

    Raises:
        BudgetSpent: the budget is reached.
        InputError: a pool without responses, or what the judge raises; what it has judged until
            then is in the log.
    """
    judge.check(log.session.pool)
    judge.limit(_purse(log, budget))
    log.begin_judge(judge.settings, judge.context)
    retry(log, judge, workers=workers, every=retry_failed, kept=kept)
    open_queries = log.session.remaining
    for _ in range(open_queries if queries is None else min(queries, open_queries)):
        query = log.session.ask().query
        log.take_carried([(query, log.open_models(query))])
        fill(log, judge, cells=[(query, log.open_models(query))], workers=workers, kept=kept)
    return log


def _purse(log: AnnotationLog, budget: float | None) -> Purse | None:
    """What may be spent on a log, with all that it knows of as spent."""
    return None if budget is None else Purse(budget, log.contents.cost)


def fill(
    log: AnnotationLog,
    judge: Judge,
    *,
    cells: Cells,
    workers: int = 1,
    kept: Callable[[], None] | None = None,
) -> None:
    """Judge some candidates on some queries and record each outcome as it arrives.

    A judgement that fails is recorded as MISSING, with the reason; only what concerns all of
    them, as a server that is gone, ends it.

    Args:
        log: takes the outcomes.
        judge: gives them; called in threads.
        cells: query id and the candidates to judge on it.
        workers: comparisons at a time, each with one request in flight.
        kept: called after every comparison whose outcome is on disk.

    Raises:
        InputError: what the judge raises. What it has judged until then is in the log.
    """
    pool = log.session.pool

    def keep(job: tuple[str, Group], given: Verdict) -> None:
        query, group = job
        detail = dict(given.detail)
        if given.outcome == MISSING:
            detail = {"failed": "no verdict could be read", **detail}
        if (context := judge.context(text_of(pool, query))) is not None:
            detail["context"] = context
        outcomes = dict.fromkeys(group.models, given.outcome)
        log.record(query, outcomes, by=judge.name, order=given.order, detail=detail)
        if kept is not None:
            kept()

    jobs = [(query, group) for query, models in cells for group in groups(pool, query, models)]

    def verdict(job: tuple[str, Group]) -> Verdict:
        return _verdict(judge, text_of(pool, job[0]), job[1])

    # what the crew no longer waits for would go on asking, and paying
    Crew(verdict, keep, workers=workers, stop=judge.stop).do(jobs)


def _verdict(judge: Judge, query: str, group: Group) -> Verdict:
    """Ask a judge, unless the answers settle it."""
    known = settled(group)
    if known is not None:
        return Verdict(known, detail={"no answer": True} if known else {"identical": True})
    return asked(judge, query, group.response, group.baseline_response)


def retry(
    log: AnnotationLog,
    judge: Judge,
    *,
    workers: int = 1,
    every: bool = False,
    kept: Callable[[], None] | None = None,
) -> int:
    """Judge again what failed; return the number of cells.

    Args:
        log: says what failed, and takes the outcomes.
        judge: gives them.
        workers: see `fill`.
        every: all of them; otherwise those that failed for a reason that may have passed, as an
            outage (``detail["passing"]``).
        kept: see `fill`.

    Raises:
        InputError: what the judge raises.
    """
    failed: dict[str, list[str]] = {}
    for entry in _to_retry(log, every=every):
        failed.setdefault(entry.query, []).append(entry.model)
    fill(log, judge, cells=failed.items(), workers=workers, kept=kept)
    return sum(len(models) for models in failed.values())


def _to_retry(contents: Contents | AnnotationLog, *, every: bool) -> list[Annotation]:
    """Collect the failed judgements that `retry` takes up."""
    failed = (entry for entry in contents.given if entry.failed is not None)
    return [entry for entry in failed if every or entry.detail.get("passing")]


def judge_race(
    log: AnnotationLog,
    judge: Judge,
    *,
    race: Race,
    calls: float | None = None,
    workers: int = 1,
    watch: Callable[[RaceVerdict], None] | None = None,
    retry_failed: bool = False,
    cheap: Judge | None = None,
    gauge: Callable[[Mapping[str, Any]], None] | None = None,
    budget: float | None = None,
    kept: Callable[[], None] | None = None,
) -> RaceVerdict:
    """Let a judge run a `Race`: the fewest comparisons until the best model is certain.

    A race asks only for the models that can still win, so most queries stay unfinished in the
    log's session. Its settings are noted in the log; call it again with the same ones to go on:
    what is in the log is told again, not judged again.

    Args:
        log: takes the outcomes.
        judge: gives them.
        race: a race on the log's pool; one in the log is gone on with. With a ``batch`` above 1,
            several queries are judged at a time.
        calls: to make now; None for no limit. A call is one comparison, a candidate's answer with
            the baseline's on one query; a judge may need several requests for it, or none.
        workers: comparisons at a time, each with one request in flight.
        watch: called with the present verdict after every step.
        retry_failed: judge those first that failed, see `retry`.
        cheap: a second judge whose verdicts only help to choose what this one is asked, for a race
            with a ``cheap_price``. What it fails at is unknown and stops nothing.
        gauge: called with what the cheap judge is worth after every step, see `Race.cheap`.
        budget: money that may be spent on this log in all, the cheap judge included; None for no
            limit. What was spent before is what the log's judgements say (``detail["cost"]``, of
            judges with prices), so not what broke off with a run, nor what older versions spent. A
            request that could exceed it is not sent, and the race stops there.
        kept: see `fill`.

    Returns:
        The verdict, which says itself whether it is certified, and whether the budget ended it.

    Raises:
        InputError: a race with other settings was begun in this log, outcomes were known before it,
            a pool without responses, or what the judge raises; what it has judged until then is in
            the log.
    """
    judge.check(log.session.pool)
    race = race if log.race is None else race.continuing(log.race)
    if cheap is not None:
        if race.cheap is None:
            raise InputError(
                "this race was begun without a cheap judge; leave it out, or begin a new log with "
                "a race that has a cheap_price."
            )
        cheap.check(log.session.pool)
    purse = _purse(log, budget)
    for each in (judge, cheap):
        if each is not None:
            each.limit(purse)
    log.begin_race(race.settings)
    _begin_judge(log, judge, race, retry_failed=retry_failed)
    left = float("inf") if calls is None else calls
    beside, spent = Beside(cheap, workers=workers), ""
    try:
        left -= retry(log, judge, workers=workers, every=retry_failed, kept=kept)
        tasks = advance(race, log, beside if left > 0 else None)
        while tasks and left > 0:
            cells = []
            for task in tasks:
                models = task.models[: int(min(max(left, 0), len(task.models)))]
                left -= len(models)
                cells.append((task.query, models))
            fill(log, judge, cells=cells, workers=workers, kept=kept)
            tasks = advance(race, log, beside if left > 0 else None)
            if watch is not None:
                watch(told(race.verdict(), log.contents))
            if gauge is not None and race.cheap is not None:
                gauge(race.cheap)
    except BudgetSpent as error:
        spent = str(error)
        advance(race, log)  # what was judged before it
    verdict = told(race.verdict(), log.contents)
    return dataclasses.replace(verdict, remarks=(*verdict.remarks, spent)) if spent else verdict


def _begin_judge(log: AnnotationLog, judge: Judge, race: Race, *, retry_failed: bool) -> None:
    """Note who judges, unless nothing is left to judge: a report names the judge noted last."""
    if not _to_retry(log, every=retry_failed):  # what is judged again must not be told before
        catch_up(race, log)
    if race.verdict().stop not in CERTAIN:
        log.begin_judge(judge.settings, judge.context)


def advance(race: Race, log: AnnotationLog, beside: Beside | None = None) -> tuple[Task, ...]:
    """Tell a race all that its log knows, carried verdicts too; return what is still to judge.

    Args:
        race: that the log holds, at whatever step.
        log: takes down each carried verdict when the race asks for it.
        beside: a cheap judge, asked on the way for what the race wants of it; with None it waits.
    """
    while True:
        tasks = catch_up(race, log)
        if tasks:
            if not log.take_carried((task.query, task.models) for task in tasks):
                return tasks
        elif beside is not None and (wanted := race.ask_cheap()):
            beside.fill(log, wanted)
        else:
            return ()


def catch_up(race: Race, contents: Contents | AnnotationLog) -> tuple[Task, ...]:
    """Tell a race all it asks for that is annotated already; return what is still to judge.

    A judgement that failed or was skipped (MISSING) is not waited for: the race gives it up.

    Args:
        race: at whatever step.
        contents: the log, or what it says.
    """
    held = contents.contents if isinstance(contents, AnnotationLog) else contents
    limit, race.most_failed = race.most_failed, 1.0  # what is known is told, however much failed
    try:
        left = _catch_up(race, held)
    finally:
        race.most_failed = limit
    return () if race.failing else left


def _catch_up(race: Race, held: Contents) -> tuple[Task, ...]:
    rows = held.rows
    while _cheap_told(race, held) and (tasks := race.ask()):
        left = []
        for task in tasks:
            row = rows.get(task.query, {})
            open_models = tuple(model for model in task.models if model not in row)
            known = {model: row[model].outcome for model in task.models if model in row}
            race.tell(task.query, known)
            if open_models:
                left.append(Task(task.query, task.text, open_models))
        if left:
            return tuple(left)
    return ()


def _cheap_told(race: Race, held: Contents) -> bool:
    """Tell a race the cheap verdicts that the log holds; return whether it has all it wants."""
    while tasks := race.ask_cheap():
        known = {
            task.query: {m: row[m] for m in task.models if m in row}
            for task in tasks
            if (row := held.cheap.get(task.query, {}))
        }
        if not any(known.values()):
            return False
        for query, verdicts in known.items():
            race.tell_cheap(query, verdicts)
    return True


def resume(contents: Contents | AnnotationLog, like: Race | None = None) -> Race | None:
    """Rebuild the race that a log holds, as far as its annotations go; None if it holds no race.

    Args:
        contents: the log, or what it says.
        like: a race whose limits it takes (budget, most_failed); None for those of a new race.

    Raises:
        InputError: a rule that llmsel does not know, or settings that are none.
    """
    if contents.race is None:
        return None
    try:
        if like is None:
            race = Race.of_settings(contents.session.pool, contents.race)
        else:
            race = like.continuing(contents.race)
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise InputError(
            f"the log holds a race that cannot be run ({type(error).__name__}: {error}); its "
            "settings are damaged."
        ) from error
    catch_up(race, contents)
    return race


def outlook(
    pool: Pool, held: Contents | None, deltas: Sequence[float], **options: Any
) -> tuple[Forecast, ...]:
    """Forecast what a race from its start is likely to cost, from the outcomes in a log.

    Args:
        pool: of the race.
        held: what the log says; None for a log that is still to begin.
        deltas: win-rate margins.
        options: ``rule`` and ``batch`` of the race, ``worlds``, ``seed``: see
            `llmsel.racing.forecast.forecast`.
    """
    rows = {} if held is None else held.rows
    known = {
        query: {model: entry.outcome for model, entry in row.items()} for query, row in rows.items()
    }
    return forecast(pool, known, deltas=deltas, **options)


def verdict_of(contents: Contents | AnnotationLog) -> RaceVerdict | None:
    """Rebuild the verdict of the race that a log holds, with remarks; as `resume`.

    A log does not say which share of failures its race bore: what it holds beyond the usual share
    counts.
    """
    race = resume(contents)
    if race is None:
        return None
    verdict = race.verdict()
    if race.failing:
        race.most_failed = 1.0
        catch_up(race, contents)
        further = race.verdict()
        verdict = further if further.calls > verdict.calls else verdict
    held = contents.contents if isinstance(contents, AnnotationLog) else contents
    return told(verdict, held)


def decided(contents: Contents | AnnotationLog, *, retry_failed: bool = False) -> bool:
    """Tell whether a log holds a race that has nothing left to ask.

    Args:
        contents: the log, or what it says.
        retry_failed: whether all that failed is to be judged again, see `retry`.
    """
    if _to_retry(contents, every=retry_failed):
        return False
    verdict = verdict_of(contents)
    return verdict is not None and verdict.stop in CERTAIN
