"""What commands print beside a verdict, and the exit code it gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import typer

from llmsel.cli.guard import DOUBT, say
from llmsel.judging.provenance import remarks_of, warnings_of
from llmsel.judging.replay import Annotation, Contents, certifies
from llmsel.racing.race import RaceVerdict
from llmsel.session import Answer


def warned(said: Answer | RaceVerdict, contents: Contents) -> dict[str, Any]:
    """Outcomes of a log, what failed, what warns of its verdict, and how it came about."""
    return {
        "outcomes": len(contents.given),
        "failed": failed_in(contents.given),
        "warnings": list(warnings_of(contents)),
        "remarks": list(_remarks(said, contents)),
    }


def _remarks(said: Answer | RaceVerdict, contents: Contents) -> tuple[str, ...]:
    return said.remarks if isinstance(said, RaceVerdict) else remarks_of(contents)


def failed_in(given: Sequence[Annotation]) -> list[dict[str, str]]:
    """Name the judgements that failed, and why."""
    return [
        {"query": each.query, "model": each.model, "why": each.failed}
        for each in given
        if each.failed is not None
    ]


def tell(said: Answer | RaceVerdict, contents: Contents) -> None:
    """Print warnings, the statement, and how it came about, in this order."""
    for line in (*warnings_of(contents), said.statement, *_remarks(said, contents)):
        say(line)


def finish(said: Answer | RaceVerdict, contents: Contents) -> None:
    """End the command, with exit code 1 if nobody should act on the verdict yet.

    Raises:
        typer.Exit: a certificate that was asked for and is not there, a race that goes on, or a
            warning.
    """
    if not _reached(said, contents) or warnings_of(contents):
        raise typer.Exit(DOUBT)


def _reached(said: Answer | RaceVerdict, contents: Contents) -> bool:
    """Tell whether the decision has come as far as was asked for when its log was begun."""
    if isinstance(said, Answer):
        rule = contents.session.rule
        held = said.certificate
        return rule is None or (held is not None and _ended(held, certifies=rule.certifies))
    return _ended(said, certifies=contents.race is not None and certifies(contents.race))


def _ended(said: RaceVerdict, *, certifies: bool) -> bool:
    return said.certified if certifies else bool(said.stop)
