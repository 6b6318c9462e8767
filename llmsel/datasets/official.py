"""`official:<name>`: the paper's six published outcome matrices, with the paper's weak votes.

Source: RobustML-Lab/llm-selector at commit 15faa47. ``judge.json`` holds per model a list of
-1/0/1, or null for the baseline; ``weak_judge.json`` per model and query a list of ten values,
of which the sign is the vote (null for the baseline).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from llmsel.datasets.fetch import fetch
from llmsel.errors import InputError
from llmsel.pool import Pool, read_text

COMMIT = "RobustML-Lab/llm-selector/15faa47dab102d7a92124b13c1838b55524fc2bf"
FOLDERS = {
    "alpacaeval": "alpacaeval",
    "arena-hard": "arena-hard",
    "mt-bench": "mt-bench",
    "flickr30k": "flickr30k",
    "bingo": "bingo",
    "mediqa": "medi_qa",
}


def needed(name: str) -> list[str]:
    """The two files of one matrix."""
    return [f"{COMMIT}/{FOLDERS[name]}/{file}" for file in ("judge.json", "weak_judge.json")]


def load(name: str) -> Pool:
    """Read one of the paper's matrices.

    Raises
    ------
    InputError: files that cannot be had or are not of the published format.
    """
    judge, weak = (_read(fetch(file)) for file in needed(name))
    return assemble(f"official:{name}", judge, weak)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(read_text(path))
    except ValueError as error:
        raise InputError(f"'{path}' is not JSON: {error}.") from error
    if not isinstance(content, dict):
        raise InputError(f"'{path}' does not hold one entry per model.")
    return content


def assemble(
    name: str, judge: dict[str, list[int] | None], weak: dict[str, list[list[float]] | None]
) -> Pool:
    """Build the pool from the contents of the two files.

    Raises
    ------
    InputError: not exactly one baseline, other models in the two files, lists of other lengths.
    """
    baselines = [model for model, row in judge.items() if row is None]
    if len(baselines) != 1:
        raise InputError(f"{name}: {len(baselines)} models have no outcomes; one is the baseline.")
    if set(judge) != set(weak):
        other = sorted(set(judge) ^ set(weak))
        raise InputError(f"{name}: '{other[0]}' is in only one of judge.json and weak_judge.json.")
    (baseline,) = baselines
    models = list(judge)
    rows = {model: row for model, row in judge.items() if row is not None}
    lengths = {len(row) for row in rows.values()}
    if len(lengths) != 1:
        raise InputError(f"{name}: judge.json has lists of different lengths {sorted(lengths)}.")
    n = lengths.pop()
    try:
        guesses = {m: np.array(weak[m], float) for m in models if weak[m] is not None}
        shapes = {guess.shape for guess in guesses.values()}
    except ValueError as error:
        raise InputError(f"{name}: weak_judge.json is ragged ({error}).") from error
    if len(shapes) != 1 or (shape := shapes.pop())[:1] != (n,) or len(shape) != 2:
        raise InputError(f"{name}: weak_judge.json does not hold one list per query of {n}.")
    outcomes = np.zeros((n, len(models)))
    votes = np.zeros((n, len(models), shape[1]))
    for j, model in enumerate(models):
        if model == baseline:
            continue
        outcomes[:, j] = rows[model]
        votes[:, j] = np.sign(guesses[model])
    return Pool(
        queries=tuple(f"{name}-{i}" for i in range(n)),
        models=tuple(models),
        baseline=baseline,
        votes=votes,
        outcomes=outcomes,
        name=name,
        notes={"source": f"{COMMIT}/{FOLDERS[name.split(':')[1]]}", "oracle": "as published"},
    )
