"""`mt-bench`: 80 queries, 5 candidates, first turns judged by human experts.

Texts: geronimi73/FastChat (Apache-2.0). Votes: Siquan-Wang/llm-judge-calibration, ``labels.csv``
(CC-BY-4.0; Zheng et al. 2023), vote counts per pair of models. The outcome is the plurality of
the human votes; as many wins as losses, or a plurality of ties, is a draw. A pair that no human
voted on is missing: unknown, never a draw.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from llmsel.datasets.fetch import fetch, fetch_all, files
from llmsel.datasets.records import join, json_lines
from llmsel.errors import unknown
from llmsel.pool import MISSING, Pool

TEXTS = "geronimi73/FastChat/945194bb18cbbc2ef3630fc30087114da32085f0/fastchat/llm_judge/data/mt_bench"
VOTES = "Siquan-Wang/llm-judge-calibration/5ecf0348e90f4519afdf3e03ac46a3a56bff3a58"
BASELINE = "gpt-3.5-turbo"


def needed() -> list[str]:
    """Files that the benchmark is made of."""
    return files(TEXTS) + files(VOTES)


def load(baseline: str = BASELINE) -> Pool:
    """Read answers and votes.

    Parameters
    ----------
    baseline: any of the six models: all pairs are judged.

    Raises
    ------
    InputError: files that cannot be had, or an unknown baseline.
    """
    fetch_all(needed(), "mt-bench")
    queries = json_lines(fetch(f"{TEXTS}/question.jsonl"))
    ids = [str(query["question_id"]) for query in queries]
    answers = {}
    for file in files(f"{TEXTS}/model_answer/"):
        rows = json_lines(fetch(file))
        by_query = {str(r["question_id"]): r["choices"][0]["turns"][0] for r in rows}
        answers[file.rsplit("/", 1)[1].removesuffix(".jsonl")] = by_query
    (table,) = files(VOTES)
    votes = pd.read_csv(fetch(table), dtype={"question_id": str})
    models = [m for m in answers if m in set(votes["model_a"]) | set(votes["model_b"])]
    if baseline not in models:
        raise unknown("baseline", baseline, models)
    return Pool(
        queries=tuple(ids),
        models=tuple(models),
        baseline=baseline,
        texts=tuple(query["turns"][0] for query in queries),
        responses=join(ids, {m: answers[m] for m in models}, "mt-bench"),
        outcomes=plurality(votes[votes["turn"] == 1], ids, models, baseline),
        categories=tuple(query["category"] for query in queries),
        name="mt-bench",
        notes={
            "source": f"{TEXTS.split('/data')[0]}; {VOTES}",
            "licence": "texts Apache-2.0, votes CC-BY-4.0 (Zheng et al. 2023)",
            "oracle": "human experts, first turn, plurality of votes",
        },
    )


def plurality(
    votes: pd.DataFrame, queries: list[str], models: list[str], baseline: str
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
        if won + lost + row.n_human_ties == 0 or model not in models:
            continue
        tied = won == lost or row.n_human_ties > max(won, lost)
        outcomes[row_of[row.question_id], models.index(model)] = 0 if tied else np.sign(won - lost)
    return outcomes
