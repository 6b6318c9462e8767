"""`arena-hard`: 500 queries, 36 candidates, judged by GPT-4o against gpt-4-0314.

Source: danielwetzel/arena-hard-auto at three commits (Apache-2.0). A row of a battles file is one
vote of one game, ``model_a`` the baseline; a decisive verdict counts as three equal rows; two
games with swapped positions per query. The votes are summed and the outcome is the sign.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from llmsel.datasets.fetch import fetch, fetch_all, files
from llmsel.datasets.records import join, json_lines
from llmsel.errors import InputError
from llmsel.pool import MISSING, Pool

REPOSITORY = "danielwetzel/arena-hard-auto"
# a model that was run several times is taken from the first of these runs
COMMITS = (
    "67a821c9ee2776edbd996a1dd52b6f5ca8773088",
    "a57348557f52dc69c504b69b641bd507e6b6b10c",
    "1b15e0c3726dfae26d1ac246a58a0ed67488cb5e",
)
BASELINE = "gpt-4-0314"


def load() -> Pool:
    """Read answers and battles of the three runs.

    Raises
    ------
    InputError: files that cannot be had, or do not fit together.
    """
    fetch_all(files(REPOSITORY), "arena-hard")
    queries = json_lines(fetch(f"{REPOSITORY}/{COMMITS[0]}/data/arena-hard-v0.1/question.jsonl"))
    answers: dict[str, Mapping[str, str]] = {}
    battles: dict[str, Sequence[Mapping[str, Any]]] = {}
    for commit in COMMITS:
        folder = f"{REPOSITORY}/{commit}/data"
        by_model = defaultdict(list)
        for row in json_lines(fetch(f"{folder}/arena-hard-v0.1_battles.jsonl")):
            by_model[row["model_b"]].append(row)
        for file in files(f"{folder}/arena-hard-v0.1/model_answer/"):
            model = file.rsplit("/", 1)[1].removesuffix(".jsonl")
            if model not in answers:
                answers[model] = {r["question_id"]: _text(r) for r in json_lines(fetch(file))}
                battles[model] = by_model[model]
    return assemble(queries, answers, battles)


def _text(record: Mapping[str, Any]) -> str:
    return record["choices"][0]["turns"][0]["content"]


def assemble(
    queries: Sequence[Mapping[str, Any]],
    answers: Mapping[str, Mapping[str, str]],
    battles: Mapping[str, Sequence[Mapping[str, Any]]],
) -> Pool:
    """Build the pool from questions, answers and battles (see `load`)."""
    ids = [query["question_id"] for query in queries]
    place = {query: i for i, query in enumerate(ids)}
    models = list(answers)
    outcomes = np.full((len(ids), len(models)), MISSING, dtype=np.int8)
    for j, model in enumerate(models):
        points: dict[int, int] = defaultdict(int)
        for row in battles[model]:
            if row["model_a"] != BASELINE or row["question_id"] not in place:
                raise InputError(
                    f"arena-hard: a battle of '{model}' is not against {BASELINE} on a known query."
                )
            worth = {"model_b": 1, "model_a": -1}.get(row["winner"], 0)
            points[place[row["question_id"]]] += worth
        for i, total in points.items():
            outcomes[i, j] = np.sign(total)
    outcomes[:, models.index(BASELINE)] = 0
    return Pool(
        queries=tuple(ids),
        models=tuple(models),
        baseline=BASELINE,
        texts=tuple(query["turns"][0]["content"] for query in queries),
        responses=join(ids, answers, "arena-hard"),
        outcomes=outcomes,
        categories=tuple(query["cluster"] for query in queries),
        name="arena-hard",
        notes={
            "source": f"{REPOSITORY} at {', '.join(c[:7] for c in COMMITS)}",
            "licence": "Apache-2.0",
            "oracle": "GPT-4o, two games with swapped positions",
        },
    )
