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
import numbers
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from llmsel._base.errors import InputError
from llmsel._base.files import json_lines, read_text
from llmsel._base.terminal import encodable, short
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
    except (ValueError, RecursionError) as error:
        raise InputError(f"'{path}' is not JSON: {error}.") from error


def _long(path: Path, model: str | None) -> Iterator[Record]:
    """Read JSON Lines, CSV or Parquet in the project's own columns."""
    if path.suffix == ".parquet":
        frame = _parquet(path)
    elif path.suffix == ".csv":
        frame = _csv(path)
    else:
        frame = pd.DataFrame(json_lines(path), dtype=object)  # as written: no id 1 becomes 1.0
    if "model" not in frame and model is not None:
        frame["model"] = model
    unit = "line" if path.suffix == ".jsonl" else "row"
    yield from read_table(frame, lambda i: f"'{path}', {unit} {i + 1}")


def _parquet(path: Path) -> pd.DataFrame:
    try:
        from pyarrow import ArrowException
    except ImportError as error:
        raise InputError(f"to read '{path}', pip install pyarrow.") from error
    try:
        return pd.read_parquet(path).astype(object)  # text is decoded here, not where it is used
    except (OSError, ValueError, KeyError, TypeError, ArrowException) as error:
        raise InputError(f"'{path}' is no whole Parquet file: {short(error)}.") from error


def _csv(path: Path) -> pd.DataFrame:
    """Read CSV; pandas would shift the columns of a row that is too long."""
    csv.field_size_limit(2**31 - 1)  # an answer may be longer than its 131,072 characters
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""), strict=True)
    rows = []
    try:
        for row in reader:
            if None in row or None in row.values():
                raise csv.Error("another number of columns than in the first line")
            rows.append(row)
    except csv.Error as error:
        raise InputError(f"'{path}', line {reader.line_num}, is not CSV: {error}.") from error
    return pd.DataFrame(rows, columns=reader.fieldnames, dtype=object)


def read_table(frame: pd.DataFrame, where: Callable[[int], str]) -> Iterator[Record]:
    """Read a table in the project's own columns; ``where(i)`` names its row i."""
    for column in ("model", "query_id", "response"):
        if column not in frame:
            raise InputError(
                f"{where(0).rpartition(',')[0]} has no column '{column}'; it has "
                f"{short(', '.join(map(str, frame.columns)))}."
            )
    for i, row in enumerate(frame.to_dict("records")):
        for column in ("model", "query_id", "response"):
            if _empty(row[column]):
                raise InputError(f"{where(i)}: '{column}' is empty.")
        yield Record(
            model=_name(row["model"], where(i)),
            query_id=_name(row["query_id"], where(i)),
            query=_optional(row, "query", where(i)),
            response=_text(row["response"], where(i)),
            category=_optional(row, "category", where(i)),
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
            model=model or _name(_need(row, "generator", where), where),
            query_id=name if count[name] == 1 else f"{name}-{count[name]}",
            query=instruction,
            response=_text(_need(row, "output", where), where),
            category=_optional(row, "dataset", where),
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
            chat = _chat(row["messages"], where)
            query = next((said for role, said in chat if role == "user"), None)
            said = next((said for role, said in chat if role == "assistant"), None)
            name = _need(row, "uid", where)
        else:
            turns = _need(_first(_need(row, "choices", where), where), "turns", where)
            said = _inner(_first(turns, where), "content")  # Arena-Hard v0.1
            name = _need(row, "question_id", where)
        said = _inner(said, "answer")
        if said == FAILED:
            raise InputError(f"{where}: the model failed here ({FAILED}); generate it again.")
        yield Record(
            model=model or _name(row.get("model_id", row.get("model")), where),
            query_id=_name(name, where),
            query=None if query is None else _text(query, where),
            response=_text(said, where),
            category=None,
            where=where,
        )


def read_questions(path: Path) -> dict[str, str]:
    """Read the ``question.jsonl`` of FastChat and Arena-Hard: query id -> text, first turn."""
    texts = {}
    for number, row in _numbered(path):
        where = f"'{path}', line {number}"
        name = _name(row.get("question_id", row.get("uid")), where)
        if "prompt" in row:
            text = row["prompt"]
        else:
            text = _inner(_first(_need(row, "turns", where), where), "content")
        texts[name] = _text(text, where)
    return texts


def _lm_eval(path: Path, model: str | None) -> Iterator[Record]:
    """Read ``samples_<task>_<time>.jsonl``; the model is the name of the folder.

    With several filters the first line of a document counts: the response is the raw one.
    """
    task = path.stem.removeprefix("samples_").rsplit("_", 1)[0]
    seen = set()
    for number, row in _numbered(path):
        where = f"'{path}', line {number}"
        document = _name(_need(row, "doc_id", where), where)
        if document in seen:
            continue
        seen.add(document)
        said = _first(_first(_need(row, "resps", where), where), where)
        if not isinstance(said, str):
            raise InputError(
                f"{where}: the response is {short(json.dumps(said), 40)}, not text; only tasks "
                "that generate text can be compared (not log-likelihoods)."
            )
        yield Record(
            model=model or path.parent.name.replace("__", "/"),
            query_id=f"{task}:{document}",
            query=_argument(row.get("arguments"), where),
            response=_text(said, where),
            category=task,
            where=where,
        )


def _argument(arguments: Any, where: str) -> str | None:
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
        except (ValueError, RecursionError):
            return encodable(arguments)
        if isinstance(messages, list) and all(isinstance(m, dict) for m in messages):
            return _asked(messages, where)
    return encodable(arguments)


def _inspect(path: Path, model: str | None) -> Iterator[Record]:
    """Read an Inspect log, ``.eval`` (a zip of JSON) or ``.json``; the first epoch counts."""
    head, entries = inspect_log.unpack(path) if path.suffix == ".eval" else _inspect_json(path)
    plan = _need(head, "eval", f"'{path}'")
    _need(plan, "model", f"'{path}'")
    owner = model or _name(plan["model"], f"'{path}'")
    task = _name(plan.get("task", path.stem), f"'{path}'")
    for where, sample in entries:
        number = _name(_need(sample, "id", where), where)
        if sample.get("epoch", 1) != 1:
            continue
        if sample.get("error"):
            raise InputError(
                f"{where}: the model failed here ({short(sample['error'])}); retry the "
                "evaluation (inspect eval-retry)."
            )
        asked = sample.get("input")
        if asked is not None:
            asked = _asked(asked, where) if isinstance(asked, list) else _text(asked, where)
        yield Record(
            model=owner,
            query_id=f"{task}:{number}",
            query=asked,
            response=_completion(_need(sample, "output", where), where),
            category=task,
            where=where,
        )


def _completion(output: Any, where: str) -> str:
    """Find the text of a sample's output."""
    if not isinstance(output, dict):
        raise InputError(f"{where}: the output is {type(output).__name__}, not an object.")
    said, choices = output.get("completion"), output.get("choices")
    if said is None and choices:
        message = _need(_first(choices, where), "message", where)
        said = _content(_need(message, "content", where), where)
    return _text(said, where)


def _inspect_json(path: Path) -> tuple[dict[str, Any], list[tuple[str, Any]]]:
    log = _json(path)
    samples = log.get("samples") or [] if isinstance(log, dict) else None
    if not isinstance(samples, list):
        raise InputError(f"'{path}' is not an Inspect log.")
    return log, [(f"'{path}', sample {i + 1}", row) for i, row in enumerate(samples)]


def _chat(messages: Any, where: str) -> list[tuple[Any, Any]]:
    """Read a chat: pairs of role and content."""
    if not isinstance(messages, list):
        raise InputError(f"{where}: the chat is {type(messages).__name__}, not a list.")
    return [(_need(m, "role", where), _need(m, "content", where)) for m in messages]


def _asked(messages: Any, where: str) -> str:
    """Join what the user says in a chat."""
    chat = _chat(messages, where)
    return "\n\n".join(_content(said, where) for role, said in chat if role == "user")


def _content(content: Any, where: str) -> str:
    """Text of a chat message, which is text or a list of parts."""
    if isinstance(content, list):
        texts = [p for p in content if _inner(p, "type") == "text" and isinstance(p, dict)]
        return "".join(_text(_need(part, "text", where), where) for part in texts)
    return _text(content, where)


def _inner(value: Any, key: str) -> Any:
    """Return the value under a key of a dictionary; anything else as it is."""
    return value.get(key) if isinstance(value, dict) else value


def _numbered(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    return enumerate(json_lines(path), 1)


def _need(row: Any, key: str, where: str) -> Any:
    if not isinstance(row, dict) or key not in row:
        has = ", ".join(row) if isinstance(row, dict) else type(row).__name__
        raise InputError(f"{where}: no '{key}'; it has {short(has) or 'nothing'}.")
    return row[key]


def _first(values: Any, where: str) -> Any:
    if not isinstance(values, list) or not values:
        raise InputError(f"{where}: the list of answers is empty.")
    return values[0]


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise InputError(f"{where}: the text is {type(value).__name__}, not a string.")
    return encodable(value)  # half an emoji, as some tools cut it, can be stored nowhere


def _name(value: Any, where: str) -> str:
    """Name of a model, a query or a category: text or a number."""
    if value is None or value == "":
        raise InputError(f"{where}: a name is missing (of the model, or the id of the query).")
    if not isinstance(value, str | numbers.Number):
        raise InputError(f"{where}: a name is {type(value).__name__}, not text or a number.")
    return encodable(str(value))


def _empty(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value) or value is pd.NA


def _optional(row: Mapping[Any, Any], column: str, where: str) -> str | None:
    value = row.get(column)
    if _empty(value):
        return None
    return value if value == "" else _name(value, where)


FORMATS: dict[str, Callable[[Path, str | None], Iterator[Record]]] = {
    "long": _long,
    "alpacaeval": _alpacaeval,
    "fastchat": _fastchat,
    "lm-eval": _lm_eval,
    "inspect": _inspect,
}
SUFFIXES = (".jsonl", ".csv", ".parquet", ".json", ".eval")
