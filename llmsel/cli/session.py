"""The command line over sessions: generate, session ask / tell / replay / status, report."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from llmsel._base.errors import InputError, unknown
from llmsel.cli.judge import judge_command
from llmsel.cli.options import AsJson, Baseline, Log, Source, facts, race_of, read_begun, read_pool
from llmsel.elimination import Certified, Heuristic
from llmsel.judging.collect import resume, verdict_of
from llmsel.judging.log import AnnotationLog
from llmsel.judging.replay import read_log, replay
from llmsel.pool import MISSING
from llmsel.session import Question, Session

session_app = typer.Typer(
    help="One decision: ask for the next query, tell its outcomes, see who leads.",
    no_args_is_help=True,
)


@session_app.command("ask")
def ask(
    log: Log,
    pool: Source,
    baseline: Baseline = None,
    strategy: Annotated[
        str | None, typer.Option(help="Of a new log; LLM Selector if none.")
    ] = None,
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
    rules = {"certified": Certified(), "heuristic": Heuristic()}
    if stop is not None and stop not in rules:
        raise unknown("stopping rule", stop, rules)
    rule = None if stop is None else rules[stop]
    answers = read_pool(pool, baseline)
    held = read_begun(log, answers)
    begun = held is not None and held.race is not None
    if race or begun:
        if strategy is not None:
            raise InputError("a race goes in random order; leave --strategy out.")
        alpha = 0.05 if stop == "certified" else None
        batch = None if begun else 1
        run = race_of(answers, held, log.name, delta, alpha, stop == "heuristic", None, batch)
        with AnnotationLog(log, answers, "Random" if held is None else None) as opened:
            opened.begin_race(run.settings)
            question = _race_question(opened)
    else:
        if stop == "certified" and strategy is None and held is None:
            strategy = "Random"
        with AnnotationLog(log, answers, strategy, rule=rule, delta=delta) as opened:
            question = opened.session.ask()
    if as_json:
        row = dataclasses.asdict(dataclasses.replace(question, responses=None))
        typer.echo(json.dumps({**row, "responses": question.responses}, indent=2))
        return
    typer.echo(f"{question.query}: {question.text or ''}\n({question.reason})")
    for model, response in (question.responses or {}).items():
        typer.echo(f"\n--- {model}\n{response}")


def _race_question(log: AnnotationLog) -> Question:
    """Name the first query that the race of the log asks for, and whom to compare on it."""
    run = resume(log)
    assert run is not None
    tasks, pool = run.ask(), log.session.pool
    if not tasks:
        raise InputError(f"the race is over: {run.verdict().statement}")
    query, models = tasks[0].query, tasks[0].models
    responses = None
    if pool.responses is not None:
        row = dict(zip(pool.models, pool.responses[pool.queries.index(query)], strict=True))
        responses = {model: row[model] for model in (*models, pool.baseline)}
    reason = f"race, in random order; {len(run.live)} of {pool.n_models} models can still be best"
    return Question(query, tasks[0].text, responses, reason)


@session_app.command("tell")
def tell(
    log: Log,
    query: Annotated[str, typer.Argument(help="Id of the query.")],
    outcomes: Annotated[list[str], typer.Argument(help="model=win, draw, loss or skip.")],
    pool: Source,
    baseline: Baseline = None,
    by: Annotated[str, typer.Option(help="The annotator.")] = "person",
    as_json: AsJson = False,
) -> None:
    """Record outcomes on a query, against the baseline.

    Example: llmsel session tell log.jsonl q7 a=win b=draw --pool answers.jsonl --baseline gpt-4
    """
    codes = {"win": 1, "draw": 0, "loss": -1, "skip": MISSING}
    given = {}
    for pair in outcomes:
        model, found, word = pair.rpartition("=")
        if not found:
            raise InputError(f"'{pair}' is not of the form model=win.")
        if word not in codes:
            raise unknown("outcome", word, codes)
        given[model] = codes[word]
    with AnnotationLog(log, read_pool(pool, baseline)) as opened:
        finished = opened.record(query, given, by)
        left = opened.open_models(query)
    if as_json:
        typer.echo(json.dumps({"query": query, "finished": finished, "open": left}))
    else:
        typer.echo(f"{query}: {'finished' if finished else 'still open: ' + ', '.join(left)}")


@session_app.command("undo")
def undo(log: Log, pool: Source, baseline: Baseline = None, as_json: AsJson = False) -> None:
    """Take the last annotation back.

    Example: llmsel session undo log.jsonl --pool answers.jsonl --baseline gpt-4
    """
    with AnnotationLog(log, read_pool(pool, baseline)) as opened:
        query, models = opened.undo()
    if as_json:
        typer.echo(json.dumps({"query": query, "open": models}))
    else:
        typer.echo(f"open again: {query}: {', '.join(models)}")


@session_app.command("replay")
def replay_command(
    log: Log, pool: Source, baseline: Baseline = None, as_json: AsJson = False
) -> None:
    """Rebuild the session of a log and print the answer after every finished query.

    Example: llmsel session replay log.jsonl --pool answers.jsonl --baseline gpt-4
    """
    session = replay(log, read_pool(pool, baseline))
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
            typer.echo(json.dumps({"number": number, "query": query, **facts(answer)}))
        else:
            typer.echo(f"{number:4d}  {query}: {answer.statement}")


@session_app.command("status")
def status(log: Log, pool: Source, baseline: Baseline = None, as_json: AsJson = False) -> None:
    """Say who leads, and what that is worth.

    Example: llmsel session status log.jsonl --pool answers.jsonl --baseline gpt-4 --json
    """
    contents = read_log(log, read_pool(pool, baseline))
    held = verdict_of(contents)
    said = contents.session.best() if held is None else held
    if as_json:
        typer.echo(json.dumps({**facts(said), "outcomes": len(contents.given)}, indent=2))
    else:
        typer.echo(said.statement)


def report_command(
    log: Log,
    pool: Source,
    output: Annotated[Path, typer.Option("-o", "--output")] = Path("report.html"),
    baseline: Baseline = None,
) -> None:
    """Write the decision and its evidence as one HTML page.

    Example: llmsel report log.jsonl --pool answers.jsonl --baseline gpt-4 -o report.html
    """
    from llmsel.reporting.page import write_report

    typer.echo(write_report(log, read_pool(pool, baseline), output))


def generate_command(
    models: Annotated[Path, typer.Argument(help="models.toml")],
    queries: Annotated[Path, typer.Argument(help="queries.jsonl")],
    output: Annotated[Path, typer.Option("-o", "--output")] = Path("answers.jsonl"),
    workers: Annotated[int, typer.Option(help="Requests at a time.")] = 4,
    yes: Annotated[bool, typer.Option("--yes", help="Start without asking.")] = False,
    as_json: AsJson = False,
) -> None:
    """Ask every model every query; run it again to ask only for what is missing.

    Example: llmsel generate models.toml queries.jsonl -o answers.jsonl --yes
    """
    from llmsel.answers import generate  # the openai client takes a second to import

    todo = generate.plan(models, queries, output)
    typer.echo(todo.summary, err=True)
    if todo.todo and not yes and not typer.confirm("start?", err=True):
        raise typer.Exit(1)
    failed = generate.run(todo, output, workers)
    cost = generate.spent(todo.models)
    new = len(todo.todo) - len(failed)
    if as_json:
        found = {"answers": todo.answered + new, "new": new, "failed": failed, "spent": cost}
        typer.echo(json.dumps(found, indent=2))
    else:
        typer.echo(f"{new} new answers in {output}; cost {cost['cost']:.4g}")
    for pair, error in list(failed.items())[:10]:
        typer.echo(f"failed: {pair}: {error}", err=True)
    if failed:
        typer.echo(f"{len(failed)} failed; run the same command again for them.", err=True)
        raise typer.Exit(1)


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.add_typer(session_app, name="session")
    app.command("report")(report_command)
    app.command("generate")(generate_command)
    app.command("judge")(judge_command)
