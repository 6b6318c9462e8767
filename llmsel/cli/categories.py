"""`llmsel categories` and `llmsel cheapest`: who is best where, and who is good enough."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from llmsel._base.errors import InputError
from llmsel.cli.guard import DOUBT, say
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


@grouped
def cheapest_command(
    source: Source,
    costs: Annotated[
        Path, typer.Option(help="The answers as `llmsel generate` wrote them, prices among them.")
    ],
    delta: Annotated[float, typer.Option(help="Margin (win rate) below the best.")] = 0.05,
    log: Annotated[
        Path | None, typer.Option(help="A log of whole queries; the pool's own outcomes if none.")
    ] = None,
    alpha: Annotated[float, typer.Option(help="Chance that it is further below.")] = 0.05,
) -> None:
    """Name the cheapest model that is shown to be within a margin of the best.

    Exit code 1 if none is shown to be.

    Example: llmsel cheapest --pool pool.npz --costs answers.jsonl --delta 0.05
    """
    from llmsel.reporting.value import cheapest_within, read_costs

    pool = source.read()
    held = pool if log is None else read_log(log, pool)
    model, said = cheapest_within(held, read_costs(costs), delta=delta, alpha=alpha)
    say(said)
    if model is None:
        raise typer.Exit(DOUBT)


def _weight(pair: str) -> tuple[str, float]:
    name, _, share = pair.rpartition("=")
    try:
        return name, float(share)
    except ValueError as error:
        raise InputError(f"'--weight {pair}' is not of the form category=number.") from error
