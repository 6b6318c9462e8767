"""Importers: answers that other tools wrote, as the long table that `Pool.from_frame` takes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from llmsel._base.errors import InputError, unknown
from llmsel._base.terminal import short
from llmsel.answers.formats import FORMATS, SUFFIXES, Record, detect, read_questions, read_table

# what the tools leave beside the answers, which is none: verdicts, scores, reference answers
NO_ANSWERS = {"annotations.json", "leaderboard.csv", "model_judgment", "reference_answer"}
COLUMNS = ("model", "query_id", "query", "response", "category")


def read_answers(
    source: str | Path | pd.DataFrame | Sequence[str | Path] | Mapping[str, str | Path],
    format: str | None = None,
) -> pd.DataFrame:
    """Read models' answers.

    Args:
        source: a file, a folder, several of them, a mapping model -> file or folder (where the
            files do not name their model, or to rename it), or a long table.
        format: one of `FORMATS`; None detects it file by file.

    Returns:
        Columns ``model``, ``query_id``, ``query``, ``response`` and, where known, ``category``; one
        row per response, in the order of the files. ``Pool.from_frame(frame, baseline)`` takes it.

    Raises:
        InputError: a file that is absent, of no known format or not as its format says (names file
            and line), a model that answers one query twice (the same answer in two files is one),
            or two texts under one query id.

    Example:
        >>> table = pd.DataFrame(
        ...     {"model": ["a", "b"], "query_id": "q1", "query": "1 + 1?", "response": ["2", "two"]}
        ... )
        >>> read_answers(table)
          model query_id   query response
        0     a       q1  1 + 1?        2
        1     b       q1  1 + 1?      two
    """
    if format is not None and format not in FORMATS:
        raise unknown("format", format, FORMATS)
    if isinstance(source, pd.DataFrame):
        return _table(read_table(source, lambda i: f"the table, row {i + 1}"))
    records: list[Record] = []
    texts: dict[str, str] = {}
    for model, given in _named(source):
        for path in _files(Path(given)):
            kind = format or detect(path)
            if kind == "questions":  # texts that an answer file next to it lacks
                texts |= read_questions(path)
                continue
            found = list(FORMATS[kind](path, model))
            if not found:
                raise InputError(f"'{path}' holds no answer.")
            if kind == "fastchat":
                texts |= _questions_beside(path)
            records += (
                found if model is None else [dataclasses.replace(r, model=model) for r in found]
            )
    if not records:
        raise InputError(f"no file of answers in {source!r}.")
    return _table(
        dataclasses.replace(r, query=texts.get(r.query_id)) if r.query is None else r
        for r in records
    )


def _named(
    source: str | Path | Sequence[str | Path] | Mapping[str, str | Path],
) -> Iterable[tuple[str | None, str | Path]]:
    if isinstance(source, Mapping):
        return source.items()
    return [(None, p) for p in ([source] if isinstance(source, str | Path) else source)]


def _questions_beside(path: Path) -> dict[str, str]:
    beside = (path.parent / "question.jsonl", path.parent.parent / "question.jsonl")
    return {k: text for p in beside if p.exists() for k, text in read_questions(p).items()}


def _table(records: Iterable[Record]) -> pd.DataFrame:
    seen: dict[tuple[str, str], Record] = {}
    texts: dict[str, tuple[str, str]] = {}
    rows = []
    for record in records:
        first = seen.setdefault((record.model, record.query_id), record)
        if first is not record:
            # AlpacaEval leaves a copy of the reference's answers beside those of every model
            if first.response == record.response and first.file != record.file:
                continue
            raise InputError(
                f"{record.where}: model '{short(record.model)}' answers query id "
                f"'{short(record.query_id)}' again (first in {first.where}); keep one answer."
            )
        if record.query is not None:
            text, where = texts.setdefault(record.query_id, (record.query, record.where))
            if text != record.query:
                raise InputError(
                    f"{record.where}: query id '{short(record.query_id)}' has another text than in "
                    f"{where}; give different queries different ids."
                )
        rows.append([getattr(record, column) for column in COLUMNS])
    frame = pd.DataFrame(rows, columns=list(COLUMNS), dtype=object)
    for column in ("query", "category"):  # all or nothing: half a column would end as 'None'
        if frame[column].isna().any():
            frame = frame.drop(columns=column)
    return frame


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        found = sorted(
            p
            for p in path.rglob("*")
            if p.suffix in SUFFIXES
            and p.is_file()
            and not p.name.startswith((".", "results_"))
            and not NO_ANSWERS & set(p.relative_to(path).parts)
        )
        if not found:
            raise InputError(f"no file of answers in the folder '{path}'.")
        return found
    if not path.exists():
        raise InputError(f"no file '{path}'.")
    return [path]
