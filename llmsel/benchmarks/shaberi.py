"""`shaberi:<judge>`: LLMs graded by four judges on 320 Japanese queries (data/shaberi).

Source: shisa-ai/shaberi (Apache-2.0), grades only. An outcome is the sign of a model's grade less
the baseline's; a missing grade is unknown.
"""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pandas as pd

from llmsel._base.errors import InputError, unknown
from llmsel._base.files import ROOT
from llmsel.benchmarks.assemble import outcomes_of_grades
from llmsel.pool import MISSING, Pool

FOLDER = ROOT / "data" / "shaberi"
SOURCE = "shisa-ai/shaberi/f8cd7a040397cf37b2cd23ef224cfc97095ef756"
SHAPES = {  # queries and candidates, by judge
    "gpt-4-turbo": (320, 118),
    "athene-v2": (320, 378),
    "llama-3.3-70b": (320, 378),
    "tulu-3-405b": (320, 378),
}
FILES = (FOLDER / "queries.csv", *(FOLDER / f"scores-{judge}.csv.gz" for judge in SHAPES))
BASELINE = "gpt-3.5-turbo-0125"  # of middling strength, and graded by all four


def load(
    judge: str,
    *,
    baseline: str = BASELINE,
    cheap: str | None = None,
    folder: Path = FOLDER,
) -> Pool:
    """Read the grades of one judge, or of two.

    Args:
        judge: whose grades give the outcomes.
        baseline: any model that the judge has graded (and the cheap judge too).
        cheap: another judge, whose outcomes on the same cells become the pool's votes, one weak
            judge; where it gave no grade, its vote is a draw. None for no votes.
        folder: where the tables are.

    Raises:
        InputError: an unknown judge or baseline, one judge given twice, or damaged tables.
    """
    for name in {judge, cheap} - {None}:
        if name not in SHAPES:
            raise unknown("judge of shaberi", str(name), SHAPES)
    if cheap == judge:
        raise InputError(f"shaberi: '{cheap}' cannot be the cheap judge of its own outcomes.")
    queries = _read(folder / "queries.csv")
    grades = _read(folder / f"scores-{judge}.csv.gz")
    if baseline not in grades.columns:
        raise unknown("baseline", baseline, grades.columns)
    models = tuple(grades.columns)
    outcomes = _outcomes(queries, grades, baseline)
    notes = {
        "source": f"{SOURCE} (data/shaberi, grades only)",
        "licence": "Apache-2.0",
        "oracle": f"{judge}, a grade for each answer",
        "cells without an outcome": int((outcomes == MISSING).sum()),
    }
    votes = None
    if cheap is not None:
        votes = _outcomes(queries, _read(folder / f"scores-{cheap}.csv.gz")[list(models)], baseline)
        notes["votes"] = f"outcomes of {cheap} on the same answers"
        notes["votes that stand for a missing grade"] = int((votes == MISSING).sum())
        votes = np.where(votes == MISSING, 0, votes)[..., None]
    return Pool(
        queries=tuple(queries.index),
        models=models,
        baseline=baseline,
        votes=votes,
        outcomes=outcomes,
        categories=tuple(
            benchmark if pd.isna(category) else f"{benchmark}: {category}"
            for benchmark, category in zip(queries["benchmark"], queries["category"], strict=True)
        ),
        name=f"shaberi:{judge}",
        notes=notes,
    )


def _outcomes(queries: pd.DataFrame, grades: pd.DataFrame, baseline: str) -> np.ndarray:
    if list(grades.index) != list(queries.index):
        raise InputError("shaberi: the tables do not hold the same queries; restore data/shaberi.")
    place = list(grades.columns).index(baseline)
    return outcomes_of_grades(grades.to_numpy(float), place)


def _read(path: Path) -> pd.DataFrame:
    try:
        return _table(path, path.stat().st_mtime_ns)
    except (OSError, EOFError, ValueError) as error:
        raise InputError(
            f"'{path}' cannot be read ({error}); restore it from the repository."
        ) from error


@functools.lru_cache(maxsize=8)
def _table(path: Path, _modified: int) -> pd.DataFrame:
    return pd.read_csv(path, index_col="query")
