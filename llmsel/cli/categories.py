"""`llmsel categories`: who is best where."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from llmsel._base.errors import InputError
from llmsel.cli.guard import say
from llmsel.cli.options import AsJson, Source, grouped
from llmsel.judging.replay import read_log


@grouped
def categories_command(
    source: Source,
    log: Annotated[
        Path | None, typer.Option(help="A log of whole queries; the pool's own outcomes if none.")
    ] = None,
    weight: Annotated[
        list[str] | None,
        typer.Option(help="category=share of it in production, repeatable: who is best then."),
    ] = None,
    alpha: Annotated[
        float, typer.Option(help="Chance that a best model is not named, over all lines.")
    ] = 0.05,
    as_json: AsJson = False,
) -> None:
    """Name the best model of each category, as far as the judged queries show it.

    Example: llmsel categories --pool pool.npz --weight coding=0.7 --weight writing=0.3
    """
    from llmsel.reporting.categories import told, winners_by_category

    pool = source.read()
    held = pool if log is None else read_log(log, pool)
    weights = dict(map(_weight, weight)) if weight else None
    found = winners_by_category(held, alpha=alpha, weights=weights)
    if as_json:
        rows = [{**dataclasses.asdict(each), "winner": each.winner} for each in found]
        say(json.dumps(rows, indent=2))
        return
    for each in found:
        say(each.statement)
    say(told(found))


def _weight(pair: str) -> tuple[str, float]:
    name, _, share = pair.rpartition("=")
    try:
        return name, float(share)
    except ValueError as error:
        raise InputError(f"'--weight {pair}' is not of the form category=number.") from error
