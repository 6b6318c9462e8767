"""`llmsel import`: verdicts or scores that are there already, as a pool with outcomes."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from llmsel.answers.missing import REFUSE
from llmsel.answers.outcomes import pool_of_scores, pool_of_verdicts
from llmsel.answers.read import read_answers
from llmsel.answers.recorded import NO_VERDICTS, holds_verdicts, read_verdicts
from llmsel.answers.scores import read_scores
from llmsel.answers.sources import walk
from llmsel.cli.compare import Missing
from llmsel.cli.guard import say
from llmsel.cli.options import AsJson, facts
from llmsel.judging.log import AnnotationLog
from llmsel.pool import MISSING, Pool
from llmsel.session import Answer, Session


def import_command(
    source: Annotated[
        list[Path],
        typer.Argument(
            help="Verdicts: AlpacaEval annotations.json, Arena-Hard model_judgment/*/*.jsonl or "
            "battles, FastChat *_pair.jsonl, JudgeArena *-annotations.csv, a table with query_id, "
            "model_a, model_b, winner. Or scores, as for `llmsel compare`."
        ),
    ],
    baseline: Annotated[str, typer.Option(help="The model all others are compared with.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The pool, for --pool of other commands.")
    ] = Path("pool.npz"),
    log: Annotated[
        Path | None, typer.Option(help="Write the verdicts into this new annotation log as well.")
    ] = None,
    answers: Annotated[
        Path | None, typer.Option(help="The answers, where the verdicts do not bring them.")
    ] = None,
    missing: Missing = REFUSE,
    judge: Annotated[str | None, typer.Option(help="Only this judge's verdicts.")] = None,
    metric: Annotated[str | None, typer.Option(help="Of scores: which, if several.")] = None,
    filter: Annotated[str | None, typer.Option("--filter", help="Of lm-eval's scores.")] = None,
    margin: Annotated[float, typer.Option(help="Of scores: so much apart is a draw.")] = 0.0,
    as_json: AsJson = False,
) -> None:
    """Decide from verdicts or scores that are there already, or go on from them.

    --missing keep leaves what is missing unknown.

    Examples:
    llmsel import results/*/weighted_alpaca_eval_gpt4_turbo/annotations.json --baseline gpt4_turbo

    llmsel import logs/ --baseline org/small --metric accuracy --log outcomes.jsonl
    """
    texts = None if answers is None else read_answers(answers, missing=missing_answers(missing))
    table, verdicts = _read(source, judge=judge, metric=metric, filter_=filter)
    make = pool_of_verdicts if verdicts else partial(pool_of_scores, margin=margin)
    pool = make(table, baseline, answers=texts, missing=missing, name=output.stem)
    written = pool.save(output)
    by = judge or ("recorded verdicts" if verdicts else metric or "recorded scores")
    said = _decide(pool, log, by)
    if as_json:
        found = {"pool": str(written), "queries": pool.n_queries, "models": pool.models}
        say(json.dumps(found | facts(said), indent=2))
    else:
        say(f"{pool} in {written}\n{said.statement}")


def missing_answers(missing: str) -> str:
    """The rule for answers that goes with a rule for verdicts: there, none is unknown."""
    return "loss" if missing == "keep" else missing


def _read(
    source: list[Path], *, judge: str | None, metric: str | None, filter_: str | None
) -> tuple[pd.DataFrame, bool]:
    """Read verdicts or scores, and tell which they are."""
    first = next(path for _, path in walk(source, what="verdicts or scores", skip=NO_VERDICTS))
    if first.suffix != ".eval" and holds_verdicts(first):
        return read_verdicts(source, judge=judge), True
    return read_scores(source, metric=metric, filter=filter_), False


def _decide(pool: Pool, log: Path | None, by: str) -> Answer:
    """Tell a session all outcomes, and the log if there is to be one."""
    hidden = pool.hide_outcomes()
    rows = ((query, pool.row(query)) for query in pool.queries)
    if log is None:
        session = Session(hidden, "Random", seed=0)
        for query, known in rows:
            session.tell(query, dict.fromkeys(pool.candidates, MISSING) | known)
        return session.best()
    with AnnotationLog(log, hidden) as opened:
        for query, known in rows:
            opened.record(query, dict.fromkeys(pool.candidates, MISSING) | known, by=by)
        return opened.session.best()
