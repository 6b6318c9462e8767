"""`alpacaeval`: 805 queries, 53 candidates, judged by GPT-4 against text_davinci_003.

Source: tatsu-lab/alpaca_eval, ``results/<model>/alpaca_eval_gpt4/annotations.json``
(CC-BY-NC-4.0). A record holds two responses and a ``preference``: 1 when the first is better, 2
when the second is, 1.5 or 0 for a draw (both are in the publisher's own rule), values between for
a weighted verdict, null where the judge failed. Here: 0 is a draw, null is missing (unknown), and
any other value counts as the nearest of 1, 1.5 and 2; what was not 1, 1.5 or 2 is counted in the
pool's notes.
"""

from __future__ import annotations

import json
import warnings
from collections import Counter
from typing import Any

import numpy as np

from llmsel.datasets.fetch import fetch_all, files
from llmsel.errors import InputError
from llmsel.pool import MISSING, Pool, read_text

COMMIT = "tatsu-lab/alpaca_eval/cd543a149df89434d8a54582c0151c0b945c3d20"
BASELINE = "text_davinci_003"


def outcome(preference: float | None, baseline_first: bool) -> int:
    """Turn a preference into the outcome of the model that is not the baseline.

    Raises
    ------
    InputError: a value outside [1, 2] that is neither 0 nor null.
    """
    if preference is None:
        return MISSING
    value = 1.5 if preference == 0 else float(preference)
    if not 1 <= value <= 2:
        raise InputError(f"preference {preference} is outside [1, 2] and neither 0 nor null.")
    # nearest of 1, 1.5, 2; a value half-way counts as a draw
    second_better = int(value > 1.75) - int(value < 1.25)
    return second_better if baseline_first else -second_better


def load(drop_duplicates: bool = False) -> Pool:
    """Read all results folders of the pinned commit.

    Parameters
    ----------
    drop_duplicates: leave out a candidate that repeats another's responses and outcomes.

    Raises
    ------
    InputError: a damaged file, or files whose queries do not fit together.
    """
    wanted = files(f"{COMMIT}/results/", "/alpaca_eval_gpt4/annotations.json")
    records = {
        file.split("/")[4]: json.loads(read_text(path))
        for file, path in zip(wanted, fetch_all(wanted, "alpacaeval"), strict=True)
    }
    return assemble(records, drop_duplicates)


def assemble(records: dict[str, list[dict[str, Any]]], drop_duplicates: bool = False) -> Pool:
    """Build the pool from the records of each candidate's file (see `load`)."""
    texts = list(dict.fromkeys(r["instruction"] for r in next(iter(records.values()))))
    place = {text: i for i, text in enumerate(texts)}
    candidates = list(records)
    responses = np.empty((len(texts), len(candidates) + 1), dtype=object)
    outcomes = np.full(responses.shape, MISSING, dtype=np.int8)
    outcomes[:, -1] = 0
    categories: list[str] = [""] * len(texts)
    odd: Counter[str] = Counter()
    other_baseline = 0
    for j, (model, rows) in enumerate(records.items()):
        if {r["instruction"] for r in rows} != place.keys() or len(rows) != len(texts):
            raise InputError(
                f"alpacaeval: the file of '{model}' does not hold the {len(texts)} queries of "
                f"'{candidates[0]}', each once; the queries cannot be joined."
            )
        for r in rows:
            i = place[r["instruction"]]
            if BASELINE not in (r["generator_1"], r["generator_2"]):
                raise InputError(f"alpacaeval: a record of '{model}' is not against {BASELINE}.")
            first = r["generator_1"] == BASELINE
            baseline, response = (r["output_1"], r["output_2"])[:: 1 if first else -1]
            outcomes[i, j] = outcome(r["preference"], first)
            responses[i, j] = response or ""
            if responses[i, -1] is None:
                responses[i, -1] = baseline
            other_baseline += responses[i, -1] != baseline
            categories[i] = r["dataset"]
            if r["preference"] not in (1, 1.5, 2):
                odd[str(r["preference"])] += 1
    pool = Pool(
        queries=tuple(f"alpacaeval-{i:03d}" for i in range(len(texts))),
        models=(*candidates, BASELINE),
        baseline=BASELINE,
        texts=tuple(texts),
        responses=responses,
        outcomes=outcomes,
        categories=tuple(categories),
        name="alpacaeval",
        notes={
            "source": COMMIT,
            "licence": "CC-BY-NC-4.0",
            "oracle": "GPT-4 (alpaca_eval_gpt4)",
            "preferences that are not 1, 1.5 or 2": dict(odd),
            "cells where the baseline's response differs from the first file's": other_baseline,
        },
    )
    twins = duplicates(pool)
    if not twins:
        return pool
    pool = pool.replace(notes={**pool.notes, "exact duplicates": [list(pair) for pair in twins]})
    if drop_duplicates:
        dropped = {second for _, second in twins}
        return pool.subset(models=[m for m in pool.models if m not in dropped])
    named = "; ".join(f"'{first}' and '{second}'" for first, second in twins)
    warnings.warn(
        f"alpacaeval: {named} hold the same responses and outcomes under two names; both are "
        "kept (drop_duplicates=True keeps the first).",
        stacklevel=3,
    )
    return pool


def duplicates(pool: Pool) -> list[tuple[str, str]]:
    """Return pairs of candidates with the same responses and the same outcomes."""
    responses, outcomes = pool.need("responses"), pool.need("outcomes")
    first: dict[tuple, str] = {}
    pairs = []
    for j, model in enumerate(pool.models):
        content = (*responses[:, j].tolist(), outcomes[:, j].tobytes())
        if content in first:
            pairs.append((first[content], model))
        first.setdefault(content, model)
    return pairs
