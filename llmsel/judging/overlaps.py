"""What two people said of the same pairs: how far they agree, and where they do not.

A pair is a query and one answer beside the baseline's; identical answers are one pair. The verdicts
that are compared are those that were given before anybody decided a disagreement.
"""

from __future__ import annotations

import dataclasses
from itertools import combinations

from llmsel._base.words import counted
from llmsel.judging.agreement import Agreement, agreement
from llmsel.judging.keys import alike
from llmsel.judging.opinions import Opinion, Pair
from llmsel.judging.replay import Annotation, Contents
from llmsel.pool import MISSING


@dataclasses.dataclass(frozen=True)
class Twice:
    """A pair with a first verdict and at least one further.

    Args:
        first: the first verdict, as it was given.
        others: further verdicts, by annotator; skips are none.
        decided: the adjudication, or None.
    """

    first: Annotation
    others: tuple[Opinion, ...]
    decided: Opinion | None

    @property
    def differs(self) -> bool:
        """Whether somebody said another thing than the first."""
        return any(each.outcome != self.first.outcome for each in self.others)

    @property
    def people(self) -> frozenset[str]:
        """Who judged it."""
        return frozenset({self.first.by, *(each.by for each in self.others)})


@dataclasses.dataclass(frozen=True)
class Overlap:
    """How far the annotators of a log agree.

    Args:
        overall: the first verdict on each pair against the second, whoever gave them.
        by_pair: the same for each two annotators with a pair in common, in order of their names.
        judged: pairs that have a first verdict by a person.
        twice: of these, how many have a second.
        differ: of these, how many on which two said different things.
        decided: of these, how many are adjudicated.
    """

    overall: Agreement
    by_pair: tuple[Agreement, ...]
    judged: int
    twice: int
    differ: int
    decided: int

    @property
    def statement(self) -> str:
        """All that, a line each."""
        if not self.twice:
            return (
                f"{counted(self.judged, 'pair')} judged, none of them by two people; "
                "`llmsel annotate --overlap 0.1` gives a tenth of them to a second."
            )
        open_ = self.differ - self.decided
        rest = (
            f"{self.twice} of {counted(self.judged, 'pair')} were judged twice; on {self.differ} "
            f"two people differ, {self.decided} of these are decided"
            + (f"; `llmsel annotate --adjudicate` shows the other {open_}." if open_ else ".")
        )
        return "\n".join(each.statement for each in (self.overall, *self.by_pair)) + f"\n{rest}"


def judged_twice(contents: Contents) -> list[Twice]:
    """Collect the pairs that two people judged, in the order of the log.

    Args:
        contents: what the log says.
    """
    found: list[Twice] = []
    if not contents.opinions.seconds:
        return found  # asked at every step of a race; nobody looks at all pairs for nothing
    for pair, first in firsts_of(contents).items():
        said = contents.opinions.seconds.get(pair, {}).values()
        others = tuple(o for o in said if o.outcome != MISSING and o.by != first.by)
        if others:
            found.append(Twice(first, others, contents.opinions.decided.get(pair)))
    return found


def firsts_of(contents: Contents) -> dict[Pair, Annotation]:
    """Collect what a person said first of each pair, before any adjudication; no skips.

    Args:
        contents: what the log says.
    """
    found: dict[Pair, Annotation] = {}
    for entry in contents.given:
        first = contents.firsts.get((entry.query, entry.model), entry)
        if shown(first) and first.outcome != MISSING:
            models = alike(contents.pool, entry.query, entry.model)
            found.setdefault((entry.query, models[0]), first)
    return found


def shown(entry: Annotation) -> bool:
    """Whether somebody saw this pair: not filled in, and not from an older log."""
    return entry.order in ("candidate first", "baseline first") and "carried" not in entry.detail


def overlap(contents: Contents) -> Overlap:
    """Measure how far the annotators of a log agree beyond chance, with intervals over queries.

    Args:
        contents: what the log says, see `llmsel.judging.read_log`.

    Returns:
        Cohen's kappa over all, and of each two annotators, see `llmsel.judging.agreement`.
    """
    twice = judged_twice(contents)
    first, second = {}, {}
    people: dict[str, dict[Pair, int]] = {}
    for each in twice:
        pair = each.others[0].pair
        first[pair], second[pair] = each.first.outcome, each.others[0].outcome
        people.setdefault(each.first.by, {})[pair] = each.first.outcome
        for other in each.others:
            people.setdefault(other.by, {})[pair] = other.outcome
    by_pair = [
        agreement(people[one], people[two], names=(one, two))
        for one, two in combinations(sorted(people), 2)
        if people[one].keys() & people[two].keys()
    ]
    return Overlap(
        overall=agreement(first, second, names=("first verdicts", "second verdicts")),
        by_pair=tuple(by_pair),
        judged=len(firsts_of(contents)),
        twice=len(twice),
        differ=sum(each.differs for each in twice),
        decided=sum(each.decided is not None for each in twice if each.differs),
    )
