"""The annotation log: every outcome on disk before the next is asked for.

An append-only JSON Lines file. The first line is a header that names the pool (by content hash),
the strategy and the seed; then one line per outcome or undo, each flushed and fsynced. A query is
finished, and told to the session, when every candidate has a line (null: not judged). The session
is therefore a function of the log and the pool, and `replay` rebuilds it bit for bit.
"""

from __future__ import annotations

import ast
import dataclasses
import json
import os
import warnings
import weakref
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from llmsel.errors import InputError, unknown
from llmsel.paths import VERSION
from llmsel.pool import MISSING, Pool
from llmsel.session import Session
from llmsel.strategies import STRATEGIES, Strategy, make

try:
    import fcntl
except ImportError:  # Windows: no lock, everything else works
    fcntl = None  # type: ignore[assignment]

ORDERS = ("candidate first", "baseline first", "both", "not shown")

# Running a notebook cell twice opens its log twice: the newer takes over from the older.
_OPEN: weakref.WeakValueDictionary[Path, AnnotationLog] = weakref.WeakValueDictionary()


@dataclasses.dataclass(frozen=True)
class Annotation:
    """One outcome as it stands in the log.

    Parameters
    ----------
    query, model: what was judged: the model's response against the baseline's.
    outcome: -1 (loss), 0 (draw), 1 (win) or `Outcome.MISSING` (skipped, or no verdict).
    order: one of `ORDERS`: how the two responses were shown.
    by: the annotator or judge.
    time: UTC, ISO 8601.
    version: of llmsel.
    group: the same number on outcomes that were given in one go (identical responses, or a
        whole row); undone together.
    detail: what else the annotator or judge left, e.g. the verdict in each order.
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


class AnnotationLog:
    """A session whose every outcome is on disk; opening an existing log continues it.

    Parameters
    ----------
    path: of the log; created if absent.
    pool: the pool that is annotated.
    strategy, seed: as for `Session`; None takes those of the log, or LLM Selector and 0.

    Attributes
    ----------
    session: the `Session`, which has learned every finished query.
    given: every `Annotation` that stands, in the order of the log; undone ones are left out.
    rows: the same by query and model.
    repaired: what was wrong with the last line, or None.

    Raises
    ------
    InputError: another process writes this log, the log belongs to another pool, strategy or
        seed, or one of its lines is damaged.
    """

    def __init__(
        self,
        path: str | Path,
        pool: Pool,
        strategy: str | Strategy | None = None,
        seed: int | None = None,
    ):
        """Lock, repair and replay the log."""
        self.path = Path(path).resolve()
        if self.path in _OPEN:
            _OPEN[self.path].close()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file: int | None = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            self._lock()
            header, events, self.repaired, whole = _read(self.path)
            if self.repaired:
                os.truncate(self.path, whole)
                warnings.warn(self.repaired, stacklevel=2)
            if header is None:
                chosen = make("LLM Selector" if strategy is None else strategy)
                self.session = Session(pool, chosen, seed or 0)
                self._write([_header(self.session, seed or 0)])
                _sync_folder(self.path.parent)
            else:
                self.session = _session(self.path, header, pool, strategy, seed)
            self._lines = 0
            self.given: list[Annotation] = []
            self.rows: dict[str, dict[str, Annotation]] = {}
            self._apply(events)
        except BaseException:
            self.close()
            raise
        _OPEN[self.path] = self

    def record(
        self,
        query: str,
        outcomes: Mapping[str, int],
        by: str,
        order: str = "not shown",
        detail: Mapping[str, Any] | None = None,
    ) -> bool:
        """Write outcomes on a query; tell the session when every candidate has one.

        Parameters
        ----------
        query: its id.
        outcomes: candidate -> -1, 0, 1 or `Outcome.MISSING`; any of the candidates.
        by, order, detail: see `Annotation`.

        Returns
        -------
        True if the query is finished now.

        Raises
        ------
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

        Returns
        -------
        The query id and the models whose outcomes are open again.

        Raises
        ------
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
        if _OPEN.get(self.path) is self:
            del _OPEN[self.path]

    def __enter__(self) -> AnnotationLog:
        """Use as ``with AnnotationLog(...) as log``."""
        return self

    def __exit__(self, *_: object) -> None:
        """Release the lock."""
        self.close()

    def _lock(self) -> None:
        assert self._file is not None
        if fcntl is None:
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError(
                f"another process is writing '{self.path.name}'; close it there first, or give "
                "this session a log of its own."
            ) from error

    def _apply(self, events: list[dict[str, Any]]) -> None:
        _apply(self.path, events, self.session, self.given, self.rows)
        self._lines += len(events)

    def _write(self, events: list[dict[str, Any]]) -> None:
        if self._file is None:
            raise InputError(f"the log '{self.path.name}' is closed; open it again to go on.")
        for event in events:
            data = (json.dumps(event, ensure_ascii=False) + "\n").encode()
            while data:
                data = data[os.write(self._file, data) :]
        os.fsync(self._file)


def replay(path: str | Path, pool: Pool, strategy: str | Strategy | None = None) -> Session:
    """Rebuild the session of a log, bit for bit, without locking or changing the log.

    Parameters
    ----------
    path: of the log.
    pool: the pool that was annotated.
    strategy: only for a strategy that llmsel does not know by itself.

    Raises
    ------
    InputError: no log, a damaged one, or one of another pool or strategy.
    """
    return read_log(path, pool, strategy)[0]


def read_log(
    path: str | Path, pool: Pool, strategy: str | Strategy | None = None
) -> tuple[Session, list[Annotation]]:
    """Rebuild the session of a log, and list the outcomes that stand (see `replay`)."""
    path = Path(path)
    if not path.exists():
        raise InputError(f"no log '{path}'.")
    header, events, torn, _ = _read(path)
    if header is None:
        raise InputError(f"'{path}' has no header line; it is not an annotation log.")
    if torn:
        warnings.warn(torn.replace("was removed", "is ignored"), stacklevel=3)
    session = _session(path, header, pool, strategy, None)
    given: list[Annotation] = []
    _apply(path, events, session, given, {})
    return session, given


def _header(session: Session, seed: int) -> dict[str, Any]:
    return {
        "llmsel": "annotations",
        "pool": session.pool.content_hash,
        "pool_name": session.pool.name,
        "baseline": session.pool.baseline,
        "strategy": repr(session.strategy),
        "seed": seed,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": VERSION,
    }


def _read(path: Path) -> tuple[dict[str, Any] | None, list[dict[str, Any]], str | None, int]:
    """Header, events, what is wrong with the last line, and the length without it in bytes."""
    raw = path.read_bytes()
    lines = raw.split(b"\n")
    events: list[dict[str, Any]] = []
    torn, whole = None, len(raw)
    last = len(lines) - 1 if lines[-1] else len(lines) - 2
    for number, line in enumerate(lines[: last + 1]):
        try:
            if number == len(lines) - 1:
                raise ValueError("no end of line")
            event = json.loads(line.decode())
            if not isinstance(event, dict):
                raise ValueError("not an object")
        except ValueError as error:
            if number < last:
                raise InputError(
                    f"{path}, line {number + 1} is not JSON ({error}); restore the log from a "
                    "copy, or remove that line."
                ) from error
            whole = len(b"\n".join(lines[:number])) + (1 if number else 0)
            torn = (
                f"the last line of '{path.name}' was torn by a stop half-way and was removed; "
                "that annotation must be given again."
            )
            break
        events.append(event)
    if not events:
        return None, [], torn, whole
    if events[0].get("llmsel") != "annotations":
        raise InputError(f"'{path}' is not an annotation log: its first line is no header.")
    return events[0], events[1:], torn, whole


def _session(
    path: Path,
    header: Mapping[str, Any],
    pool: Pool,
    strategy: str | Strategy | None,
    seed: int | None,
) -> Session:
    """Start the session that the header describes."""
    if header["pool"] != pool.hide_outcomes().content_hash:
        raise InputError(
            f"'{path.name}' is the log of another pool ('{header['pool_name']}' with baseline "
            f"'{header['baseline']}'; queries, responses or votes differ); use that pool or a new "
            "log."
        )
    chosen = _strategy_of(header["strategy"]) if strategy is None else make(strategy)
    for what, wanted, kept in (
        ("strategy", repr(chosen), header["strategy"]),
        ("seed", header["seed"] if seed is None else seed, header["seed"]),
    ):
        if wanted != kept:
            raise InputError(
                f"'{path.name}' was begun with {what} {kept}, not {wanted}; use that, or a new log."
            )
    return Session(pool, chosen, header["seed"])


def _strategy_of(shown: str) -> Strategy:
    """Rebuild a strategy from its repr, e.g. ``LLMSelector(eps_loss=0.2, eps_draw=0.4)``."""
    classes = {cls.__name__: cls for cls in STRATEGIES.values()}
    try:
        call = ast.parse(shown, mode="eval").body
        assert isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
        values = {str(k.arg): ast.literal_eval(k.value) for k in call.keywords}
        return classes[call.func.id](**values)
    except (AssertionError, KeyError, SyntaxError, TypeError, ValueError) as error:
        raise InputError(
            f"the log was begun with the strategy {shown}, which llmsel cannot rebuild; give it "
            "as 'strategy'."
        ) from error


def _apply(
    path: Path,
    events: list[dict[str, Any]],
    session: Session,
    given: list[Annotation],
    rows: dict[str, dict[str, Annotation]],
) -> None:
    """Bring the session and its annotations up to date with further events."""
    for event in events:
        try:
            if "undo" in event:
                query, models = event["undo"], event["models"]
                if session.history and session.history[-1][0] == query:
                    session.undo()
                for model in models:
                    given.remove(rows[query].pop(model))
                continue
            outcome = MISSING if event["outcome"] is None else event["outcome"]
            entry = Annotation(**{**event, "outcome": outcome})
        except (KeyError, TypeError) as error:
            raise InputError(f"'{path}' holds a line llmsel cannot read: {event}.") from error
        row = rows.setdefault(entry.query, {})
        row[entry.model] = entry
        given.append(entry)
        if len(row) == len(session.pool.candidates):
            session.tell(entry.query, {model: each.outcome for model, each in row.items()})


def _sync_folder(folder: Path) -> None:
    """Make the new file's name durable, where folders can be synced."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
