"""What the importers share: JSON lines, joining by query, grades, duplicates, cached pools."""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from llmsel import weak_judges
from llmsel._base.errors import InputError
from llmsel._base.files import cache_dir
from llmsel.pool import MISSING, Pool

EQUAL = 1e-9  # grades closer than this are a draw
DUPLICATES = "exact duplicates"  # the note that holds them


def join(
    benchmark: str,
    source: str,
    *,
    queries: Sequence[Any],
    answers: Mapping[str, Iterable[tuple[Any, Any]]],
) -> np.ndarray:
    """Lay what each model holds per query out in the order of the queries.

    Args:
        benchmark: named in the error.
        source: where the queries come from, named in the error.
        queries: the keys of the ``n`` queries.
        answers: model -> pairs of a query's key and the value of that cell, for ``M`` models.

    Returns:
        object, shape ``(n, M)``.

    Raises:
        InputError: a model that does not hold every query exactly once.
    """
    table = np.empty((len(queries), len(answers)), dtype=object)
    for j, (model, pairs) in enumerate(answers.items()):
        pairs = list(pairs)
        given = dict(pairs)
        odd = sorted(map(str, given.keys() ^ set(queries)))
        if odd or len(pairs) != len(queries):
            first = f"{len(odd)} differ, the first is '{odd[0][:60]}'" if odd else "one is twice"
            raise InputError(
                f"{benchmark}: the file of '{model}' does not hold the {len(queries)} queries of "
                f"'{source}', each once ({first}); the queries cannot be joined."
            )
        for i, key in enumerate(queries):
            table[i, j] = given[key]
    return table


def outcomes_of_grades(grades: np.ndarray, baseline: int) -> np.ndarray:
    """Compare grades, higher is better, with the baseline's; equal grades are a draw.

    Args:
        grades: float, shape ``(n, M)``; NaN where there is none.
        baseline: column of the baseline.

    Returns:
        int8, shape ``(n, M)``, in {-1, 0, 1, MISSING}; the baseline's are draws.
    """
    difference = grades - grades[:, [baseline]]
    outcomes = np.where(np.abs(difference) < EQUAL, 0, np.sign(difference))
    outcomes = np.where(np.isnan(difference), MISSING, outcomes).astype(np.int8)
    outcomes[:, baseline] = 0
    return outcomes


def note_duplicates(pool: Pool, drop: bool = False) -> Pool:
    """Note candidates that repeat another's responses and outcomes, and warn of or drop them."""
    twins = duplicates(pool)
    if not twins:
        return pool
    pool = pool.replace(notes={**pool.notes, DUPLICATES: [list(pair) for pair in twins]})
    if drop:
        dropped = {second for _, second in twins}
        pool = pool.subset(models=[m for m in pool.models if m not in dropped])
    warn_duplicates(pool)
    return pool


def warn_duplicates(pool: Pool) -> None:
    """Warn if the pool holds exact duplicates (as its notes say)."""
    pairs = [pair for pair in pool.notes.get(DUPLICATES, ()) if set(pair) <= set(pool.models)]
    if not pairs:
        return
    level, frame = 1, inspect.currentframe()
    while frame and frame.f_back and frame.f_globals["__name__"].startswith("llmsel."):
        level, frame = level + 1, frame.f_back  # the warning points at the caller of the package
    named = "; ".join(f"'{first}' and '{second}'" for first, second in pairs)
    warnings.warn(
        f"{pool.name}: {named} hold the same responses and outcomes under two names; both are "
        "kept (drop_duplicates=True keeps the first).",
        stacklevel=level,
    )


def duplicates(pool: Pool) -> list[tuple[str, str]]:
    """Return pairs of candidates with the same responses and the same outcomes."""
    responses, outcomes = pool.need("responses"), pool.need("outcomes")
    first: dict[tuple[Any, ...], str] = {}
    pairs = []
    for j, model in enumerate(pool.models):
        content: tuple[Any, ...] = (*responses[:, j].tolist(), outcomes[:, j].tobytes())
        if content in first:
            pairs.append((first[content], model))
        first.setdefault(content, model)
    return pairs


def cached(fingerprint: str, options: Mapping[str, Any], *, build: Callable[[], Pool]) -> Pool:
    """Return the pool that ``build`` makes, kept in the cache (``cache_dir()/pools``).

    The key holds the files' pinned hashes (``fingerprint``), the options and the source of the
    loaders, so a changed loader never meets an old pool.
    """
    key = json.dumps([fingerprint, dict(options), _source(), weak_judges.FORMAT], default=str)
    path = cache_dir() / "pools" / f"{hashlib.sha256(key.encode()).hexdigest()}.npz"
    pool = _load(path)
    if pool is not None:
        warn_duplicates(pool)
        return pool
    pool = build()
    try:
        pool.save(path)
    except OSError as error:
        warnings.warn(
            f"nothing is kept in the cache '{path.parent}' ({error.strerror or error}); name a "
            "folder that can be written in LLMSEL_CACHE.",
            stacklevel=3,
        )
    return pool


def _load(path: Path) -> Pool | None:
    try:
        return Pool.load(path)
    except Exception:  # absent, or damaged in any of the ways that a file can be: make it again
        return None


@functools.cache
def _source() -> str:
    digest = hashlib.sha256()
    for module in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(module.read_bytes())
    return digest.hexdigest()
