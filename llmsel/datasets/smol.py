"""`smol`: real answers of a small local LLM, made and graded by this project (data/smol)."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd

from llmsel.errors import InputError, unknown
from llmsel.paths import ROOT
from llmsel.pool import Pool, read_text

FOLDER = ROOT / "data" / "smol"
FILES = tuple(
    FOLDER / name for name in ("models.toml", "queries.jsonl", "responses.jsonl", "scores.csv")
)
EQUAL = 1e-9  # grades closer than this are a draw


def load(baseline: str | None = None, folder: Path = FOLDER) -> Pool:
    """Read the committed benchmark; an outcome is the sign of the difference in grade.

    Parameters
    ----------
    baseline: any of the models, as all of them are graded; None takes the benchmark's own.
    folder: where the four files are.

    Raises
    ------
    InputError: a missing file, an unknown baseline, or tables that do not fit together.
    """
    settings = tomllib.loads(read_text(folder / "models.toml"))
    baseline = baseline or settings["baseline"]
    queries = [json.loads(line) for line in read_text(folder / "queries.jsonl").splitlines()]
    ids = [query["query_id"] for query in queries]
    read_text(folder / "scores.csv")
    grades = pd.read_csv(folder / "scores.csv", index_col="query_id")
    models = [model["name"] for model in settings["model"]]
    if list(grades.index) != ids or set(grades.columns) != set(models):
        raise InputError(
            f"'{folder / 'scores.csv'}' does not hold the queries of queries.jsonl and the models "
            "of models.toml; run grade.py again."
        )
    if baseline not in models:
        raise unknown("baseline", baseline, models)
    lines = read_text(folder / "responses.jsonl").splitlines()
    answers = pd.DataFrame([json.loads(line) for line in lines])
    by_query = {query["query_id"]: query for query in queries}
    answers["query"] = [by_query[q]["query"] for q in answers["query_id"]]
    answers["category"] = [by_query[q]["category"] for q in answers["query_id"]]
    pool = Pool.from_frame(answers, baseline, name="smol").subset(queries=ids, models=models)
    difference = grades[models].to_numpy() - grades[[baseline]].to_numpy()
    outcomes = np.where(np.abs(difference) < EQUAL, 0, np.sign(difference))
    return pool.replace(outcomes=outcomes, notes={"oracle": "programs (data/smol/grade.py)"})
