"""The comparisons of a log from the side of each model in them."""

from __future__ import annotations

from typing import NamedTuple

from llmsel.judging.replay import Annotation, Contents
from llmsel.pool import MISSING
from llmsel.racing.pairs import compared, has_pairs, met


class Side(NamedTuple):
    """One comparison from one model's side.

    Attributes:
        model, against: whose, and the other.
        query: id of the query itself.
        outcome: -1, 0, 1 from the model's side, or MISSING.
        entry: the annotation.
    """

    model: str
    against: str
    query: str
    outcome: int
    entry: Annotation


def sides(contents: Contents) -> list[Side]:
    """List the comparisons of a log, in its order: a candidate's, over all pairs both models'."""
    found = []
    for entry in contents.given:
        if entry.model not in compared(contents.pool, entry.query):
            continue  # it would say of two models again what another cell says
        query, other = met(contents.pool, entry.query)
        found.append(Side(entry.model, other, query, entry.outcome, entry))
        if has_pairs(contents.pool):
            turned = entry.outcome if entry.outcome == MISSING else -entry.outcome
            found.append(Side(other, entry.model, query, turned, entry))
    return found
