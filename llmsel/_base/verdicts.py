"""What a race may say when it ends, and the words for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from llmsel._base.words import at_least, counted, margin

ONE_LEFT, WITHIN, TIED = "one left", "within delta", "tied"
EXHAUSTED, BUDGET = "pool exhausted", "budget"
INCOMPLETE = "outcomes missing"  # every query was asked, but what is missing could turn the answer
FAILED = "too many failed"  # a judge that fails this often should be mended first
NO_WINNER = "no winner"  # of a race over all pairs: every model is beaten by another
CERTAIN = (
    ONE_LEFT,
    WITHIN,
    TIED,
    EXHAUSTED,
    NO_WINNER,
)  # stops at which a certified race has its answer

AFTERWORDS = {
    INCOMPLETE: " This is no certificate.",
    FAILED: " It stopped because too many judgements are missing: this is no certificate.",
    BUDGET: " The budget is spent.",
}


@dataclasses.dataclass(frozen=True)
class RaceVerdict:
    """What a race can say now.

    Args:
        winners: the answer, or the present leaders; several if tied, none if a race over all
            pairs has shown that there is none.
        live: the models that can still be the best.
        dropped: model -> number of queries (over all pairs: of its comparisons) after which it was
            dropped.
        certified: True if ``winners`` holds with probability at least ``1 - alpha``, whatever the
            missing outcomes are.
        stop: why the race ended, or empty while it goes on.
        calls: judged cells: outcomes that were given.
        queries: queries touched.
        statement: all that in one or two sentences.
        failed: model -> judgements that failed or were given up, where there are any.
        remarks: sentences that belong under the statement: what to do, how it came about.
    """

    winners: tuple[str, ...]
    live: tuple[str, ...]
    dropped: Mapping[str, int]
    certified: bool
    stop: str
    calls: int
    queries: int
    statement: str
    failed: Mapping[str, int] = dataclasses.field(default_factory=dict)
    remarks: tuple[str, ...] = ()


def give_verdict(
    models: Sequence[str],
    *,
    winners: np.ndarray,
    dropped: np.ndarray,
    stop: str,
    alpha: float | None,
    delta: float,
    n_queries: int,
    calls: int,
    queries: int,
    failed: Mapping[str, int],
    seed_chosen: bool = False,
    best: int = 1,
    near: bool = False,
    claim: Callable[[RaceVerdict, int, float], str] | None = None,
) -> RaceVerdict:
    """Say what a race holds, and what that is worth.

    Args:
        models: names, length ``M``.
        winners: bool, shape ``(M,)``.
        dropped: int, shape ``(M,)``: queries after which a model was dropped; 0 if it was not.
        stop: why the race ended, or empty.
        alpha: error rate of the rule; None if it certifies nothing.
        delta: margin (win rate) of the early stop.
        n_queries: size of the pool.
        calls: outcomes given.
        queries: queries touched.
        failed: judgements given up per model.
        seed_chosen: True if the seed of the random order was chosen, not drawn.
        best: how many models were to be named.
        near: True if models were dropped by a champion, to which they may be ``delta`` superior.
        claim: says what is claimed, from the verdict, the number of models and delta; None for
            the best of a pool with a baseline.
    """
    verdict = RaceVerdict(
        winners=tuple(m for m, wins in zip(models, winners, strict=True) if wins),
        live=tuple(m for m, t in zip(models, dropped, strict=True) if not t),
        dropped={m: int(t) for m, t in zip(models, dropped, strict=True) if t},
        certified=alpha is not None and stop in CERTAIN,
        stop=stop,
        calls=calls,
        queries=queries,
        statement="",
        failed={model: count for model, count in failed.items() if count},
    )
    worth = "by a heuristic rule, without a certificate"
    if alpha is not None:
        worth = f"with probability at least {at_least(alpha)}"
    cost = f"{counted(calls, 'call')} on {queries} of {n_queries} queries"
    if verdict.failed:
        cost += f"; {counted(sum(verdict.failed.values()), 'judgement')} missing"
    if seed_chosen:
        cost += "; seed chosen by the user"
    if not verdict.dropped and stop not in CERTAIN:
        worth = ""  # nothing is claimed that could be wrong
    basis = "; ".join(filter(None, [worth, cost]))
    if claim is None:
        said = _claim(verdict, len(models), delta, best, near=near and delta > 0)
    else:
        said = claim(verdict, len(models), delta)
    text = f"{said} ({basis}).{AFTERWORDS.get(stop, '')}"
    return dataclasses.replace(verdict, statement=text, remarks=_remarks(verdict))


def _claim(verdict: RaceVerdict, n_models: int, delta: float, best: int, *, near: bool) -> str:
    winners, many = verdict.winners, len(verdict.winners) > 1
    who = " and ".join(f"'{w}'" for w in winners)
    if best > 1 and verdict.stop in CERTAIN:
        return _claim_of_several(verdict, who, delta)
    if verdict.stop == TIED:
        return f"{who} cannot be told apart on this pool: their win rates are equal"
    if verdict.stop in (ONE_LEFT, EXHAUSTED):
        return f"{who} is the best of this pool"
    if verdict.stop == WITHIN:
        return f"{who} {'are' if many else 'is'} within {margin(delta)} of the best win rate"
    if not verdict.calls:
        return "nobody leads: no outcome is judged"
    if len(winners) > 3:
        who = f"{len(winners)} models"
    lead = f"{who} {'lead' if many else 'leads'}"
    if verdict.failed:
        lead += " on the judged cells"
    if len(verdict.live) == n_models:
        return f"{lead}; no model is beaten yet"
    return f"{lead}; {_claim_of_the_left(verdict, n_models, delta, best, near=near)}"


def _claim_of_the_left(
    verdict: RaceVerdict, n_models: int, delta: float, best: int, *, near: bool
) -> str:
    """Say what holds before the end; a champion's margin lets better models be dropped."""
    missing = ", whatever the missing outcomes are," if verdict.stop == INCOMPLETE else ""
    left = f"the {len(verdict.live)} models left of {n_models}"
    if near and best > 1:
        beaten = f"none of the {len(verdict.dropped)} models dropped"
        return f"{beaten} is{missing} more than {margin(delta)} better than any of them"
    if near:
        return f"the best, or one within {margin(delta)} of it, is{missing} one of {left}"
    if best > 1:
        return f"the best {best} are{missing} among {left}"
    return f"the best is{missing} one of {left}"


def _claim_of_several(verdict: RaceVerdict, who: str, delta: float) -> str:
    if verdict.stop == WITHIN:
        return f"no model left out is more than {margin(delta)} better than any of {who}"
    return f"{who} are the best {len(verdict.winners)} of this pool"


def _remarks(verdict: RaceVerdict) -> tuple[str, ...]:
    """Say which judgements failed and what can be done; empty if none did."""
    if not verdict.failed:
        return ()
    most = sorted(verdict.failed.items(), key=lambda pair: -pair[1])
    named = ", ".join(f"'{model}' {count}" for model, count in most)
    failed = f"judgements that failed or were skipped: {named}."
    if verdict.stop not in (FAILED, INCOMPLETE):
        return (failed,)
    again = "mend the judge and have all of them judged again"
    if verdict.stop == FAILED:
        again += ", or go on without them: give the race a larger most_failed (--most-failed)"
    return (failed, f"to go on: {again}.")
