"""`llmsel import`: verdicts or scores that are there already, as a pool with outcomes."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer

from llmsel._base.errors import InputError
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
from llmsel.racing.pairs import met, standing_of, used_cells
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
    baseline: Annotated[
        str | None, typer.Option(help="The model all others are compared with.")
    ] = None,
    pairs: Annotated[
        bool, typer.Option("--pairs", help="No baseline: every model against every other.")
    ] = False,
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

    llmsel import battles.csv --pairs --missing keep
    """
    if (baseline is None) != pairs:
        raise InputError("name the model all others are compared with, --baseline, or say --pairs.")
    texts = None if answers is None else read_answers(answers, missing=missing_answers(missing))
    table, verdicts = _read(source, judge=judge, metric=metric, filter_=filter)
    make = pool_of_verdicts if verdicts else partial(pool_of_scores, margin=margin)
    pool = make(table, baseline, answers=texts, missing=missing, name=output.stem)
    written = pool.save(output)
    by = judge or ("recorded verdicts" if verdicts else metric or "recorded scores")
    found = {"pool": str(written), "queries": pool.n_queries, "models": pool.models}
    if pairs:
        said, statement = _standing(pool, log, by)
        found |= {"queries": len({met(pool, q)[0] for q in pool.queries}), "models": said["models"]}
    else:
        answer = _decide(pool, log, by)
        said, statement = facts(answer), answer.statement
    about = f"all pairs of '{pool.name}'" if pairs else repr(pool)
    say(json.dumps(found | said, indent=2) if as_json else f"{about} in {written}\n{statement}")


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


def _standing(pool: Pool, log: Path | None, by: str) -> tuple[dict[str, object], str]:
    """Say who wins over all pairs; the log takes every outcome that is there."""
    unbeaten, statement = standing_of(pool)
    if log is not None:
        outcomes, used = pool.need("outcomes"), used_cells(pool)
        with AnnotationLog(log, pool.hide_outcomes()) as opened:
            for i, j in np.argwhere(used & (outcomes != MISSING)):
                known = {pool.models[j]: int(outcomes[i, j])}
                opened.record(pool.queries[i], known, by=by)
    return {"models": pool.candidates, "unbeaten": unbeaten, "statement": statement}, statement


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
