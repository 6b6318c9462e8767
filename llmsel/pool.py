"""Pool: the queries, models, responses, votes and outcomes that one decision is about."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from enum import IntEnum
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from llmsel._base.checks import first_duplicate, need_columns, object_array
from llmsel._base.errors import InputError, unknown


class Outcome(IntEnum):
    """Result of comparing a model's response with the baseline's, from the model's side."""

    LOSS = -1
    DRAW = 0
    WIN = 1
    MISSING = -128  # not judged: unknown, never a draw


MISSING = int(Outcome.MISSING)


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
        for field in ("queries", "models"):
            names = tuple(str(x) for x in getattr(self, field))
            object.__setattr__(self, field, names)
            if not names:
                raise InputError(f"a pool needs at least one entry in '{field}'; it is empty.")
            twice = first_duplicate(names)
            if twice is not None:
                kind = "query id" if field == "queries" else "model"
                raise InputError(f"{kind} '{twice}' appears twice; give every {kind} once.")
        if self.baseline not in self.models:
            raise unknown("baseline", self.baseline, self.models)
        if len(self.models) < 2:
            raise InputError(
                f"the pool holds only the baseline '{self.baseline}'; add at least one candidate."
            )
        for field in ("texts", "categories"):
            values = getattr(self, field)
            if values is not None:
                values = tuple(values)
                object.__setattr__(self, field, values)
                if len(values) != self.n_queries:
                    raise InputError(
                        f"'{field}' has {len(values)} entries for {self.n_queries} queries; "
                        "give one per query."
                    )
        if self.responses is not None:
            object.__setattr__(self, "responses", self._checked_responses(self.responses))
        if self.votes is not None:
            object.__setattr__(self, "votes", self._checked_votes(self.votes))
        if self.outcomes is not None:
            object.__setattr__(self, "outcomes", self._checked_outcomes(self.outcomes))

    # -- construction ---------------------------------------------------------------------

    @classmethod
    def from_frame(
        cls,
        answers: pd.DataFrame,
        baseline: str,
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
        responses = _pivot(answers, "response", queries, models, "answers")
        absent = np.argwhere(pd.isna(responses))
        if len(absent):
            i, j = absent[0]
            raise InputError(
                f"model '{models[j]}' has no response to query '{queries[i]}' "
                f"({len(absent)} such cells in all); add the response (an empty string is "
                "legal) or drop the query or the model."
            )
        per_query = answers.drop_duplicates("query_id").set_index("query_id")
        if "query" in answers:
            fields.setdefault("texts", tuple(per_query["query"].astype(str)))
        if "category" in answers:
            fields.setdefault("categories", tuple(per_query["category"].astype(str)))
        table = None
        if outcomes is not None:
            need_columns(outcomes, ("model", "query_id", "outcome"), "outcomes")
            table = _pivot(outcomes, "outcome", queries, models, "outcomes")
            table[table == None] = MISSING  # noqa: E711 - no row: not judged (NaN is an error)
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
            with np.load(path, allow_pickle=False) as stored:
                header = json.loads(stored["header"].tobytes().decode("utf-8"))
                arrays = {k: stored[k] for k in ("votes", "outcomes") if k in stored}
        except (OSError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
            raise InputError(
                f"'{path}' is not a pool file or is damaged ({error}); write it again with "
                "Pool.save(path)."
            ) from error
        if header["responses"] is not None:
            header["responses"] = object_array(header["responses"])
        return cls(**header, **arrays)

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
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part")
        with part.open("wb") as file:  # a stop half-way must not leave a torn pool behind
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
        part.replace(path)
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
        rows = self._positions(queries, self.queries, "query id")
        cols = self._positions(models, self.models, "model")

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
        return value

    def win_rates(self, rows: np.ndarray | None = None) -> np.ndarray:
        """Win rate of every model over its judged queries (DESIGN: ``mean (a + 1) / 2``).

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

    def row(self, query: str) -> dict[str, int]:
        """Return the judged outcomes of one query: candidate -> -1, 0 or 1.

        Raises:
            InputError: an unknown query id, or a pool without outcomes.
        """
        (i,) = self._positions([query], self.queries, "query id")
        pairs = zip(self.models, self.need("outcomes")[i].tolist(), strict=True)
        return {m: a for m, a in pairs if m != self.baseline and a != MISSING}

    def hide_outcomes(self) -> Pool:
        """Return the pool as a strategy sees it: without the oracle's outcomes."""
        return self.replace(outcomes=None)

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 over everything that can change a result (hex)."""
        digest = hashlib.sha256()
        head = [self.queries, self.models, self.baseline, self.texts, self.categories]
        digest.update(json.dumps(head).encode())
        if self.responses is not None:
            digest.update(json.dumps(self.responses.tolist()).encode())
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

    # -- validation -----------------------------------------------------------------------

    def _positions(
        self, wanted: Sequence[str] | None, have: tuple[str, ...], kind: str
    ) -> list[int]:
        if wanted is None:
            return list(range(len(have)))
        place = {name: i for i, name in enumerate(have)}
        for name in wanted:
            if name not in place:
                raise unknown(kind, name, have)
        return [place[name] for name in wanted]

    def _checked_responses(self, responses: Any) -> np.ndarray:
        array = object_array(responses)
        self._check_shape("responses", array, 2)
        for i, row in enumerate(array):
            for j, text in enumerate(row):
                if text is None or (isinstance(text, float) and np.isnan(text)):
                    raise InputError(
                        f"model '{self.models[j]}' has no response to query "
                        f"'{self.queries[i]}'; give one (an empty string is legal)."
                    )
                if not isinstance(text, str):
                    raise InputError(
                        f"the response of model '{self.models[j]}' to query '{self.queries[i]}' "
                        f"is {type(text).__name__}, not text; decode it to str first."
                    )
                try:
                    text.encode()
                except UnicodeEncodeError as error:
                    raise InputError(
                        f"the response of model '{self.models[j]}' to query '{self.queries[i]}' "
                        "holds bytes that are not UTF-8; read the file with encoding='utf-8' and "
                        "repair it."
                    ) from error
        array.setflags(write=False)
        return array

    def _checked_votes(self, votes: Any) -> np.ndarray:
        array = np.asarray(votes)
        self._check_shape("votes", array, 3)
        if array.shape[2] == 0:
            raise InputError("'votes' has no weak judge on its last axis; give at least one.")
        return self._checked_codes("vote", array, (-1, 0, 1))

    def _checked_outcomes(self, outcomes: Any) -> np.ndarray:
        array = np.array(outcomes)
        self._check_shape("outcomes", array, 2)
        array = self._checked_codes("outcome", array, (-1, 0, 1, MISSING))
        column = array[:, self.baseline_index]
        if np.any(column != 0):
            i = int(np.flatnonzero(column != 0)[0])
            raise InputError(
                f"the baseline '{self.baseline}' has outcome {column[i]} against itself on query "
                f"'{self.queries[i]}'; its column must hold draws (0)."
            )
        if self.n_models > 1:
            empty = np.flatnonzero((array == MISSING).all(axis=0))
            if len(empty) == self.n_models - 1:
                raise InputError("no candidate has any judged outcome; leave 'outcomes' out.")
        return array

    def _check_shape(self, what: str, array: np.ndarray, ndim: int) -> None:
        want = (self.n_queries, self.n_models)
        if array.ndim != ndim or array.shape[:2] != want:
            tail = ", judges" if ndim == 3 else ""
            raise InputError(
                f"'{what}' has shape {array.shape}; expected (queries, models{tail}) = "
                f"({want[0]}, {want[1]}{', z' if tail else ''}), the baseline's column included."
            )

    def _checked_codes(self, what: str, array: np.ndarray, codes: tuple[int, ...]) -> np.ndarray:
        if array.dtype == np.int8:  # large vote arrays may be memory-mapped: one cheap pass
            lowest, highest = int(array.min()), int(array.max())
            wrong = None
            if lowest < -1 or highest > 1:
                wrong = ~np.isin(array, codes)
        else:
            try:
                array = array.astype(float)
            except (TypeError, ValueError) as error:
                raise InputError(
                    f"one {what} is not a number ({error}); use -1, 0 or 1."
                ) from error
            wrong = ~np.isin(array, codes)
        if wrong is not None and wrong.any():
            at = tuple(int(x) for x in np.argwhere(wrong)[0])
            value = array[at]
            shown = "NaN" if np.isnan(value) else f"{value:g}"
            unjudged = "; an unjudged cell is Outcome.MISSING" if what == "outcome" else ""
            raise InputError(
                f"the {what} of model '{self.models[at[1]]}' on query '{self.queries[at[0]]}' is "
                f"{shown}; it must be -1 (loss), 0 (draw) or 1 (win){unjudged}."
            )
        array = array.astype(np.int8, copy=False)
        if array.flags.writeable:
            array = array.copy()
            array.setflags(write=False)
        return array


def _pivot(
    frame: pd.DataFrame,
    value: str,
    queries: tuple[str, ...],
    models: tuple[str, ...],
    what: str,
) -> np.ndarray:
    """Lay a long table out as an object array (queries, models), None where no row is."""
    row_of = {q: i for i, q in enumerate(queries)}
    column_of = {m: j for j, m in enumerate(models)}
    table = np.full((len(queries), len(models)), None, dtype=object)
    filled = np.zeros(table.shape, dtype=bool)
    for model, query, cell in zip(frame["model"], frame["query_id"], frame[value], strict=True):
        if str(model) not in column_of:
            raise unknown("model", str(model), models)
        if str(query) not in row_of:
            raise unknown("query id", str(query), queries)
        at = row_of[str(query)], column_of[str(model)]
        if filled[at]:
            raise InputError(
                f"query id '{query}' appears twice for model '{model}' in the {what}; keep one."
            )
        table[at], filled[at] = cell, True
    return table


def draw_orders(n_queries: int, pool_size: int, realizations: int, seed: int) -> np.ndarray:
    """Draw the pool of each realization, in the random order that breaks ties.

    Returns:
        int32, shape ``(realizations, pool_size)``: query positions.
    """
    children = np.random.SeedSequence(seed).spawn(realizations)
    orders = np.empty((realizations, pool_size), dtype=np.int32)
    for row, child in zip(orders, children, strict=True):
        row[:] = np.random.default_rng(child).permutation(n_queries)[:pool_size]
    return orders
