"""The annotation log: every outcome on disk before the next is asked for.

An append-only file, each line flushed and fsynced; `llmsel.judging.replay` says what is in it.
After anything that goes wrong between writing a line and noting it (a full disk, a broken one,
Ctrl-C), the log is in doubt: what it says is read from disk again before anything else is done.
"""

from __future__ import annotations

import contextlib
import os
import warnings
import weakref
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from llmsel._base.errors import InputError, unknown
from llmsel.judging.durable import lock, place_of, sync_folder, write_all
from llmsel.judging.keys import Context, holds, key_of, no_context
from llmsel.judging.lines import FORMAT, Lines, need_ours, read_lines, seal
from llmsel.judging.opening import Wanted, begin_session, plain, pool_hash, ready, stamp, votes_hash
from llmsel.judging.replay import ORDERS, Annotation, Contents, certifies
from llmsel.pool import MISSING, Pool
from llmsel.racing.elimination import LockstepRule
from llmsel.racing.pairs import check_compared
from llmsel.session import Session
from llmsel.strategies import Strategy, make

# Running a notebook cell twice opens its log twice: the newer takes over from the older.
_OPEN: weakref.WeakValueDictionary[Path, AnnotationLog] = weakref.WeakValueDictionary()
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)


class AnnotationLog:
    """A session whose every outcome is on disk; opening an existing log continues it.

    Args:
        path: of the log; created if absent.
        pool: the pool that is annotated; weak votes are added if the strategy needs them.
        strategy: as for `Session`; None takes that of the log, or Random.
        seed: as for `Session`; None takes that of the log, or draws one. The log says which.
        rule: as for `Session`; None takes that of the log, or none.
        delta: as for `Session`; None takes that of the log, or 0.

    Attributes:
        repaired: what was wrong with the last line, or None.

    Raises:
        InputError: the file is no log or cannot be written, another process writes it, it belongs
            to another pool, strategy or seed, or one of its lines is damaged.
    """

    def __init__(
        self,
        path: str | Path,
        pool: Pool,
        *,
        strategy: str | Strategy | None = None,
        seed: int | None = None,
        rule: LockstepRule | None = None,
        delta: float | None = None,
    ) -> None:
        """Lock, repair and replay the log."""
        self.path = Path(path).resolve()
        if self.path in _OPEN:
            _OPEN[self.path].close()
        need_ours(self.path)
        self._file: int | None = None
        self._closed, self._doubt = False, True
        self._end: int | None = None  # bytes that are surely on disk; None before the first reading
        self._where: tuple[int, int] | None = None
        self._lock = lock(self.path)
        self._pool = pool
        self._context: Context = no_context
        wanted = Wanted(strategy, seed, rule, delta)
        self._header = partial(_header, pool, wanted)
        self._begin = partial(begin_session, self.path, pool=pool, wanted=wanted)
        self.repaired: str | None = None
        try:
            self._lock_place = place_of(self._lock.lock_file)
            self._reopen()
        except BaseException:
            self.close()
            raise
        _OPEN[self.path] = self

    @property
    def contents(self) -> Contents:
        """What the log says; read from disk again after anything that went wrong in writing it."""
        if self._doubt and not self._closed:
            self._reopen()
        return self._contents

    @property
    def session(self) -> Session:
        """The session, which has learned every finished query."""
        return self.contents.session

    @property
    def given(self) -> list[Annotation]:
        """Every annotation that stands, in the order of the log."""
        return self.contents.given

    @property
    def rows(self) -> dict[str, dict[str, Annotation]]:
        """The annotations that stand, by query and model."""
        return self.contents.rows

    @property
    def race(self) -> dict[str, Any] | None:
        """Settings of the race that was begun in this log; None for none."""
        return self.contents.race

    def begin_race(self, settings: Mapping[str, Any]) -> None:
        """Note the settings of a race, once, so that its certificate can be had from the log.

        Args:
            settings: `llmsel.racing.race.Race.settings`.

        Raises:
            InputError: a race with other settings was begun in this log, or outcomes are known
                already and the race is to give a certificate.
        """
        wanted, contents = plain(settings), self.contents
        contents.check_race(wanted, self.path.name)
        if contents.race is not None:
            return
        if contents.known and certifies(wanted):
            raise InputError(
                f"'{self.path.name}' holds {contents.known} outcomes already, and a race that "
                "begins after outcomes are known can give no certificate; begin a new log, or race "
                "with the Heuristic rule."
            )
        self._commit([{"race": wanted, **stamp()}])

    def begin_judge(self, settings: Mapping[str, Any], context: Context = no_context) -> None:
        """Note who judges from now on, where that differs from before.

        Args:
            settings: see `llmsel.judging.judges.Judge.settings`.
            context: see `llmsel.judging.judges.Judge.context`.
        """
        self._context = context
        wanted, judges = plain(settings), self.contents.judges
        if not judges or judges[-1][1] != wanted:
            self._commit([{"judge": wanted, **stamp()}])

    def record(
        self,
        query: str,
        outcomes: Mapping[str, int],
        *,
        by: str,
        order: str = "not shown",
        detail: Mapping[str, Any] | None = None,
    ) -> bool:
        """Write outcomes on a query; tell the session when every candidate has one.

        An outcome may follow one that is MISSING (a judgement that failed or was skipped).

        Args:
            query: its id.
            outcomes: candidate -> -1, 0, 1 or `Outcome.MISSING`; any of the candidates.
            by: the annotator or judge.
            order: see `Annotation`.
            detail: see `Annotation`.

        Returns:
            True if the query is finished now.

        Raises:
            InputError: an unknown query, model, outcome or order, an outcome given twice, or a log
                that is closed or cannot be written. Nothing is noted then.
        """
        self._check(query, outcomes, order)
        shared: dict[str, Any] = {"order": order, "by": str(by), **stamp()}
        if len(outcomes) > 1:
            shared["group"] = self.contents.lines
        if detail:
            shared["detail"] = dict(detail)
        codes = {m: None if outcome == MISSING else int(outcome) for m, outcome in outcomes.items()}
        self._commit([self._line(query, m, code, shared) for m, code in codes.items()])
        return not self.open_models(query)

    def note(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Write lines that give no outcome, such as verdicts of a cheap judge."""
        self._commit([{**event, **stamp()} for event in events])

    def begin_with(self, verdicts: Iterable[Mapping[str, Any]], name: str, *, races: int) -> None:
        """Take over the verdicts of an older log, before anything else is written.

        Args:
            verdicts: entries as `llmsel.judging.keys.standing` gives them.
            name: of the older log.
            races: that were begun on these verdicts before.

        Raises:
            InputError: this log holds something already.
        """
        if self.contents.lines:
            raise InputError(f"'{self.path.name}' is begun already; name a new log.")
        entries = [{"carried": dict(entry), **stamp()} for entry in verdicts]
        origin = {"log": name, "verdicts": len(entries), "races": races}
        self._commit([*entries, {"origin": origin, **stamp()}])

    def carried(self, query: str, model: str) -> Mapping[str, Any] | None:
        """The verdict of an older log on a cell; None without one, or if another judge gave it."""
        contents = self.contents
        key = key_of(self._pool, query, model) if contents.bank else None
        entry = None if key is None else contents.bank.get(key)
        now = contents.judges[-1][1] if contents.judges else None
        context = self._context(self._pool.text_of(query))
        return entry if entry is not None and holds(entry, now, context) else None

    def take_carried(self, cells: Iterable[tuple[str, Iterable[str]]]) -> int:
        """Record what an older log says about some cells; return how many.

        Args:
            cells: query id, and candidates that are open on it.
        """
        lines = []
        for query, models in cells:
            for model in models:
                entry = self.carried(query, model)
                if entry is not None and model not in self.rows.get(query, {}):
                    shared = {"order": entry["order"], "by": entry["by"], **stamp()}
                    shared["detail"] = {**entry["detail"], "carried": entry["time"]}
                    lines.append(self._line(query, model, entry["outcome"], shared))
        if lines:
            self._commit(lines)
        return len(lines)

    def _line(
        self, query: str, model: str, code: int | None, shared: Mapping[str, Any]
    ) -> dict[str, Any]:
        """An outcome as it is written, with the key of what was compared."""
        key = key_of(self._pool, query, model)
        known = {} if key is None else {"key": key}
        return {"query": query, "model": model, "outcome": code, **shared, **known}

    def undo(self) -> tuple[str, tuple[str, ...]]:
        """Take the last annotation back; the log keeps it, followed by a line that undoes it.

        Outcomes that were recorded by one call of `record` are one annotation.

        Returns:
            The query id and the models whose outcomes are open again.

        Raises:
            InputError: nothing to undo, or a log that is closed or cannot be written.
        """
        if not self.given:
            raise InputError("nothing to undo: no outcome is annotated yet.")
        last = self.given[-1]
        models = [
            entry.model
            for entry in self.given
            if entry is last or (entry.group is not None and entry.group == last.group)
        ]
        self._commit([{"undo": last.query, "models": models, **stamp()}])
        return last.query, tuple(models)

    def open_models(self, query: str) -> list[str]:
        """Candidates without an outcome on a query, in the pool's order."""
        done = self.rows.get(query, {})
        return [model for model in self._pool.candidates if model not in done]

    @property
    def closed(self) -> bool:
        """True after `close`, or after the same process has opened the log again."""
        return self._closed

    def close(self) -> None:
        """Release the lock; the log can be opened again."""
        self._closed = True
        self._release()
        self._lock.release()
        if _OPEN.get(self.path) is self:
            del _OPEN[self.path]

    def __enter__(self) -> AnnotationLog:
        """Use as ``with AnnotationLog(...) as log``."""
        return self

    def __exit__(self, *_: object) -> None:
        """Release the lock."""
        self.close()

    def _check(self, query: str, outcomes: Mapping[str, int], order: str) -> None:
        """Refuse what cannot be recorded."""
        self._pool.place(query)
        if order not in ORDERS:
            raise unknown("order", order, ORDERS)
        row = self.rows.get(query, {})
        for model, outcome in outcomes.items():
            if model not in self._pool.candidates:
                raise unknown("candidate", model, self._pool.candidates)
            check_compared(self._pool, query, model)
            if model in row and row[model].outcome != MISSING:
                raise InputError(
                    f"model '{model}' on query '{query}' is annotated already; undo() takes the "
                    "last annotation back."
                )
            if isinstance(outcome, bool) or outcome not in (-1, 0, 1, MISSING):
                raise InputError(
                    f"the outcome of model '{model}' on query '{query}' is {outcome!r}; it must be "
                    "-1 (loss), 0 (draw), 1 (win) or Outcome.MISSING."
                )

    def _commit(self, events: list[dict[str, Any]]) -> None:
        """Write events and note them; an error or a stop in between leaves the log in doubt."""
        contents = self.contents
        if self._closed or self._file is None:
            raise InputError(f"the log '{self.path.name}' is closed; open it again to go on.")
        data = b"".join(seal(event) for event in events)
        self._check_place()
        self._doubt = True
        try:
            write_all(self._file, data)
        except OSError as error:
            raise InputError(
                f"'{self.path.name}' could not be written ({error.strerror or error}); that "
                "annotation is not recorded. Make room or mend the disk, and give it again."
            ) from error
        self._end = (self._end or 0) + len(data)
        contents.apply(enumerate(events, contents.lines + 2), self.path)
        self._doubt = False

    def _check_place(self) -> None:
        """Refuse to write where this is no longer the one writer of this file."""
        if self._lock_place != place_of(self._lock.lock_file):
            raise self._lost(
                f"the lock '{self.path.name}.lock' was deleted or replaced while the log was open, "
                "so that another program may write it too"
            )
        if self._where != place_of(self.path) or self.path.stat().st_size != self._end:
            raise self._lost(
                f"'{self.path.name}' was changed, moved or replaced by another program while it "
                "was open"
            )

    def _lost(self, what: str) -> InputError:
        self.close()
        return InputError(
            f"{what}; nothing was written. Look which file is the right one, and open it again."
        )

    def _reopen(self) -> None:
        """Read the log from disk, cut off what a stop left of a line, and open it for writing."""
        self._release()
        try:
            read = read_lines(self.path) if self.path.exists() else Lines()
            if self._end is not None and (
                self._where != place_of(self.path) or read.whole < self._end
            ):
                raise self._lost(f"'{self.path.name}' was replaced while it was open")
            file = self._file = os.open(self.path, _FLAGS, 0o666)
            self._where = place_of(self.path)
            if self._end is None:
                self._cut(file, read)
            else:
                self._write_again(file, read.whole)
            self._contents = self._read(file, read)
        except OSError as error:
            raise InputError(
                f"'{self.path.name}' cannot be written ({error.strerror or error}); make room or "
                "mend the disk, or name another file."
            ) from error
        self._doubt = False

    def _cut(self, file: int, read: Lines) -> None:
        """Remove half a line at the end, which a stop of an earlier process left."""
        if read.torn:
            os.ftruncate(file, read.whole)
            warnings.warn(read.torn, stacklevel=4)
        self.repaired = read.torn
        self._end = read.whole

    def _write_again(self, file: int, whole: int) -> None:
        """Write what followed the last line that is surely on disk once more.

        After a failed fsync it may be in memory alone, and no further fsync would write it.
        """
        kept = self._end or 0
        os.lseek(file, kept, os.SEEK_SET)
        tail = os.read(file, whole - kept)
        os.ftruncate(file, kept)
        write_all(file, tail)
        self._end = whole

    def _read(self, file: int, read: Lines) -> Contents:
        """Replay the log; begin it if it is empty."""
        header = read.header
        if header is None:
            header = self._header()
            self._write_header(file, seal(header))
        contents = Contents(header, partial(self._begin, header))
        contents.apply(read.events, self.path)
        return contents

    def _write_header(self, file: int, data: bytes) -> None:
        try:
            write_all(file, data)
        except BaseException:  # half a header would be nobody's file
            with contextlib.suppress(OSError):
                os.ftruncate(file, 0)
            raise
        self._end = len(data)
        sync_folder(self.path.parent)

    def _release(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):  # what it had to say was said by fsync
                os.close(file)


def _header(pool: Pool, wanted: Wanted) -> dict[str, Any]:
    """Describe a new log.

    Raises:
        InputError: a session that cannot be.
    """
    strategy = make("Random" if wanted.strategy is None else wanted.strategy)
    session = Session(
        ready(pool, strategy),
        strategy,
        seed=wanted.seed,
        rule=wanted.rule,
        delta=wanted.delta or 0.0,
    )
    pool = session.pool
    return {
        "llmsel": "annotations",
        "format": FORMAT,
        "pool": pool_hash(pool),
        "votes": votes_hash(pool) if "votes" in strategy.needs else None,
        "pool_name": pool.name,
        "baseline": pool.baseline,
        "strategy": plain(strategy.settings),
        "seed": session.seed,
        "seed_chosen": not session.seed_drawn,
        "rule": None if session.rule is None else plain(session.rule.settings),
        "delta": session.delta,
        **stamp(),
    }
