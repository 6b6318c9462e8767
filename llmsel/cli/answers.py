"""`llmsel generate`: ask models for their answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from llmsel.cli.guard import DOUBT, consent, keeps, say
from llmsel.cli.options import AsJson, Yes

SHOWN = 10  # reasons of failures that are told


def generate_command(
    models: Annotated[
        Path,
        typer.Argument(
            help="models.toml: a [[model]] table per model with name, and optionally model, "
            "base_url, key (an environment variable), system, timeout, prices, parameters."
        ),
    ],
    queries: Annotated[
        Path,
        typer.Argument(help="queries.jsonl: JSON Lines with query_id, query, optionally category."),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            help="JSON Lines with model, query_id, query, response, finish; continued if there.",
        ),
    ] = Path("answers.jsonl"),
    workers: Annotated[int, typer.Option(min=1, help="Requests at a time.")] = 4,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Ask every model every query; run it again to ask only for what is missing.

    Example: llmsel generate models.toml queries.jsonl -o answers.jsonl --yes
    """
    from llmsel.answers import generate  # an extra

    todo = generate.plan(models, queries, output)
    generate.check_keys(todo)
    say(todo.summary, err=True)
    if todo.todo:
        consent(yes=yes)
    keeps(f"every answer until now is in '{output}'; the same command asks for the others")
    failed = generate.ask_all(todo, output, workers=workers)
    cost = generate.spent(todo.models)
    new = len(todo.todo) - len(failed)
    if as_json:
        found = {"answers": todo.answered + new, "new": new, "failed": failed, "spent": cost}
        say(json.dumps(found, indent=2))
    else:
        say(f"{new} new answers in {output}; cost {cost['cost']:.4g}")
    for line in generate.failures(failed)[:SHOWN]:
        say(f"failed: {line}", err=True)
    if failed:
        say(f"{len(failed)} failed; run the same command again for them.", err=True)
        raise typer.Exit(DOUBT)
