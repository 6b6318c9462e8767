"""`arena-hard`: 500 queries, 36 candidates, judged by GPT-4o against gpt-4-0314.

Source: danielwetzel/arena-hard-auto at three commits (Apache-2.0). A row of a battles file is one
vote of one game, ``model_a`` the baseline; a decisive verdict (A>>B) counts as three equal rows;
two games with swapped positions per query. The votes are summed and the outcome is the sign. A
cell without any row is missing; an odd number of rows means that one game has no verdict, and the
other decides. Both are counted in the notes. Many candidates are quantised or re-prompted
variants of one model.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from llmsel._base.errors import InputError
from llmsel._base.files import json_lines
from llmsel.benchmarks.assemble import join, note_duplicates
from llmsel.benchmarks.fetch import fetch, fetch_all, files, model_answers
from llmsel.pool import MISSING, Pool

REPOSITORY = "danielwetzel/arena-hard-auto"
# a model that was run several times is taken from the run that stores its answers
COMMITS = (
    "67a821c9ee2776edbd996a1dd52b6f5ca8773088",
    "a57348557f52dc69c504b69b641bd507e6b6b10c",
    "1b15e0c3726dfae26d1ac246a58a0ed67488cb5e",
)
BASELINE = "gpt-4-0314"
POINTS = {"model_a": -1, "tie": 0, "model_b": 1}


def needed() -> list[str]:
    """Files that the benchmark is made of."""
    return files(REPOSITORY)


def load(drop_duplicates: bool = False) -> Pool:
    """Read answers and battles of the three runs.

    Args:
        drop_duplicates: leave out a candidate that repeats another's responses and outcomes.

    Raises:
        InputError: files that cannot be had, or do not fit together.
    """
    fetch_all(needed(), "arena-hard")
    queries = json_lines(fetch(f"{REPOSITORY}/{COMMITS[0]}/data/arena-hard-v0.1/question.jsonl"))
    answers: dict[str, list[tuple[Any, str]]] = {}
    battles: dict[str, list[dict[str, Any]]] = {}
    for commit in COMMITS:
        folder = f"{REPOSITORY}/{commit}/data"
        by_model = defaultdict(list)
        for row in json_lines(fetch(f"{folder}/arena-hard-v0.1_battles.jsonl")):
            by_model[row["model_b"]].append(row)
        new = model_answers(files(f"{folder}/arena-hard-v0.1/model_answer/"), answers)
        answers |= {
            model: [(query, turn["content"]) for query, turn in rows] for model, rows in new.items()
        }
        battles |= {model: by_model[model] for model in new}
    return assemble(queries, answers, battles=battles, drop_duplicates=drop_duplicates)


def assemble(
    queries: Sequence[Mapping[str, Any]],
    answers: Mapping[str, Sequence[tuple[str, str]]],
    *,
    battles: Mapping[str, Sequence[Mapping[str, Any]]],
    drop_duplicates: bool = False,
) -> Pool:
    """Build the pool from questions, answers and battles (see `load`)."""
    ids = [query["question_id"] for query in queries]
    place = {query: i for i, query in enumerate(ids)}
    models = list(answers)
    points = np.zeros((len(ids), len(models)), dtype=int)
    rows = np.zeros_like(points)
    for j, model in enumerate(models):
        for row in battles[model]:
            if row["model_a"] != BASELINE or row["question_id"] not in place:
                raise InputError(
                    f"arena-hard: a battle of '{model}' is not against {BASELINE} on a known query."
                )
            if row["winner"] not in POINTS:
                raise InputError(
                    f"arena-hard: the winner of a battle of '{model}' is '{row['winner']}', not "
                    f"one of {', '.join(POINTS)}."
                )
            points[place[row["question_id"]], j] += POINTS[row["winner"]]
            rows[place[row["question_id"]], j] += 1
    outcomes = np.where(rows > 0, np.sign(points), MISSING)
    outcomes[:, models.index(BASELINE)] = 0
    pool = Pool(
        queries=tuple(ids),
        models=tuple(models),
        baseline=BASELINE,
        texts=tuple(query["turns"][0]["content"] for query in queries),
        responses=join("arena-hard", "question.jsonl", queries=ids, answers=answers),
        outcomes=outcomes,
        categories=tuple(query["cluster"] for query in queries),
        name="arena-hard",
        notes={
            "source": f"{REPOSITORY} at {', '.join(c[:7] for c in COMMITS)}",
            "licence": "Apache-2.0",
            "oracle": "GPT-4o, two games with swapped positions",
            "cells without a verdict": int((outcomes == MISSING).sum()),
            "cells decided by one game of two": int((rows % 2 == 1).sum()),
        },
    )
    return note_duplicates(pool, drop_duplicates)
