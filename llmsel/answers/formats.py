"""Formats of files of answers: one reader per tool that writes them.

Every reader turns one file into records that know where they came from, so that every error
names file and line.
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from llmsel._base.errors import InputError
from llmsel._base.files import json_lines, read_text
from llmsel.answers import inspect_log

FAILED = "$ERROR$"  # FastChat and Arena-Hard store this as the answer of a model that failed
SIGNS = (  # what the first line of JSON Lines has, in the order that is tried
    ("lm-eval", {"doc_id", "resps"}),
    ("fastchat", {"model_id", "choices"}),
    ("fastchat", {"model", "messages"}),
    ("long", {"model", "response"}),
    ("questions", {"question_id", "turns"}),
    ("questions", {"uid", "prompt"}),
)


@dataclasses.dataclass(frozen=True)
class Record:
    """One response of one model to one query, and where it was found."""

    model: str
    query_id: str
    query: str | None
    response: str
    category: str | None
    where: str

    @property
    def file(self) -> str:
        """The file in `where`."""
        return self.where.rpartition(",")[0]


def detect(path: Path) -> str:
    """Name the format of a file, or "questions" for the texts that answer files lack."""
    if path.suffix in (".csv", ".parquet"):
        return "long"
    if path.suffix == ".eval":
        return "inspect"
    if path.suffix == ".json":
        content = _json(path)
        if isinstance(content, dict) and "eval" in content:
            return "inspect"
        first = content[0] if isinstance(content, list) and content else None
        if isinstance(first, dict) and "generator" in first:
            return "alpacaeval"
    elif path.suffix == ".jsonl":
        keys = next(iter(json_lines(path)), {}).keys()
        for kind, signs in SIGNS:
            if signs <= keys:
                return kind
    raise InputError(
        f"'{path}' is of no known format ({', '.join(FORMATS)}); a file of your own has the "
        "columns model, query_id, query, response."
    )


def _json(path: Path) -> Any:
    text = read_text(path)
    try:
        return json.loads(text)
    except ValueError as error:
        raise InputError(f"'{path}' is not JSON: {error}.") from error


def _long(path: Path, model: str | None) -> Iterator[Record]:
    """Read JSON Lines, CSV or Parquet in the project's own columns."""
    if path.suffix == ".parquet":
        try:
            frame = pd.read_parquet(path)
        except ImportError as error:
            raise InputError(f"to read '{path}', pip install pyarrow.") from error
    elif path.suffix == ".csv":
        frame = _csv(path)
    else:
        frame = pd.DataFrame(json_lines(path))
    if "model" not in frame and model is not None:
        frame["model"] = model
    unit = "line" if path.suffix == ".jsonl" else "row"
    yield from read_table(frame, lambda i: f"'{path}', {unit} {i + 1}")


def _csv(path: Path) -> pd.DataFrame:
    """Read CSV; pandas would shift the columns of a row that is too long."""
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""), strict=True)
    rows = []
    try:
        for row in reader:
            if None in row or None in row.values():
                raise csv.Error("another number of columns than in the first line")
            rows.append(row)
    except csv.Error as error:
        raise InputError(f"'{path}', line {reader.line_num}, is not CSV: {error}.") from error
    return pd.DataFrame(rows, columns=reader.fieldnames)


def read_table(frame: pd.DataFrame, where: Callable[[int], str]) -> Iterator[Record]:
    """Read a table in the project's own columns; ``where(i)`` names its row i."""
    for column in ("model", "query_id", "response"):
        if column not in frame:
            raise InputError(
                f"{where(0).rpartition(',')[0]} has no column '{column}'; it has "
                f"{', '.join(map(str, frame.columns))}."
            )
    for i, row in enumerate(frame.to_dict("records")):
        for column in ("model", "query_id", "response"):
            if pd.isna(row[column]):
                raise InputError(f"{where(i)}: '{column}' is empty.")
        yield Record(
            model=str(row["model"]),
            query_id=str(row["query_id"]),
            query=_optional(row, "query"),
            response=_text(row["response"], where(i)),
            category=_optional(row, "category"),
            where=where(i),
        )


def _alpacaeval(path: Path, model: str | None) -> Iterator[Record]:
    """Read ``model_outputs.json``: a list of instruction, output, generator.

    Files are joined by instruction; its hash is the query id.
    """
    content = _json(path)
    if not isinstance(content, list):
        raise InputError(f"'{path}' is not a list of model outputs.")
    count: dict[str, int] = {}
    for i, row in enumerate(content):
        where = f"'{path}', entry {i + 1}"
        instruction = _text(_need(row, "instruction", where), where)
        name = hashlib.sha256(instruction.encode()).hexdigest()[:12]
        count[name] = count.get(name, 0) + 1  # AlpacaEval asks some instructions twice
        yield Record(
            model=model or str(_need(row, "generator", where)),
            query_id=name if count[name] == 1 else f"{name}-{count[name]}",
            query=instruction,
            response=_text(_need(row, "output", where), where),
            category=_optional(row, "dataset"),
            where=where,
        )


def _fastchat(path: Path, model: str | None) -> Iterator[Record]:
    """Read ``model_answer/*.jsonl`` of FastChat and of Arena-Hard, the first turn.

    The queries' texts come from the ``question.jsonl`` next to the folder, if there is one.
    """
    for number, row in _numbered(path):
        where = f"'{path}', line {number}"
        query = None
        if "messages" in row:  # Arena-Hard v2
            query = next((m["content"] for m in row["messages"] if m["role"] == "user"), None)
            said = next((m["content"] for m in row["messages"] if m["role"] == "assistant"), None)
            name = _need(row, "uid", where)
        else:
            turns = _need(_first(_need(row, "choices", where), where), "turns", where)
            said = _first(turns, where)
            said = said.get("content") if isinstance(said, dict) else said  # Arena-Hard v0.1
            name = _need(row, "question_id", where)
        said = said.get("answer") if isinstance(said, dict) else said
        if said == FAILED:
            raise InputError(f"{where}: the model failed here ({FAILED}); generate it again.")
        owner = model or row.get("model_id") or row.get("model")
        if owner is None:
            raise InputError(f"{where}: no 'model_id'.")
        yield Record(str(owner), str(name), query, _text(said, where), None, where)


def read_questions(path: Path) -> dict[str, str]:
    """Read the ``question.jsonl`` of FastChat and Arena-Hard: query id -> text, first turn."""
    texts = {}
    for number, row in _numbered(path):
        where = f"'{path}', line {number}"
        name = row.get("question_id", row.get("uid"))
        if "prompt" in row:
            text = row["prompt"]
        else:
            text = _first(_need(row, "turns", where), where)
            text = text.get("content") if isinstance(text, dict) else text
        texts[str(name)] = _text(text, where)
    return texts


def _lm_eval(path: Path, model: str | None) -> Iterator[Record]:
    """Read ``samples_<task>_<time>.jsonl``; the model is the name of the folder.

    With several filters the first line of a document counts: the response is the raw one.
    """
    task = path.stem.removeprefix("samples_").rsplit("_", 1)[0]
    seen = set()
    for number, row in _numbered(path):
        where = f"'{path}', line {number}"
        document = str(_need(row, "doc_id", where))
        if document in seen:
            continue
        seen.add(document)
        said = _first(_first(_need(row, "resps", where), where), where)
        if not isinstance(said, str):
            raise InputError(
                f"{where}: the response is {json.dumps(said)[:40]}, not text; only tasks that "
                "generate text can be compared (not log-likelihoods)."
            )
        yield Record(
            model=model or path.parent.name.replace("__", "/"),
            query_id=f"{task}:{document}",
            query=_argument(row.get("arguments")),
            response=said,
            category=task,
            where=where,
        )


def _argument(arguments: Any) -> str | None:
    """Find what the model was given: ``{"gen_args_0": {"arg_0": text}}``, or nested lists.

    Under ``--apply_chat_template`` a served model gets a chat, stored as a list of one JSON text.
    """
    chat = False
    while isinstance(arguments, dict | list) and arguments:
        chat = isinstance(arguments, list)
        arguments = next(iter(arguments.values() if isinstance(arguments, dict) else arguments))
    if not isinstance(arguments, str):
        return None
    if chat:
        try:
            messages = json.loads(arguments)
        except ValueError:
            return arguments
        if isinstance(messages, list) and all(isinstance(m, dict) for m in messages):
            return _asked(messages)
    return arguments


def _inspect(path: Path, model: str | None) -> Iterator[Record]:
    """Read an Inspect log, ``.eval`` (a zip of JSON) or ``.json``; the first epoch counts."""
    head, entries = inspect_log.unpack(path) if path.suffix == ".eval" else _inspect_json(path)
    plan = _need(head, "eval", f"'{path}'")
    for where, sample in entries:
        if sample.get("epoch", 1) != 1:
            continue
        if sample.get("error"):
            raise InputError(
                f"{where}: the model failed here ({str(sample['error'])[:80]}); retry the "
                "evaluation (inspect eval-retry)."
            )
        output = _need(sample, "output", where)
        choices = output.get("choices") or []
        said = output.get("completion")
        if said is None and choices:
            said = _content(_need(choices[0], "message", where).get("content"))
        asked = sample.get("input")
        yield Record(
            model=model or str(_need(plan, "model", where)),
            query_id=f"{plan.get('task', path.stem)}:{_need(sample, 'id', where)}",
            query=_asked(asked) if isinstance(asked, list) else asked,
            response=_text(said, where),
            category=str(plan.get("task", path.stem)),
            where=where,
        )


def _inspect_json(path: Path) -> tuple[dict[str, Any], list[tuple[str, dict[str, Any]]]]:
    log = _json(path)
    if not isinstance(log, dict):
        raise InputError(f"'{path}' is not an Inspect log.")
    return log, [
        (f"'{path}', sample {i + 1}", row) for i, row in enumerate(log.get("samples") or [])
    ]


def _asked(messages: list[dict[str, Any]]) -> str:
    """Join what the user says in a chat."""
    said = [_content(m.get("content")) for m in messages if m.get("role") == "user"]
    return "\n\n".join(said)


def _content(content: Any) -> str:
    """Text of a chat message, which is text or a list of parts."""
    if isinstance(content, list):
        return "".join(p.get("text", "") for p in content if p.get("type") == "text")
    return content if isinstance(content, str) else ""


def _numbered(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    return enumerate(json_lines(path), 1)


def _need(row: Any, key: str, where: str) -> Any:
    if not isinstance(row, dict) or key not in row:
        has = ", ".join(row) if isinstance(row, dict) else type(row).__name__
        raise InputError(f"{where}: no '{key}'; it has {has or 'nothing'}.")
    return row[key]


def _first(values: Any, where: str) -> Any:
    if not isinstance(values, list) or not values:
        raise InputError(f"{where}: the list of answers is empty.")
    return values[0]


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise InputError(f"{where}: the text is {type(value).__name__}, not a string.")
    return value


def _optional(row: Mapping[Any, Any], column: str) -> str | None:
    value = row.get(column)
    return None if value is None or pd.isna(value) else str(value)


FORMATS: dict[str, Callable[[Path, str | None], Iterator[Record]]] = {
    "long": _long,
    "alpacaeval": _alpacaeval,
    "fastchat": _fastchat,
    "lm-eval": _lm_eval,
    "inspect": _inspect,
}
SUFFIXES = (".jsonl", ".csv", ".parquet", ".json", ".eval")
