"""Pool: the queries, models, responses, votes and outcomes that one decision is about."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from enum import IntEnum
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from llmsel._base.checks import (
    check_outcomes,
    check_responses,
    check_votes,
    lay_out,
    need_columns,
    object_array,
    one_per_query,
    positions,
    unique_names,
)
from llmsel._base.errors import InputError, unknown
from llmsel._base.files import write_atomically
from llmsel._base.terminal import short

# what numpy, zipfile, zlib and json raise on a damaged file
DAMAGE = (
    *(OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error),
)


class Outcome(IntEnum):
    """Result of comparing a model's response with the baseline's, from the model's side."""

    LOSS = -1
    DRAW = 0
    WIN = 1
    MISSING = -128  # not judged: unknown, never a draw


MISSING = int(Outcome.MISSING)
NO_ANSWER = "$ERROR$"  # as FastChat and Arena-Hard write it: a model that failed; it loses unjudged


@dataclasses.dataclass(frozen=True, eq=False)
class Pool:
    """Immutable, validated input of a selection problem.

    Arrays run over *all* models, the baseline included: its own column holds draws.

    Args:
        queries: ids of the ``n`` queries, unique.
        models: names of the ``M`` models (the candidates and the baseline), unique.
        baseline: the model that every candidate is compared with; one of ``models``.
        texts: the query texts, length ``n``, or None.
        responses: str, shape ``(n, M)``: the response of each model to each query, or None.
            An empty response is legal; the weak judges score it as the worst answer.
        votes: int8, shape ``(n, M, z)``: the guess in {-1, 0, 1} of each of ``z`` weak judges,
            or None.
        outcomes: int8, shape ``(n, M)``: the oracle's outcomes in {-1, 0, 1}, or
            ``Outcome.MISSING`` where a cell was not judged, or None.
        categories: one category per query, length ``n``, or None.
        name: what tables and figures call this pool.
        simulated: True if any number in it was simulated; shown in every table and figure.
        notes: free facts for the data card (what was dropped, where it came from).

    Raises:
        InputError: naming the query and model that cannot be used, and what to do about it.

    Example:
        >>> pool = Pool(["q1", "q2"], ["new", "old"], "old", outcomes=[[1, 0], [Outcome.DRAW, 0]])
        >>> pool
        Pool('pool': 2 queries x 1 candidates, baseline 'old', with outcomes)
        >>> pool.win_rates().tolist()
        [0.75, 0.5]
        >>> pool.row("q1")
        {'new': 1}
    """

    queries: tuple[str, ...]
    models: tuple[str, ...]
    baseline: str
    texts: tuple[str, ...] | None = None
    responses: np.ndarray | None = None
    votes: np.ndarray | None = None
    outcomes: np.ndarray | None = None
    categories: tuple[str, ...] | None = None
    name: str = "pool"
    simulated: bool = False
    notes: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Validate every field and freeze the arrays."""
        self._set(queries=unique_names(self.queries, "queries", "query id"))
        self._set(models=unique_names(self.models, "models", "model"))
        if self.baseline not in self.models:
            raise unknown("baseline", self.baseline, self.models)
        if len(self.models) < 2:
            raise InputError(
                f"the pool holds only the baseline '{self.baseline}'; add at least one candidate."
            )
        for field in ("texts", "categories"):
            values = one_per_query(getattr(self, field), field, self.n_queries)
            self._set(**{field: values})
        names = self.queries, self.models
        if self.responses is not None:
            self._set(responses=check_responses(self.responses, *names))
        if self.votes is not None:
            self._set(votes=check_votes(self.votes, *names))
        if self.outcomes is not None:
            base = self.baseline_index
            outcomes = check_outcomes(self.outcomes, *names, baseline=base, missing=MISSING)
            self._set(outcomes=outcomes)

    def _set(self, **fields: Any) -> None:
        for field, value in fields.items():
            object.__setattr__(self, field, value)

    # -- construction ---------------------------------------------------------------------

    @classmethod
    def from_frame(
        cls,
        answers: pd.DataFrame,
        baseline: str,
        *,
        outcomes: pd.DataFrame | None = None,
        **fields: Any,
    ) -> Pool:
        """Build a pool from a long table of answers, one row per (model, query).

        Args:
            answers: columns ``model``, ``query_id``, ``response``, optionally ``query`` (the
                text) and ``category``. Order of first appearance is kept.
            baseline: name of the baseline model.
            outcomes: optional long table with columns ``model``, ``query_id``, ``outcome``
                (-1, 0, 1); a (model, query) that is not in it stays ``Outcome.MISSING``.
            fields: further fields of `Pool`, such as ``name``.

        Raises:
            InputError: a missing column, a pair given twice, or a response missing for a model.
        """
        need_columns(answers, ("model", "query_id", "response"), "answers")
        models = tuple(dict.fromkeys(answers["model"].astype(str)))
        queries = tuple(dict.fromkeys(answers["query_id"].astype(str)))
        responses = lay_out(answers, "response", queries, models, what="answers")
        absent = np.argwhere(pd.isna(responses))
        if len(absent):
            i, j = absent[0]
            raise InputError(
                f"model '{models[j]}' has no response to query '{queries[i]}' "
                f"({len(absent)} missing in all); add the response (an empty string is "
                "legal), drop the query or the model, or read the file with missing=drop or "
                "missing=loss (--missing drop, --missing loss)."
            )
        per_query = answers.drop_duplicates("query_id").set_index("query_id")
        if "query" in answers:
            fields.setdefault("texts", tuple(per_query["query"].astype(str)))
        if "category" in answers:
            fields.setdefault("categories", tuple(per_query["category"].astype(str)))
        table = None
        if outcomes is not None:
            need_columns(outcomes, ("model", "query_id", "outcome"), "outcomes")
            table = lay_out(outcomes, "outcome", queries, models, what="outcomes")
            # no row: not judged (NaN is an error)
            table[np.frompyfunc(lambda cell: cell is None, 1, 1)(table).astype(bool)] = MISSING
            if baseline in models:
                table[:, models.index(baseline)] = 0
        return cls(queries, models, baseline, responses=responses, outcomes=table, **fields)

    @classmethod
    def load(cls, path: str | Path) -> Pool:
        """Read a pool that `save` wrote.

        Raises:
            InputError: no such file, or not a pool file.
        """
        path = Path(path)
        if not path.exists():
            raise InputError(f"no pool file '{path}'; write one with Pool.save(path).")
        try:
            # numpy closes what it opened itself only if it can read it
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                header = json.loads(stored["header"].tobytes().decode("utf-8"))
                arrays = {k: stored[k] for k in ("votes", "outcomes") if k in stored}
            if header["responses"] is not None:
                header["responses"] = object_array(header["responses"])
            return cls(**header, **arrays)
        except DAMAGE as error:
            raise InputError(
                f"'{path}' is not a pool file or is damaged ({short(error, 200)}); write it again "
                "with Pool.save(path)."
            ) from error

    def save(self, path: str | Path) -> Path:
        """Write the pool to one ``.npz`` file (no pickle inside); return its path."""
        path = Path(path).with_suffix(".npz")
        header = {
            "queries": self.queries,
            "models": self.models,
            "baseline": self.baseline,
            "texts": self.texts,
            "responses": None if self.responses is None else self.responses.tolist(),
            "categories": self.categories,
            "name": self.name,
            "simulated": self.simulated,
            "notes": dict(self.notes),
        }
        arrays = {"header": np.frombuffer(json.dumps(header).encode("utf-8"), dtype=np.uint8)}
        for field in ("votes", "outcomes"):
            if getattr(self, field) is not None:
                arrays[field] = getattr(self, field)
        with write_atomically(path) as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
        return path

    def replace(self, **fields: Any) -> Pool:
        """Return a copy with some fields changed, validated again."""
        return dataclasses.replace(self, **fields)

    def subset(
        self, queries: Sequence[str] | None = None, models: Sequence[str] | None = None
    ) -> Pool:
        """Return the pool restricted to some query ids and/or models, in the given order.

        The baseline must stay. Weak votes are kept as they are, not computed again.

        Raises:
            InputError: an unknown query id or model, or a subset without the baseline.
        """
        rows = positions(queries, self.queries, "query id")
        cols = positions(models, self.models, "model")

        def pick(values: tuple[str, ...] | None) -> tuple[str, ...] | None:
            return None if values is None else tuple(values[i] for i in rows)

        def cut(array: np.ndarray | None) -> np.ndarray | None:
            return None if array is None else array[np.ix_(rows, cols)]

        return self.replace(
            queries=pick(self.queries),
            models=tuple(self.models[j] for j in cols),
            texts=pick(self.texts),
            categories=pick(self.categories),
            responses=cut(self.responses),
            votes=cut(self.votes),
            outcomes=cut(self.outcomes),
        )

    # -- views ----------------------------------------------------------------------------

    @property
    def n_queries(self) -> int:
        """Number of queries ``n``."""
        return len(self.queries)

    @property
    def n_models(self) -> int:
        """Number of models ``M``: the candidates and the baseline."""
        return len(self.models)

    @property
    def candidates(self) -> tuple[str, ...]:
        """The models under selection: all but the baseline."""
        return tuple(m for m in self.models if m != self.baseline)

    @cached_property
    def baseline_index(self) -> int:
        """Column of the baseline."""
        return self.models.index(self.baseline)

    @cached_property
    def candidate_columns(self) -> np.ndarray:
        """Columns of the candidates, in order: int64, shape ``(M - 1,)``, read-only."""
        columns = np.delete(np.arange(self.n_models), self.baseline_index)
        columns.setflags(write=False)
        return columns

    @cached_property
    def _places(self) -> dict[str, int]:
        return {query: i for i, query in enumerate(self.queries)}

    def need(self, field: str) -> np.ndarray:
        """Return ``votes``, ``outcomes`` or ``responses``.

        Raises:
            InputError: the pool does not hold it; the message says how to add it.
        """
        value = getattr(self, field)
        if value is None:
            how = {
                "votes": "compute them with llmsel.add_votes(pool)",
                "outcomes": "give the oracle's outcomes, or use a benchmark that has them",
                "responses": "give the models' responses",
            }[field]
            raise InputError(f"pool '{self.name}' has no {field}; {how}.")
        return np.asanyarray(value)  # votes may be memory-mapped

    def win_rates(self, rows: np.ndarray | None = None) -> np.ndarray:
        """Win rate of every model over its judged queries (``mean (a + 1) / 2``).

        Args:
            rows: int, shape ``(..., k)``: query positions; None takes the whole pool.

        Returns:
            float64, shape ``(..., M)``; the baseline has 1/2. NaN-free: a model without any
            judged query in ``rows`` has ``-inf``, so it is never the best.
        """
        outcomes = self.need("outcomes")
        cells = outcomes[None] if rows is None else outcomes[rows]
        judged = cells != MISSING
        total = np.where(judged, cells, 0).sum(axis=-2, dtype=np.int64)
        count = judged.sum(axis=-2, dtype=np.int64)
        rates = np.where(count > 0, 0.5 + 0.5 * total / np.maximum(count, 1), -np.inf)
        return rates[0] if rows is None else rates

    def to_frame(self) -> pd.DataFrame:
        """Lay the responses out as the long table that `from_frame` reads.

        Returns:
            Columns ``model``, ``query_id``, ``response``, and ``query``, ``category`` where known;
            one row per (query, model).
        """
        responses = self.need("responses")
        frame = pd.DataFrame(
            {
                "model": np.tile(np.array(self.models, dtype=object), self.n_queries),
                "query_id": np.repeat(np.array(self.queries, dtype=object), self.n_models),
                "response": responses.ravel(),
            }
        )
        for column, values in (("query", self.texts), ("category", self.categories)):
            if values is not None:
                frame[column] = np.repeat(np.array(values, dtype=object), self.n_models)
        return frame

    def place(self, query: str) -> int:
        """Return the row of a query id.

        Raises:
            InputError: no such query; the message suggests the nearest.
        """
        found = self._places.get(query)
        if found is None:
            raise unknown("query id", query, self.queries)
        return found

    def column(self, model: str) -> int:
        """Return the column of a model.

        Raises:
            InputError: no such model; the message suggests the nearest.
        """
        if model not in self.models:
            raise unknown("model", model, self.models)
        return self.models.index(model)

    def text_of(self, query: str) -> str:
        """Return the text of a query, or its id where the pool has no texts.

        Raises:
            InputError: no such query.
        """
        place = self.place(query)
        return query if self.texts is None else self.texts[place]

    def responses_to(self, query: str) -> dict[str, str]:
        """Return every model's response to a query.

        Raises:
            InputError: no such query, or a pool without responses.
        """
        return dict(zip(self.models, self.need("responses")[self.place(query)], strict=True))

    def row(self, query: str) -> dict[str, int]:
        """Return the judged outcomes of one query: candidate -> -1, 0 or 1.

        Raises:
            InputError: no such query, or a pool without outcomes.
        """
        pairs = zip(self.models, self.need("outcomes")[self.place(query)].tolist(), strict=True)
        return {m: a for m, a in pairs if m != self.baseline and a != MISSING}

    def hide_outcomes(self) -> Pool:
        """Return the pool as a strategy sees it: without the oracle's outcomes."""
        return self if self.outcomes is None else self.replace(outcomes=None)

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 over everything that can change a result (hex)."""
        digest = hashlib.sha256()
        head = [self.queries, self.models, self.baseline, self.texts, self.categories]
        digest.update(json.dumps(head).encode())
        if self.responses is not None:
            _add_json(digest, self.responses)
        for array in (self.votes, self.outcomes):
            # the buffer itself: a copy of memory-mapped votes may not fit
            digest.update(b"none" if array is None else np.ascontiguousarray(array).data)
        return digest.hexdigest()

    def __repr__(self) -> str:
        """One line: name, size, what is known."""
        known = [f for f in ("responses", "votes", "outcomes") if getattr(self, f) is not None]
        kind = ", simulated" if self.simulated else ""
        return (
            f"Pool('{self.name}': {self.n_queries} queries x {len(self.candidates)} candidates, "
            f"baseline '{self.baseline}', with {', '.join(known) or 'names only'}{kind})"
        )


def _add_json(digest: Any, table: np.ndarray) -> None:
    """Add a table as JSON row by row: over all pairs each answer stands in it many times."""
    written = lru_cache(4096)(json.dumps)
    for i, row in enumerate(table.tolist()):
        start = ", [" if i else "[["
        digest.update((start + ", ".join(map(written, row)) + "]").encode())
    digest.update(b"]")


def draw_orders(n_queries: int, pool_size: int, *, realizations: int, seed: int) -> np.ndarray:
    """Draw the pool of each realization, in the random order that breaks ties.

    Args:
        n_queries: number of queries drawn from.
        pool_size: number drawn, without replacement, per realization.
        realizations: number of pools; realization r depends on the seed and on r only.
        seed: of all of them.

    Returns:
        int32, shape ``(realizations, pool_size)``: query positions.
    """
    children = np.random.SeedSequence(seed).spawn(realizations)
    orders = np.empty((realizations, pool_size), dtype=np.int32)
    for row, child in zip(orders, children, strict=True):
        row[:] = np.random.default_rng(child).permutation(n_queries)[:pool_size]
    return orders
