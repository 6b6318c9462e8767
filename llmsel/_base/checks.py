"""Checks of arrays and tables: they take names and codes, and say what is wrong where."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from llmsel._base.errors import InputError


def first_duplicate(names: tuple[str, ...]) -> str | None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def need_columns(frame: pd.DataFrame, columns: tuple[str, ...], what: str) -> None:
    for column in columns:
        if column not in frame:
            raise InputError(
                f"the table of {what} has no column '{column}'; it has "
                f"{', '.join(map(str, frame.columns))}."
            )


def object_array(rows: Any) -> np.ndarray:
    """Copy nested sequences of strings into an object array of shape (n, M)."""
    if isinstance(rows, np.ndarray):
        return rows.astype(object)
    rows = [list(row) for row in rows]
    widths = {len(row) for row in rows}
    if len(widths) > 1:
        raise InputError(f"'responses' has rows of different lengths {sorted(widths)}.")
    array = np.empty((len(rows), widths.pop() if widths else 0), dtype=object)
    for i, row in enumerate(rows):
        array[i] = row
    return array
