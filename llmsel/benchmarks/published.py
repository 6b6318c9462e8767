"""`official:<name>`: the paper's six published outcome matrices, with the paper's weak votes.

Source: RobustML-Lab/llm-selector at commit 15faa47. ``judge.json`` holds per model a list of
-1/0/1, or null for the baseline; ``weak_judge.json`` per model and query a list of ten values in
-1/0/1 (should one be a score, its sign is the vote, and the notes count them). What the second
file says of the baseline, null or draws, is not read: its votes are draws by definition.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from llmsel._base.errors import InputError
from llmsel._base.files import read_text
from llmsel.benchmarks.fetch import fetch
from llmsel.pool import Pool

COMMIT = "RobustML-Lab/llm-selector/15faa47dab102d7a92124b13c1838b55524fc2bf"
FOLDERS = {
    "alpacaeval": "alpacaeval",
    "arena-hard": "arena-hard",
    "mt-bench": "mt-bench",
    "flickr30k": "flickr30k",
    "bingo": "bingo",
    "mediqa": "medi_qa",
}
SHAPES = {  # queries, candidates
    "alpacaeval": (805, 52),
    "arena-hard": (500, 67),
    "mt-bench": (80, 5),
    "flickr30k": (1000, 50),
    "bingo": (762, 30),
    "mediqa": (150, 8),
}
JUDGES = 10


def needed(name: str) -> list[str]:
    """The two files of one matrix."""
    return [f"{COMMIT}/{FOLDERS[name]}/{file}" for file in ("judge.json", "weak_judge.json")]


def load(name: str) -> Pool:
    """Read one of the paper's matrices.

    Raises:
        InputError: files that cannot be had or are not of the published format.
    """
    judge, weak = (_read(fetch(file)) for file in needed(name))
    return assemble(f"official:{name}", judge, weak=weak)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(read_text(path))
    except ValueError as error:
        raise InputError(f"'{path}' is not JSON: {error}.") from error
    if not isinstance(content, dict):
        raise InputError(f"'{path}' does not hold one entry per model.")
    return content


def assemble(
    name: str, judge: dict[str, list[int] | None], *, weak: dict[str, list[list[float]] | None]
) -> Pool:
    """Build the pool from the contents of the two files.

    Raises:
        InputError: not exactly one baseline, other models in the two files, lists of other lengths,
            not ten weak values, or a value that is no number.
    """
    baselines = [model for model, row in judge.items() if row is None]
    if len(baselines) != 1:
        raise InputError(f"{name}: {len(baselines)} models have no outcomes; one is the baseline.")
    if set(judge) != set(weak):
        other = sorted(set(judge) ^ set(weak))
        raise InputError(f"{name}: '{other[0]}' is in only one of judge.json and weak_judge.json.")
    (baseline,) = baselines
    candidates = [model for model in judge if model != baseline]
    lengths = {len(judge[model] or ()) for model in candidates}
    if len(lengths) != 1:
        raise InputError(f"{name}: judge.json has lists of different lengths {sorted(lengths)}.")
    n = lengths.pop()
    outcomes = np.zeros((n, len(judge)))
    values = np.zeros((n, len(judge), JUDGES))
    for j, model in enumerate(judge):
        if model == baseline:
            continue
        try:
            outcomes[:, j] = judge[model]
            given = np.array(weak[model], dtype=float)
        except (TypeError, ValueError) as error:
            raise InputError(
                f"{name}: the values of '{model}' are not {n} numbers and {n} lists of {JUDGES} "
                f"({error})."
            ) from error
        if given.shape != (n, JUDGES) or not np.isfinite(given).all():
            raise InputError(
                f"{name}: weak_judge.json does not hold {n} lists of {JUDGES} numbers for "
                f"'{model}'."
            )
        values[:, j] = given
    return Pool(
        queries=tuple(f"{name}-{i}" for i in range(n)),
        models=tuple(judge),
        baseline=baseline,
        votes=np.sign(values),
        outcomes=outcomes,
        name=name,
        notes={
            "source": f"{COMMIT}/{FOLDERS[name.split(':')[1]]}",
            "licence": "see the repository",
            "oracle": "as published",
            "weak values that are not -1, 0 or 1": int((~np.isin(values, (-1, 0, 1))).sum()),
        },
    )
