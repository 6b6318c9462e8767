"""What a verdict is about: a query's text and two answers, whatever they are called.

Names change, rows are shuffled, models and queries come and go; a verdict on the same text and the
same two answers, by the same judge, stays true.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from llmsel.pool import Pool

ADJUDICATED = "adjudicated"  # the entry of a line that decides between two people
Event = Mapping[str, Any]


def verdict_key(text: str, response: str, baseline_response: str) -> str:
    """Hash of what was compared: 32 hex digits of SHA-256.

    Args:
        text: of the query; its id in a pool without texts.
        response: of the candidate.
        baseline_response: of the baseline.
    """
    held = json.dumps([text, response, baseline_response]).encode()
    return hashlib.sha256(held).hexdigest()[:32]


def key_of(pool: Pool, query: str, model: str) -> str | None:
    """Key of a cell of a pool; None in a pool without responses."""
    if pool.responses is None:
        return None
    row = pool.responses[pool.place(query)]
    return verdict_key(pool.text_of(query), row[pool.column(model)], row[pool.baseline_index])


def alike(pool: Pool, query: str, model: str) -> tuple[str, ...]:
    """Candidates with the very answer of a candidate to a query; itself in a pool without answers.

    Args:
        pool: of the query.
        query: its id.
        model: a candidate.

    Returns:
        In the pool's order.
    """
    if pool.responses is None:
        return (model,)
    row = pool.responses[pool.place(query)]
    own = row[pool.column(model)]
    return tuple(each for each in pool.candidates if row[pool.column(each)] == own)


def keys_of(pool: Pool) -> Counter[str]:
    """Keys of all cells of a pool, and how many cells have each; none without responses."""
    found = (key_of(pool, query, model) for query in pool.queries for model in pool.candidates)
    return Counter(key for key in found if key is not None)


def standing(events: Iterable[Event], pool: Pool | None = None) -> dict[str, dict[str, Any]]:
    """Collect the verdicts of a log that stand, by key; a failed or skipped one is none.

    Args:
        events: lines of the log but its header, in order.
        pool: that was judged, for the keys of outcomes that were written without one (by llmsel
            before 0.3); None leaves those out.

    Returns:
        Key -> entries of a "carried" line: ``key``, ``outcome``, ``order``, ``by``, ``time``,
        ``judge`` (the settings of an LLM or program; None for a person), ``detail``.
    """
    cells: dict[tuple[str, str], dict[str, Any]] = {}
    firsts: dict[tuple[str, str], dict[str, Any]] = {}  # that an adjudication replaced
    bank: dict[str, dict[str, Any]] = {}
    judge: Mapping[str, Any] | None = None
    for event in events:
        if "carried" in event:
            bank[event["carried"]["key"]] = dict(event["carried"])
        elif "judge" in event:
            judge = event["judge"]
        elif "undo" in event:
            for cell in {(event["undo"], model) for model in event["models"]}:
                cells.pop(cell, None)
                firsts.pop(cell, None)
        elif ADJUDICATED in event:
            _decide(cells, firsts, event)
        elif event.get("withdrawn") == ADJUDICATED:
            held = {(event["query"], model) for model in event["models"]} & firsts.keys()
            cells |= {cell: firsts.pop(cell) for cell in held}
        elif "query" in event and "outcome" in event:
            cells[event["query"], event["model"]] = _entry(event, judge, pool)
    given = {e["key"]: e for e in cells.values() if e["key"] and e["outcome"] is not None}
    return bank | given


def _entry(event: Event, judge: Mapping[str, Any] | None, pool: Pool | None) -> dict[str, Any]:
    key = event.get("key")
    if key is None and pool is not None:
        key = key_of(pool, event["query"], event["model"])
    detail = dict(event.get("detail") or {})
    origin = detail.pop("carried", None)  # carried before: the time and judge of its own
    return {
        "key": key,
        "outcome": event["outcome"],
        "order": event["order"],
        "by": event["by"],
        "time": event["time"] if origin is None else origin,
        "judge": None if judge is None else dict(judge),
        "detail": detail,
    }


def _decide(
    cells: dict[tuple[str, str], dict[str, Any]],
    firsts: dict[tuple[str, str], dict[str, Any]],
    event: Event,
) -> None:
    """Let an adjudication take the place of the verdicts on its pair."""
    for model in event["models"]:
        cell = event[ADJUDICATED], model
        if cell in cells:
            first = firsts.setdefault(cell, cells[cell])
            mine = {key: event[key] for key in ("outcome", "order", "by", "time")}
            kept = {key: first[key] for key in mine}
            cells[cell] = {**first, **mine, "detail": {**first["detail"], "first": kept}}
