"""Generate: ask every model every query, resumably; failures are never stored as answers."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from tqdm import tqdm

from llmsel._base.errors import InputError
from llmsel._base.files import json_lines
from llmsel._base.terminal import encodable, short
from llmsel.answers.models import Model, read_models
from llmsel.answers.output import AnswerFile, read_output
from llmsel.answers.prices import estimate_tokens
from llmsel.answers.server import QueryRefused, ServerError

GIVEN_UP = "not asked: model '{}' was given up"


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is still to be asked.

    Args:
        models, queries: what was read.
        todo: pairs (model, query) without an answer yet.
        answered: how many pairs have one.
        tokens_in: estimate, see `llmsel.answers.server.estimate_tokens`.
        tokens_out: upper bound where a model gives ``max_tokens``, else 500 a request.
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
        if not self.todo:
            return f"all {self.answered} answers are here; nothing is asked."
        price = f"at most about {self.cost:.4g}"
        if self.unpriced:
            price += f" (no prices for {', '.join(self.unpriced)})"
        return (
            f"{len(self.todo)} requests to {len({m.name for m, _ in self.todo})} models, "
            f"{self.answered} answers are here; about {self.tokens_in} tokens in, up to "
            f"{self.tokens_out} out; cost {price}"
        )


def plan(models: str | Path, queries: str | Path, output: str | Path) -> Plan:
    """Read what is asked for and what is answered already; nothing is sent, nothing written.

    Args:
        models: models.toml, see `llmsel.answers.models.Model`.
        queries: JSON Lines with ``query_id``, ``query`` and optionally ``category``.
        output: JSON Lines of answers; continued if it exists.

    Raises:
        InputError: files that are absent or not as they should be, or an output that holds
            something else than answers.
    """
    asked = read_models(models)
    rows = _read_queries(Path(queries))
    done = _answered(Path(output), {str(row["query_id"]): row["query"] for row in rows})
    todo = [(m, row) for row in rows for m in asked if (m.name, str(row["query_id"])) not in done]
    tokens_in = tokens_out = 0
    cost = 0.0
    for model, row in todo:
        sent, got = estimate_tokens(model.messages(row["query"])), _at_most(model)
        tokens_in, tokens_out = tokens_in + sent, tokens_out + got
        cost += model.server.prices.cost(sent, got) if model.server.prices else 0.0
    return Plan(
        models=asked,
        queries=tuple(rows),
        todo=tuple(todo),
        answered=len(asked) * len(rows) - len(todo),
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        cost=cost,
        unpriced=tuple(dict.fromkeys(m.name for m, _ in todo if m.server.prices is None)),
    )


def check_keys(todo: Plan) -> None:
    """See that every key is there before the first answer is paid for.

    Raises:
        InputError: a key that is not in the environment, is no key, or would go over an open line.
    """
    for server in {id(model.server): model.server for model, _ in todo.todo}.values():
        server.check_key()


def ask_all(
    todo: Plan,
    output: str | Path,
    *,
    workers: int = 4,
    progress: bool = True,
) -> dict[str, str]:
    """Ask what is missing and append every answer as it arrives.

    A model whose server cannot be used is asked no more; a query that is refused alone is no
    reason to. Ctrl-C keeps what arrives within seconds and ends.

    Args:
        todo: from `plan`, with the same output.
        output: JSON Lines: model, query_id, query, response, finish, category where given, and what
            the answer took: seconds, tokens_in, tokens_out, and cost where the model has prices.
        workers: requests in flight, over all models.
        progress: show a bar on stderr.

    Returns:
        "model / query id" -> the error, for every pair that failed or was not asked. Failures are
        not stored: run it again to ask only for them.

    Raises:
        InputError: fewer than one worker, no key for a server that needs one, an output that
            another process writes or that cannot be written.
    """
    if workers < 1:
        raise InputError(f"workers={workers}; give at least 1.")
    with AnswerFile(output) as file:
        # another run may have finished since the plan was made
        done = {(row.get("model"), str(row.get("query_id"))) for row in file.rows}
        pairs = [p for p in todo.todo if (p[0].name, str(p[1]["query_id"])) not in done]
        with tqdm(total=len(pairs), disable=not (progress and pairs), unit="answer") as bar:
            failed = _Round(pairs, file, workers, bar).run()
    # in the order of the plan, not in that of the threads
    return {name: failed[name] for model, row in pairs if (name := _name(model, row)) in failed}


class _Round:
    """One pass over the pairs, at most `workers` of them in flight."""

    def __init__(
        self,
        pairs: Sequence[tuple[Model, dict[str, Any]]],
        file: AnswerFile,
        workers: int,
        bar: tqdm[Any],
    ):
        self._pairs = iter(pairs)
        self._servers = {id(model.server): model.server for model, _ in pairs}.values()
        self._file = file
        self._workers = workers
        self._bar = bar
        self._given_up: set[str] = set()
        self._failed: dict[str, str] = {}

    def run(self) -> dict[str, str]:
        with ThreadPoolExecutor(self._workers) as threads:
            waiting: dict[Future[None], tuple[Model, dict[str, Any]]] = {}
            try:
                while True:
                    self._fill(threads, waiting)
                    if not waiting:
                        return self._failed
                    for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                        self._take(*waiting.pop(future), future.exception())
            except BaseException:  # Ctrl-C too: no thread may wait for its server any longer
                for future in waiting:
                    future.cancel()
                for server in self._servers:
                    server.stop()
                raise

    def _fill(
        self,
        threads: ThreadPoolExecutor,
        waiting: dict[Future[None], tuple[Model, dict[str, Any]]],
    ) -> None:
        while len(waiting) < self._workers and (pair := next(self._pairs, None)):
            model, row = pair
            if model.name in self._given_up:
                self._fail(model, row, GIVEN_UP.format(model.name))
            else:
                waiting[threads.submit(_ask, model, row, self._file)] = pair

    def _take(self, model: Model, row: Mapping[str, Any], error: BaseException | None) -> None:
        if error is None:
            self._bar.update()
        elif isinstance(error, ServerError):
            self._fail(model, row, str(error))
            if not isinstance(error, QueryRefused):
                self._given_up.add(model.name)
        else:
            raise error

    def _fail(self, model: Model, row: Mapping[str, Any], why: str) -> None:
        self._failed[_name(model, row)] = why
        self._bar.update()


def _name(model: Model, row: Mapping[str, Any]) -> str:
    return f"{model.name} / {row['query_id']}"


def failures(failed: Mapping[str, str]) -> list[str]:
    """Tell each reason of `ask_all` once, with how many pairs it cost and the first of them."""
    first: dict[str, str] = {}
    for pair, why in failed.items():
        first.setdefault(why, pair)
    lines = []
    for why, count in Counter(failed.values()).most_common():
        more = f" and {count - 1} more" if count > 1 else ""
        lines.append(f"{first[why]}{more}: {why}")
    return lines


def spent(models: Iterable[Model]) -> dict[str, float]:
    """Requests, tokens and cost so far, over all models."""
    total = {"requests": 0.0, "tokens_in": 0.0, "tokens_out": 0.0, "cost": 0.0}
    for model in models:
        for key, value in model.server.spent.items():
            total[key] += value
    return total


def _read_queries(path: Path) -> list[dict[str, Any]]:
    rows = json_lines(path)
    if not rows:
        raise InputError(f"'{path}' holds no query: a line is an object with query_id and query.")
    seen: set[str] = set()
    for number, row in enumerate(rows, 1):
        where = f"'{path}', line {number}"
        for key in ("query_id", "query"):
            if key not in row:
                raise InputError(f"{where}: no '{key}'.")
        if not isinstance(row["query"], str):
            raise InputError(f"{where}: the query is {type(row['query']).__name__}, not text.")
        if not isinstance(row["query_id"], str | int):
            raise InputError(f"{where}: 'query_id' is {type(row['query_id']).__name__}, not text.")
        if str(row["query_id"]) in seen:
            raise InputError(f"{where}: query id '{short(row['query_id'])}' is given twice.")
        seen.add(str(row["query_id"]))
        row["query"] = encodable(row["query"])  # as it is stored, and compared with, later
    return rows


def _answered(output: Path, texts: Mapping[str, str]) -> set[tuple[str, str]]:
    """Read which pairs (model, query id) the output holds; its queries must have the same text."""
    done = set()
    for number, row in enumerate(read_output(output)[0], 1):
        key = str(row["query_id"])
        if row.get("query", texts.get(key)) != texts.get(key) and key in texts:
            raise InputError(
                f"'{output}', line {number}: query id '{short(key)}' has another text than in the "
                "file of queries; write to a new file."
            )
        done.add((row["model"], key))
    return done


def _at_most(model: Model) -> int:
    """Tokens of one answer, at most as far as is known."""
    limit = model.parameters.get("max_tokens", 500)
    return limit if isinstance(limit, int) else 500


def _ask(model: Model, row: Mapping[str, Any], file: AnswerFile) -> None:
    reply = model.server.chat(model.model, model.messages(row["query"]), model.parameters)
    answer = {"model": model.name, "query_id": str(row["query_id"]), "query": row["query"]}
    if "category" in row:
        answer["category"] = row["category"]
    answer |= {"response": reply.text, "finish": reply.finish, "seconds": round(reply.seconds, 3)}
    answer |= {"tokens_in": reply.tokens_in, "tokens_out": reply.tokens_out}
    if model.server.prices is not None:
        answer["cost"] = model.server.prices.cost(reply.tokens_in, reply.tokens_out)
    file.append(answer)
