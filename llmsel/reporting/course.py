"""How a log came about, for people: who judged, by which rule, with which settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmsel.judging.replay import Contents
from llmsel.pool import MISSING
from llmsel.racing.pairs import comparisons

_NAMES = {
    "alpha": "chance of a wrong certificate (alpha)",
    "delta": "margin in win rate (delta)",
    "batch": "asked for at a time (batch)",
    "seed": "seed of the order",
    "seed_drawn": "seed drawn at random",
}


def course(contents: Contents) -> list[tuple[str, str]]:
    """Say who judged and how the queries came: pairs of what and value."""
    facts = [("judged by", ", ".join(sorted({entry.by for entry in contents.given})))]
    if contents.judges:
        settings = dict(contents.judges[-1][1])
        settings.pop("name", None)
        facts += [(f"judge: {name}", _shown(value)) for name, value in settings.items()]
    pool, judged = contents.pool, sum(entry.outcome != MISSING for entry in contents.given)
    facts.append(("comparisons judged", f"{judged} of {comparisons(pool)} in this pool"))
    facts += _of_session(contents) if contents.race is None else _of_race(contents.race)
    if contents.undone:
        facts.append(("outcomes taken back", str(contents.undone)))
    return facts


def _of_session(contents: Contents) -> list[tuple[str, str]]:
    session = contents.session
    rule = "none" if session.rule is None else repr(session.rule)
    return [
        ("queries chosen by", repr(session.strategy)),
        ("stopping rule", rule),
        ("seed", str(session.seed)),
    ]


def _of_race(race: Mapping[str, Any]) -> list[tuple[str, str]]:
    settings = dict(race)
    rule = dict(settings.pop("rule"))
    order = "random" if settings.pop("order", None) is None else "an order of its own"
    if settings.get("seed_drawn", True) is None:
        settings["seed_drawn"] = "not known"
    facts = [("rule", str(rule.pop("name"))), ("order of the queries", order)]
    return facts + [(_NAMES.get(k, k), _shown(v)) for k, v in {**rule, **settings}.items()]


def _shown(value: object) -> str:
    """Return a value on one line; dictionaries as name = value, a panel's one after the other."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} = {_shown(each)}" for name, each in value.items()) or "none"
    if isinstance(value, list) and value and all(isinstance(e, Mapping | list) for e in value):
        return "; ".join(_shown(each) for each in value)
    if isinstance(value, list):
        return ", ".join(_shown(each) for each in value) or "none"
    if isinstance(value, float):
        return f"{value:.4g}"
    words = {None: "none", True: "yes", False: "no"}
    return words[value] if value is None or isinstance(value, bool) else str(value)
