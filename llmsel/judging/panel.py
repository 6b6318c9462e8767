"""A panel of judges: what more than half of them say."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from llmsel._base.errors import InputError
from llmsel.answers.prices import Purse
from llmsel.judging.judges import Judge, Verdict, asked
from llmsel.pool import MISSING, Pool


class Panel(Judge):
    """Several judges, asked in turn until the rest cannot change the outcome.

    The outcome is what more than half of all members say, and a draw where no outcome has so many.
    Where members bring no verdict and theirs could change it, the judgement is missing: that is
    neither a draw, nor the majority of those who spoke.

    Args:
        judges: the members; the first are always asked, so the cheapest come first. Two draw
            wherever they differ, so an odd number decides more.
        name: in the log; made of the members' names if None.

    Raises:
        InputError: no member.
    """

    def __init__(self, judges: Sequence[Judge], *, name: str | None = None):
        """Keep the members."""
        if not judges:
            raise InputError("a panel needs at least one judge.")
        self.judges = tuple(judges)
        self.name = name or "panel of " + ", ".join(judge.name for judge in judges)

    @property
    def settings(self) -> dict[str, Any]:
        """Name, and the settings of every member."""
        return {"name": self.name, "members": [judge.settings for judge in self.judges]}

    def context(self, query: str) -> str | None:
        """Hash of what the members' verdicts on a query depend on; None for nothing."""
        found = [judge.context(query) for judge in self.judges]
        if not any(found):
            return None
        return hashlib.sha256(json.dumps(found).encode()).hexdigest()[:12]

    def limit(self, purse: Purse | None) -> None:
        """Let all members together spend no more than a purse has."""
        for judge in self.judges:
            judge.limit(purse)

    def check(self, pool: Pool) -> None:
        """Let every member look at the pool."""
        for judge in self.judges:
            judge.check(pool)

    def judge(self, query: str, response: str, baseline_response: str) -> Verdict:
        """Ask the members until the outcome is settled.

        ``detail["members"]`` has, for each that was asked, ``by``, ``outcome`` (None: no verdict),
        ``order`` and its own details.

        Raises:
            InputError: a member that cannot be used at all, as one whose server is gone.
        """
        given: list[Verdict] = []
        for judge in self.judges:
            given.append(asked(judge, query, response, baseline_response))
            left = len(self.judges) - len(given)
            outcome = majority([each.outcome for each in given], left)
            if outcome is not None:
                break
        else:
            outcome = MISSING
        detail: dict[str, Any] = {
            "members": [
                {
                    "by": judge.name,
                    "outcome": None if each.outcome == MISSING else each.outcome,
                    "order": each.order,
                    **each.detail,
                }
                for judge, each in zip(self.judges, given, strict=False)
            ]
        }
        if costs := [each.detail["cost"] for each in given if "cost" in each.detail]:
            detail["cost"] = sum(costs)
        if outcome == MISSING:
            detail |= _failed(detail["members"])
        orders = {each.order for each in given}
        return Verdict(outcome, orders.pop() if len(orders) == 1 else "not shown", detail)

    def estimate(
        self, pool: Pool, models: Sequence[str] | None = None
    ) -> Mapping[str, float] | None:
        """Say what it would take at most, if all members were asked; None if nothing."""
        return _sum([judge.estimate(pool, models) for judge in self.judges])

    def stop(self) -> None:
        """Begin nothing more, and break off soon what is under way."""
        for judge in self.judges:
            judge.stop()

    @property
    def spent(self) -> Mapping[str, float] | None:
        """What all members spent so far; None if they cost nothing."""
        return _sum([judge.spent for judge in self.judges])


def majority(given: Sequence[int], left: int) -> int | None:
    """Return the outcome of more than half, or a draw if none can have so many.

    Args:
        given: outcomes until now, MISSING for a member without a verdict.
        left: members that are still to be asked.

    Returns:
        The outcome that stands whatever the rest, and those without a verdict, would say; None
        while they could change it.
    """
    counts = Counter(outcome for outcome in given if outcome != MISSING)
    half, unknown = (len(given) + left) / 2, len(given) + left - counts.total()
    for outcome in (-1, 0, 1):
        if counts[outcome] > half:
            return outcome
    # a draw needs no majority
    possible = any(counts[outcome] + unknown > half for outcome in (-1, 1))
    return None if possible else 0


def _failed(members: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Say why a judgement is missing, and whether another day may bring one."""
    gone = [member for member in members if member["outcome"] is None]
    why = "; ".join(f"{m['by']}: {m.get('failed', 'no verdict could be read')}" for m in gone)
    failed = {"failed": f"{len(gone)} of {len(members)} members gave no verdict ({why})"}
    return failed | ({"passing": True} if any(m.get("passing") for m in gone) else {})


def _sum(bills: Sequence[Mapping[str, float] | None]) -> Mapping[str, float] | None:
    """Add up what is known."""
    known = [bill for bill in bills if bill is not None]
    keys = dict.fromkeys(key for bill in known for key in bill)
    return {key: sum(bill.get(key, 0) for bill in known) for key in keys} if known else None
