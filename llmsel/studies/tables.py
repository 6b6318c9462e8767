"""Result tables on disk: CSV whose first line holds all that made it."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from llmsel._base.errors import InputError
from llmsel._base.files import RESULTS, slug


def write_table(table: pd.DataFrame, path: str | Path, *, parameters: Mapping[str, Any]) -> Path:
    """Write a table as CSV whose first line holds, as a comment, all that made it.

    A name that ends in ``.gz`` is compressed, without a time stamp, so that the same table gives
    the same bytes.
    """
    path = Path(path)
    text = io.StringIO()
    text.write(f"# {json.dumps(dict(parameters), sort_keys=True)}\n")
    table.to_csv(text, index=False, float_format="%.6g", lineterminator="\n")
    data = text.getvalue().encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
    return path


def read_table(path: str | Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read a table that `write_table` wrote, and the parameters that made it.

    Raises:
        InputError: no such file, or no parameters in its first line.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"no result table '{path}'; run the notebook that makes it.")
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    first, _, rest = text.partition("\n")
    if not first.startswith("# {"):
        raise InputError(f"'{path}' does not start with the parameters that made it.")
    return pd.read_csv(io.StringIO(rest)), json.loads(first[2:])


def has_result(benchmark: str, file: str) -> bool:
    """Tell whether ``data/results`` holds a table of a benchmark."""
    return (RESULTS / slug(benchmark) / file).exists()


def read_result(benchmark: str, file: str) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read a table of ``data/results``, and the parameters that made it.

    Args:
        benchmark: its name.
        file: such as ``curves.csv.gz``.

    Raises:
        InputError: as `read_table`.
    """
    return read_table(RESULTS / slug(benchmark) / file)
