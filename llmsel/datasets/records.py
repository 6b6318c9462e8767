"""What the importers share: JSON lines, answers joined with queries, grades as outcomes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from llmsel.errors import InputError
from llmsel.pool import read_text

EQUAL = 1e-9  # grades closer than this are a draw


def json_lines(path: Path) -> list[dict[str, Any]]:
    """Read one JSON object per line.

    Raises
    ------
    InputError: a line that is not a JSON object; the message names file and line.
    """
    rows = []
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise InputError(f"'{path}', line {number}, is not JSON: {error}.") from error
        if not isinstance(row, dict):
            raise InputError(f"'{path}', line {number}, is not a JSON object.")
        rows.append(row)
    return rows


def join(
    queries: Sequence[str], responses: Mapping[str, Mapping[str, str]], what: str
) -> np.ndarray:
    """Lay responses out as an object array (queries, models).

    Parameters
    ----------
    queries: ids, in order.
    responses: model -> query id -> response.
    what: name of the benchmark, for the message.

    Raises
    ------
    InputError: a model without a response to some query.
    """
    array = np.empty((len(queries), len(responses)), dtype=object)
    for j, (model, by_query) in enumerate(responses.items()):
        for i, query in enumerate(queries):
            if query not in by_query:
                raise InputError(f"{what}: model '{model}' has no response to query '{query}'.")
            array[i, j] = by_query[query] or ""
    return array


def outcomes_of_grades(grades: np.ndarray, baseline: int) -> np.ndarray:
    """Compare grades (queries, models) with the baseline's: int8 in {-1, 0, 1}, same shape."""
    difference = grades - grades[:, [baseline]]
    return np.where(np.abs(difference) < EQUAL, 0, np.sign(difference)).astype(np.int8)
