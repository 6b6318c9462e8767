"""Scores that other tools gave: lm-evaluation-harness, Inspect, MT-Bench's grades, a table."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from llmsel._base.errors import InputError, unknown
from llmsel._base.files import json_lines
from llmsel._base.terminal import short
from llmsel.answers import formats
from llmsel.answers.cells import (
    is_empty,
    name_of,
    need,
    numbered,
    optional,
    read_frame,
    unit,
)
from llmsel.answers.sources import Source, walk

WORDS = {  # Inspect's letters, and what people write into tables
    **dict.fromkeys(("c", "correct", "pass", "passed", "true", "yes"), 1.0),
    **dict.fromkeys(("i", "incorrect", "fail", "failed", "false", "no", "n"), 0.0),
    "p": 0.5,
    "partial": 0.5,
}
COLUMNS = ("model", "query_id", "epoch", "score", "metric", "category", "where")


@dataclasses.dataclass(frozen=True)
class Score:
    """One score of one model's response to one query.

    Args:
        epoch: which of several responses, or of several turns, to the same query.
        score: higher is better; None where there is none.
        metric: what was measured; None where the file has no name for it.
        where: it was found.
    """

    model: str
    query_id: str
    epoch: int
    score: float | None
    metric: str | None
    category: str | None
    where: str


def read_scores(
    source: Source | pd.DataFrame,
    *,
    metric: str | None = None,
    filter: str | None = None,
) -> pd.DataFrame:
    """Read models' scores, all epochs.

    Args:
        source: a file or folder of lm-evaluation-harness (``samples_*.jsonl``), Inspect (``.eval``,
            ``.json``) or MT-Bench's single grades (``*_single.jsonl``); a table with model,
            query_id, score and optionally epoch, category, metric (JSON Lines, CSV, Parquet);
            several of them, or a mapping model -> file or folder.
        metric: which, where a file has several; an Inspect scorer, or scorer/key.
        filter: which filter of lm-evaluation-harness; None takes the first of each document.

    Returns:
        Columns ``model``, ``query_id``, ``epoch``, ``score`` (float64; NaN where there is none),
        ``metric``, ``category`` and ``where``.

    Raises:
        InputError: a file that is absent, or not as its format says (names file and line), several
            metrics and none chosen, or a score that is given twice.
    """
    if isinstance(source, pd.DataFrame):
        rows = list(_table(source, "the table, row"))
    else:
        rows = [
            row for model, path in walk(source, what="scores") for row in _read(path, model, filter)
        ]
    if not rows:
        raise InputError(f"no score in {short(repr(source))}.")
    return _laid_out(_chosen(rows, metric))


def _read(path: Path, model: str | None, filter_: str | None) -> Iterator[Score]:
    if path.suffix == ".eval" or path.suffix == ".json":
        return _inspect(path, model)
    keys = next(iter(json_lines(path)), {}).keys() if path.suffix == ".jsonl" else set()
    if {"doc_id", "metrics"} <= keys:
        return _lm_eval(path, model, filter_)
    if {"question_id", "judge", "score"} <= keys:
        return _grades(path, model)
    frame = read_frame(path)
    if "model" not in frame and model is not None:
        frame["model"] = model
    return _table(frame, f"'{path}', {unit(path)}")


def _table(frame: pd.DataFrame, place: str) -> Iterator[Score]:
    """Read a table in the project's own columns."""
    for column in ("model", "query_id", "score"):
        if column not in frame:
            raise InputError(
                f"{place.rpartition(',')[0]} is no table of scores: no column '{column}'; it has "
                f"{short(', '.join(map(str, frame.columns)))}."
            )
    for i, row in enumerate(frame.to_dict("records"), 1):
        where = f"{place} {i}"
        yield Score(
            model=name_of(row["model"], where),
            query_id=name_of(row["query_id"], where),
            epoch=_epoch(row.get("epoch"), where),
            score=number(row["score"], where),
            metric=optional(row, "metric", where),
            category=optional(row, "category", where),
            where=where,
        )


def _lm_eval(path: Path, model: str | None, filter_: str | None) -> Iterator[Score]:
    """Read ``samples_<task>_<time>.jsonl``: a line for each document and filter."""
    task = path.stem.removeprefix("samples_").rsplit("_", 1)[0]
    owner = model or path.parent.name.replace("__", "/")
    taken: dict[str, str] = {}
    filters = set()
    for line, row in numbered(path):
        where = f"'{path}', line {line}"
        document = name_of(need(row, "doc_id", where), where)
        by = str(row.get("filter", "none"))
        filters.add(by)
        if by != (filter_ or taken.setdefault(document, by)):
            continue
        for metric in need(row, "metrics", where):
            value = number(need(row, metric, where), where)
            yield Score(owner, f"{task}:{document}", 1, value, str(metric), task, where)
    if filter_ is not None and filter_ not in filters:
        raise unknown(f"filter in '{path}'", filter_, sorted(filters))


def _inspect(path: Path, model: str | None) -> Iterator[Score]:
    """Read an Inspect log; a sample that failed has no score."""
    owner, task, entries = formats.inspect_samples(path, model)
    for where, sample in entries:
        query = f"{task}:{name_of(need(sample, 'id', where), where)}"
        epoch = _epoch(sample.get("epoch"), where)
        scores = sample.get("scores") or {}
        if sample.get("error") or not scores:
            yield Score(owner, query, epoch, None, None, task, where)
            continue
        for metric, value in _flat(scores, where):
            yield Score(owner, query, epoch, number(value, where), metric, task, where)


def _flat(scores: Any, where: str) -> Iterator[tuple[str, Any]]:
    """Name each value of a sample's scores: the scorer, or scorer/key where it has several."""
    if not isinstance(scores, dict):
        raise InputError(f"{where}: the scores are {type(scores).__name__}, not an object.")
    for scorer, score in scores.items():
        value = need(score, "value", where)
        if isinstance(value, dict):
            yield from ((f"{scorer}/{key}", each) for key, each in value.items())
        else:
            yield scorer, value


def _grades(path: Path, model: str | None) -> Iterator[Score]:
    """Read FastChat's ``*_single.jsonl``: grades of 1 to 10 a turn, -1 where the judge failed."""
    for line, row in numbered(path):
        where = f"'{path}', line {line}"
        value = number(need(row, "score", where), where)
        yield Score(
            model=model or name_of(need(row, "model", where), where),
            query_id=name_of(need(row, "question_id", where), where),
            epoch=_epoch(row.get("turn"), where),
            score=None if value == -1 else value,
            metric=None,
            category=None,
            where=where,
        )


def number(value: Any, where: str) -> float | None:
    """Read a score: a number, pass or fail, Inspect's letters; None where there is none.

    Raises:
        InputError: something else.
    """
    if is_empty(value) or value == "":
        return None
    if isinstance(value, str):
        word = value.strip().lower()
        if word in WORDS:
            return WORDS[word]
    try:
        read = float(value)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{where}: the score is {short(repr(value), 40)}, not a number, pass or fail."
        ) from error
    return read if math.isfinite(read) else None


def _epoch(value: Any, where: str) -> int:
    if is_empty(value):
        return 1
    try:
        return int(value)
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: the epoch is {short(repr(value), 40)}.") from error


def _chosen(rows: Sequence[Score], metric: str | None) -> list[Score]:
    """Keep one metric; a score that is missing altogether is missing in any.

    Raises:
        InputError: several and none chosen, or none of that name.
    """
    names = list(dict.fromkeys(row.metric for row in rows if row.metric is not None))
    if metric is not None and not names:
        raise InputError(f"the scores name no metric: leave '{metric}' out.")
    if metric is not None and metric not in names:
        raise unknown("metric", metric, names)
    if metric is None and len(names) > 1:
        shown = ", ".join(names[:6])
        raise InputError(f"there are several metrics ({shown}); name one, e.g. metric={names[0]}.")
    wanted = metric or (names[0] if names else None)
    return [row for row in rows if row.metric in (None, wanted)]


def _laid_out(rows: Sequence[Score]) -> pd.DataFrame:
    seen: dict[tuple[str, str, int], str] = {}
    for row in rows:
        first = seen.setdefault((row.model, row.query_id, row.epoch), row.where)
        if first is not row.where:
            raise InputError(
                f"{row.where}: model '{short(row.model)}' has a second score on query "
                f"'{short(row.query_id)}', epoch {row.epoch} (first in {first}); keep one."
            )
    frame = pd.DataFrame([dataclasses.asdict(row) for row in rows], columns=list(COLUMNS))
    return frame.astype({"score": float, "epoch": int})
