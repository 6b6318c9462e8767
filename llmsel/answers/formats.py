"""Formats of files of answers: one reader per tool that writes them.

Every reader turns one file into records that know where they came from, so that every error
names file and line.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from llmsel._base.errors import InputError
from llmsel._base.files import json_lines
from llmsel._base.terminal import encodable, short
from llmsel.answers import inspect_log
from llmsel.answers.cells import (
    as_text,
    first_of,
    inner,
    is_empty,
    joined,
    name_of,
    need,
    numbered,
    optional,
    read_frame,
    read_json,
    unit,
)
from llmsel.pool import NO_ANSWER

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
    """One response of one model to one query, and where it was found.

    Without a response, `failed` says why there is none.
    """

    model: str
    query_id: str
    query: str | None
    response: str | None
    category: str | None
    where: str
    failed: str | None = None

    @property
    def file(self) -> str:
        """The file in `where`."""
        return self.where.rpartition(",")[0]


def detect(path: Path) -> str:
    """Name the format of a file, or "questions" for the texts that answer files lack."""
    seen = ""
    if path.suffix in (".csv", ".parquet"):
        return "long"
    if path.suffix == ".eval":
        return "inspect"
    if path.suffix == ".json":
        content = read_json(path)
        if isinstance(content, dict) and "eval" in content:
            return "inspect"
        first = content[0] if isinstance(content, list) and content else None
        if isinstance(first, dict) and "generator" in first:
            return "alpacaeval"
    elif path.suffix == ".jsonl":
        keys = next(iter(json_lines(path)), {}).keys()
        if not keys:
            raise InputError(f"'{path}' is of no known format: it is empty.")
        for kind, signs in SIGNS:
            if signs <= keys:
                return kind
        seen = f"; its first line has {short(', '.join(keys), 80)}"
    raise InputError(
        f"'{path}' is of no known format ({', '.join(FORMATS)}); a file of your own has the "
        f"columns model, query_id, query, response{seen}."
    )


def _long(path: Path, model: str | None) -> Iterator[Record]:
    """Read JSON Lines, CSV or Parquet in the project's own columns."""
    frame = read_frame(path)
    if "model" not in frame and model is not None:
        frame["model"] = model
    yield from read_table(frame, lambda i: f"'{path}', {unit(path)} {i + 1}")


def read_table(frame: pd.DataFrame, where: Callable[[int], str]) -> Iterator[Record]:
    """Read a table in the project's own columns; ``where(i)`` names its row i."""
    for column in ("model", "query_id", "response"):
        if column not in frame:
            raise InputError(
                f"{where(0).rpartition(',')[0]} has no column '{column}'; it has "
                f"{short(', '.join(map(str, frame.columns)))}."
            )
    for i, row in enumerate(frame.to_dict("records")):
        for column in ("model", "query_id"):
            if is_empty(row[column]):
                raise InputError(f"{where(i)}: '{column}' is empty.")
        said = row["response"]
        failed = "'response' is empty" if is_empty(said) else None
        yield Record(
            model=name_of(row["model"], where(i)),
            query_id=name_of(row["query_id"], where(i)),
            query=optional(row, "query", where(i)),
            response=None if failed else as_text(said, where(i)),
            category=optional(row, "category", where(i)),
            where=where(i),
            failed=failed,
        )


def _alpacaeval(path: Path, model: str | None) -> Iterator[Record]:
    """Read ``model_outputs.json``: a list of instruction, output, generator.

    Files are joined by instruction; its hash is the query id.
    """
    content = read_json(path)
    if not isinstance(content, list):
        raise InputError(f"'{path}' is not a list of model outputs.")
    ids = instruction_ids()
    for i, row in enumerate(content):
        where = f"'{path}', entry {i + 1}"
        instruction = as_text(need(row, "instruction", where), where)
        yield Record(
            model=model or name_of(need(row, "generator", where), where),
            query_id=ids(instruction),
            query=instruction,
            response=as_text(need(row, "output", where), where),
            category=optional(row, "dataset", where),
            where=where,
        )


def instruction_ids() -> Callable[[str], str]:
    """Make the function that names the instructions of one AlpacaEval file, in its order."""
    count: dict[str, int] = {}

    def name(instruction: str) -> str:
        digest = hashlib.sha256(instruction.encode()).hexdigest()[:12]
        count[digest] = count.get(digest, 0) + 1  # AlpacaEval asks some instructions twice
        return digest if count[digest] == 1 else f"{digest}-{count[digest]}"

    return name


def _fastchat(path: Path, model: str | None) -> Iterator[Record]:
    """Read ``model_answer/*.jsonl`` of FastChat and of Arena-Hard, all turns.

    The queries' texts come from the ``question.jsonl`` next to the folder, if there is one.
    """
    for number, row in numbered(path):
        where = f"'{path}', line {number}"
        query = None
        if "messages" in row:  # Arena-Hard v2
            chat = _chat(row["messages"], where)
            query = [said for role, said in chat if role == "user"]
            said = [inner(said, "answer") for role, said in chat if role == "assistant"]
            name = need(row, "uid", where)
        else:
            turns = need(first_of(need(row, "choices", where), where), "turns", where)
            said = [inner(turn, "content") for turn in turns] if isinstance(turns, list) else []
            name = need(row, "question_id", where)
        first_of(said, where)
        failed = NO_ANSWER in said
        yield Record(
            model=model or name_of(row.get("model_id", row.get("model")), where),
            query_id=name_of(name, where),
            query=joined([as_text(turn, where) for turn in query]) if query else None,
            response=None if failed else joined([as_text(turn, where) for turn in said]),
            category=None,
            where=where,
            failed=f"the model failed here ({NO_ANSWER}); generate it again" if failed else None,
        )


def read_questions(path: Path) -> dict[str, tuple[str, str | None]]:
    """Read the ``question.jsonl`` of FastChat and Arena-Hard.

    Returns:
        Query id -> text, all turns, and category where there is one. Arena-Hard v0.1 names its
        topics ``cluster``, and itself ``category``.
    """
    found = {}
    for number, row in numbered(path):
        where = f"'{path}', line {number}"
        name = name_of(row.get("question_id", row.get("uid")), where)
        turns = [row["prompt"]] if "prompt" in row else need(row, "turns", where)
        first_of(turns, where)
        said = joined([as_text(inner(turn, "content"), where) for turn in turns])
        found[name] = said, optional(row, "cluster" if "cluster" in row else "category", where)
    return found


def _lm_eval(path: Path, model: str | None) -> Iterator[Record]:
    """Read ``samples_<task>_<time>.jsonl``; the model is the name of the folder.

    With several filters the first line of a document counts: the response is the raw one.
    """
    task = path.stem.removeprefix("samples_").rsplit("_", 1)[0]
    seen = set()
    for number, row in numbered(path):
        where = f"'{path}', line {number}"
        document = name_of(need(row, "doc_id", where), where)
        if document in seen:
            continue
        seen.add(document)
        said = first_of(first_of(need(row, "resps", where), where), where)
        if not isinstance(said, str):
            raise InputError(
                f"{where}: the response is {short(json.dumps(said), 40)}, not text; only tasks "
                "that generate text can be compared (not log-likelihoods)."
            )
        yield Record(
            model=model or path.parent.name.replace("__", "/"),
            query_id=f"{task}:{document}",
            query=_argument(row.get("arguments"), where),
            response=as_text(said, where),
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
    owner, task, entries = inspect_samples(path, model)
    for where, sample in entries:
        number = name_of(need(sample, "id", where), where)
        if sample.get("epoch", 1) != 1:
            continue
        error, failed = sample.get("error"), None
        if error:
            failed = f"the model failed here ({short(error)}); retry it (inspect eval-retry)"
        asked = sample.get("input")
        if asked is not None:
            asked = _asked(asked, where) if isinstance(asked, list) else as_text(asked, where)
        yield Record(
            model=owner,
            query_id=f"{task}:{number}",
            query=asked,
            response=None if failed else _completion(need(sample, "output", where), where),
            category=task,
            where=where,
            failed=failed,
        )


def inspect_samples(
    path: Path, model: str | None
) -> tuple[str, str, list[tuple[str, dict[str, Any]]]]:
    """Read the samples of an Inspect log, all epochs.

    Args:
        path: ``.eval`` (a zip of JSON) or ``.json``.
        model: its name, in place of the log's.

    Returns:
        Model, task, and each sample with its place.

    Raises:
        InputError: no Inspect log.
    """
    head, entries = inspect_log.unpack(path) if path.suffix == ".eval" else _inspect_json(path)
    plan = need(head, "eval", f"'{path}'")
    need(plan, "model", f"'{path}'")
    owner = model or name_of(plan["model"], f"'{path}'")
    return owner, name_of(plan.get("task", path.stem), f"'{path}'"), entries


def _completion(output: Any, where: str) -> str:
    """Find the text of a sample's output."""
    if not isinstance(output, dict):
        raise InputError(f"{where}: the output is {type(output).__name__}, not an object.")
    said, choices = output.get("completion"), output.get("choices")
    if said is None and choices:
        message = need(first_of(choices, where), "message", where)
        said = _content(need(message, "content", where), where)
    return as_text(said, where)


def _inspect_json(path: Path) -> tuple[dict[str, Any], list[tuple[str, Any]]]:
    log = read_json(path)
    samples = log.get("samples") or [] if isinstance(log, dict) else None
    if not isinstance(samples, list):
        raise InputError(f"'{path}' is not an Inspect log.")
    return log, [(f"'{path}', sample {i + 1}", row) for i, row in enumerate(samples)]


def _chat(messages: Any, where: str) -> list[tuple[Any, Any]]:
    """Read a chat: pairs of role and content."""
    if not isinstance(messages, list):
        raise InputError(f"{where}: the chat is {type(messages).__name__}, not a list.")
    return [(need(m, "role", where), need(m, "content", where)) for m in messages]


def _asked(messages: Any, where: str) -> str:
    """Join what the user says in a chat."""
    chat = _chat(messages, where)
    return "\n\n".join(_content(said, where) for role, said in chat if role == "user")


def _content(content: Any, where: str) -> str:
    """Text of a chat message, which is text or a list of parts."""
    if isinstance(content, list):
        texts = [p for p in content if inner(p, "type") == "text" and isinstance(p, dict)]
        return "".join(as_text(need(part, "text", where), where) for part in texts)
    return as_text(content, where)


FORMATS: dict[str, Callable[[Path, str | None], Iterator[Record]]] = {
    "long": _long,
    "alpacaeval": _alpacaeval,
    "fastchat": _fastchat,
    "lm-eval": _lm_eval,
    "inspect": _inspect,
}
