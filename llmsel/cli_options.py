"""What several commands take, and how they read it."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from llmsel import datasets
from llmsel.errors import InputError
from llmsel.importers import read_answers
from llmsel.pool import Pool
from llmsel.race import Certificate
from llmsel.session import Answer
from llmsel.weak import add_votes

Log = Annotated[Path, typer.Argument(help="The annotation log (JSON Lines).")]
Source = Annotated[
    str, typer.Option("--pool", help="File or folder of answers, a saved .npz, or a benchmark.")
]
Baseline = Annotated[str | None, typer.Option(help="The model all others are compared with.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def read_pool(source: str, baseline: str | None) -> Pool:
    """Read a pool from a saved one, a benchmark's name, or a file or folder of answers.

    Raises
    ------
    InputError: nothing of that name, or answers without a baseline.
    """
    if source.endswith(".npz"):
        return Pool.load(source)
    if not Path(source).exists() and source in datasets.names():
        pool = datasets.load(source)
        return pool if pool.votes is not None else add_votes(pool)
    frame = read_answers(source)
    if baseline is None:
        raise InputError(
            f"name the baseline: --baseline {frame['model'].iloc[0]} (or another of "
            f"{', '.join(frame['model'].unique()[:6])})."
        )
    return add_votes(Pool.from_frame(frame, baseline, name=Path(source).stem))


def facts(said: Answer | Certificate) -> dict[str, object]:
    """Turn what a session or race says into a dictionary that JSON can hold."""

    def plain(value: object) -> object:
        if isinstance(value, Certificate):
            return facts(value)
        return dict(value) if isinstance(value, Mapping) else value

    return {f.name: plain(getattr(said, f.name)) for f in dataclasses.fields(said)}


def parameters(pairs: list[str] | None) -> dict[str, Any]:
    """Read ``name=value`` pairs; values are Python literals, or else text.

    Raises
    ------
    InputError: a pair without ``=``.
    """
    values = {}
    for pair in pairs or ():
        name, found, text = pair.partition("=")
        if not found:
            raise InputError(f"'-p {pair}' is not of the form name=value.")
        try:
            values[name] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            values[name] = text  # a bare word is a string
    return values
