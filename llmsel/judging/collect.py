"""How a judge fills a log: whole queries in the order of a session, or what a race asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed, wait
from typing import Any

from llmsel.judging.judges import Group, Judge, Verdict, groups, text_of
from llmsel.judging.log import AnnotationLog
from llmsel.judging.replay import Annotation, Contents
from llmsel.pool import MISSING
from llmsel.race import Race, RaceVerdict, Task


def annotate(
    log: AnnotationLog, judge: Judge, queries: int | None = None, workers: int = 1
) -> AnnotationLog:
    """Let a judge annotate whole queries in the order of the session's strategy.

    Stop it and call it again: what is in the log is not judged again.

    Args:
        queries: how many to finish now; None takes all that are open.
        workers: comparisons at a time.

    Raises:
        InputError: a pool without responses, or what the judge raises; the log stays as it is.
    """
    judge.check(log.session.pool)
    open_queries = log.session.remaining
    for _ in range(open_queries if queries is None else min(queries, open_queries)):
        query = log.session.ask().query
        fill(log, judge, [(query, log.open_models(query))], workers)
    return log


def fill(
    log: AnnotationLog,
    judge: Judge,
    cells: Iterable[tuple[str, Sequence[str]]],
    workers: int = 1,
) -> None:
    """Judge some candidates on some queries and record each outcome as it arrives.

    Args:
        cells: query id and the candidates to judge on it.
        workers: comparisons at a time.

    Raises:
        InputError: what the judge raises. What it has judged until then is in the log.
    """
    pool = log.session.pool
    jobs = [(query, group) for query, models in cells for group in groups(pool, query, models)]

    def verdict(query: str, group: Group) -> Verdict:
        if group.response == group.baseline_response:
            return Verdict(0, detail={"identical": True})
        return judge.judge(text_of(pool, query), group.response, group.baseline_response)

    def keep(query: str, group: Group, given: Verdict) -> None:
        outcomes = dict.fromkeys(group.models, given.outcome)
        log.record(query, outcomes, judge.name, given.order, given.detail)

    if workers <= 1:
        for job in jobs:
            keep(*job, verdict(*job))
        return
    with ThreadPoolExecutor(workers) as threads:
        waiting: dict[Future[Verdict], tuple[str, Group]] = {}
        try:
            waiting = {threads.submit(verdict, *job): job for job in jobs}
            for future in as_completed(waiting.copy()):
                keep(*waiting.pop(future), future.result())
        except BaseException:  # Ctrl-C too: verdicts that are being paid for are kept
            for future in waiting:
                future.cancel()
            for future in wait(waiting).done:
                if not future.cancelled() and future.exception() is None:
                    keep(*waiting[future], future.result())
            raise


def judge_race(
    log: AnnotationLog,
    judge: Judge,
    run: Race,
    calls: float | None = None,
    workers: int = 1,
    watch: Callable[[RaceVerdict], None] | None = None,
) -> RaceVerdict:
    """Let a judge run a `Race`: the fewest comparisons until the best model is certain.

    A race asks only for the models that can still win, so most queries stay unfinished in the
    log's session. Its settings are noted in the log; call it again with the same ones to go on:
    what is in the log is told again, not judged again.

    Args:
        run: a race on the log's pool. With a ``batch`` above 1, several queries are judged at a
            time.
        calls: cells (a candidate on a query) to judge now; None for no limit.
        workers: comparisons at a time.
        watch: called with the present certificate after every step.

    Returns:
        The certificate, which says itself whether it is one.

    Raises:
        InputError: a race with other settings was begun in this log, a pool without responses, or
            what the judge raises; what it has judged until then is in the log.
    """
    judge.check(log.session.pool)
    log.begin_race(run.settings)
    left = float("inf") if calls is None else calls
    tasks = catch_up(run, log.rows)
    while tasks and left > 0:
        cells = []
        for task in tasks:
            row = log.rows.get(task.query, {})
            missing = [model for model in task.models if model not in row]
            missing = missing[: int(min(left, len(missing)))]
            left -= len(missing)
            cells.append((task.query, missing))
        fill(log, judge, cells, workers)
        tasks = catch_up(run, log.rows)
        if watch is not None:
            watch(run.verdict())
    return run.verdict()


def catch_up(run: Race, rows: Mapping[str, Mapping[str, Annotation]]) -> tuple[Task, ...]:
    """Tell a race all it asks for that is annotated already; return what it still asks for.

    A judgement that failed (MISSING) was tried often enough by its judge: the race gives it up.

    Args:
        rows: annotations by query and model, see `llmsel.judging.replay.Contents`.
    """
    while tasks := run.ask():
        waits = False
        for task in tasks:
            row = rows.get(task.query, {})
            told = {model: row[model].outcome for model in task.models if model in row}
            whole = len(told) == len(task.models)
            waits |= not whole
            run.tell(task.query, {m: None if a == MISSING else a for m, a in told.items()})
            if whole and MISSING in told.values():
                run.give_up(task.query)
        if waits:
            return run.ask()
    return ()


def resume(contents: Contents | AnnotationLog) -> Race | None:
    """Rebuild the race that a log holds, as far as its annotations go; None if it holds no race.

    Raises:
        InputError: a rule that llmsel does not know.
    """
    if contents.race is None:
        return None
    run = Race.of_settings(contents.session.pool, contents.race)
    catch_up(run, contents.rows)
    return run


def verdict_of(contents: Contents | AnnotationLog) -> RaceVerdict | None:
    """Rebuild the certificate of the race that a log holds; as `resume`."""
    run = resume(contents)
    return None if run is None else run.verdict()


def bias(given: Iterable[Annotation]) -> dict[str, float]:
    """Measure a judge's position bias on the comparisons it saw in both orders.

    Returns:
        ``pairs``: comparisons with a verdict in both orders, identical responses counted once;
        ``agreement``: share with the same outcome in both; ``first`` and ``second``: share in which
        the answer shown first (second) won in both orders, and their sum ``position_bias``. The
        shares are NaN without pairs.
    """
    pairs: dict[Any, list[str]] = {}
    for entry in given:
        said = entry.detail.get("verdicts", [])
        if len(said) == 2 and None not in said:
            pairs[entry.query, entry.model if entry.group is None else entry.group] = said
    n = len(pairs)

    def share(*wanted: list[str]) -> float:
        return sum(said in wanted for said in pairs.values()) / n if n else float("nan")

    first, second = share(["A", "A"]), share(["B", "B"])
    return {
        "pairs": n,
        "agreement": share(["A", "B"], ["B", "A"], ["tie", "tie"]),
        "first": first,
        "second": second,
        "position_bias": first + second,
    }
