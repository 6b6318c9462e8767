"""Who judges what next: the rules that the notebook view and the page for annotators share.

Which answer is on the left is drawn by hash, so that opening a log again shows the same. Identical
answers are judged once; one that equals the baseline's is a draw without asking. Of the pairs that
are judged, a share that is drawn by hash too goes to a second person, whoever is free.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Collection, Iterator
from functools import cached_property
from typing import Any

from llmsel._base.errors import InputError
from llmsel.judging.collect import advance, outlook, resume
from llmsel.judging.judges import Group, groups, settled
from llmsel.judging.keys import ADJUDICATED, alike
from llmsel.judging.log import AnnotationLog
from llmsel.judging.opinions import SECOND, Opinion
from llmsel.judging.overlaps import firsts_of, judged_twice, shown
from llmsel.judging.replay import Contents
from llmsel.pool import MISSING
from llmsel.racing.forecast import Forecast
from llmsel.racing.pairs import comparisons, contestants, has_pairs
from llmsel.racing.race import Race
from llmsel.strategies import Random

FIRST = "first"
WORLDS = 5  # of the forecast behind the progress
KEYS = {"1": 1, "2": 0, "3": -1, "4": MISSING}  # -> outcome for the answer on the left


@dataclasses.dataclass(frozen=True)
class Pair:
    """One query with two answers, to be shown to one person.

    Args:
        query: its id.
        group: the candidate's answer and the baseline's; ``models`` are those it counts for.
        flipped: True if the candidate is on the right.
        kind: ``first``, ``second`` or ``adjudicated``.
    """

    query: str
    group: Group
    flipped: bool
    kind: str = FIRST

    @cached_property
    def name(self) -> str:
        """Names it on a page, without the names of models: 16 hex digits."""
        return _hash(self.kind, self.query, self.group.response).hex()[:16]

    @property
    def sides(self) -> tuple[str, str]:
        """The answers, left and right."""
        pair = (self.group.response, self.group.baseline_response)
        return pair[::-1] if self.flipped else pair

    def outcome(self, key: str) -> int:
        """Turn a key, which speaks of the answer on the left, into the candidate's outcome."""
        outcome = KEYS[key]
        return -outcome if self.flipped and outcome != MISSING else outcome

    @property
    def order(self) -> str:
        """How it is shown, as the log says it."""
        return "baseline first" if self.flipped else "candidate first"


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far a log is; it says nothing about who leads.

    Args:
        text: for people.
        share: done, 0..1.
    """

    text: str
    share: float


class Turns:
    """The open pairs of one log, and what is written when somebody answers.

    Args:
        log: an open `AnnotationLog` of a pool with responses; a race that it holds is gone on with.
        limits: a race whose limits (budget, most_failed) that race takes; None for the usual.
        overlap: share (0..1) of the pairs that go to a second person.
        adjudicate: show the pairs on which two people differ, and nothing else.

    Raises:
        InputError: a pool without responses, or a share out of range.
    """

    def __init__(
        self,
        log: AnnotationLog,
        *,
        limits: Race | None = None,
        overlap: float = 0.0,
        adjudicate: bool = False,
    ) -> None:
        """Bring the race up to the log."""
        if not 0 <= overlap <= 1:
            raise InputError(f"overlap={overlap} must be a share in [0, 1].")
        log.session.pool.need("responses")
        self.log, self.adjudicate = log, adjudicate
        self._overlap, self._limits = overlap, limits
        self._pool_hash = log.session.pool.content_hash
        self._skipped: set[tuple[str, str]] = set()  # disagreements left alone, by annotator
        self.race = resume(log, limits)

    def resume(self) -> None:
        """Bring the race up to the log again, after an outcome was taken back or a write failed."""
        self.race = resume(self.log, self._limits)

    def next(self, by: str, taken: Collection[str] = ()) -> Pair | None:
        """Find the next pair for an annotator; what needs no person is filled in on the way.

        Args:
            by: the annotator.
            taken: names of pairs that others hold.

        Raises:
            InputError: the log cannot be written.
        """
        kinds: list[Callable[[str], Iterator[Pair]]] = [self._seconds, self._firsts]
        for pairs in [self._disputed] if self.adjudicate else kinds:
            for pair in pairs(by):
                if pair.name not in taken:
                    return pair
        return None

    def is_open(self, pair: Pair, by: str) -> bool:
        """Whether a pair still waits for this annotator's verdict."""
        contents, place = self.log.contents, (pair.query, pair.group.models[0])
        if pair.kind == SECOND:
            first = firsts_of(contents).get(place)
            return first is not None and first.by != by and not contents.opinions.seconds.get(place)
        if pair.kind == ADJUDICATED:
            return place not in contents.opinions.decided and any(
                each.others[0].pair == place for each in judged_twice(contents) if each.differs
            )
        row = contents.rows.get(pair.query, {})
        return not any(model in row for model in pair.group.models)

    def give(self, pair: Pair, outcome: int, by: str) -> None:
        """Write a verdict on a pair; it is on disk when this returns.

        Args:
            pair: that was shown.
            outcome: of the candidate: -1, 0, 1 or `Outcome.MISSING` for a skip.
            by: the annotator.

        Raises:
            InputError: what the log says; nothing is noted then.
        """
        if pair.kind == FIRST:
            given = dict.fromkeys(pair.group.models, outcome)
            self.log.record(pair.query, given, by=by, order=pair.order)
        elif pair.kind == ADJUDICATED and outcome == MISSING:
            self._skipped.add((pair.name, by))
        else:
            said: dict[str, Any] = {pair.kind: pair.query, "models": list(pair.group.models)}
            said["outcome"] = None if outcome == MISSING else outcome
            self.log.note([{**said, "order": pair.order, "by": by}])
            if pair.kind == ADJUDICATED:
                self.resume()

    def undo(self, by: str) -> None:
        """Take an annotator's last verdict back; what was filled in since comes back by itself.

        Raises:
            InputError: there is none, or it has been decided by another since.
        """
        contents = self.log.contents
        opinions = contents.opinions
        own: list[tuple[int, str, Any]] = [
            (contents.line_of[e.query, e.model], FIRST, e)
            for e in contents.given
            if e.by == by and shown(e) and (e.query, e.model) not in contents.firsts
        ]
        own += [(o.line, SECOND, o) for s in opinions.seconds.values() for o in s.values()]
        own += [(o.line, ADJUDICATED, o) for o in opinions.decided.values()]
        mine = [each for each in own if each[2].by == by]
        if not mine:
            raise InputError(f"nothing to undo: '{by}' has no verdict that stands by itself.")
        line, kind, last = max(mine, key=lambda each: each[0])
        if isinstance(last, Opinion):
            taken = {"withdrawn": kind, "query": last.query, "models": list(last.models), "by": by}
            self.log.note([taken])
        else:
            self.log.note(self._taken_back(last.query, last.model, line))
        self.resume()

    def _taken_back(self, query: str, model: str, line: int) -> list[dict[str, Any]]:
        """Lines that take back a pair, and all that was filled in by itself after it."""
        contents = self.log.contents
        row = contents.rows[query]
        gone = {query: [m for m in alike(contents.pool, query, model) if m in row]}
        for e in contents.given:
            filled = e.order == "not shown" or "carried" in e.detail
            if filled and contents.line_of[e.query, e.model] > line:
                models = gone.setdefault(e.query, [])
                models += [e.model] if e.model not in models else []
        return [{"undo": name, "models": models} for name, models in gone.items()]

    def _wanted(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Name the queries to judge now and the candidates open on each."""
        if self.race is not None:
            yield from ((task.query, task.models) for task in advance(self.race, self.log))
            return
        session = self.log.session
        if not session.remaining:
            return
        begun = [query for query in self.log.rows if self.log.open_models(query)]
        query = begun[-1] if begun else session.ask().query
        if self.log.take_carried([(query, self.log.open_models(query))]):
            yield from self._wanted()
        else:
            yield query, tuple(self.log.open_models(query))

    def _firsts(self, by: str) -> Iterator[Pair]:
        """Pairs that the race, or the session, asks for."""
        filled = True
        while filled:
            filled = False
            for query, group, outcome in self._asked():
                if outcome is None:
                    flipped = bool(_hash(self._pool_hash, query, group.response)[0] & 1)
                    yield Pair(query, group, flipped)
                else:
                    self.log.record(query, dict.fromkeys(group.models, outcome), by=by)
                    filled = True
                    break

    def _asked(self) -> Iterator[tuple[str, Group, int | None]]:
        """Pairs that are asked for, each with its outcome where that needs no person."""
        pool = self.log.session.pool
        for query, models in self._wanted():
            row = self.log.rows.get(query, {})
            for group in groups(pool, query, pool.candidates):
                left = tuple(model for model in group.models if model in models)
                if not left:
                    continue
                outcome = settled(group)
                known = [row[model] for model in group.models if model in row]
                if outcome is None and known:  # a stop between two lines of one click
                    outcome = known[0].outcome
                yield query, dataclasses.replace(group, models=left), outcome

    def _seconds(self, by: str) -> Iterator[Pair]:
        """Pairs of others that were drawn for a second person and have none yet."""
        if not self._overlap:
            return
        contents = self.log.contents
        for place, first in firsts_of(contents).items():
            if first.by == by or contents.opinions.seconds.get(place):
                continue
            pair = self._again(place, SECOND, by)
            draw = _hash(self._pool_hash, place[0], pair.group.response, "twice")
            if int.from_bytes(draw[:8], "big") < self._overlap * 2**64:
                yield pair

    def _disputed(self, by: str) -> Iterator[Pair]:
        """Pairs on which two others differ, and nobody has decided."""
        for each in judged_twice(self.log.contents):
            pair = self._again(each.others[0].pair, ADJUDICATED, by)
            open_ = each.differs and each.decided is None and (pair.name, by) not in self._skipped
            if open_ and by not in each.people:
                yield pair

    def _again(self, place: tuple[str, str], kind: str, by: str) -> Pair:
        """Show a pair again, its sides drawn anew: leaning to one side is no agreement."""
        query, model = place
        pool = self.log.session.pool
        (group,) = groups(pool, query, alike(pool, query, model))
        flipped = bool(_hash(self._pool_hash, query, group.response, kind, by)[0] & 1)
        return Pair(query, group, flipped, kind)

    @property
    def end(self) -> str:
        """Why there is nothing to judge."""
        if self.adjudicate:
            return "There is no disagreement that you could decide."
        if self.race is None:
            return "Every query is annotated."
        if self.race.failing:
            return "Too many pairs were skipped: undo, or race with a larger --most-failed."
        if self.race.ask_cheap():
            return "The race waits for its cheap judge: go on with `llmsel judge`."
        return "The race is over."

    @cached_property
    def _forecast(self) -> Forecast | None:
        """What the race is likely to cost in all, as it looked when these people began.

        None without a race, and without a baseline: the worlds of a forecast have one.
        """
        if self.race is None or has_pairs(self.log.session.pool):
            return None
        pool, settings = self.log.session.pool, self.race.settings
        options = {"rule": self.race.rule, "batch": settings["batch"], "worlds": WORLDS}
        (found,) = outlook(pool, self.log.contents, [settings["delta"]], **options)
        return found

    @property
    def progress(self) -> Progress:
        """How far it is, without a word about who leads."""
        if self.adjudicate:
            differ = [each for each in judged_twice(self.log.contents) if each.differs]
            done = sum(each.decided is not None for each in differ)
            text = f"{done} of {len(differ)} disagreements are decided"
            return Progress(text, done / len(differ) if differ else 1.0)
        if self.race is not None:
            return self._of_race(self.race)
        session = self.log.session
        done, size = len(session.history), session.pool.n_queries
        return Progress(f"{done} of {size} queries", done / size)

    def _of_race(self, race: Race) -> Progress:
        held, likely, pool = race.verdict(), self._forecast, self.log.session.pool
        expected = "" if likely is None else f" of likely {likely.low} to {likely.high}"
        models = len(contestants(pool))
        text = f"{held.calls} calls{expected}; {len(race.live)} of {models} models can still win"
        most = comparisons(pool) if likely is None else likely.high
        return Progress(text, 1.0 if held.stop else min(held.calls / max(most, 1), 0.99))


def _hash(*parts: str) -> bytes:
    return hashlib.sha256("|".join(parts).encode("utf-8", "surrogatepass")).digest()


def to_begin(contents: Contents) -> bool:
    """Whether a log is new and in random order, so that a race may begin.

    Args:
        contents: what the log says.
    """
    session = contents.session
    return (
        not contents.known
        and contents.race is None
        and session.rule is None
        and type(session.strategy) is Random
    )
