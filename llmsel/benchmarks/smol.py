"""`smol`: real answers of a small local LLM, made and graded by this project (data/smol)."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pandas as pd

from llmsel._base.errors import InputError, unknown
from llmsel._base.files import ROOT, json_lines, read_text
from llmsel.benchmarks.assemble import join, outcomes_of_grades
from llmsel.pool import Pool

FOLDER = ROOT / "data" / "smol"
FILES = tuple(
    FOLDER / name for name in ("models.toml", "queries.jsonl", "responses.jsonl", "scores.csv")
)


def load(baseline: str | None = None, folder: Path = FOLDER) -> Pool:
    """Read the committed benchmark; an outcome is the sign of the difference in grade.

    Args:
        baseline: any of the models, as all of them are graded; None takes the benchmark's own.
        folder: where the four files are.

    Raises:
        InputError: a missing file, an unknown baseline, or tables that do not fit together.
    """
    settings = tomllib.loads(read_text(folder / "models.toml"))
    models = [model["name"] for model in settings["model"]]
    baseline = baseline or settings["baseline"]
    if baseline not in models:
        raise unknown("baseline", baseline, models)
    queries = json_lines(folder / "queries.jsonl")
    ids = [query["query_id"] for query in queries]
    read_text(folder / "scores.csv")
    grades = pd.read_csv(folder / "scores.csv", index_col="query_id")
    if list(grades.index) != ids or set(grades.columns) != set(models):
        raise InputError(
            f"'{folder / 'scores.csv'}' does not hold the queries of queries.jsonl and the models "
            "of models.toml; run grade.py again."
        )
    answers: dict[str, list[tuple[str, str]]] = {model: [] for model in models}
    for row in json_lines(folder / "responses.jsonl"):
        if row["model"] not in answers:
            raise unknown("model", row["model"], models)
        answers[row["model"]].append((row["query_id"], row["response"]))
    return Pool(
        queries=tuple(ids),
        models=tuple(models),
        baseline=baseline,
        texts=tuple(query["query"] for query in queries),
        responses=join("smol", "queries.jsonl", queries=ids, answers=answers),
        outcomes=outcomes_of_grades(grades[models].to_numpy(float), models.index(baseline)),
        categories=tuple(query["category"] for query in queries),
        name="smol",
        notes={
            "source": "this repository (data/smol)",
            "licence": "Apache-2.0",
            "oracle": "programs (data/smol/grade.py)",
        },
    )
