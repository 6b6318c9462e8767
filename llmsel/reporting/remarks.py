"""What stands beside a verdict: how far its judgements can be trusted, and how it came about.

The command line, the report and its exit codes say the same, because they ask here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from llmsel.judging.collect import bias
from llmsel.judging.replay import Annotation, Contents
from llmsel.pool import MISSING
from llmsel.studies.diagnose import judge_is_candidate

FAILED_SHARE = 0.05  # of the judgements: more, and what is missing may decide
AGREEMENT = 0.5  # of a judge with itself, both orders shown: less, and the order decides
SHOWN = 6  # models named in a sentence
ENOUGH = 5  # swapped pairs before a judge is told that the order decides


def failures(given: Sequence[Annotation]) -> dict[str, int]:
    """Count the judgements that gave no outcome (failed, or skipped), by model; none is left out.

    Args:
        given: annotations of a log.
    """
    return dict(Counter(entry.model for entry in given if entry.outcome == MISSING))


def warnings_about(contents: Contents) -> list[str]:
    """Name what makes the verdict of a log doubtful, one sentence each; empty when nothing does."""
    given = contents.given
    judges = sorted({entry.by for entry in given})
    found = [_failed(given)]
    found += [_fickle(name, [entry for entry in given if entry.by == name]) for name in judges]
    check = judge_is_candidate(contents.session.pool, ", ".join(judges))
    found.append(check.advice)
    return [sentence for sentence in found if sentence]


def _failed(given: Sequence[Annotation]) -> str:
    failed = failures(given)
    count = sum(failed.values())
    if not count or count <= FAILED_SHARE * len(given):
        return ""
    shown = sorted(failed.items(), key=lambda item: -item[1])
    named = ", ".join(f"'{model}' {k}" for model, k in shown[:SHOWN])
    more = ", ..." if len(shown) > SHOWN else ""
    return (
        f"{count} of {len(given)} judgements ({count / len(given):.0%}) gave no outcome ({named}"
        f"{more}): find out why before you trust the others."
    )


def _fickle(judge: str, given: Sequence[Annotation]) -> str:
    found = bias(given)
    if found["pairs"] < ENOUGH or found["agreement"] >= AGREEMENT:
        return ""
    return (
        f"the judge '{judge}' agrees with itself on {found['agreement']:.0%} of "
        f"{found['pairs']:.0f} pairs shown in both orders: it mostly follows the order it is "
        "shown; take a better one."
    )


def course(contents: Contents) -> list[tuple[str, str]]:
    """Say how a log came about: who judged, by which rule, with which settings and seed.

    Returns:
        Pairs of what and value, for people.
    """
    session, race = contents.session, contents.race
    judges = ", ".join(sorted({entry.by for entry in contents.given}))
    facts = [("judged by", judges)]
    if race is None:
        rule = "none" if session.rule is None else repr(session.rule)
        return [
            *facts,
            ("queries chosen by", repr(session.strategy)),
            ("stopping rule", rule),
            ("seed", str(session.seed)),
        ]
    settings = dict(race)
    rule_settings = dict(settings.pop("rule"))
    order = "random" if settings.pop("order", None) is None else "an order of its own"
    facts += [("rule", f"{rule_settings.pop('name')}"), ("order of the queries", order)]
    shown = {**rule_settings, **settings}
    return facts + [(_NAMES.get(name, name), str(value)) for name, value in shown.items()]


_NAMES = {
    "alpha": "chance of a wrong certificate (alpha)",
    "delta": "margin in win rate (delta)",
    "batch": "queries asked for at a time (batch)",
    "seed": "seed of the order",
}
