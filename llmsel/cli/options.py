"""What several commands take, and how they read it."""

from __future__ import annotations

import ast
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from llmsel import benchmarks
from llmsel._base.errors import InputError
from llmsel.answers.read import read_answers
from llmsel.elimination import Certified, Heuristic
from llmsel.judging.replay import Contents, read_events, read_log
from llmsel.pool import Pool
from llmsel.race import Race, RaceVerdict
from llmsel.session import Answer
from llmsel.weak_judges import add_votes

Log = Annotated[Path, typer.Argument(help="The annotation log (JSON Lines).")]
Source = Annotated[
    str, typer.Option("--pool", help="File or folder of answers, a saved .npz, or a benchmark.")
]
Baseline = Annotated[str | None, typer.Option(help="The model all others are compared with.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def read_pool(source: str, baseline: str | None) -> Pool:
    """Read a pool from a saved one, a benchmark's name, or a file or folder of answers.

    Raises:
        InputError: nothing of that name, or answers without a baseline.
    """
    if source.endswith(".npz"):
        return Pool.load(source)
    if not Path(source).exists() and source in benchmarks.names():
        pool = benchmarks.load(source)
        return pool if pool.votes is not None else add_votes(pool)
    frame = read_answers(source)
    if baseline is None:
        raise InputError(
            f"name the baseline: --baseline {frame['model'].iloc[0]} (or another of "
            f"{', '.join(frame['model'].unique()[:6])})."
        )
    return add_votes(Pool.from_frame(frame, baseline, name=Path(source).stem))


def read_begun(log: Path, pool: Pool) -> Contents | None:
    """Read a log; None if it is still to begin. A stop can leave it empty or with half a header."""
    begun = log.exists() and read_events(log)[0] is not None
    return read_log(log, pool) if begun else None


def race_of(
    pool: Pool,
    held: Contents | None,
    name: str,
    delta: float | None,
    alpha: float | None,
    heuristic: bool,
    seed: int | None,
    batch: int | None,
) -> Race:
    """Make the race that the log holds, or a new one; what is given must agree with the log.

    Args:
        held: what the log says, see `read_begun`.
        name: of the log.
        delta, alpha, seed, batch: None takes those of the log, or 0.01, 0.05, 0 and 4.
        heuristic: True for the rule that gives no certificate.

    Raises:
        InputError: other settings than those of the log, or out of range.
    """
    if heuristic and alpha is not None:
        raise InputError("--heuristic promises no error rate: leave --alpha out.")
    rule = Heuristic() if heuristic else Certified(0.05 if alpha is None else alpha)
    wide, many = 0.01 if delta is None else delta, 4 if batch is None else batch
    new = Race(pool, rule, seed=seed or 0, delta=wide, batch=many)
    if held is None or held.race is None:
        return new
    rules = True if heuristic else alpha
    given = {"delta": delta, "seed": seed, "batch": batch, "rule": rules}
    told = {key: new.settings[key] for key, value in given.items() if value is not None}
    held.check_race(json.loads(json.dumps(told)), name)
    return Race.of_settings(pool, held.race)


def facts(said: Answer | RaceVerdict) -> dict[str, object]:
    """Turn what a session or race says into a dictionary that JSON can hold."""

    def plain(value: object) -> object:
        if isinstance(value, RaceVerdict):
            return facts(value)
        return dict(value) if isinstance(value, Mapping) else value

    return {f.name: plain(getattr(said, f.name)) for f in dataclasses.fields(said)}


def parameters(pairs: list[str] | None) -> dict[str, Any]:
    """Read ``name=value`` pairs; values are Python literals, or else text.

    Raises:
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
