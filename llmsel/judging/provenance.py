"""How the outcomes of a log came about: what stands under a statement, and what warns of it."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from llmsel.judging.overlaps import judged_twice
from llmsel.judging.replay import Annotation, Contents, certifies
from llmsel.racing.pairs import described
from llmsel.racing.race import RaceVerdict

FEW = 0.5  # a judge that agrees with itself less often than this mostly follows the order
ENOUGH = 4  # pairs in both orders, before that is said


def bias(given: Iterable[Annotation], judge: str | None = None) -> dict[str, float]:
    """Measure a judge's position bias on the comparisons it saw in both orders.

    Args:
        given: the annotations; of a panel's, what each member said counts by itself.
        judge: only what this judge, or member of a panel, said; None for all.

    Returns:
        ``pairs``: comparisons with a verdict in both orders, identical responses counted once;
        ``agreement``: share with the same outcome in both; ``first`` and ``second``: share in which
        the answer shown first (second) won in both orders, and their sum ``position_bias``. The
        shares are NaN without pairs.
    """
    pairs: dict[Any, list[str]] = {}
    for entry in given:
        cell = entry.query, entry.model if entry.group is None else entry.group
        own = {"by": entry.by, **entry.detail}
        for place, detail in enumerate((own, *_members(entry.detail))):
            said = detail.get("verdicts", [])
            both = isinstance(said, list) and len(said) == 2
            if both and all(isinstance(v, str) for v in said) and judge in (None, detail.get("by")):
                pairs[*cell, place] = said
    n = len(pairs)

    def share(*wanted: list[str]) -> float:
        return sum(said in wanted for said in pairs.values()) / n if n else float("nan")

    first, second = share(["A", "A"]), share(["B", "B"])
    return {
        "pairs": n,
        "agreement": share(["A", "B"], ["B", "A"], ["tie", "tie"]),
        "first": first,
        "second": second,
        "position_bias": first + second,
    }


def _members(detail: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What each member of a panel said, or how it is set; empty where there is no panel."""
    found = detail.get("members", [])
    return [m for m in found if isinstance(m, Mapping)] if isinstance(found, list) else []


def failures(given: Iterable[Annotation]) -> dict[str, int]:
    """Count a judge's judgements without a verdict: model -> number, the most first."""
    return dict(Counter(each.model for each in given if each.failed is not None).most_common())


def warnings_of(contents: Contents) -> tuple[str, ...]:
    """Say why the outcomes of a log should not be trusted as they are; empty if nothing is known.

    Args:
        contents: what the log says.
    """
    found = [*_looked(contents), *_half_decided(contents)]
    found += [
        f"{change} Begin a new log to have one judge judge all." for change in _turns(contents)
    ]
    judges = judges_of(contents.given)
    for judge in judges:
        measured = bias(contents.given, judge)
        if measured["pairs"] >= ENOUGH and measured["agreement"] < FEW:
            found.append(
                f"the judge '{judge}' agrees with itself in {measured['agreement']:.0%} of "
                f"{measured['pairs']:.0f} pairs shown in both orders: it mostly follows the order "
                "it is shown; take a better one."
            )
    found += [
        f"the judge '{judge}' is also a model of the pool: judges favour their own answers; take "
        "another judge or leave that model out."
        for judge in judges
        if twins(judge, contents.pool.models)
    ]
    if failed := failures(contents.given):
        counts = ", ".join(f"'{model}' {count}" for model, count in failed.items())
        found.append(
            f"{sum(failed.values())} of {len(contents.given)} judgements failed ({counts}); ask "
            "for them again with retry_failed (--retry-failed)."
        )
    return tuple(found)


def judges_of(given: Sequence[Annotation]) -> list[str]:
    """Name whoever judged, a panel's members too."""
    said = [each for entry in given for each in _members(entry.detail)]
    return sorted({entry.by for entry in given} | {str(each.get("by")) for each in said})


def remarks_of(contents: Contents) -> tuple[str, ...]:
    """Say how the outcomes of a log came about, for the lines under its statement.

    Args:
        contents: what the log says.
    """
    parts = [_seed(contents), *_carried(contents)]
    if contents.race is not None and contents.before_race:
        parts.append(_late(contents))
    if contents.undone:
        parts.append(f"{contents.undone} outcomes were taken back.")
    if contents.again:
        parts.append(f"{contents.again} judgements that had failed were judged again.")
    people = Counter(each.by for each in contents.given)
    if len(people) > 1:
        counts = ", ".join(f"'{name}' {count}" for name, count in people.most_common())
        parts.append(f"several judged: {counts} outcomes.")
    parts += [*_turns(contents), *_decided(contents)]
    return tuple(part for part in parts if part)


def told(verdict: RaceVerdict, contents: Contents) -> RaceVerdict:
    """Return a race's verdict as its log bears it out: with remarks, and certified only if earned.

    A race bets on outcomes that are fixed before it begins. Who changes the judge on the way may
    do so because of what was seen, so nothing is certified then; nor is a race that began late, or
    whose seed was chosen when carried verdicts were known. Of pairs on which two people differ
    either every first verdict counts, or every adjudication: with some decided and others not,
    somebody could pick, and nothing is certified.

    Args:
        verdict: what the race says by itself.
        contents: the log that holds it.
    """
    why = ""
    if contents.race is not None and certifies(contents.race):
        why = " ".join([*_looked(contents), *_turns(contents), *_half_decided(contents)])
    statement = f"No certificate: {why} " if why else ""
    return dataclasses.replace(
        verdict,
        certified=verdict.certified and not why,
        statement=statement + verdict.statement,
        remarks=(*verdict.remarks, *remarks_of(contents)),
    )


def twins(judge: str, models: Iterable[str]) -> list[str]:
    """Models that are the judge, whatever stands before the last slash of either's name."""
    own = judge.rsplit("/", maxsplit=1)[-1]
    return [model for model in models if model.rsplit("/", maxsplit=1)[-1] == own]


def _late(contents: Contents) -> str:
    return f"the race began when {contents.before_race} outcomes were known."


def _looked(contents: Contents) -> list[str]:
    """Say which outcomes were known when a race that is to certify, or its seed, was chosen."""
    race = contents.race
    if race is None or not certifies(race):
        return []
    found = []
    if contents.before_race:
        found.append(_late(contents))
    if contents.bank and not race.get("seed_drawn", False):
        found.append(f"the seed was chosen when {len(contents.bank)} carried verdicts were known.")
    return found


def _half_decided(contents: Contents) -> list[str]:
    """Say that some disagreements of people are decided, and others are not."""
    differ = [each for each in judged_twice(contents) if each.differs]
    decided = sum(each.decided is not None for each in differ)
    if decided in (0, len(differ)):
        return []
    return [
        f"{decided} of {len(differ)} disagreements between people are decided, and it must be all "
        "or none; decide the others too (llmsel annotate --adjudicate)."
    ]


def _decided(contents: Contents) -> list[str]:
    """Say how many pairs were judged twice, and whose word counts where people differ."""
    twice = judged_twice(contents)
    differ = [each for each in twice if each.differs]
    if not twice:
        return []
    parts = [f"two people judged {len(twice)} pairs and differ on {len(differ)}"]
    if any(each.decided is not None for each in differ):
        parts.append(
            "these were decided afterwards and the race was played again with what was decided: "
            "that this was to be done must have been settled before anybody saw who led"
        )
    elif differ:
        parts.append("there the first verdict counts")
    return ["; ".join(parts) + "."]


def _carried(contents: Contents) -> list[str]:
    """Say what an older log brought, which pool this is about, and what earlier races cost."""
    if contents.origin is None:
        return []
    pool, origin = contents.pool, contents.origin
    used = sum("carried" in each.detail for each in contents.given)
    parts = [
        f"{used} of {origin['verdicts']} verdicts carried over from '{origin['log']}' were asked "
        f"for; this is about pool '{pool.name}' as it is now: {described(pool)}."
    ]
    if origin["races"] and contents.race is not None:
        times = origin["races"] + 1
        parts.append(
            f"it is race {times} on these verdicts: each may be wrong as often as its own "
            "certificate says, and their chances add up."
        )
    return parts


def _seed(contents: Contents) -> str:
    """Say whether the seed of the order was drawn."""
    race = contents.race
    if race is None:
        seed, drawn = contents.header.get("seed"), contents.session.seed_drawn
    else:
        seed, drawn = race.get("seed"), race.get("seed_drawn", False)
    if drawn is None:
        return f"the log does not say whether the seed {seed} was drawn or chosen."
    return f"the seed {seed} was {'drawn at random' if drawn else 'chosen, not drawn'}."


def _turns(contents: Contents) -> list[str]:
    """Say each change of the judge that has outcomes before and after it, undone ones too."""
    return [
        f"the judge was changed after {known} outcomes: {_changes(old, new)}."
        for (_, old), (known, new) in pairwise(contents.judges)
        if 0 < known < contents.voted and _changes(old, new)
    ]


def _members_changed(
    old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]
) -> list[str]:
    if len(old) != len(new):
        return ["other members"]
    inner = [_changes(*pair) for pair in zip(old, new, strict=True)]
    return [f"member {i}: {change}" for i, change in enumerate(inner, 1) if change]


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Name the settings that differ; one that an older log does not hold is no change."""
    keys = [key for key in old if key in new and old[key] != new[key]]
    told = []
    if "members" in keys:
        keys.remove("members")
        told = _members_changed(_members(old), _members(new))
    return ", ".join([*told, *(f"{key} {old[key]!r} to {new[key]!r}" for key in keys)])
