"""Values and tables of other tools' files, read so that every error names file and line."""

from __future__ import annotations

import csv
import io
import json
import numbers
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from llmsel._base.errors import InputError
from llmsel._base.files import json_lines, read_text
from llmsel._base.terminal import encodable, short


def read_frame(path: Path) -> pd.DataFrame:
    """Read a table from JSON Lines, CSV or Parquet; cells stay as they are written."""
    if path.suffix == ".parquet":
        return _parquet(path)
    if path.suffix == ".csv":
        return _csv(path)
    return pd.DataFrame(json_lines(path), dtype=object)  # no id 1 becomes 1.0


def unit(path: Path) -> str:
    """How messages call a record of a table."""
    return "line" if path.suffix == ".jsonl" else "row"


def _parquet(path: Path) -> pd.DataFrame:
    try:
        from pyarrow import ArrowException
    except ImportError as error:
        raise InputError(f"to read '{path}', pip install pyarrow.") from error
    try:
        return pd.read_parquet(path).astype(object)  # text is decoded here, not where it is used
    except (OSError, ValueError, KeyError, TypeError, ArrowException) as error:
        raise InputError(f"'{path}' is no whole Parquet file: {short(error)}.") from error


def _csv(path: Path) -> pd.DataFrame:
    """Read CSV; pandas would shift the columns of a row that is too long."""
    csv.field_size_limit(2**31 - 1)  # an answer may be longer than its 131,072 characters
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""), strict=True)
    rows = []
    try:
        for row in reader:
            if None in row or None in row.values():
                raise csv.Error("another number of columns than in the first line")
            rows.append(row)
    except csv.Error as error:
        raise InputError(f"'{path}', line {reader.line_num}, is not CSV: {error}.") from error
    return pd.DataFrame(rows, columns=reader.fieldnames, dtype=object)


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        InputError: no such file, or no JSON.
    """
    text = read_text(path)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"'{path}' is not JSON: {error}.") from error


def numbered(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Read JSON Lines; each object with its place, from 1."""
    return enumerate(json_lines(path), 1)


def need(row: Any, key: str, where: str) -> Any:
    """Return the value under a key.

    Raises:
        InputError: no such key, or no object.
    """
    if not isinstance(row, dict) or key not in row:
        has = ", ".join(row) if isinstance(row, dict) else type(row).__name__
        raise InputError(f"{where}: no '{key}'; it has {short(has) or 'nothing'}.")
    return row[key]


def inner(value: Any, key: str) -> Any:
    """Return the value under a key of a dictionary; anything else as it is."""
    return value.get(key) if isinstance(value, dict) else value


def first_of(values: Any, where: str) -> Any:
    """Return the first of a list.

    Raises:
        InputError: an empty list, or none.
    """
    if not isinstance(values, list) or not values:
        raise InputError(f"{where}: the list of answers is empty.")
    return values[0]


def joined(turns: Sequence[str]) -> str:
    """Put the turns of a conversation into one text; a single turn stays as it is."""
    if len(turns) == 1:
        return turns[0]
    return "\n\n".join(f"[Turn {i}]\n{turn}" for i, turn in enumerate(turns, 1))


def as_text(value: Any, where: str) -> str:
    """Return a text that can be stored.

    Raises:
        InputError: something else than text.
    """
    if not isinstance(value, str):
        raise InputError(f"{where}: the text is {type(value).__name__}, not a string.")
    return encodable(value)  # half an emoji, as some tools cut it, can be stored nowhere


def name_of(value: Any, where: str) -> str:
    """Name of a model, a query or a category: text or a number."""
    if value is None or value == "":
        raise InputError(f"{where}: a name is missing (of the model, or the id of the query).")
    if not isinstance(value, str | numbers.Number):
        raise InputError(f"{where}: a name is {type(value).__name__}, not text or a number.")
    return encodable(str(value))


def optional(row: Mapping[Any, Any], column: str, where: str) -> str | None:
    """Return the name in a column; None where there is none."""
    value = row.get(column)
    if is_empty(value):
        return None
    return value if value == "" else name_of(value, where)


def is_empty(value: Any) -> bool:
    """Tell whether a cell of a table holds nothing."""
    return value is None or (isinstance(value, float) and value != value) or value is pd.NA
