"""Verdicts that other tools recorded: which of two models answered a query better.

One reader per tool. Several games, orders, turns or judges of one pair are several rows.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from llmsel._base.errors import InputError, unknown
from llmsel._base.files import json_lines
from llmsel._base.terminal import short
from llmsel.answers.cells import (
    as_text,
    first_of,
    inner,
    is_empty,
    name_of,
    need,
    numbered,
    optional,
    read_frame,
    read_json,
    unit,
)
from llmsel.answers.formats import instruction_ids
from llmsel.answers.scores import number
from llmsel.answers.sources import Source, walk

ARENA = {"A>>B": -3, "A>B": -1, "A=B": 0, "B>A": 1, "B>>A": 3, "A<B": 1, "A<<B": 3, "B=A": 0}
ARENA |= {"B<A": -1, "B<<A": -3}
ARENA_BASELINE = "gpt-4-0314"  # of Arena-Hard 0.1, whose judgments do not name it
WINNERS = {"model_a": -1, "a": -1, "tie": 0, "draw": 0, "model_b": 1, "b": 1}
WINNERS |= {"tie (bothbad)": 0, "both_bad": 0}
NO_VERDICTS = {  # what the tools leave beside them
    *("leaderboard.csv", "model_outputs.json", "reference_outputs.json", "model_answer"),
    *("question.jsonl", "reference_answer", "run-metadata.v1.json"),
}
FASTCHAT = {"model_1": -1, "tie": 0, "model_2": 1}


@dataclasses.dataclass(frozen=True)
class Battle:
    """One recorded verdict.

    Args:
        points: above 0 if model_b is better, below if model_a is, 0 for a draw; 3 or -3 where
            Arena-Hard calls it decisive; None where the judge gave none.
        query, response_a, response_b: texts, where the file has them.
        where: it was found.
    """

    query_id: str
    model_a: str
    model_b: str
    points: float | None
    where: str
    judge: str | None = None
    category: str | None = None
    query: str | None = None
    response_a: str | None = None
    response_b: str | None = None


def read_verdicts(source: Source | pd.DataFrame, *, judge: str | None = None) -> pd.DataFrame:
    """Read recorded verdicts.

    Args:
        source: AlpacaEval's ``annotations.json``; Arena-Hard's ``model_judgment/<judge>/*.jsonl``
            or battles; FastChat's ``*_pair.jsonl``; JudgeArena's ``*-annotations.csv`` beside its
            ``results-*.json``, those of its MT-Bench too; a table with query_id, model_a,
            model_b, winner (model_a, model_b, tie or nothing) and optionally query, category,
            judge (JSON Lines, CSV, Parquet); a folder or several of these.
        judge: keep this one's only.

    Returns:
        A row per verdict with the fields of `Battle`; ``points`` is float64, NaN for none.

    Raises:
        InputError: a file that is absent, of no known format, or not as its format says (names file
            and line), or no such judge.
    """
    if isinstance(source, pd.DataFrame):
        rows = list(_table(source, "the table, row"))
    else:
        files = walk(source, what="verdicts", skip=NO_VERDICTS)
        rows = [row for _, path in files for row in _read(path)]
    if not rows:
        raise InputError(f"no verdict in {short(repr(source))}.")
    if judge is not None:
        judges = {str(row.judge) for row in rows}
        if judge not in judges:
            raise unknown("judge", judge, sorted(judges))
        rows = [row for row in rows if row.judge == judge]
    frame = pd.DataFrame([dataclasses.asdict(row) for row in rows])
    return frame.astype({"points": float})


def holds_verdicts(path: Path) -> bool:
    """Tell whether a file holds verdicts on pairs of models, of a known format."""
    return _reader(path) is not None


def _read(path: Path) -> Iterator[Battle]:
    reader = _reader(path)
    if reader is None:
        raise InputError(
            f"'{path}' holds no verdicts of a known format; a table of your own has the columns "
            "query_id, model_a, model_b, winner."
        )
    return reader(path)


def _reader(path: Path) -> Callable[[Path], Iterator[Battle]] | None:
    if path.suffix == ".json":
        content = read_json(path)
        if isinstance(content, dict) and "preferences" in content:
            return _no_rows  # of JudgeArena; read with the rows beside it
        listed = isinstance(content, list) and content and isinstance(content[0], dict)
        return _alpacaeval if listed and "generator_1" in content[0] else None
    if path.suffix == ".jsonl":
        keys = set(next(iter(json_lines(path)), {}))
    else:
        keys = set(read_frame(path).columns) if path.suffix in (".csv", ".parquet") else set()
    for signs, reader in SIGNS:
        if signs <= keys:
            return reader
    return None


def _no_rows(_path: Path) -> Iterator[Battle]:
    return iter(())


def _alpacaeval(path: Path) -> Iterator[Battle]:
    """Read ``annotations.json``: preference 1 for the first, 2 for the second, 1.5 or 0 for a draw.

    Anything between is a weighted verdict and counts as the nearest of 1, 1.5 and 2.
    """
    content = read_json(path)
    ids = instruction_ids()
    for i, row in enumerate(content, 1):
        where = f"'{path}', entry {i}"
        said = as_text(need(row, "instruction", where), where)
        yield Battle(
            query_id=ids(said),
            model_a=name_of(need(row, "generator_1", where), where),
            model_b=name_of(need(row, "generator_2", where), where),
            points=_preference(need(row, "preference", where), where),
            where=where,
            judge=optional(row, "annotator", where),
            category=optional(row, "dataset", where),
            query=said,
            response_a=as_text(row.get("output_1") or "", where),
            response_b=as_text(row.get("output_2") or "", where),
        )


def _preference(value: Any, where: str) -> float | None:
    if is_empty(value):
        return None
    try:
        read = float(value)
    except (TypeError, ValueError):
        read = math.nan
    if read == 0:  # AlpacaEval's other draw
        return 0.0
    if not 1 <= read <= 2:
        raise InputError(f"{where}: the preference is {short(repr(value), 40)}, not 1 to 2 or 0.")
    return float((read > 1.75) - (read < 1.25))


def _judgments(path: Path) -> Iterator[Battle]:
    """Read Arena-Hard's judgments: two games, in the first of which the baseline is A."""
    for line, row in numbered(path):
        where = f"'{path}', line {line}"
        baseline = row.get("baseline", ARENA_BASELINE)
        games = need(row, "games", where)
        first_of(games, where)
        for place, game in enumerate(games):
            points = _arena_points(inner(game, "score"), where)
            yield Battle(
                query_id=name_of(row.get("uid", row.get("question_id")), where),
                model_a=name_of(baseline, where),
                model_b=name_of(need(row, "model", where), where),
                points=None if points is None else points * (-1 if place % 2 else 1),
                where=where,
                judge=optional(row, "judge", where),
                category=optional(row, "category", where),
            )


def _arena_points(score: Any, where: str) -> float | None:
    if score is None:
        return None
    if score not in ARENA:
        raise InputError(
            f"{where}: the score of a game is {short(repr(score), 40)}, not one of A>>B, A>B, A=B, "
            "B>A, B>>A or null."
        )
    return float(ARENA[score])


def _fastchat(path: Path) -> Iterator[Battle]:
    """Read ``*_pair.jsonl``: both orders; a winner of one order only is a draw, as FastChat says.

    A judgment that failed in one order is none.
    """
    for line, row in numbered(path):
        where = f"'{path}', line {line}"
        one, two = (need(row, f"g{game}_winner", where) for game in (1, 2))
        for said in (one, two):
            if said not in (*FASTCHAT, "error"):
                raise InputError(f"{where}: the winner is {short(repr(said), 40)}.")
        agreed: float | None = float(FASTCHAT[one]) if one == two and one != "error" else 0.0
        judge = row.get("judge")
        yield Battle(
            query_id=name_of(need(row, "question_id", where), where),
            model_a=name_of(need(row, "model_1", where), where),
            model_b=name_of(need(row, "model_2", where), where),
            points=None if "error" in (one, two) else agreed,
            where=where,
            judge=str(judge[0] if isinstance(judge, list) and judge else judge),
        )


def _judgearena(path: Path) -> Iterator[Battle]:
    """Read ``*-annotations.csv``; the verdicts stand in ``results-*.json``, a number per row.

    Each is the probability that the run's model_B is better, also in rows with swapped answers.
    """
    stem = path.name.removesuffix("-annotations.csv")
    beside = path.with_name(f"results-{stem}.json")
    results = read_json(beside)
    frame = read_frame(path)
    chances = need(results, "preferences", f"'{beside}'")
    if not isinstance(chances, list) or len(chances) != len(frame):
        raise InputError(
            f"'{beside}' does not hold one preference for each of the {len(frame)} rows of "
            f"'{path.name}'."
        )
    owners = [
        name_of(need(results, f"model_{side}", f"'{beside}'"), f"'{beside}'") for side in "AB"
    ]
    rows = frame.to_dict("records")
    for i, (row, chance) in enumerate(zip(rows, chances, strict=True), 1):
        where = f"'{path}', row {i}"
        sides = ["completion_A", "completion_B"]
        if row.get("model_A") != owners[0]:
            sides.reverse()
        answers = [as_text(need(row, side, where), where) for side in sides]
        unread = is_empty(chance)
        yield Battle(
            query_id=name_of(need(row, "instruction_index", where), where),
            model_a=owners[0],
            model_b=owners[1],
            points=None if unread else float((chance > 0.5) - (chance < 0.5)),
            where=where,
            judge=optional(row, "judge", where),
            query=as_text(need(row, "instruction", where), where),
            response_a=answers[0],
            response_b=answers[1],
        )


def _judgearena_mt_bench(path: Path) -> Iterator[Battle]:
    """Read JudgeArena's MT-Bench, a row per turn and, with its own prompts, per order.

    ``preference`` is the probability that the row's model_B is better, nothing where a verdict
    could not be read; with FastChat's prompts it is that of both orders, 0.5 where they disagree.
    """
    for i, row in enumerate(read_frame(path).to_dict("records"), 1):
        where = f"'{path}', row {i}"
        chance = number(need(row, "preference", where), where)
        if chance is not None and not 0 <= chance <= 1:
            raise InputError(f"{where}: the preference is {chance:g}, not between 0 and 1.")
        yield Battle(
            query_id=name_of(need(row, "question_id", where), where),
            model_a=name_of(need(row, "model_A", where), where),
            model_b=name_of(need(row, "model_B", where), where),
            points=None if chance is None else float((chance > 0.5) - (chance < 0.5)),
            where=where,
            judge=optional(row, "judge", where),
            category=optional(row, "category", where),
        )


def _own_table(path: Path) -> Iterator[Battle]:
    return _table(read_frame(path), f"'{path}', {unit(path)}")


def _table(frame: pd.DataFrame, place: str) -> Iterator[Battle]:
    """Read a table with a winner per row, or one that `read_verdicts` returned."""
    if "query_id" not in frame and "question_id" in frame:  # battles of Arena-Hard and of LMArena
        frame = frame.rename(columns={"question_id": "query_id"})
    verdict = "points" if "points" in frame else "winner"
    for i, row in enumerate(frame.to_dict("records"), 1):
        where = f"{place} {i}"
        value = need(row, verdict, where)
        yield Battle(
            query_id=name_of(need(row, "query_id", where), where),
            model_a=name_of(need(row, "model_a", where), where),
            model_b=name_of(need(row, "model_b", where), where),
            points=number(value, where) if verdict == "points" else _winner(value, where),
            where=where,
            **{
                field: optional(row, field, where)
                for field in ("judge", "category", "query", "response_a", "response_b")
            },
        )


def _winner(value: Any, where: str) -> float | None:
    if is_empty(value) or value == "":
        return None
    word = str(value).strip().lower()
    if word not in WINNERS:
        raise InputError(
            f"{where}: the winner is {short(repr(value), 40)}, not model_a, model_b, tie or "
            "nothing."
        )
    return float(WINNERS[word])


SIGNS: tuple[tuple[set[str], Callable[[Path], Iterator[Battle]]], ...] = (
    ({"games", "model"}, _judgments),
    ({"g1_winner", "model_1"}, _fastchat),
    ({"model_A", "question_id", "turn", "preference"}, _judgearena_mt_bench),
    ({"model_A", "judge_completion"}, _judgearena),
    ({"model_a", "model_b", "winner"}, _own_table),
    ({"model_a", "model_b", "points"}, _own_table),
)
