"""What a verdict is about: a query's text and two answers, whatever they are called.

Names change, rows are shuffled, models and queries come and go; a verdict on the same text and the
same two answers, by the same judge, stays true. Where candidate and baseline have changed places it
stays true with its sign turned.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from llmsel.pool import Pool

ADJUDICATED = "adjudicated"  # the entry of a line that decides between two people
Event = Mapping[str, Any]
BOTH_WAYS = ("identical", "no answer", "context")  # details that are of no side
Context = Callable[[str], str | None]  # query text -> hash of what else its verdicts depend on


def no_context(_query: str) -> str | None:
    """The context of a judge that is shown nothing but query and answers."""
    return None


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
    """Keys of all cells that need a verdict, and how many cells have each.

    Equal answers need none; without responses nothing is known of any cell.
    """
    if pool.responses is None:
        return Counter()
    different = pool.responses != pool.responses[:, [pool.baseline_index]]
    cells = zip(*np.nonzero(different), strict=True)
    found = (key_of(pool, pool.queries[i], pool.models[j]) for i, j in cells)
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


def holds(entry: Mapping[str, Any], judge: Mapping[str, Any] | None, context: str | None) -> bool:
    """Tell whether a verdict of an older log is one that the present judge would give.

    Args:
        entry: see `standing`.
        judge: settings of the present one; None for a person. The hash of all references is left
            out: with one more query it changes.
        context: hash of what the judge is shown with this query, such as its reference.
    """
    same = _but_references(entry["judge"]) == _but_references(judge)
    return bool(same and entry["detail"].get("context") == context)


def _but_references(settings: Any) -> Any:
    """Leave the hash of all references out, in a panel that of each member."""
    if isinstance(settings, Mapping):
        return {k: _but_references(v) for k, v in settings.items() if k != "references"}
    return [_but_references(each) for each in settings] if isinstance(settings, list) else settings


def holding(held: Mapping[str, Event], pool: Pool) -> tuple[dict[str, dict[str, Any]], set[str]]:
    """Find the verdicts that hold on a pool, turned where its baseline was the candidate then.

    A verdict of a judge that saw the answers in one order only is not turned: in the other order it
    might have said something else.

    Args:
        held: verdicts by key, as `standing` gives them.
        pool: with responses; without them none holds.

    Returns:
        Key of a cell of the pool -> verdict with that key, ``detail["turned"]`` True where it was
        turned; and the keys of ``held`` that they come from.
    """
    found: dict[str, dict[str, Any]] = {}
    used: set[str] = set()
    for query in pool.queries if pool.responses is not None else ():
        row, text = pool.responses_to(query), pool.text_of(query)
        for model in pool.candidates:
            key = verdict_key(text, row[model], row[pool.baseline])
            back = verdict_key(text, row[pool.baseline], row[model])
            if key in held:
                found[key] = dict(held[key])
                used.add(key)
            elif back in held and not _one_order(held[back]["judge"]):
                found[key] = _turned(held[back], key)
                used.add(back)
    return found, used


def _one_order(settings: Any) -> bool:
    """Whether a judge, or one of a panel, was shown the answers in one order only."""
    if isinstance(settings, Mapping):
        orders = settings.get("orders")
        return (isinstance(orders, list) and len(orders) == 1) or _one_order([*settings.values()])
    return isinstance(settings, list) and any(_one_order(each) for each in settings)


def _turned(entry: Event, key: str) -> dict[str, Any]:
    """The same verdict from the other side; what else was noted is kept where it can be turned."""
    swapped = {"candidate first": "baseline first", "baseline first": "candidate first"}
    held = entry["detail"]
    detail: dict[str, Any] = {name: held[name] for name in BOTH_WAYS if name in held}
    if not held.get("turned"):  # twice turned is as it was
        detail["turned"] = True
    for name in ("verdicts", "reasons", "scores"):  # of either order, or candidate and baseline
        noted = held.get(name)
        if isinstance(noted, list) and len(noted) == 2:
            detail[name] = noted[::-1]
    return {
        **entry,
        "key": key,
        "outcome": -entry["outcome"],
        "order": swapped.get(entry["order"], entry["order"]),
        "detail": detail,
    }


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
