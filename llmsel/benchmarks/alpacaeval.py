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
from collections import Counter
from typing import Any

import numpy as np

from llmsel._base.errors import InputError
from llmsel._base.files import read_text
from llmsel.benchmarks.assemble import join, note_duplicates
from llmsel.benchmarks.fetch import fetch_all, files
from llmsel.pool import MISSING, Pool

COMMIT = "tatsu-lab/alpaca_eval/cd543a149df89434d8a54582c0151c0b945c3d20"
BASELINE = "text_davinci_003"


def needed() -> list[str]:
    """Files that the benchmark is made of."""
    return files(f"{COMMIT}/results/", "/alpaca_eval_gpt4/annotations.json")


def outcome(preference: float | None, baseline_first: bool) -> int:
    """Turn a preference into the outcome of the model that is not the baseline.

    Raises:
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

    Args:
        drop_duplicates: leave out a candidate that repeats another's responses and outcomes.

    Raises:
        InputError: a damaged file, or files whose queries do not fit together.
    """
    paths = fetch_all(needed(), "alpacaeval")
    records = {
        file.split("/")[4]: json.loads(read_text(path))
        for file, path in zip(needed(), paths, strict=True)
    }
    return assemble(records, drop_duplicates)


def assemble(records: dict[str, list[dict[str, Any]]], drop_duplicates: bool = False) -> Pool:
    """Build the pool from the records of each candidate's file (see `load`)."""
    first = next(iter(records))
    texts = list(dict.fromkeys(r["instruction"] for r in records[first]))
    pairs = {m: [(r["instruction"], r) for r in rows] for m, rows in records.items()}
    table = join("alpacaeval", first, queries=texts, answers=pairs)
    responses = np.empty((len(texts), len(records) + 1), dtype=object)
    outcomes = np.zeros(responses.shape, dtype=np.int8)
    odd: Counter[str] = Counter()
    other_baseline = 0
    for j, model in enumerate(records):
        for i, r in enumerate(table[:, j]):
            if BASELINE not in (r["generator_1"], r["generator_2"]):
                raise InputError(f"alpacaeval: a record of '{model}' is not against {BASELINE}.")
            leads = r["generator_1"] == BASELINE
            baseline, response = (r["output_1"], r["output_2"])[:: 1 if leads else -1]
            outcomes[i, j] = outcome(r["preference"], leads)
            responses[i, j] = response or ""
            if j == 0:
                responses[i, -1] = baseline
            other_baseline += responses[i, -1] != baseline
            if r["preference"] not in (1, 1.5, 2):
                odd[str(r["preference"])] += 1
    pool = Pool(
        queries=tuple(f"alpacaeval-{i:03d}" for i in range(len(texts))),
        models=(*records, BASELINE),
        baseline=BASELINE,
        texts=tuple(texts),
        responses=responses,
        outcomes=outcomes,
        categories=tuple(r["dataset"] for r in table[:, -1]),
        name="alpacaeval",
        notes={
            "source": COMMIT,
            "licence": "CC-BY-NC-4.0",
            "oracle": "GPT-4 (alpaca_eval_gpt4)",
            "preferences that are not 1, 1.5 or 2": dict(odd),
            "cells where the baseline's response differs from the first file's": other_baseline,
        },
    )
    return note_duplicates(pool, drop_duplicates)
