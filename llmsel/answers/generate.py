"""Generate: ask every model every query, resumably; failures are never stored as answers."""

from __future__ import annotations

import dataclasses
import json
import os
import threading
import tomllib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from tqdm import tqdm

from llmsel._base.errors import InputError, unknown
from llmsel._base.files import json_lines, read_text
from llmsel.answers.server import Prices, Server, ServerError, estimate_tokens

SETTINGS = {"name", "model", "base_url", "key", "system", "timeout", "prices", "parameters"}


@dataclasses.dataclass(frozen=True)
class Model:
    """One ``[[model]]`` of models.toml.

    Args:
        name: in the file of answers.
        model: its name on the server; ``name`` if left out.
        endpoint: the server: ``base_url``, ``key`` (an environment variable), ``timeout``,
            ``prices``.
        system: instruction ahead of every query, or None.
        parameters: sent with every request, e.g. ``temperature``, ``max_tokens``, ``seed``.
    """

    name: str
    model: str
    endpoint: Server
    system: str | None
    parameters: Mapping[str, Any]

    def messages(self, query: str) -> list[dict[str, str]]:
        """Build the chat for a query."""
        first = [{"role": "system", "content": self.system}] if self.system else []
        return [*first, {"role": "user", "content": query}]


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is still to be asked.

    Args:
        models, queries: what was read.
        todo: pairs (model, query) without an answer yet.
        answered: how many pairs have one.
        tokens_in: estimate, see `llmsel.answers.server.estimate_tokens`.
        tokens_out: upper bound where a model gives ``max_tokens``, else 500 a call.
        cost: of both, for the models with prices.
        unpriced: names of the models without.
    """

    models: tuple[Model, ...]
    queries: tuple[dict[str, Any], ...]
    todo: tuple[tuple[Model, dict[str, Any]], ...]
    answered: int
    tokens_in: int
    tokens_out: int
    cost: float
    unpriced: tuple[str, ...]

    @property
    def summary(self) -> str:
        """The estimate in one line."""
        price = f"at most about {self.cost:.4g}"
        if self.unpriced:
            price += f" (no prices for {', '.join(self.unpriced)})"
        return (
            f"{len(self.todo)} calls to {len({m.name for m, _ in self.todo})} models, "
            f"{self.answered} answers are here; about {self.tokens_in} tokens in, up to "
            f"{self.tokens_out} out; cost {price}"
        )


def read_models(path: str | Path) -> tuple[Model, ...]:
    """Read models.toml: one ``[[model]]`` per model.

    Raises:
        InputError: no such file, no TOML, no model, an unknown setting, or a name given twice.
    """
    try:
        tables = tomllib.loads(read_text(path)).get("model", [])
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"'{path}' is not TOML: {error}.") from error
    if not isinstance(tables, list) or not tables:
        raise InputError(f"'{path}' has no [[model]] table.")
    models: dict[str, Model] = {}
    for number, table in enumerate(tables, 1):
        where = f"'{path}', model {number}"
        for key in table:
            if key == "api_key":
                raise InputError(
                    f"{where}: keys do not belong into a file; put it into the environment and "
                    "name the variable: key = 'MY_KEY'."
                )
            if key not in SETTINGS:
                raise InputError(f"{where}: {unknown('setting', key, sorted(SETTINGS))}")
        if "name" not in table:
            raise InputError(f"{where}: no 'name'.")
        name = str(table["name"])
        if name in models:
            raise InputError(f"{where}: the name '{name}' is given twice.")
        prices = table.get("prices")
        try:
            priced = None if prices is None else Prices(float(prices["in"]), float(prices["out"]))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{where}: prices are per million tokens, e.g. prices = {{in = 0.5, out = 1.5}}."
            ) from error
        models[name] = Model(
            name=name,
            model=str(table.get("model", name)),
            endpoint=Server(
                table.get("base_url"),
                table.get("key", "OPENAI_API_KEY"),
                float(table.get("timeout", 120)),
                prices=priced,
            ),
            system=table.get("system"),
            parameters=table.get("parameters", {}),
        )
    return tuple(models.values())


def plan(models: str | Path, queries: str | Path, output: str | Path) -> Plan:
    """Read what is asked for and what is answered already; nothing is sent.

    Args:
        models: models.toml, see `Model`.
        queries: JSON Lines with ``query_id``, ``query`` and optionally ``category``.
        output: JSON Lines of answers; continued if it exists. A torn last line is cut off.

    Raises:
        InputError: files that are absent or not as they should be.
    """
    asked = read_models(models)
    rows = json_lines(Path(queries))
    seen: set[str] = set()
    for number, row in enumerate(rows, 1):
        for key in ("query_id", "query"):
            if key not in row:
                raise InputError(f"'{queries}', line {number}: no '{key}'.")
        if str(row["query_id"]) in seen:
            raise InputError(
                f"'{queries}', line {number}: query id '{row['query_id']}' is given twice."
            )
        seen.add(str(row["query_id"]))
    texts = {str(row["query_id"]): row["query"] for row in rows}
    done = set()
    for number, row in enumerate(_answers(Path(output)), 1):
        key = str(row.get("query_id"))
        if row.get("query", texts.get(key)) != texts.get(key) and key in texts:
            raise InputError(
                f"'{output}', line {number}: query id '{key}' has another text than in "
                f"'{queries}'; write to a new file."
            )
        done.add((row.get("model"), key))
    todo = [(m, row) for row in rows for m in asked if (m.name, str(row["query_id"])) not in done]
    tokens_in = tokens_out = 0
    cost = 0.0
    for model, row in todo:
        sent = estimate_tokens(model.messages(row["query"]))
        got = int(model.parameters.get("max_tokens", 500))
        tokens_in += sent
        tokens_out += got
        cost += model.endpoint.prices.cost(sent, got) if model.endpoint.prices else 0.0
    unpriced = {m.name: m for m, _ in todo if m.endpoint.prices is None}
    return Plan(
        models=asked,
        queries=tuple(rows),
        todo=tuple(todo),
        answered=len(asked) * len(rows) - len(todo),
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        cost=cost,
        unpriced=tuple(unpriced),
    )


def run(
    todo: Plan,
    output: str | Path,
    workers: int = 4,
    progress: bool = True,
    give_up: int = 20,
) -> dict[str, str]:
    """Ask what is missing and append every answer as it arrives.

    Args:
        todo: from `plan`, with the same output.
        output: JSON Lines: model, query_id, query, response, finish, and category where given.
        workers: requests at a time, over all models.
        progress: show a bar on stderr.
        give_up: failures in a row of one model after which it is asked no more.

    Returns:
        "model / query id" -> the error, for every pair that failed or was given up. Failures are
        not stored: run it again to ask only for them.

    Raises:
        InputError: fewer than one worker, or no key for a server that needs one.
    """
    if workers < 1:
        raise InputError(f"workers={workers}; give at least 1.")
    path = Path(output)
    path.parent.mkdir(parents=True, exist_ok=True)
    failed: dict[str, str] = {}
    in_a_row: dict[str, int] = {}
    bar = tqdm(total=len(todo.todo), disable=not progress, unit="answer")
    with path.open("ab") as file, ThreadPoolExecutor(workers) as threads, bar:
        write = _writer(file)
        waiting: dict[Future, tuple[Model, dict[str, Any]]] = {}
        pairs = iter(todo.todo)
        try:
            while True:
                while len(waiting) < workers and (pair := next(pairs, None)):
                    model, row = pair
                    if in_a_row.get(model.name, 0) >= give_up:
                        failed[f"{model.name} / {row['query_id']}"] = "not asked: given up"
                        bar.update()
                    else:
                        waiting[threads.submit(_ask, model, row, write)] = pair
                if not waiting:
                    return failed
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    model, row = waiting.pop(future)
                    error = future.exception()
                    bar.update()
                    if error is None:
                        in_a_row[model.name] = 0
                    elif isinstance(error, ServerError):
                        in_a_row[model.name] = in_a_row.get(model.name, 0) + 1
                        failed[f"{model.name} / {row['query_id']}"] = str(error)
                    else:
                        raise error
        finally:
            for future in waiting:
                future.cancel()


def spent(models: Sequence[Model]) -> dict[str, float]:
    """Calls, tokens and cost so far, over all models."""
    total = {"calls": 0.0, "tokens_in": 0.0, "tokens_out": 0.0, "cost": 0.0}
    for model in models:
        for key, value in model.endpoint.spent.items():
            total[key] += value
    return total


def _ask(model: Model, row: Mapping[str, Any], write: Callable[[dict[str, Any]], None]) -> None:
    reply = model.endpoint.chat(model.model, model.messages(row["query"]), model.parameters)
    if not reply.text and reply.finish not in ("stop", "length"):
        raise ServerError(f"model '{model.name}' gave no text (finish: {reply.finish}).")
    answer = {"model": model.name, "query_id": str(row["query_id"]), "query": row["query"]}
    if "category" in row:
        answer["category"] = row["category"]
    write(answer | {"response": reply.text, "finish": reply.finish})


def _writer(file: Any) -> Callable[[dict[str, Any]], None]:
    lock = threading.Lock()

    def write(row: dict[str, Any]) -> None:
        with lock:
            file.write((json.dumps(row, ensure_ascii=False) + "\n").encode())
            file.flush()
            os.fsync(file.fileno())

    return write


def _answers(path: Path) -> list[dict[str, Any]]:
    """Read the answers so far; a torn last line (from a kill) is cut off the file."""
    if not path.exists():
        return []
    raw = path.read_bytes()
    whole = raw.rfind(b"\n") + 1
    if whole < len(raw):
        os.truncate(path, whole)
    return json_lines(path)
