"""`llmsel compare`: a paired test of two models from scores that are there already."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from llmsel.answers.compare import compare_models
from llmsel.answers.scores import read_scores
from llmsel.cli.guard import say
from llmsel.cli.options import AsJson

Missing = Annotated[
    str,
    typer.Option(
        help="What is missing: refuse (all of it is told), drop its queries, or count it as a loss."
    ),
]


def compare_command(
    first: Annotated[str, typer.Argument(help="A model.")],
    second: Annotated[str, typer.Argument(help="Another.")],
    scores: Annotated[
        list[Path],
        typer.Argument(
            help="Files or folders: samples_*.jsonl of lm-evaluation-harness, Inspect logs (.eval, "
            ".json), *_single.jsonl of MT-Bench, or a table with model, query_id, score and "
            "optionally epoch, metric (JSON Lines, CSV, Parquet)."
        ),
    ],
    metric: Annotated[str | None, typer.Option(help="Which, if there are several.")] = None,
    filter: Annotated[
        str | None, typer.Option("--filter", help="Of lm-evaluation-harness; the first if none.")
    ] = None,
    scale: Annotated[
        tuple[float, float], typer.Option(help="The lowest and the highest score there can be.")
    ] = (0.0, 1.0),
    missing: Missing = "refuse",
    alpha: Annotated[float, typer.Option(help="Chance that the interval misses.")] = 0.05,
    as_json: AsJson = False,
) -> None:
    """Test two models on the same queries: an exact sign test, and an interval that always holds.

    Several epochs of a query count once, as their mean.

    Examples:
    llmsel compare org/small org/large results/ --metric exact_match

    llmsel compare small large grades_single.jsonl --scale 1 10
    """
    table = read_scores(scores, metric=metric, filter=filter)
    found = compare_models(table, first, second, scale=scale, missing=missing, alpha=alpha)
    if as_json:
        facts = dataclasses.asdict(found)
        say(json.dumps({**facts, "better": found.better, "statement": found.statement}, indent=2))
    else:
        say(found.statement)
