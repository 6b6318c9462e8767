"""Annotations: what an annotation log says.

A log is a JSON Lines file. The first line is a header that names the pool (by content hash), the
strategy, the seed and the stopping rule; then one line per outcome, undo, second opinion, race
begun, or judge that takes over. A log that goes on from an older one begins with the verdicts it
carries. A query is finished, and told to the session, when every candidate has a line (null: not
judged). The session, and the race if there is one, are therefore functions of the log and the pool:
`replay` rebuilds the session bit for bit. `llmsel.judging.log` writes such files.
"""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from llmsel._base.errors import InputError
from llmsel._base.files import VERSION
from llmsel.judging.keys import ADJUDICATED
from llmsel.judging.lines import damage, need_fields, need_words, read_lines
from llmsel.judging.opening import STAMP, Types, Wanted, begin_session
from llmsel.judging.opinions import SECOND, Opinion, Opinions, check_opinion, opinion
from llmsel.pool import MISSING, Pool
from llmsel.racing.race import rule_of
from llmsel.session import Session
from llmsel.strategies import Strategy

ORDERS = ("candidate first", "baseline first", "both", "not shown")
_OUTCOME: Types = {
    "query": str,
    "model": str,
    "outcome": (int, type(None)),
    "order": str,
    "by": str,
    "time": str,
}

_CHEAP: Types = {"cheap": str, "model": str, "outcome": (int, type(None)), "by": str, "time": str}
_CARRIED: Types = {
    "key": str,
    "outcome": int,
    "order": str,
    "by": str,
    "time": str,
    "judge": (dict, type(None)),
    "detail": dict,
}


@dataclasses.dataclass(frozen=True)
class Annotation:
    """One outcome as it stands in the log.

    Args:
        query, model: what was judged: the model's response against the baseline's.
        outcome: -1 (loss), 0 (draw), 1 (win) or `Outcome.MISSING` (skipped, or no verdict).
        order: one of `ORDERS`: how the two responses were shown.
        by: the annotator or judge.
        time: UTC, ISO 8601.
        version: of llmsel.
        group: the same number on outcomes that were given in one go (identical responses, or a
            whole row); undone together.
        detail: what else the annotator or judge left, e.g. the verdict in each order; ``carried``
            has the time of a verdict that an older log brought, ``first`` the verdict (outcome,
            order, by, time) that an adjudication replaced.
        key: of what was compared, see `llmsel.judging.keys`; None in logs before 0.3.
    """

    query: str
    model: str
    outcome: int
    order: str
    by: str
    time: str
    version: str = VERSION
    group: int | None = None
    detail: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    key: str | None = None

    @property
    def failed(self) -> str | None:
        """Why a judge gave no verdict; None for a verdict, and for what a person skipped."""
        if self.outcome != MISSING or not self.detail:
            return None
        return str(self.detail.get("failed", "no verdict could be read"))


class Contents:
    """What a log says, as far as it was read.

    Args:
        header: of the log.
        begin: makes the session that the header describes, at its start.

    Attributes:
        given: every `Annotation` that stands, in the order of the log; undone ones are left out.
        rows: the same by query and model.
        race: the settings of the race that was begun in this log, see
            `llmsel.racing.race.Race.settings`; None for none.
        judges: settings of the judges in turn, each with `voted` before it began.
        cheap: verdicts of a cheap judge by query and model, MISSING where it gave none; they are no
            outcomes.
        lines: events read. known: outcomes ever given, undone ones too. undone, again: of these,
            how many were taken back, and how many failed judgements were judged again. voted:
            outcomes ever given that are no failures or skips, undone ones too.
        before_race: outcomes that were known when the race began.
        cost: of all judgements, undone and failed ones too, as far as they say; in the currency of
            the judge's prices.
        bank: verdicts of an older log that this one was begun with, by key; they count as given
            only when they are asked for. origin: where they come from (log, verdicts, races).
        opinions: what second annotators said, and the disagreements that were decided.
        firsts: verdicts that an adjudication replaced, by (query, model).
        line_of: (query, model) of what stands -> number of lines before it.
    """

    def __init__(self, header: Mapping[str, Any], begin: Callable[[], Session]) -> None:
        """Nothing is read yet."""
        self.header = dict(header)
        self.given: list[Annotation] = []
        self.rows: dict[str, dict[str, Annotation]] = {}
        self.race: dict[str, Any] | None = None
        self.judges: list[tuple[int, dict[str, Any]]] = []
        self.cheap: dict[str, dict[str, int]] = {}
        self.lines = self.known = self.undone = self.again = self.before_race = self.voted = 0
        self.cost = 0.0
        self._paid_group: int | None = None
        self.bank: dict[str, dict[str, Any]] = {}
        self.origin: dict[str, Any] | None = None
        self.opinions = Opinions()
        self.firsts: dict[tuple[str, str], Annotation] = {}
        self.line_of: dict[tuple[str, str], int] = {}
        self._begin = begin
        self._session = begin()
        self._queries = frozenset(self.pool.queries)
        self._candidates = frozenset(self.pool.candidates)
        self._finished: list[str] = []  # in the order in which they were
        self._told = 0  # so many of them
        self._steady = True  # False while the session learns: a stop leaves it half told
        self._last_undo: tuple[str, list[str]] | None = None

    @property
    def pool(self) -> Pool:
        """The pool that is annotated."""
        return self._session.pool

    @property
    def session(self) -> Session:
        """The `Session`, which has learned every finished query."""
        if not self._steady:
            self._session, self._told = self._begin(), 0
        self._steady = False
        for query in self._finished[self._told :]:
            row = self.rows[query]
            self._session.tell(query, {model: row[model].outcome for model in row})
            self._told += 1
        self._steady = True
        return self._session

    def apply(self, events: Iterable[tuple[int, Mapping[str, Any]]], path: Path) -> None:
        """Bring it up to date with further lines of the log.

        Args:
            events: number of the line in the file, and what it says.
            path: of the log, for messages.

        Raises:
            InputError: a line that is damaged, or cannot follow those before it.
        """
        for number, event in events:
            try:
                self._apply(event)
            except (ValueError, RecursionError) as error:
                raise damage(path, number, error) from error
            self.lines += 1

    def check_race(self, settings: Mapping[str, Any], name: str) -> None:
        """Refuse a race with other settings than those of the race that the log holds.

        Args:
            settings: `llmsel.racing.race.Race.settings`, as JSON reads them.
            name: of the log, for the message.

        Raises:
            InputError: one of them differs.
        """
        for setting, wanted in settings.items():
            kept = wanted if self.race is None else self.race.get(setting)
            if wanted != kept:
                raise InputError(
                    f"'{name}' holds a race with {setting} {kept}, not {wanted}: a certificate is "
                    "worth nothing when its settings are chosen after looking; go on with those, "
                    "or begin a new log."
                )

    @property
    def verdicts(self) -> int:
        """Outcomes that stand and are known: no failed judgement, no skip."""
        return sum(entry.outcome != MISSING for entry in self.given)

    def _apply(self, event: Mapping[str, Any]) -> None:
        checked(event)
        if "race" in event:
            self._begin_race(event["race"])
        elif "judge" in event:
            self.judges.append((self.voted, event["judge"]))
        elif "cheap" in event:
            self._pay(event)
            self._add_cheap(event["cheap"], event["model"], event["outcome"])
        elif "origin" in event:
            self.origin = dict(event["origin"])
        elif "carried" in event:
            self.bank[event["carried"]["key"]] = event["carried"]
        elif "undo" in event:
            self._undo(event["undo"], event["models"])
        elif SECOND in event or ADJUDICATED in event or "withdrawn" in event:
            self._hear(event)
        else:
            self._pay(event)
            code = event["outcome"]
            self._add(Annotation(**{**event, "outcome": MISSING if code is None else code}))

    def _pay(self, event: Mapping[str, Any]) -> None:
        """Count what a judgement cost, once for a group and not if it was carried."""
        detail, group = event.get("detail") or {}, event.get("group")
        cost = detail.get("cost")
        new = (group is None or group != self._paid_group) and "carried" not in detail
        if new and isinstance(cost, int | float) and math.isfinite(cost):
            self.cost += cost
        self._paid_group = group

    def _begin_race(self, settings: dict[str, Any]) -> None:
        if "seed_chosen" not in self.header:  # llmsel 0.2 did not say whether a seed was drawn
            settings = {"seed_drawn": None, **settings}
        if self.race is not None and self.race != settings:
            raise ValueError("it begins a second race, with other settings than the first")
        if self.race is None:
            self.race, self.before_race = dict(settings), self.known

    def _add(self, entry: Annotation) -> None:
        self._check(entry.query, entry.model)
        row = self.rows.setdefault(entry.query, {})
        held = row.get(entry.model)
        if held is not None and held.outcome != MISSING:
            if held.outcome == entry.outcome:
                return  # written twice: a stop came between writing and noting it
            raise ValueError(
                f"it gives '{entry.model}' on '{entry.query}' another outcome than a line before it"
            )
        if held is not None:  # a judgement that failed is judged again
            self._drop(held)
            self.again += 1
        row[entry.model] = entry
        self.line_of[entry.query, entry.model] = self.lines
        self.given.append(entry)
        self.known += 1
        self.voted += entry.outcome != MISSING
        self._last_undo = None
        if len(row) == len(self._candidates):
            self._finished.append(entry.query)

    def _hear(self, event: Mapping[str, Any]) -> None:
        """Note what a second person said; an adjudication takes the place of the first verdict."""
        for model in event["models"]:
            self._check(event.get(SECOND, event.get(ADJUDICATED, event.get("query"))), model)
        if SECOND in event:
            self.opinions.second(event, self.lines)
        elif ADJUDICATED in event:
            self._decide(opinion(event, ADJUDICATED, self.lines))
        elif (decided := self.opinions.withdraw(event)) is not None:
            for model in decided.models:
                if (first := self.firsts.pop((decided.query, model), None)) is not None:
                    self._replace(first)

    def _decide(self, said: Opinion) -> None:
        self.opinions.decided[said.pair] = said
        row = self.rows.get(said.query, {})
        for model in said.models:
            if model in row:
                first = self.firsts.setdefault((said.query, model), row[model])
                kept = {key: getattr(first, key) for key in ("outcome", "order", "by", "time")}
                mine = {key: getattr(said, key) for key in kept}
                detail = {**first.detail, "first": kept}
                self._replace(dataclasses.replace(first, **mine, detail=detail))

    def _replace(self, entry: Annotation) -> None:
        """Put an outcome in the place of the one that stands; what came after is learned again."""
        row = self.rows[entry.query]
        place = next(i for i, each in enumerate(self.given) if each is row[entry.model])
        self.given[place] = row[entry.model] = entry
        if entry.query in self._finished:
            place = self._finished.index(entry.query)
            if place < self._told:
                self._rewind(place)

    def _add_cheap(self, query: str, model: str, code: int | None) -> None:
        """Keep the first verdict on a cell: the race has used it."""
        self._check(query, model)
        self.cheap.setdefault(query, {}).setdefault(model, MISSING if code is None else code)

    def _check(self, query: str, model: str) -> None:
        if query not in self._queries:
            raise ValueError(f"the pool has no query '{query}'")
        if model not in self._candidates:
            raise ValueError(f"the pool has no candidate '{model}'")

    def _undo(self, query: str, models: list[str]) -> None:
        if (query, models) == self._last_undo:
            return  # written twice, as above
        row = self.rows.get(query, {})
        for model in models:
            if model not in row:
                raise ValueError(f"it takes back '{model}' on '{query}', which was not given")
            self._drop(row[model])
        self.undone += len(models)
        self._last_undo = query, models

    def _drop(self, entry: Annotation) -> None:
        """Take an outcome out, and its query from those that the session has learned."""
        del self.rows[entry.query][entry.model]
        self.firsts.pop((entry.query, entry.model), None)
        self.opinions.decided.pop((entry.query, entry.model), None)
        place = max(i for i, each in enumerate(self.given) if each is entry)
        del self.given[place]
        if entry.query not in self._finished:
            return
        place = self._finished.index(entry.query)
        del self._finished[place]
        if place < self._told:
            self._rewind(place)

    def _rewind(self, count: int) -> None:
        """Bring the session back to the first so many queries."""
        self._steady = False
        del self._session.history[count + 1 :]
        self._session.undo()
        self._told, self._steady = count, True


def checked(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a line of a log, none but the header, as far as it can be checked by itself.

    Raises:
        ValueError: what is wrong with it.
    """
    if "race" in event or "judge" in event:
        need_fields(event, {"race" if "race" in event else "judge": dict}, STAMP)
    elif "cheap" in event:
        need_fields(event, _CHEAP, STAMP | {"detail": dict})
        _need_code(event["outcome"])
    elif "origin" in event:
        need_fields(event, {"origin": dict}, STAMP)
        need_fields(event["origin"], {"log": str, "verdicts": int, "races": int}, {})
    elif "carried" in event:
        need_fields(event, {"carried": dict}, STAMP)
        need_fields(event["carried"], _CARRIED, {})
    elif "undo" in event:
        need_fields(event, {"undo": str, "models": list}, STAMP)
        need_words(event["models"])
    elif SECOND in event or ADJUDICATED in event or "withdrawn" in event:
        check_opinion(event)
        if "order" in event:
            _need_code(event["outcome"])
            _need_order(event["order"])
    else:
        need_fields(event, _OUTCOME, STAMP | {"group": int, "detail": dict, "key": str})
        _need_code(event["outcome"])
        _need_order(event["order"])
    return event


def _need_order(order: str) -> None:
    if order not in ORDERS:
        raise ValueError(f"its order is {order!r}")


def _need_code(outcome: int | None) -> None:
    if outcome not in (-1, 0, 1, None):  # MISSING is written as null
        raise ValueError(f"its outcome is {outcome}")


def replay(path: str | Path, pool: Pool, *, strategy: str | Strategy | None = None) -> Session:
    """Rebuild the session of a log, bit for bit, without locking or changing the log.

    Args:
        path: of the log.
        pool: the pool that was annotated.
        strategy: only for a strategy that llmsel does not know by itself.

    Raises:
        InputError: no log, a damaged one, or one of another pool or strategy.
    """
    return read_log(path, pool, strategy=strategy).session


def read_log(path: str | Path, pool: Pool, *, strategy: str | Strategy | None = None) -> Contents:
    """Read a log without locking or changing it; parameters and errors as for `replay`."""
    path = Path(path)
    if not path.exists():
        raise InputError(f"no log '{path}'.")
    read = read_lines(path)
    if read.header is None:
        raise InputError(f"'{path}' has no header line; it is not an annotation log.")
    if read.torn:
        warnings.warn(read.torn.replace("was removed", "is ignored"), stacklevel=3)
    header = read.header
    wanted = Wanted(strategy=strategy)
    contents = Contents(header, lambda: begin_session(path, header, pool=pool, wanted=wanted))
    contents.apply(read.events, path)
    return contents


def certifies(race: Mapping[str, Any]) -> bool:
    """Whether a race with these `llmsel.racing.race.Race.settings` is to give a certificate."""
    try:
        return rule_of(race).certifies
    except InputError:
        return True  # a rule of one's own: nothing is taken for granted
