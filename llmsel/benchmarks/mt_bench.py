"""`mt-bench`: 80 queries, 5 candidates, first turns judged by human experts.

Texts: geronimi73/FastChat (Apache-2.0). Votes: Siquan-Wang/llm-judge-calibration, ``labels.csv``
(CC-BY-4.0; Zheng et al. 2023), vote counts per pair of models. The outcome is the plurality of
the human votes; a plurality of ties, or equal counts at the top, is a draw. A pair that no human
voted on is missing: unknown, never a draw.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from llmsel._base.errors import unknown
from llmsel._base.files import json_lines
from llmsel.benchmarks.assemble import join
from llmsel.benchmarks.fetch import fetch, fetch_all, files, model_answers
from llmsel.pool import MISSING, Pool

TEXTS = (
    "geronimi73/FastChat/945194bb18cbbc2ef3630fc30087114da32085f0/fastchat/llm_judge/data/mt_bench"
)
VOTES = "Siquan-Wang/llm-judge-calibration/5ecf0348e90f4519afdf3e03ac46a3a56bff3a58"
BASELINE = "gpt-3.5-turbo"
CHEAP = "gpt-4"  # whose verdicts stand beside the human votes


def needed() -> list[str]:
    """Files that the benchmark is made of."""
    return files(TEXTS) + files(VOTES)


def load(baseline: str = BASELINE, cheap: str | None = None) -> Pool:
    """Read answers and votes.

    Args:
        baseline: any of the six models: all pairs are judged.
        cheap: ``gpt-4``: its verdicts on the same pairs become the pool's votes, one weak judge;
            where it gave none, its vote is a draw. None for no votes.

    Raises:
        InputError: files that cannot be had or do not fit together, or an unknown baseline or
            judge.
    """
    if cheap not in (None, CHEAP):
        raise unknown("judge of mt-bench", str(cheap), (CHEAP,))
    fetch_all(needed(), "mt-bench")
    queries = json_lines(fetch(f"{TEXTS}/question.jsonl"))
    ids = [str(query["question_id"]) for query in queries]
    answers = {
        model: [(str(query), turn) for query, turn in rows]
        for model, rows in model_answers(files(f"{TEXTS}/model_answer/")).items()
    }
    (table,) = files(VOTES)
    labels = pd.read_csv(fetch(table), dtype={"question_id": str})
    labels = labels[labels["turn"] == 1]
    if baseline not in answers:
        raise unknown("baseline", baseline, answers)
    outcomes = plurality(labels, ids, models=list(answers), baseline=baseline)
    votes: np.ndarray | None = None
    notes: dict[str, Any] = {}
    if cheap is not None:
        votes = plurality(_by_gpt4(labels), ids, models=list(answers), baseline=baseline)
        notes["votes"] = "GPT-4 on the same pairs (it is one of the models too)"
        notes["votes that stand for a missing verdict"] = int((votes == MISSING).sum())
        votes = np.where(votes == MISSING, 0, votes)[..., None]
    responses = join("mt-bench", "question.jsonl", queries=ids, answers=answers)
    return Pool(
        queries=tuple(ids),
        models=tuple(answers),
        baseline=baseline,
        texts=tuple(query["turns"][0] for query in queries),
        responses=responses,
        votes=votes,
        outcomes=outcomes,
        categories=tuple(query["category"] for query in queries),
        name="mt-bench",
        notes={
            "source": f"{TEXTS.split('/data')[0]}; {VOTES}",
            "licence": "texts Apache-2.0, votes CC-BY-4.0 (Zheng et al. 2023)",
            "oracle": "human experts, first turn, plurality of votes",
            "cells without a human vote": int((outcomes == MISSING).sum()),
            "empty responses": int((responses == "").sum()),
            **notes,
        },
    )


def _by_gpt4(labels: pd.DataFrame) -> pd.DataFrame:
    """Put GPT-4's one verdict on each pair in place of the human votes."""
    winner = labels["gpt4_winner"]
    return labels.assign(
        n_human_a=winner == "A", n_human_b=winner == "B", n_human_ties=winner == "tie"
    )


def plurality(
    votes: pd.DataFrame, queries: list[str], *, models: list[str], baseline: str
) -> np.ndarray:
    """Turn vote counts into outcomes against the baseline: int8, shape ``(n, M)``."""
    outcomes = np.full((len(queries), len(models)), MISSING, dtype=np.int8)
    outcomes[:, models.index(baseline)] = 0
    row_of = {query: i for i, query in enumerate(queries)}
    for row in votes.itertuples():
        if baseline not in (row.model_a, row.model_b):
            continue
        sides = [(row.model_a, row.n_human_a), (row.model_b, row.n_human_b)]
        (_, lost), (model, won) = sides if row.model_a == baseline else sides[::-1]
        tied = row.n_human_ties
        if won + lost + tied:
            verdict = int(won > max(lost, tied)) - int(lost > max(won, tied))
            outcomes[row_of[row.question_id], models.index(model)] = verdict
    return outcomes
