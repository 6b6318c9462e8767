"""`llmsel session` and `llmsel report`: one decision, asked for and told command by command."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from llmsel._base.errors import InputError, unknown
from llmsel.cli.guard import DOUBT, EXIT_CODES, say
from llmsel.cli.options import (
    WORLDS,
    AsJson,
    Log,
    RaceOptions,
    Source,
    facts,
    grouped,
    read_begun,
)
from llmsel.cli.verdicts import finish, warned
from llmsel.cli.verdicts import tell as tell_verdict
from llmsel.judging.carry import carry
from llmsel.judging.collect import advance, outlook, verdict_of
from llmsel.judging.log import AnnotationLog
from llmsel.judging.overlaps import overlap
from llmsel.judging.repair import check_log
from llmsel.judging.replay import Contents, read_log, replay
from llmsel.pool import MISSING, Pool
from llmsel.racing.elimination import Certified, Heuristic
from llmsel.racing.forecast import DELTAS
from llmsel.racing.pairs import compared, contestants, has_pairs, met
from llmsel.racing.race import Race, RaceVerdict, Task
from llmsel.session import Answer, Question, Session

app = typer.Typer(
    help="One decision: ask for the next query, tell its outcomes, see who leads.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
RULES = {"certified": Certified, "heuristic": Heuristic}
OUTCOMES = {"win": 1, "draw": 0, "loss": -1, "skip": MISSING}


@app.command("ask")
@grouped
def ask(
    log: Log,
    source: Source,
    strategy: Annotated[str | None, typer.Option(help="Of a new log; Random if none.")] = None,
    race: Annotated[
        bool, typer.Option("--race", help="Only models that can still win: fewest comparisons.")
    ] = False,
    stop: Annotated[
        str | None, typer.Option(help="Of a new log: certified (random order only) or heuristic.")
    ] = None,
    delta: Annotated[
        float | None, typer.Option(help="Of a new log: win-rate margin of the stop.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print the next query, the responses and why it was picked; begins the log if it is new.

    Examples:
    llmsel session ask log.jsonl --pool answers.jsonl --baseline gpt-4

    llmsel session ask race.jsonl --pool answers.jsonl --baseline gpt-4 --race --delta 0.05
    """
    if stop is not None and stop not in RULES:
        raise unknown("stopping rule", stop, RULES)
    answers = source.read(pairs=True)
    held = read_begun(log, answers)
    begun = held is not None and held.race is not None
    if has_pairs(answers) and not (race or begun):
        raise InputError("--pairs is for a race: add --race.")
    if race or begun:
        if strategy is not None:
            raise InputError("a race goes in random order; leave --strategy out.")
        question = _ask_race(log, answers, held, stop=stop, delta=delta)
    else:
        rule = None if stop is None else RULES[stop]()
        with AnnotationLog(log, answers, strategy=strategy, rule=rule, delta=delta) as opened:
            question = opened.session.ask()
            while opened.take_carried([(question.query, opened.open_models(question.query))]):
                question = opened.session.ask()
    _show(question, as_json=as_json)


def _show(question: Question, *, as_json: bool) -> None:
    if as_json:
        row = dataclasses.asdict(dataclasses.replace(question, responses=None))
        say(json.dumps({**row, "responses": question.responses}, indent=2))
        return
    say(f"{question.query}: {question.text or ''}\n({question.reason})")
    for model, response in (question.responses or {}).items():
        say(f"\n--- {model}\n{response}")


def _ask_race(
    log: Path, pool: Pool, held: Contents | None, *, stop: str | None, delta: float | None
) -> Question:
    """Go on with the race of a log, or begin it, and name its next query."""
    begun = held is not None and held.race is not None
    options = RaceOptions(
        delta=delta,
        plain=stop == "certified",
        heuristic=stop == "heuristic",
        batch=None if begun else 1,
    )
    options.race(pool, held, name=log.name)  # mistakes are told before a log is begun
    with AnnotationLog(log, pool) as opened:
        run = options.race(pool, opened.contents, name=log.name)
        opened.begin_race(run.settings)
        tasks = advance(run, opened)
    if not tasks and run.ask_cheap():
        raise InputError("the race waits for its cheap judge; go on with llmsel judge first.")
    if not tasks:
        raise InputError(f"the race is over: {run.verdict().statement}")
    return _first(tasks[0], run, pool)


def _first(task: Task, run: Race, pool: Pool) -> Question:
    """Show the responses of the models that a race wants judged on one query."""
    responses = None
    if pool.responses is not None:
        row = pool.responses_to(task.query)
        responses = {model: row[model] for model in task.models}
        responses[met(pool, task.query)[1]] = row[pool.baseline]
    models = len(contestants(pool))
    reason = f"race, in random order; {len(run.live)} of {models} models can still be named"
    return Question(task.query, task.text, responses, reason)


@app.command("tell")
@grouped
def tell(
    log: Log,
    query: Annotated[str, typer.Argument(help="Id of the query.")],
    outcomes: Annotated[list[str], typer.Argument(help="model=win, draw, loss or skip.")],
    source: Source,
    by: Annotated[str, typer.Option(help="The annotator.")] = "person",
    as_json: AsJson = False,
) -> None:
    """Record outcomes on a query, against the baseline.

    Example: llmsel session tell log.jsonl q7 a=win b=draw --pool answers.jsonl --baseline gpt-4
    """
    given = {}
    for pair in outcomes:
        model, found, word = pair.rpartition("=")
        if not found:
            raise InputError(f"'{pair}' is not of the form model=win.")
        if word not in OUTCOMES:
            raise unknown("outcome", word, OUTCOMES)
        given[model] = OUTCOMES[word]
    with AnnotationLog(log, source.read(pairs=True)) as opened:
        opened.record(query, given, by=by)
        done = opened.rows[query]
        left = [model for model in compared(opened.session.pool, query) if model not in done]
    if as_json:
        say(json.dumps({"query": query, "finished": not left, "open": left}))
    else:
        say(f"{query}: {'still open: ' + ', '.join(left) if left else 'finished'}")


@app.command("undo")
@grouped
def undo(log: Log, source: Source, as_json: AsJson = False) -> None:
    """Take the last annotation back.

    Example: llmsel session undo log.jsonl --pool answers.jsonl --baseline gpt-4
    """
    with AnnotationLog(log, source.read(pairs=True)) as opened:
        while opened.given and "carried" in opened.given[-1].detail:
            opened.undo()  # nobody gave it here, and it comes back by itself
        query, models = opened.undo()
    if as_json:
        say(json.dumps({"query": query, "open": models}))
    else:
        say(f"open again: {query}: {', '.join(models)}")


@app.command("replay")
@grouped
def replay_command(log: Log, source: Source, as_json: AsJson = False) -> None:
    """Rebuild the session of a log and print the answer after every finished query.

    Example: llmsel session replay log.jsonl --pool answers.jsonl --baseline gpt-4
    """
    session = replay(log, source.read())
    again = Session(
        session.pool,
        session.strategy,
        seed=session.seed,
        rule=session.rule,
        delta=session.delta,
    )
    for number, (query, row) in enumerate(session.history, 1):
        again.tell(query, dict(zip(session.pool.models, row.tolist(), strict=True)))
        answer = again.best()
        if as_json:
            say(json.dumps({"number": number, "query": query, **facts(answer)}))
        else:
            say(f"{number:4d}  {query}: {answer.statement}")


@app.command("status", epilog=EXIT_CODES)
@grouped
def status(log: Log, source: Source, as_json: AsJson = False) -> None:
    """Say who leads, and what that is worth.

    Example: llmsel session status log.jsonl --pool answers.jsonl --baseline gpt-4 --json
    """
    contents = read_log(log, source.read(pairs=True))
    if has_pairs(contents.pool) and contents.race is None:
        raise InputError(f"'{log}' holds no race yet; llmsel judge {log} --pairs begins one.")
    said: Answer | RaceVerdict = verdict_of(contents) or contents.session.best()
    if as_json:
        say(json.dumps({**facts(said), **warned(said, contents)}, indent=2))
    else:
        tell_verdict(said, contents)
    finish(said, contents)


@app.command("carry")
@grouped
def carry_command(
    old: Annotated[Path, typer.Argument(help="The log of the pool as it was; not changed.")],
    new: Annotated[Path, typer.Argument(help="The log to begin on the pool as it is.")],
    source: Source,
    judged: Annotated[
        Path | None, typer.Option(help="The answers as they were; for logs before 0.3 only.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Keep what was judged after the pool has changed: a new model or query, an edit, other names.

    A verdict holds where the query's text and both answers are the same, word for word. Go on with
    NEW as with any log: what is carried is not asked for again.

    Examples:
    llmsel session carry race.jsonl next.jsonl --pool answers.jsonl --baseline small

    llmsel judge next.jsonl --pool answers.jsonl --baseline small --model my-judge
    """
    before = (
        None if judged is None else dataclasses.replace(source, pool=str(judged)).read(pairs=True)
    )
    found = carry(old, new, source.read(pairs=True), judged=before)
    say(json.dumps(dataclasses.asdict(found)) if as_json else f"{new}: {found.statement}")


@app.command("agreement")
@grouped
def agreement_command(log: Log, source: Source, as_json: AsJson = False) -> None:
    """Say how far the people who judged agree beyond chance, on the pairs that two of them judged.

    Cohen's kappa with a bootstrap interval over queries: the first verdict on a pair
    against the second, and each two people. `llmsel annotate --overlap` makes such pairs.

    Example: llmsel session agreement log.jsonl --pool answers.jsonl --baseline gpt-4
    """
    found = overlap(read_log(log, source.read(pairs=True)))
    say(json.dumps(dataclasses.asdict(found), indent=2) if as_json else found.statement)


@app.command("forecast")
@grouped
def forecast_command(
    log: Log,
    source: Source,
    delta: Annotated[
        list[float] | None,
        typer.Option(help="Margins (win rate), repeatable; 0, 0.01 and 0.05 if none."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say what a race is likely to cost, from the outcomes in LOG if there are any.

    A forecast, and no promise. The margin of a race is fixed before it begins, so
    look at it before, or with the outcomes of an earlier log.

    Example: llmsel session forecast race.jsonl --pool answers.jsonl --baseline gpt-4
    """
    pool = source.read()
    found = outlook(pool, read_begun(log, pool), delta or DELTAS, batch=4, worlds=WORLDS)
    if as_json:
        say(json.dumps([dataclasses.asdict(each) for each in found], indent=2))
        return
    for each in found:
        say(each.statement)


@app.command("check")
def check(
    log: Log,
    repair: Annotated[
        bool, typer.Option("--repair", help="Save what can be; the damaged log is kept beside.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say which lines of a log are damaged; exit code 1 if one is. Needs no answers.

    Examples: llmsel session check log.jsonl; llmsel session check log.jsonl --repair
    """
    found = check_log(log, repair=repair)
    if as_json:
        say(json.dumps(dataclasses.asdict(found), indent=2, default=str))
    else:
        for line in found.damaged:
            say(line)
        say(f"{found.lines} lines, {len(found.damaged)} damaged")
        if found.backup is not None:
            say(f"repaired; the damaged log is kept as {found.backup}")
    if found.damaged:
        raise typer.Exit(DOUBT)


@grouped
def report_command(
    log: Log,
    source: Source,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="HTML; an older report there is replaced.")
    ] = Path("report.html"),
) -> None:
    """Write the decision and its evidence as one HTML page.

    Example: llmsel report log.jsonl --pool answers.jsonl --baseline gpt-4 -o report.html
    """
    from llmsel.reporting.page import write_report

    answers = Path(source.pool)
    say(
        write_report(
            log, source.read(pairs=True), output, answers=answers if answers.is_file() else None
        )
    )
