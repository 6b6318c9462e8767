"""Annotations: what an annotation log says.

A log is a JSON Lines file. The first line is a header that names the pool (by content hash), the
strategy, the seed and the stopping rule; then one line per outcome, undo, or race begun. A query
is finished, and told to the session, when every candidate has a line (null: not judged). The
session, and the race if there is one, are therefore functions of the log and the pool: `replay`
rebuilds the session bit for bit. `llmsel.judging.log` writes such files.
"""

from __future__ import annotations

import ast
import dataclasses
import json
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from llmsel._base.errors import InputError
from llmsel._base.files import VERSION
from llmsel import elimination
from llmsel.elimination import Rule
from llmsel.pool import MISSING, Pool
from llmsel.session import Session
from llmsel.strategies import STRATEGIES, Strategy, make

ORDERS = ("candidate first", "baseline first", "both", "not shown")


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


@dataclasses.dataclass
class Contents:
    """What a log says, as far as it was read.

    Args:
        session: the `Session`, which has learned every finished query.
        given: every `Annotation` that stands, in the order of the log; undone ones are left out.
        rows: the same by query and model.
        race: the settings of the race that was begun in this log, see `llmsel.race.Race.settings`;
            None for none.
    """

    session: Session
    given: list[Annotation] = dataclasses.field(default_factory=list)
    rows: dict[str, dict[str, Annotation]] = dataclasses.field(default_factory=dict)
    race: dict[str, Any] | None = None

    def apply(self, events: Iterable[Mapping[str, Any]], path: Path) -> None:
        """Bring it up to date with further lines of the log.

        Raises:
            InputError: a line that is none of an annotation log.
        """
        for event in events:
            try:
                if "race" in event:
                    self.race = dict(event["race"])
                elif "undo" in event:
                    self._undo(event["undo"], event["models"])
                else:
                    outcome = MISSING if event["outcome"] is None else event["outcome"]
                    self._add(Annotation(**{**event, "outcome": outcome}))
            except (KeyError, TypeError) as error:
                raise InputError(f"'{path}' holds a line llmsel cannot read: {event}.") from error

    def check_race(self, settings: Mapping[str, Any], name: str) -> None:
        """Refuse a race with other settings than those of the race that the log holds.

        Args:
            settings: `llmsel.race.Race.settings`, as JSON reads them.
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

    def _add(self, entry: Annotation) -> None:
        row = self.rows.setdefault(entry.query, {})
        row[entry.model] = entry
        self.given.append(entry)
        if len(row) == len(self.session.pool.candidates):
            self.session.tell(entry.query, {model: each.outcome for model, each in row.items()})

    def _undo(self, query: str, models: Iterable[str]) -> None:
        if self.session.history and self.session.history[-1][0] == query:
            self.session.undo()
        for model in models:
            self.given.remove(self.rows[query].pop(model))


def replay(path: str | Path, pool: Pool, strategy: str | Strategy | None = None) -> Session:
    """Rebuild the session of a log, bit for bit, without locking or changing the log.

    Args:
        path: of the log.
        pool: the pool that was annotated.
        strategy: only for a strategy that llmsel does not know by itself.

    Raises:
        InputError: no log, a damaged one, or one of another pool or strategy.
    """
    return read_log(path, pool, strategy).session


def read_log(path: str | Path, pool: Pool, strategy: str | Strategy | None = None) -> Contents:
    """Read a log without locking or changing it; parameters and errors as for `replay`."""
    path = Path(path)
    if not path.exists():
        raise InputError(f"no log '{path}'.")
    header, events, torn, _ = read_events(path)
    if header is None:
        raise InputError(f"'{path}' has no header line; it is not an annotation log.")
    if torn:
        warnings.warn(torn.replace("was removed", "is ignored"), stacklevel=3)
    contents = Contents(begin_session(path, header, pool, strategy, None))
    contents.apply(events, path)
    return contents


def read_events(path: Path) -> tuple[dict[str, Any] | None, list[dict[str, Any]], str | None, int]:
    """Return header, events, what is wrong with the last line, and the bytes up to it."""
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


def begin_session(
    path: Path,
    header: Mapping[str, Any],
    pool: Pool,
    strategy: str | Strategy | None,
    seed: int | None,
    rule: Rule | None = None,
    delta: float | None = None,
) -> Session:
    """Start the session that the header describes; what is given must agree with it."""
    if header["pool"] != pool.hide_outcomes().content_hash:
        raise InputError(
            f"'{path.name}' is the log of another pool ('{header['pool_name']}' with baseline "
            f"'{header['baseline']}'; queries, responses or votes differ); use that pool or a new "
            "log."
        )
    chosen = _strategy_of(header["strategy"]) if strategy is None else make(strategy)
    kept_rule, kept_delta = header.get("rule"), header.get("delta", 0.0)
    for what, wanted, kept in (
        ("strategy", repr(chosen), header["strategy"]),
        ("seed", header["seed"] if seed is None else seed, header["seed"]),
        ("rule", kept_rule if rule is None else rule.settings, kept_rule),
        ("delta", kept_delta if delta is None else delta, kept_delta),
    ):
        if wanted != kept:
            raise InputError(
                f"'{path.name}' was begun with {what} {kept}, not {wanted}; use that, or a new log."
            )
    known = None if kept_rule is None else elimination.from_settings(kept_rule)
    return Session(pool, chosen, seed=header["seed"], rule=known, delta=kept_delta)


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
