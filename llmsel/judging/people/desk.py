"""Several people at one log: who holds which pair, and for how long."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable
from typing import Any

from llmsel._base.errors import InputError
from llmsel._base.terminal import short
from llmsel.judging.judges import text_of
from llmsel.judging.people.rendering import EMPTY, differences, raw, rendered
from llmsel.judging.people.turns import FIRST, KEYS, Pair, Turns
from llmsel.pool import MISSING

LEASE = 300.0  # seconds without a sign of life after which a pair goes to somebody else
LONGEST = 60  # characters of a name
LATE = "this pair has been judged, or given to somebody else, meanwhile; nothing was recorded."
CLOSE = "You may close this page."
WAIT = "The others hold all open pairs; the next comes as soon as one is judged."


@dataclasses.dataclass
class Lease:
    """A pair that somebody holds, until a moment of the clock."""

    pair: Pair
    until: float


class Desk:
    """Hands out the pairs of a log and takes the verdicts, one person at a time.

    Nobody is told which models there are, who leads, or what others said.

    Args:
        turns: the open pairs; its log is written by this desk alone.
        lease: seconds.
        clock: for tests.
    """

    def __init__(
        self, turns: Turns, *, lease: float = LEASE, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Nobody holds anything."""
        self._turns, self._lease, self._clock = turns, lease, clock
        self._guard = threading.RLock()
        self._held: dict[str, Lease] = {}
        self._last: dict[str, Pair] = {}  # what each was shown, for answers that come late
        self._counts: dict[str, int] = {}
        self._steady = True

    def next(self, who: str) -> dict[str, Any]:
        """Say what a person is to judge now, as JSON can hold it; the same until it is answered."""
        with self._guard:
            return self._state(_name(who), "")

    def give(self, who: str, pair: str, key: str) -> dict[str, Any]:
        """Take a verdict and say what comes next; a pair is judged once, however often this comes.

        Args:
            who: the annotator.
            pair: its name, as `next` gave it.
            key: 1 to 4.

        Raises:
            InputError: no such key, or what the log says; nothing is recorded then.
        """
        who = _name(who)
        if key not in KEYS:
            raise InputError(f"no key '{short(key)}'; the keys are {', '.join(KEYS)}.")
        with self._guard:
            self._settle()
            mine = self._last.get(who)
            free = pair not in self._taken(who)
            if mine is None or mine.name != pair or not free or not self._turns.is_open(mine, who):
                return self._state(who, LATE)
            self._steady = False
            outcome = mine.outcome(key)
            self._turns.give(mine, outcome, who)
            self._steady = True
            self._counts[who] = self._counts.get(who, 0) + (outcome != MISSING)
            self._held.pop(who, None)
            return self._state(who, "")

    def undo(self, who: str) -> dict[str, Any]:
        """Take a person's own last verdict back, and show that pair again.

        Raises:
            InputError: there is none, or what the log says.
        """
        who = _name(who)
        with self._guard:
            self._settle()
            self._steady = False
            self._turns.undo(who)
            self._steady = True
            self._counts[who] = max(0, self._counts.get(who, 0) - 1)
            self._held.pop(who, None)
            return self._state(who, "your last verdict is taken back.")

    def alive(self, who: str) -> None:
        """Keep a pair for somebody who is reading."""
        with self._guard:
            if (lease := self._held.get(_name(who))) is not None:
                lease.until = self._clock() + self._lease

    def leave(self, who: str) -> None:
        """Give a pair back: its page was closed."""
        with self._guard:
            self._held.pop(_name(who), None)

    def close(self) -> None:
        """Let the verdict in hand reach the disk, and take no more."""
        with self._guard:
            self._turns.log.close()

    def _settle(self) -> None:
        """After an error in the middle of a write, go by what the log says."""
        if not self._steady:
            self._turns.resume()
            self._steady = True

    def _taken(self, who: str) -> set[str]:
        """Names of the pairs that others hold now."""
        now = self._clock()
        return {x.pair.name for name, x in self._held.items() if name != who and x.until > now}

    def _state(self, who: str, note: str) -> dict[str, Any]:
        self._settle()
        taken, lease = self._taken(who), self._held.get(who)
        kept = lease is not None and lease.pair.name not in taken
        pair = lease.pair if lease is not None and kept else None
        if pair is None or not self._turns.is_open(pair, who):
            self._steady = False
            pair = self._turns.next(who, taken)
            self._steady = True
        self._held.pop(who, None)
        if pair is not None:
            self._held[who] = Lease(pair, self._clock() + self._lease)
            self._last[who] = pair
        progress = self._turns.progress
        given = self._counts.get(who, 0)
        return {
            "note": note,
            "progress": {"text": progress.text, "share": progress.share, "yours": given},
            "pair": None if pair is None else self._shown(pair),
            "wait": pair is None and bool(taken),
            "end": "" if pair is not None else WAIT if taken else f"{self._turns.end} {CLOSE}",
        }

    def _shown(self, pair: Pair) -> dict[str, Any]:
        text = text_of(self._turns.log.session.pool, pair.query)
        left, right = pair.sides
        marked = differences(left, right)
        return {
            "name": pair.name,
            "again": pair.kind != FIRST,
            "query": {"rendered": rendered(text), "raw": raw(text)},
            "left": _faces(left, marked[0]),
            "right": _faces(right, marked[1]),
        }

    @property
    def over(self) -> bool:
        """Whether the race, or every query, is done."""
        with self._guard:
            race = self._turns.race
            if race is not None:
                return bool(race.verdict().stop)
            return not self._turns.log.session.remaining


def _faces(text: str, marked: str) -> dict[str, str]:
    if not text:
        return dict.fromkeys(("rendered", "raw", "differences"), EMPTY)
    return {"rendered": rendered(text), "raw": raw(text), "differences": marked}


def _name(who: object) -> str:
    """Check an annotator's name.

    Raises:
        InputError: none, or one that is too long.
    """
    name = short(who, LONGEST + 1) if isinstance(who, str) else ""
    if not 1 <= len(name) <= LONGEST:
        raise InputError(f"give a name of 1 to {LONGEST} characters; it stands in the log.")
    return name
