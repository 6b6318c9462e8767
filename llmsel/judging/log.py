"""The annotation log: every outcome on disk before the next is asked for.

An append-only file, each line flushed and fsynced; `llmsel.judging.replay` says what is in it.
"""

from __future__ import annotations

import json
import os
import warnings
import weakref
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import filelock

from llmsel._base.errors import InputError, unknown
from llmsel._base.files import VERSION
from llmsel.elimination import Rule
from llmsel.judging.replay import ORDERS, Annotation, Contents, begin_session, read_events
from llmsel.pool import MISSING, Pool
from llmsel.session import Session
from llmsel.strategies import Strategy, make

# Running a notebook cell twice opens its log twice: the newer takes over from the older.
_OPEN: weakref.WeakValueDictionary[Path, AnnotationLog] = weakref.WeakValueDictionary()


class AnnotationLog:
    """A session whose every outcome is on disk; opening an existing log continues it.

    Args:
        path: of the log; created if absent.
        pool: the pool that is annotated.
        strategy, seed, rule, delta: as for `Session`; None takes those of the log, or LLM Selector,
            0, no rule and 0.

    Attributes:
        session, given, rows, race: what the log says, see `llmsel.judging.replay.Contents`.
        repaired: what was wrong with the last line, or None.

    Raises:
        InputError: another process writes this log, the log belongs to another pool, strategy or
            seed, or one of its lines is damaged.
    """

    def __init__(
        self,
        path: str | Path,
        pool: Pool,
        strategy: str | Strategy | None = None,
        seed: int | None = None,
        rule: Rule | None = None,
        delta: float | None = None,
    ):
        """Lock, repair and replay the log."""
        self.path = Path(path).resolve()
        if self.path in _OPEN:
            _OPEN[self.path].close()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file: int | None = None
        # a file of its own: on Windows a locked file cannot even be read by others
        self._lock = filelock.FileLock(f"{self.path}.lock", timeout=0, thread_local=False)
        try:
            self._lock.acquire()
        except filelock.Timeout as error:
            raise InputError(
                f"another process is writing '{self.path.name}'; close it there first, or give "
                "this session a log of its own."
            ) from error
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
            self._file = os.open(self.path, flags, 0o666)
            header, events, self.repaired, whole = read_events(self.path)
            if self.repaired:
                os.truncate(self.path, whole)
                warnings.warn(self.repaired, stacklevel=2)
            if header is None:
                chosen = make("LLM Selector" if strategy is None else strategy)
                session = Session(pool, chosen, seed=seed or 0, rule=rule, delta=delta or 0.0)
                self._write([_header(session)])
                _sync_folder(self.path.parent)
            else:
                session = begin_session(self.path, header, pool, strategy, seed, rule, delta)
            self._lines = 0
            self._contents = Contents(session)
            self._apply(events)
        except BaseException:
            self.close()
            raise
        _OPEN[self.path] = self

    @property
    def session(self) -> Session:
        """The session, which has learned every finished query."""
        return self._contents.session

    @property
    def given(self) -> list[Annotation]:
        """Every annotation that stands, in the order of the log."""
        return self._contents.given

    @property
    def rows(self) -> dict[str, dict[str, Annotation]]:
        """The annotations that stand, by query and model."""
        return self._contents.rows

    @property
    def race(self) -> dict[str, Any] | None:
        """Settings of the race that was begun in this log; None for none."""
        return self._contents.race

    def begin_race(self, settings: Mapping[str, Any]) -> None:
        """Note the settings of a race, once, so that its certificate can be had from the log.

        Args:
            settings: `llmsel.race.Race.settings`.

        Raises:
            InputError: a race with other settings was begun in this log.
        """
        wanted = json.loads(json.dumps(settings))
        self._contents.check_race(wanted, self.path.name)
        if self.race is None:
            now = datetime.now(UTC).isoformat(timespec="seconds")
            event = {"race": wanted, "time": now, "version": VERSION}
            self._write([event])
            self._apply([event])

    def record(
        self,
        query: str,
        outcomes: Mapping[str, int],
        by: str,
        order: str = "not shown",
        detail: Mapping[str, Any] | None = None,
    ) -> bool:
        """Write outcomes on a query; tell the session when every candidate has one.

        Args:
            query: its id.
            outcomes: candidate -> -1, 0, 1 or `Outcome.MISSING`; any of the candidates.
            by, order, detail: see `Annotation`.

        Returns:
            True if the query is finished now.

        Raises:
            InputError: an unknown query, model, outcome or order, an outcome given twice, or a log
                that is closed. Nothing is written then.
        """
        pool = self.session.pool
        if query not in pool.queries:
            raise unknown("query id", query, pool.queries)
        if order not in ORDERS:
            raise unknown("order", order, ORDERS)
        for model, outcome in outcomes.items():
            if model not in pool.candidates:
                raise unknown("candidate", model, pool.candidates)
            if model in self.rows.get(query, ()):
                raise InputError(
                    f"model '{model}' on query '{query}' is annotated already; undo() takes the "
                    "last annotation back."
                )
            if isinstance(outcome, bool) or outcome not in (-1, 0, 1, MISSING):
                raise InputError(
                    f"the outcome of model '{model}' on query '{query}' is {outcome!r}; it must be "
                    "-1 (loss), 0 (draw), 1 (win) or Outcome.MISSING."
                )
        now = datetime.now(UTC).isoformat(timespec="seconds")
        events = []
        for model, outcome in outcomes.items():
            event: dict[str, Any] = {
                "query": query,
                "model": model,
                "outcome": None if outcome == MISSING else int(outcome),
                "order": order,
                "by": by,
                "time": now,
                "version": VERSION,
            }
            if len(outcomes) > 1:
                event["group"] = self._lines
            events.append(event | ({"detail": dict(detail)} if detail else {}))
        self._write(events)
        self._apply(events)
        return not self.open_models(query)

    def undo(self) -> tuple[str, tuple[str, ...]]:
        """Take the last annotation back; the log keeps it, followed by a line that undoes it.

        Outcomes that were recorded by one call of `record` are one annotation.

        Returns:
            The query id and the models whose outcomes are open again.

        Raises:
            InputError: nothing to undo.
        """
        if not self.given:
            raise InputError("nothing to undo: no outcome is annotated yet.")
        last = self.given[-1]
        models = [
            entry.model
            for entry in self.given
            if entry is last or (entry.group is not None and entry.group == last.group)
        ]
        now = datetime.now(UTC).isoformat(timespec="seconds")
        event = {"undo": last.query, "models": models, "time": now, "version": VERSION}
        self._write([event])
        self._apply([event])
        return last.query, tuple(models)

    def open_models(self, query: str) -> list[str]:
        """Candidates without an outcome on a query, in the pool's order."""
        done = self.rows.get(query, {})
        return [model for model in self.session.pool.candidates if model not in done]

    @property
    def closed(self) -> bool:
        """True after `close`, or after the same process has opened the log again."""
        return self._file is None

    def close(self) -> None:
        """Release the lock; the log can be opened again."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        self._lock.release()
        if _OPEN.get(self.path) is self:
            del _OPEN[self.path]

    def __enter__(self) -> AnnotationLog:
        """Use as ``with AnnotationLog(...) as log``."""
        return self

    def __exit__(self, *_: object) -> None:
        """Release the lock."""
        self.close()

    def _apply(self, events: list[dict[str, Any]]) -> None:
        self._contents.apply(events, self.path)
        self._lines += len(events)

    def _write(self, events: list[dict[str, Any]]) -> None:
        if self._file is None:
            raise InputError(f"the log '{self.path.name}' is closed; open it again to go on.")
        for event in events:
            data = (json.dumps(event, ensure_ascii=False) + "\n").encode()
            while data:
                data = data[os.write(self._file, data) :]
        os.fsync(self._file)


def _header(session: Session) -> dict[str, Any]:
    return {
        "llmsel": "annotations",
        "pool": session.pool.content_hash,
        "pool_name": session.pool.name,
        "baseline": session.pool.baseline,
        "strategy": repr(session.strategy),
        "seed": session.seed,
        "rule": None if session.rule is None else session.rule.settings,
        "delta": session.delta,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": VERSION,
    }


def _sync_folder(folder: Path) -> None:
    """Make the new file's name durable, where folders can be synced."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
