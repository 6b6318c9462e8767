"""Diagnose an experiment: signatures of the ways in which model selection fails, and the remedy.

Each check is one number with one threshold. The thresholds are this project's conventions, chosen
so that a constructed pool with the fault trips them and one without does not
(``tests/test_diagnose.py``); none is from the paper.
"""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pandas as pd

from llmsel._base.errors import InputError, unknown
from llmsel.belief import Belief, posterior
from llmsel.pool import MISSING, Pool
from llmsel.session import Session
from llmsel.studies.protocol import Result
from llmsel.studies.scores import IDENTIFICATION, leaders, score

CHECKS = (
    "flat identification curve",
    "baseline dominance",
    "posterior collapse",
    "high variance across realizations",
    "near-duplicate candidates",
    "judge equal to a candidate",
)
OK, WARN = "ok", "warn"
SURE = 0.99  # posterior that counts as certain
EARLY = 0.2  # share of the budget that counts as early
OVERTAKEN = 0.1  # share of the later annotations at which the certain model may fail to lead
DISAGREE = 0.5  # chance that two realizations name different models
ALIKE = 0.5  # share of queries on which two candidates may give the same answer
REPLAYED = 200  # realizations whose belief is computed again


@dataclasses.dataclass(frozen=True)
class Check:
    """One row of the table: a number, the threshold it was held against, and what to do."""

    check: str
    number: float
    threshold: float
    verdict: str
    advice: str


def diagnose(
    result: Result | Session,
    strategy: str | None = None,
    *,
    judge: str | None = None,
    belief: Belief | None = None,
) -> pd.DataFrame:
    """Look for the signatures of failure in the runs of one strategy, or in one real decision.

    Args:
        result: from `llmsel.run`; Random need not be in it, as the pools' orders are its choices.
            Or a `Session` with annotations; the two checks that need many realizations are left
            out.
        strategy: whose runs to look at; None takes LLM Selector, or else the first strategy.
        judge: name of the oracle; None takes ``judge`` or ``oracle`` of the pool's notes.
        belief: the two-parameter model to replay; None takes the default eps.

    Returns:
        One row per check (see `CHECKS`): ``check``, ``number``, ``threshold``, ``verdict`` (``ok``
        or ``warn``), ``advice``.

    Raises:
        InputError: a strategy that is not in the result, or a session without annotations.
    """
    belief = Belief() if belief is None else belief
    alone = isinstance(result, Session)
    if isinstance(result, Session):
        result, strategy = _one_realization(result), None
    if strategy is None:
        strategy = "LLM Selector" if "LLM Selector" in result.chosen else next(iter(result.chosen))
    if strategy not in result.chosen:
        raise unknown("strategy", strategy, result.chosen)
    notes = result.pool.notes
    judge = str(notes.get("judge", notes.get("oracle", ""))) if judge is None else judge
    checks = [
        *([] if alone else [flat_curve(result, strategy)]),
        baseline_dominance(result.pool),
        posterior_collapse(result, strategy, belief=belief),
        *([] if alone else [high_variance(result, strategy)]),
        near_duplicates(result.pool),
        judge_is_candidate(result.pool, judge),
    ]
    return pd.DataFrame([dataclasses.asdict(check) for check in checks])


def flat_curve(result: Result, strategy: str) -> Check:
    """Advantage over Random: mean difference of identification over the first half of the budget.

    The threshold is its 95 % error over the realizations (paired: both saw the same pools).
    """
    chosen = {strategy: result.chosen[strategy], "other": result.orders[:, : result.budget]}
    scores = score(dataclasses.replace(result, chosen=chosen))
    half = max(1, result.budget // 2)
    both = [scores[name][IDENTIFICATION][:, :half].mean(axis=1, dtype=float) for name in chosen]
    advantage = both[0] - both[1]
    error = 1.96 * advantage.std(ddof=min(1, len(advantage) - 1)) / np.sqrt(len(advantage))
    return _check(
        CHECKS[0],
        float(advantage.mean()),
        float(error),
        advantage.mean() <= error,
        f"{strategy} finds the best model no faster than random queries: the weak judges do not "
        "inform it. Annotate at random, or race candidates instead of choosing queries.",
    )


def baseline_dominance(pool: Pool) -> Check:
    """Highest win rate of a candidate; below one half, the baseline beats them all."""
    rates = pool.win_rates()[pool.candidate_columns]
    return _check(
        CHECKS[1],
        float(rates.max()),
        0.5,
        rates.max() < 0.5,
        f"no candidate beats '{pool.baseline}' (all win rates are under one half): it is the "
        "answer itself, or take a weaker baseline to tell the candidates apart.",
    )


def posterior_collapse(result: Result, strategy: str, *, belief: Belief) -> Check:
    """Belief certain early, in a model that then does not lead.

    The number is the share of the annotations after the early phase (the first fifth of the
    budget) at which the model that was certain by its end is not among the empirical leaders;
    realizations that were not certain count 0. At most `REPLAYED` realizations are looked at.
    """
    chosen = result.chosen[strategy][:REPLAYED]
    rows = result.pool.need("outcomes")[chosen]
    early = max(1, int(EARLY * result.budget))
    chance = posterior(np.log(belief.likelihood(rows[:, :early])).sum(axis=1))
    favourite = chance.argmax(axis=1)
    leads = leaders(rows, not (rows == MISSING).any())
    after = np.take_along_axis(leads, favourite[:, None, None], axis=2)[:, early:, 0]
    overtaken = 1 - after.mean(axis=1) if after.shape[1] else np.zeros(len(chosen))
    number = float(np.where(chance.max(axis=1) >= SURE, overtaken, 0.0).mean())
    return _check(
        CHECKS[2],
        number,
        OVERTAKEN,
        number > OVERTAKEN,
        f"after {early} annotations the belief is {SURE:.0%} sure of a model that later does not "
        "lead: go by the win rates, not by the posterior, and take eps nearer to the real rates "
        "of losses and draws (llmsel.studies.parameters).",
    )


def high_variance(result: Result, strategy: str) -> Check:
    """Chance that two realizations name different models at half the budget (ties are shared)."""
    half = max(1, result.budget // 2)
    rows = result.pool.need("outcomes")[result.chosen[strategy][:, :half]]
    leads = leaders(rows, not (rows == MISSING).any())[:, -1].astype(float)
    named = leads / leads.sum(axis=1, keepdims=True)
    # a realization is not compared with itself
    same = (named.sum(axis=0) ** 2).sum() - (named**2).sum()
    pairs = len(named) * (len(named) - 1)
    number = float(1 - same / pairs) if pairs else 0.0
    outcomes = result.pool.need("outcomes")[:, result.pool.candidate_columns]
    telling = (outcomes != outcomes[:, :1]).any(axis=1).mean()
    return _check(
        CHECKS[3],
        number,
        DISAGREE,
        number > DISAGREE,
        f"the answer after {half} annotations depends on which queries were drawn ({telling:.0%} "
        "of the queries tell any candidates apart): annotate more, add harder queries, or accept "
        "a near-best model.",
    )


def near_duplicates(pool: Pool) -> Check:
    """Largest share of queries on which two candidates give the same answer.

    Without responses: the same outcome and the same votes.
    """
    keep = pool.candidate_columns
    if pool.responses is not None:
        cells = pool.responses[:, keep]
    else:
        layers = [pool.need("outcomes")[..., None]] + ([] if pool.votes is None else [pool.votes])
        stacked = np.concatenate(layers, axis=2)[:, keep]
        cells = np.array([[cell.tobytes() for cell in row] for row in stacked], dtype=object)
    codes = np.stack([pd.factorize(row)[0] for row in cells])
    best, pair = 0.0, (0, 0)
    for a in range(len(keep) - 1):
        same = (codes[:, [a]] == codes[:, a + 1 :]).mean(axis=0)
        if same.max() > best:
            best, pair = float(same.max()), (a, a + 1 + int(same.argmax()))
    first, second = (pool.models[keep[j]] for j in pair)
    return _check(
        CHECKS[4],
        best,
        ALIKE,
        best > ALIKE,
        f"'{first}' and '{second}' often give the same answer: they share posterior mass and "
        "steer the choice of queries towards themselves. Keep one of each pair.",
    )


def judge_is_candidate(pool: Pool, judge: str) -> Check:
    """Number of models whose name is part of the judge's name (letters and digits compared)."""
    plain = _plain(judge)
    same = [m for m in pool.models if len(_plain(m)) > 2 and _plain(m) in plain]
    named = ", ".join(f"'{m}'" for m in same)
    return _check(
        CHECKS[5],
        float(len(same)),
        0.0,
        bool(same),
        f"the judge '{judge}' may be {named}, or of its family: judges favour their own answers. "
        "Judge with another model, or leave it out of the selection.",
    )


def _one_realization(session: Session) -> Result:
    """Lay the annotations of a session out as a result over the annotated queries."""
    if not session.history:
        raise InputError("no query is annotated yet; there is nothing to diagnose.")
    rows = np.array([row for _, row in session.history])
    pool = session.pool.subset(queries=[query for query, _ in session.history])
    order = np.arange(len(rows), dtype=np.int32)[None]
    chosen = {session.strategy.name: order}
    return Result(pool.replace(outcomes=rows), order, chosen, {})


def _check(name: str, number: float, threshold: float, fault: bool, advice: str) -> Check:
    return Check(name, number, threshold, WARN if fault else OK, advice if fault else "")


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
