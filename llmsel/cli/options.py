"""What several commands take, and how they read it."""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import json
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from llmsel import benchmarks
from llmsel._base.errors import InputError, unknown
from llmsel.answers.missing import REFUSE
from llmsel.answers.read import read_answers
from llmsel.judging.lines import read_lines
from llmsel.judging.replay import Contents, read_log
from llmsel.pool import Pool
from llmsel.racing.audit import Audit
from llmsel.racing.elimination import Certified, Heuristic, Rule
from llmsel.racing.pairs import Borda, Condorcet, PairsRule, all_pairs, has_pairs
from llmsel.racing.race import DELTA, Race, RaceVerdict, rule_of
from llmsel.session import Answer

Log = Annotated[
    Path,
    typer.Argument(
        help="The annotation log: JSON Lines, a header and then one line per outcome; llmsel "
        "writes it."
    ),
]
WORLDS = 10  # of a forecast
WINNERS: dict[str, type[PairsRule]] = {"condorcet": Condorcet, "borda": Borda}
_T = typing.TypeVar("_T")
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
Yes = Annotated[bool, typer.Option("--yes", help="Start without asking.")]


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command take dataclasses of options: typer sees each of their fields."""
    hints = typing.get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {
        n: hint for n, hint in hints.items() if dataclasses.is_dataclass(hint)
    }
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(command).parameters.items():
        if name in groups:
            parameters += _fields(groups[name])
        else:
            kind = inspect.Parameter.KEYWORD_ONLY
            parameters.append(parameter.replace(kind=kind, annotation=hints[name]))

    @functools.wraps(command)
    def run(**given: Any) -> None:
        for name, group in groups.items():
            given[name] = group(**{each.name: given.pop(each.name) for each in _fields(group)})
        command(**given)

    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    vars(run)["__signature__"] = inspect.Signature(parameters)
    return run


def _fields(group: Any) -> list[inspect.Parameter]:
    """Parameters that stand for the fields of a dataclass."""
    hints = typing.get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=_default(field),
            annotation=hints[field.name],
        )
        for field in dataclasses.fields(group)
    ]


def _default(field: dataclasses.Field[Any]) -> Any:
    return inspect.Parameter.empty if field.default is dataclasses.MISSING else field.default


@dataclasses.dataclass(frozen=True)
class Source:
    """Where the answers are, and whom they are compared with."""

    pool: Annotated[
        str,
        typer.Option(
            "--pool",
            help="The answers: a file with model, query_id, query, response (JSON Lines, JSON, "
            "CSV, Parquet), one of AlpacaEval, Arena-Hard, MT-Bench, lm-eval or Inspect, a folder "
            "of these, a saved pool (.npz), or a benchmark of `llmsel data list`.",
        ),
    ]
    baseline: Annotated[
        str | None, typer.Option(help="The model all others are compared with.")
    ] = None
    missing: Annotated[
        str,
        typer.Option(
            help="Answers that are missing: refuse (all are told), drop their queries, or count "
            "them as a loss."
        ),
    ] = REFUSE

    pairs: Annotated[
        bool,
        typer.Option(
            "--pairs",
            help="No baseline: every model against every other, in a race for the one that no "
            "other beats (or see --winner).",
        ),
    ] = False

    def read(self, *, pairs: bool = False) -> Pool:
        """Read the pool.

        Args:
            pairs: whether the command can take a pool of all pairs.

        Raises:
            InputError: nothing of that name, answers without a baseline, or all pairs for a
                command that is about one.
        """
        if self.pairs and not pairs:
            raise InputError("this command is about one baseline: leave --pairs out.")
        if self.pairs and self.baseline is not None:
            raise InputError("with --pairs no model is the baseline: leave --baseline out.")
        pool = self._read()
        return all_pairs(pool) if self.pairs else pool

    def _read(self) -> Pool:
        if self.pool.endswith(".npz"):
            return Pool.load(self.pool)
        if not Path(self.pool).exists() and self.pool in benchmarks.names():
            return benchmarks.load(self.pool)
        frame = read_answers(self.pool, missing=self.missing)
        if self.pairs:
            return Pool.from_frame(frame, str(frame["model"].iloc[0]), name=Path(self.pool).stem)
        if self.baseline is None:
            raise InputError(
                f"name the baseline: --baseline {frame['model'].iloc[0]} (or another of "
                f"{', '.join(frame['model'].unique()[:6])}), or judge all --pairs."
            )
        return Pool.from_frame(frame, self.baseline, name=Path(self.pool).stem)


@dataclasses.dataclass(frozen=True)
class RaceOptions:
    """Settings of a race; what is None is the log's, or the default."""

    delta: Annotated[
        float | None,
        typer.Option(help="Stop once within this margin (win rate) of the best; 0.01 if none."),
    ] = None
    alpha: Annotated[
        float | None, typer.Option(help="Chance of a wrong certificate, at most; 0.05 if none.")
    ] = None
    heuristic: Annotated[
        bool, typer.Option("--heuristic", help="By shared queries, without a certificate.")
    ] = False
    plain: Annotated[
        bool,
        typer.Option("--plain", help="No audit of single challengers: shared queries to the end."),
    ] = False
    best: Annotated[
        int | None, typer.Option(min=1, help="Name so many best models instead of one.")
    ] = None
    winner: Annotated[
        str | None,
        typer.Option(
            help="With --pairs: condorcet, whom no other model beats (the default), or borda, the "
            "highest mean win rate against all others; it takes more calls."
        ),
    ] = None
    seed: Annotated[
        int | None,
        typer.Option(
            min=0, help="Of the race's order of queries; drawn at random if none, and noted."
        ),
    ] = None
    batch: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Calls a race plans at a time (queries, with --plain or --heuristic). If none, "
            "so many that all workers are busy; models are dropped only in between.",
        ),
    ] = None

    most_failed: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="Share of the judgements that may fail before a race stops; 0.05."
        ),
    ] = None

    def race(
        self,
        pool: Pool,
        held: Contents | None,
        *,
        name: str,
        workers: int = 1,
        cheap_price: float | None = None,
    ) -> Race:
        """Make the race that the log holds, or a new one; what is given must agree with the log.

        Args:
            pool: of the race.
            held: what the log says, see `read_begun`.
            name: of the log.
            workers: calls at a time.
            cheap_price: of a new race with a cheap judge; None for none.

        Raises:
            InputError: other settings than those of the log, or out of range.
        """
        rule = self._pairs_rule(held) if has_pairs(pool) else self._rule(held)
        batch = _or(self.batch, _batch(rule, workers, len(pool.candidates)))
        delta, failed = _or(self.delta, DELTA), _or(self.most_failed, 0.05)
        more: dict[str, Any] = {"most_failed": failed, "cheap_price": cheap_price}
        new = Race(pool, rule, seed=self.seed, delta=delta, batch=batch, **more)
        if held is None or held.race is None:
            return new
        given: dict[str, Any] = {"delta": self.delta, "seed": self.seed, "batch": self.batch}
        named = self.alpha or self.best or self.winner
        given["rule"] = self.heuristic or self.plain or named or None
        told = {key: new.settings[key] for key, value in given.items() if value is not None}
        held.check_race(json.loads(json.dumps(told)), name)
        return Race.of_settings(pool, held.race, most_failed=failed)

    def _pairs_rule(self, held: Contents | None) -> PairsRule:
        """Make the rule of a race over all pairs; what is not named stays as in the log."""
        if self.heuristic or self.plain or self.best is not None:
            raise InputError(
                "--pairs has rules of its own: leave --plain, --heuristic and --best out."
            )
        if self.winner is not None and self.winner not in WINNERS:
            raise unknown("winner", self.winner, WINNERS)
        kept = None if held is None or held.race is None else rule_of(held.race)
        rule = kept if isinstance(kept, PairsRule) else Condorcet()
        if self.winner is not None and not isinstance(rule, WINNERS[self.winner]):
            rule = WINNERS[self.winner](rule.alpha)
        return rule if self.alpha is None else dataclasses.replace(rule, alpha=self.alpha)

    def _rule(self, held: Contents | None) -> Rule:
        """Make the rule that is asked for; what is not named stays as in the log."""
        if self.winner is not None:
            raise InputError("--winner is for a race without a baseline: add --pairs.")
        if self.heuristic and (self.plain or self.alpha is not None):
            raise InputError("--heuristic promises no error rate: leave --alpha and --plain out.")
        if self.best is not None and (self.plain or self.heuristic):
            raise InputError(
                "the best few are named by the audit: leave --plain or --heuristic out."
            )
        if self.heuristic:
            return Heuristic()
        kept = None if held is None or held.race is None else rule_of(held.race)
        kind = Certified if self.plain or isinstance(kept, Certified) else Audit
        given = {"alpha": self.alpha, "best": self.best}
        changes: dict[str, Any] = {
            name: value for name, value in given.items() if value is not None
        }
        return dataclasses.replace(kept if isinstance(kept, kind) else kind(), **changes)


def _batch(rule: Rule, workers: int, candidates: int) -> int:
    """Plan so much at a time that every worker has a call, but near the end.

    An audit judges whole shared queries at first: with p models left, batch // p of them. The rules
    that count queries are begun for all candidates, and make fewer calls as these are dropped.
    """
    if isinstance(rule, PairsRule):
        return max(4, workers)
    if not isinstance(rule, Audit):
        return max(4, -(-workers // candidates))
    left = range(1, min(candidates, workers) + 1)
    return max(4, *(p * -(-workers // p) for p in left))


def _or(value: _T | None, default: _T) -> _T:
    return default if value is None else value


def read_begun(log: Path, pool: Pool) -> Contents | None:
    """Read a log; None if it is still to begin. A stop can leave it empty or with half a header.

    Raises:
        InputError: a damaged log, one of another pool, or a place where there can be none.
    """
    folder = next(each for each in log.absolute().parents if each.exists())
    if not folder.is_dir():
        raise InputError(f"'{folder}' is a file, so '{log}' can be no log; name another place.")
    begun = log.exists() and read_lines(log).header is not None
    return read_log(log, pool) if begun else None


def facts(said: Answer | RaceVerdict) -> dict[str, object]:
    """Turn what a session or race says into a dictionary that JSON can hold."""

    def held(value: object) -> object:
        if isinstance(value, RaceVerdict):
            return facts(value)
        return dict(value) if isinstance(value, Mapping) else value

    return {f.name: held(getattr(said, f.name)) for f in dataclasses.fields(said)}


def parameters(pairs: list[str] | None) -> dict[str, Any]:
    """Read ``name=value`` pairs; values are Python literals or JSON's null, or else text.

    Raises:
        InputError: a pair without ``=``.
    """
    values = {}
    for pair in pairs or ():
        name, found, text = pair.partition("=")
        if not found:
            raise InputError(f"'-p {pair}' is not of the form name=value.")
        try:
            values[name] = None if text == "null" else ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            values[name] = text  # a bare word is a string
    return values
