"""`llmsel calibrate`: what a judge's verdicts are worth by people's standard."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from llmsel._base.words import at_least, percent
from llmsel.cli.guard import DOUBT, say
from llmsel.cli.options import AsJson, Source, grouped
from llmsel.judging.calibration import Calibration, calibrate
from llmsel.judging.replay import read_log


@grouped
def calibrate_command(
    people: Annotated[Path, typer.Argument(help="Log of the people; not changed.")],
    judge: Annotated[Path, typer.Argument(help="Log of the LLM judge on the same answers.")],
    source: Source,
    alpha: Annotated[float, typer.Option(help="Chance that one of the intervals misses.")] = 0.05,
    as_json: AsJson = False,
) -> None:
    """Say how far an LLM judge agrees with people, and who is best by people's standard.

    For estimates about the whole pool let people judge some queries in random order,
    and the judge all of them (both commands below go in random order by themselves).

    Examples:
    llmsel session ask people.jsonl --pool answers.jsonl --baseline small

    llmsel judge judge.jsonl --queries 400 --pool answers.jsonl --baseline small --model my-judge

    llmsel calibrate people.jsonl judge.jsonl --pool answers.jsonl --baseline small
    """
    pool = source.read()
    found = calibrate(read_log(people, pool), read_log(judge, pool), alpha=alpha)
    if as_json:
        say(json.dumps({**dataclasses.asdict(found), "statement": found.statement}, indent=2))
    else:
        for line in (found.statement, *_tables(found)):
            say(line)
    if found.doubts:
        raise typer.Exit(DOUBT)


def _tables(found: Calibration) -> list[str]:
    """Verdicts of both, and win rates by model, as lines of text."""
    if not found.models:
        return []
    people, judge = found.agreement.first, found.agreement.second
    lines = [f"verdicts of '{people}' (rows) and '{judge}' (columns: loss, draw, win):"]
    lines += [
        f"  {word:4}  {'  '.join(f'{count:5d}' for count in row)}"
        for word, row in zip(("loss", "draw", "win"), found.agreement.table, strict=True)
    ]
    lines.append(
        f"win rates on common comparisons, and by people's standard on all that '{judge}' judged "
        f"(the intervals hold together, {at_least(found.alpha)}):"
    )
    lines += [
        f"  {each.model}: people {percent(each.people, 1)}, judge {percent(each.judge, 1)} on "
        f"{each.common}; {percent(each.estimate, 1)} ({percent(each.low, 1)} to "
        f"{percent(each.high, 1)}) on {each.judged}"
        for each in found.models
    ]
    return lines
