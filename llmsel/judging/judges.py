"""Judges: who compares a candidate's response with the baseline's, and how they fill a log.

`annotate` lets a judge take whole queries in the order of a session; `race` only what a race
asks for, up to its certificate. `llmsel.judging.llm` has the LLM as judge.
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from llmsel._base.errors import InputError
from llmsel.answers.prices import Purse
from llmsel.judging.isolated import GraderError, called, outcome_in, score_in
from llmsel.pool import MISSING, NO_ANSWER, Pool


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Outcome of one comparison: -1, 0, 1 or `Outcome.MISSING`, and how it came about."""

    outcome: int
    order: str = "not shown"
    detail: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def checked_verdict(given: object) -> Verdict:
    """Return what a judge gave, or a failed judgement where that is no verdict."""
    if isinstance(given, Verdict) and given.outcome in (-1, 0, 1, MISSING):
        return given
    return Verdict(MISSING, detail={"failed": f"the judge returned {given!r}, no verdict"})


class Judge(ABC):
    """The interface of every judge. `name` stands in the log; `judge` may run in threads."""

    name: str

    @abstractmethod
    def judge(self, query: str, response: str, baseline_response: str) -> Verdict:
        """Compare a candidate's response to a query (its text) with the baseline's."""

    @property
    def settings(self) -> dict[str, Any]:
        """All that its verdicts depend on, as JSON can hold it; it stands in the log."""
        return {"name": self.name}

    def context(self, query: str) -> str | None:
        """Hash of what else a verdict on a query (its text) depends on, as a reference answer.

        A verdict of an older log holds only with the same. None for nothing.
        """
        return None

    def limit(self, purse: Purse | None) -> None:
        """Spend no more than a purse has, from now on; None for no limit.

        Raises:
            InputError: a purse, but what this judge costs is not known.
        """
        if purse is not None:
            raise InputError(f"a budget needs a judge that has prices; '{self.name}' has none.")

    def check(self, pool: Pool) -> None:  # noqa: B027 - optional
        """Look at the pool before the first judgement."""

    def estimate(
        self, pool: Pool, models: Sequence[str] | None = None
    ) -> Mapping[str, float] | None:
        """Say what judging the pool would take at most; None if it costs nothing.

        Args:
            pool: with responses.
            models: the candidates to judge; None for all.

        Returns:
            ``requests``, ``tokens_in``, ``tokens_out`` and ``cost``.
        """
        return None

    def stop(self) -> None:  # noqa: B027 - optional
        """Begin nothing more, and break off soon what is under way."""

    @property
    def spent(self) -> Mapping[str, float] | None:
        """What was spent so far, with the keys of `estimate`; None if it costs nothing."""
        return None


def asked(judge: Judge, query: str, response: str, baseline_response: str) -> Verdict:
    """Ask a judge; what goes wrong with this one comparison is a failed judgement.

    Args:
        judge: who is asked.
        query: its text.
        response: of the candidate.
        baseline_response: of the baseline.

    Raises:
        InputError: what is wrong with the judge as a whole.
    """
    try:
        return checked_verdict(judge.judge(query, response, baseline_response))
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        return Verdict(MISSING, detail={"failed": f"{type(error).__name__}: {error}"})


class ProgramJudge(Judge):
    """A Python function as judge, for tasks with references or unit tests.

    Args:
        function: ``(query, response) -> score`` (higher is better, compared with the baseline's),
            or with ``compares=True`` ``(query, response, baseline_response) -> -1, 0, 1``. The
            query is its text; look references up by it. An exception, `sys.exit`, NaN or another
            type is a failed judgement. `llmsel.judging.isolated.Isolated` gives one that may crash
            or hang as well.
        compares: which of the two the function is.
        name: in the log; the function's own if None.
    """

    def __init__(
        self, function: Callable[..., Any], *, compares: bool = False, name: str | None = None
    ) -> None:
        """Keep the function."""
        self.name = str(name or getattr(function, "__name__", "program"))
        self._function = function
        self._compares = compares

    @property
    def settings(self) -> dict[str, Any]:
        """Name, kind, and a hash of the program's source where it can be had."""
        return {"name": self.name, "compares": self._compares, "source": _source(self._function)}

    def judge(self, query: str, response: str, baseline_response: str) -> Verdict:
        """Call the function; where it fails, the judgement is missing, for the reason given."""
        compare = self._compared if self._compares else self._scored
        try:
            return compare(query, response, baseline_response)
        except GraderError as error:
            return Verdict(MISSING, detail={"failed": f"'{self.name}' {error}"})

    def _compared(self, query: str, response: str, baseline_response: str) -> Verdict:
        return Verdict(outcome_in(called(self._function, query, response, baseline_response)))

    def _scored(self, query: str, response: str, baseline_response: str) -> Verdict:
        mine, other = (
            score_in(called(self._function, query, each)) for each in (response, baseline_response)
        )
        return Verdict((mine > other) - (mine < other), detail={"scores": [mine, other]})


def _source(function: Callable[..., Any]) -> str | None:
    """Hash of what a function was made of: a file's bytes, or its own lines; None if unknown."""
    known = getattr(function, "source", None)
    if isinstance(known, str):
        return known
    try:
        lines = inspect.getsource(function)
    except (OSError, TypeError):
        return None
    return hashlib.sha256(lines.encode()).hexdigest()[:12]


@dataclasses.dataclass(frozen=True)
class Group:
    """Candidates with one and the same response to a query: judged once."""

    models: tuple[str, ...]
    response: str
    baseline_response: str


def settled(group: Group) -> int | None:
    """Outcome that needs no judge: equal answers draw, no answer loses; None for the others."""
    if group.response == group.baseline_response:
        return 0
    if NO_ANSWER in (group.response, group.baseline_response):
        return 1 if group.baseline_response == NO_ANSWER else -1
    return None


def groups(pool: Pool, query: str, models: Iterable[str]) -> list[Group]:
    """Group models by their response to a query, in the order given."""
    row = pool.need("responses")[pool.place(query)]
    same: dict[str, list[str]] = {}
    for model in models:
        same.setdefault(row[pool.column(model)], []).append(model)
    baseline = row[pool.baseline_index]
    return [Group(tuple(names), text, baseline) for text, names in same.items()]


def text_of(pool: Pool, query: str) -> str:
    """Text of a query, or its id where the pool has no texts."""
    return pool.text_of(query)
