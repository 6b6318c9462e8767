"""What commands print beside a verdict, and the exit code it gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import typer

from llmsel.cli.guard import DOUBT
from llmsel.judging.replay import Annotation, Contents
from llmsel.race import RaceVerdict
from llmsel.reporting.remarks import warnings_about
from llmsel.session import Answer


def warned(contents: Contents) -> dict[str, Any]:
    """Outcomes and failures of a log, and what makes its verdict doubtful, as JSON can hold it."""
    return {
        "outcomes": len(contents.given),
        "failed": failed_in(contents.given),
        "warnings": warnings_about(contents),
    }


def failed_in(given: Sequence[Annotation]) -> list[dict[str, str]]:
    """Name the judgements that failed, and why."""
    return [
        {"query": each.query, "model": each.model, "why": str(each.detail["failed"])}
        for each in given
        if "failed" in each.detail
    ]


def finish(said: Answer | RaceVerdict, contents: Contents) -> None:
    """End the command, with exit code 1 if nobody should act on the verdict yet.

    Raises:
        typer.Exit: a certificate that was asked for and is not there, a race that goes on, or a
            warning.
    """
    if not _reached(said, contents) or warnings_about(contents):
        raise typer.Exit(DOUBT)


def _reached(said: Answer | RaceVerdict, contents: Contents) -> bool:
    """Tell whether the decision has come as far as was asked for when its log was begun."""
    if isinstance(said, Answer):
        rule = contents.session.rule
        held = said.certificate
        return rule is None or (held is not None and _ended(held, certifies=rule.certifies))
    name = (contents.race or {})["rule"]["name"]
    return _ended(said, certifies=name == "Certified")


def _ended(said: RaceVerdict, *, certifies: bool) -> bool:
    return said.certified if certifies else bool(said.stop)
