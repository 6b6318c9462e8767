"""Second opinions: what another person said of a pair, and how a disagreement was decided.

A second opinion never enters a race. Of two verdicts that differ the first counts, until an
adjudication decides; which pairs are given to two people is drawn beforehand, by hash.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from llmsel.judging.keys import ADJUDICATED
from llmsel.judging.lines import need_fields, need_words
from llmsel.judging.opening import STAMP, Types
from llmsel.pool import MISSING

SECOND = "second"
_GIVEN: Types = {
    "models": list,
    "outcome": (int, type(None)),
    "order": str,
    "by": str,
    "time": str,
}
Pair = tuple[str, str]  # query, and the first of the candidates that gave this one answer


@dataclasses.dataclass(frozen=True)
class Opinion:
    """A second opinion or an adjudication.

    Args:
        query: its id.
        models: the candidates that gave this answer, in the pool's order.
        outcome: -1 (loss), 0 (draw), 1 (win), or `Outcome.MISSING` for one that was skipped.
        order: how the two answers were shown, see `llmsel.judging.replay.ORDERS`.
        by: who gave it.
        time: UTC, ISO 8601.
        line: number of lines before it in the log, without the header.
    """

    query: str
    models: tuple[str, ...]
    outcome: int
    order: str
    by: str
    time: str
    line: int = 0

    @property
    def pair(self) -> Pair:
        """What it is about."""
        return self.query, self.models[0]


class Opinions:
    """The second opinions and adjudications of a log that stand.

    Attributes:
        seconds: pair -> annotator -> what was said.
        decided: pair -> its adjudication.
    """

    def __init__(self) -> None:
        """Nobody has said anything yet."""
        self.seconds: dict[Pair, dict[str, Opinion]] = {}
        self.decided: dict[Pair, Opinion] = {}

    def second(self, event: Mapping[str, Any], line: int) -> None:
        """Note a second opinion; the same annotator's later one replaces it."""
        said = opinion(event, SECOND, line)
        self.seconds.setdefault(said.pair, {})[said.by] = said

    def withdraw(self, event: Mapping[str, Any]) -> Opinion | None:
        """Take one back; return the adjudication that it was, None for a second opinion.

        One that is not there (its line was damaged, and left out) is nothing to take back.
        """
        pair = event["query"], event["models"][0]
        if event["withdrawn"] == ADJUDICATED:
            return self.decided.pop(pair, None)
        self.seconds.get(pair, {}).pop(event["by"], None)
        return None


def opinion(event: Mapping[str, Any], kind: str, line: int) -> Opinion:
    """Read a line of this kind."""
    code = event["outcome"]
    return Opinion(
        event[kind],
        tuple(event["models"]),
        MISSING if code is None else code,
        event["order"],
        event["by"],
        event["time"],
        line,
    )


def check_opinion(event: Mapping[str, Any]) -> None:
    """Check a line with a second opinion, an adjudication, or one that takes either back.

    Raises:
        ValueError: what is wrong with it.
    """
    if "withdrawn" in event:
        wanted: Types = {"withdrawn": str, "query": str, "models": list, "by": str}
        need_fields(event, wanted, STAMP)
        if event["withdrawn"] not in (SECOND, ADJUDICATED):
            raise ValueError(f"it takes back {event['withdrawn']!r}")
    else:
        kind = SECOND if SECOND in event else ADJUDICATED
        need_fields(event, {kind: str, **_GIVEN}, STAMP)
        if kind == ADJUDICATED and event["outcome"] is None:
            raise ValueError("it decides nothing")
    need_words(event["models"])
    if not event["models"]:
        raise ValueError("it names no model")
