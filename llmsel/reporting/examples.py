"""Examples of where a model won and where it lost, drawn by a rule and not picked by hand."""

from __future__ import annotations

import dataclasses
import hashlib

from llmsel.judging.replay import Contents
from llmsel.pool import NO_ANSWER
from llmsel.reporting.sides import Side, sides

EACH = 3  # wins, and as many losses
TEXT, ANSWER = 400, 900  # characters of a query and of an answer that are shown


@dataclasses.dataclass(frozen=True)
class Example:
    """One comparison: the query's id and text, whom it was with, both answers, and the judge."""

    query: str
    text: str
    against: str
    answer: str
    other: str
    by: str


@dataclasses.dataclass(frozen=True)
class Examples:
    """A few wins and losses of one model.

    Args:
        model: whose.
        wins, losses: the examples.
        won, lost: how many there are in the log.
    """

    model: str
    wins: tuple[Example, ...]
    losses: tuple[Example, ...]
    won: int
    lost: int


def examples(contents: Contents, model: str, *, each: int = EACH) -> Examples | None:
    """Draw a few wins and losses of a model.

    Their order is that of a hash of the log's seed and the query's id, so it depends on no text and
    no outcome, and the same log gives the same examples.

    Args:
        contents: of the log.
        model: a candidate.
        each: at most so many wins, and as many losses.

    Returns:
        None without answers, or where the model has no win and no loss.
    """
    if contents.pool.responses is None:
        return None
    seed = contents.header["seed"] if contents.race is None else contents.race.get("seed")
    judged = sorted(
        (side for side in sides(contents) if side.model == model),
        key=lambda side: hashlib.sha256(f"{seed}|{side.entry.query}".encode()).digest(),
    )
    won, lost = ([side for side in judged if side.outcome == code] for code in (1, -1))
    if not won and not lost:
        return None
    wins, losses = (tuple(_example(contents, side) for side in some[:each]) for some in (won, lost))
    return Examples(model, wins, losses, won=len(won), lost=len(lost))


def _example(contents: Contents, side: Side) -> Example:
    pool, entry = contents.pool, side.entry
    row = pool.responses_to(entry.query)
    answers = [_answer(row[entry.model]), _answer(row[pool.baseline])]
    mine, other = answers if entry.model == side.model else answers[::-1]
    text = _cut(pool.text_of(entry.query), TEXT)
    return Example(side.query, text, side.against, mine, other, entry.by)


def _answer(text: str) -> str:
    return "(no answer)" if text == NO_ANSWER or not text.strip() else _cut(text, ANSWER)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[:length]} [... {len(text) - length} more]"
