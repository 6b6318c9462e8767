"""Importers: answers that other tools wrote, as the long table that `Pool.from_frame` takes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from llmsel._base.errors import InputError, unknown
from llmsel._base.terminal import short
from llmsel.answers.formats import FORMATS, Record, detect, read_questions, read_table
from llmsel.answers.missing import DROP, REFUSE, check_rule, refusal
from llmsel.answers.sources import Source, walk
from llmsel.pool import NO_ANSWER

# what the tools leave beside the answers, which is none: verdicts, scores, reference answers
NO_ANSWERS = {"annotations.json", "leaderboard.csv", "model_judgment", "reference_answer"}
COLUMNS = ("model", "query_id", "query", "response", "category")


def read_answers(
    source: Source | pd.DataFrame,
    format: str | None = None,
    *,
    missing: str = REFUSE,
) -> pd.DataFrame:
    """Read models' answers; of a conversation all turns, as one text.

    Args:
        source: a file, a folder, several of them, a mapping model -> file or folder (where the
            files do not name their model, or to rename it), or a long table.
        format: one of `FORMATS`; None detects it file by file.
        missing: what to do where a model failed or an answer is empty. ``"refuse"``: all such
            places are told at once. ``"drop"``: without these queries. ``"loss"``: the answer is
            `llmsel.pool.NO_ANSWER`, which loses unjudged. The last two also hold for a query that
            a model was never asked.

    Returns:
        Columns ``model``, ``query_id``, ``query``, ``response`` and, where known, ``category``; one
        row per response, in the order of the files. ``Pool.from_frame(frame, baseline)`` takes it.

    Raises:
        InputError: a file that is absent, of no known format or not as its format says (names file
            and line), a model that answers one query twice (the same answer in two files is one),
            two texts under one query id, or answers that are missing.

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
    check_rule(missing)
    if isinstance(source, pd.DataFrame):
        return _table(read_table(source, lambda i: f"the table, row {i + 1}"), missing)
    records: list[Record] = []
    texts: dict[str, tuple[str, str | None]] = {}
    for model, path in walk(source, what="answers", skip=NO_ANSWERS):
        kind = format or detect(path)
        if kind == "questions":  # texts that an answer file next to it lacks
            texts |= read_questions(path)
            continue
        found = list(FORMATS[kind](path, model))
        if not found:
            raise InputError(f"'{path}' holds no answer.")
        if kind == "fastchat":
            texts |= _questions_beside(path)
        records += found if model is None else [dataclasses.replace(r, model=model) for r in found]
    if not records:
        raise InputError(f"no file of answers in {source!r}.")
    return _table((_with_question(r, texts.get(r.query_id)) for r in records), missing)


def _with_question(record: Record, asked: tuple[str, str | None] | None) -> Record:
    """Give an answer the text and category of its query, where its own file has none."""
    if asked is None:
        return record
    text = asked[0] if record.query is None else record.query
    return dataclasses.replace(record, query=text, category=record.category or asked[1])


def _questions_beside(path: Path) -> dict[str, tuple[str, str | None]]:
    beside = (path.parent / "question.jsonl", path.parent.parent / "question.jsonl")
    return {k: asked for p in beside if p.exists() for k, asked in read_questions(p).items()}


def _table(records: Iterable[Record], missing: str) -> pd.DataFrame:
    everything = list(records)
    _check_texts(everything)
    kept = _once(r for r in everything if r.failed is None)
    failed = _not_mended(everything)
    if failed and missing == REFUSE:
        raise refusal([f"{r.where}: {r.failed}" for r in failed], "answer")
    frame = pd.DataFrame(
        [[getattr(record, column) for column in COLUMNS] for record in kept],
        columns=list(COLUMNS),
        dtype=object,
    )
    if missing != REFUSE:
        frame = _without(frame, failed, missing)
    for column in ("query", "category"):  # all or nothing: half a column would end as 'None'
        if frame[column].isna().any():
            frame = frame.drop(columns=column)
    return frame


def _not_mended(records: Sequence[Record]) -> list[Record]:
    """Failures after which the model has not answered the same query."""
    open_: dict[tuple[str, str], Record] = {}
    for record in records:
        if record.failed is not None:
            open_[record.model, record.query_id] = record
        else:
            open_.pop((record.model, record.query_id), None)
    return list(open_.values())


def _once(records: Iterable[Record]) -> list[Record]:
    """Keep one of equal answers; refuse two that differ."""
    seen: dict[tuple[str, str], Record] = {}
    for record in records:
        first = seen.setdefault((record.model, record.query_id), record)
        # AlpacaEval leaves a copy of the reference's answers beside those of every model
        same = first.response == record.response and first.file != record.file
        if first is not record and not same:
            raise InputError(
                f"{record.where}: model '{short(record.model)}' answers query id "
                f"'{short(record.query_id)}' again (first in {first.where}); keep one answer."
            )
    return list(seen.values())


def _check_texts(records: Iterable[Record]) -> None:
    """Refuse two texts under one query id."""
    texts: dict[str, tuple[str, str]] = {}
    for record in records:
        if record.query is not None:
            text, where = texts.setdefault(record.query_id, (record.query, record.where))
            if text != record.query:
                raise InputError(
                    f"{record.where}: query id '{short(record.query_id)}' has another text than in "
                    f"{where}; give different queries different ids."
                )


def _without(frame: pd.DataFrame, failed: Sequence[Record], missing: str) -> pd.DataFrame:
    """Fill what is missing, or leave its queries out; no answer at all is missing as well.

    Raises:
        InputError: no query is left.
    """
    asked = dict.fromkeys([*frame["query_id"], *(r.query_id for r in failed)])
    models = dict.fromkeys([*frame["model"], *(r.model for r in failed)])
    known = set(zip(frame["model"], frame["query_id"], strict=True))
    gaps = [(m, q) for q in asked for m in models if (m, q) not in known]
    if missing == DROP:
        left = frame[~frame["query_id"].isin({q for _, q in gaps})].reset_index(drop=True)
        if left.empty:
            raise InputError("no query has the answers of all models; say missing=loss.")
        return left
    of_query: dict[str, tuple[str | None, str | None]] = {
        r.query_id: (r.query, r.category) for r in failed
    }
    of_query |= {
        q: (text, kind)
        for q, text, kind in zip(frame["query_id"], frame["query"], frame["category"], strict=True)
    }
    rows = [(m, q, of_query[q][0], NO_ANSWER, of_query[q][1]) for m, q in gaps]
    filled = pd.DataFrame(rows, columns=list(COLUMNS), dtype=object)
    return pd.concat([frame, filled], ignore_index=True)
