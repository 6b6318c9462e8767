"""Recorded verdicts and scores as a pool with outcomes: against a baseline, or over all pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from llmsel._base.checks import need_columns
from llmsel._base.errors import InputError, unknown
from llmsel._base.terminal import short
from llmsel.answers.missing import DROP, KEEP, LOSS, REFUSE, check_rule, refusal
from llmsel.pool import MISSING, Pool
from llmsel.racing.pairs import all_pairs


def pool_of_verdicts(
    verdicts: pd.DataFrame,
    baseline: str | None,
    *,
    answers: pd.DataFrame | None = None,
    missing: str = REFUSE,
    name: str = "pool",
) -> Pool:
    """Build a pool of recorded verdicts.

    Several games of a judge on one pair are summed, and the sign is its verdict; of several judges
    the majority decides, and as many for as against are a draw.

    Args:
        verdicts: what `read_verdicts` returned.
        baseline: any model; those that were compared with it are the candidates. None for none: a
            pool of all pairs, see `llmsel.all_pairs`.
        answers: what `read_answers` returned, for responses, texts and categories; None takes those
            that the verdicts bring, if they have them for every model.
        missing: ``"refuse"``: all that is missing is told; ``"drop"`` the queries; ``"loss"``; or
            ``"keep"``: unknown, as a race and its certificate take it.
        name: of the pool.

    Raises:
        InputError: a baseline that was compared with none, verdicts that are missing, or answers
            that do not fit.
    """
    check_rule(missing, also=(KEEP,))
    need_columns(verdicts, ("query_id", "model_a", "model_b", "points"), "verdicts")
    known = dict.fromkeys([*verdicts["model_a"], *verdicts["model_b"]])
    if baseline is None:
        if missing == LOSS:
            raise InputError(
                "a missing verdict between two models is the loss of neither; see keep."
            )
        brought = _answers_in(verdicts) if answers is None else answers
        make = partial(pool_of_verdicts, verdicts, missing=KEEP, name=name)
        return _over_pairs(make, verdicts, list(known), brought, missing)
    if baseline not in known:
        raise unknown("baseline", baseline, known)
    mine = verdicts[(verdicts["model_a"] == baseline) | (verdicts["model_b"] == baseline)]
    mine = mine[mine["model_a"] != mine["model_b"]]  # AlpacaEval judges the baseline too
    leads = mine["model_a"] == baseline
    frame = pd.DataFrame(
        {
            "query_id": mine["query_id"],
            "model": mine["model_b"].where(leads, mine["model_a"]),
            "judge": mine["judge"].fillna("") if "judge" in mine else "",
            "points": mine["points"].where(leads, -mine["points"]),
        }
    )
    by_judge = frame.groupby(["query_id", "model", "judge"], sort=False)["points"].sum(min_count=1)
    votes = np.sign(by_judge).groupby(["query_id", "model"], sort=False).sum(min_count=1)
    outcomes = np.sign(votes).unstack("model")
    outcomes = outcomes.reindex(
        index=dict.fromkeys(frame["query_id"]), columns=dict.fromkeys(frame["model"])
    )
    brought = _answers_in(mine) if answers is None else answers
    return _assemble(outcomes, baseline, answers=brought, table=mine, missing=missing, name=name)


def pool_of_scores(
    scores: pd.DataFrame,
    baseline: str | None,
    *,
    margin: float = 0.0,
    answers: pd.DataFrame | None = None,
    missing: str = REFUSE,
    name: str = "pool",
) -> Pool:
    """Build a pool of scores: a candidate wins where its score is higher than the baseline's.

    Args:
        scores: what `read_scores` returned; a query's epochs count as their mean.
        baseline: any of the models, or None for none: a pool of all pairs.
        margin: a difference up to it is a draw, in the unit of the scores.
        answers: see `pool_of_verdicts`.
        missing: see `pool_of_verdicts`; an epoch without a score makes the score missing.
        name: of the pool.

    Raises:
        InputError: an unknown baseline, scores that are missing, or answers that do not fit.
    """
    check_rule(missing, also=(KEEP,))
    need_columns(scores, ("model", "query_id", "score"), "scores")
    models = list(dict.fromkeys(scores["model"]))
    if baseline is None:
        kept = LOSS if missing == LOSS else KEEP
        make = partial(pool_of_scores, scores, margin=margin, missing=kept, name=name)
        return _over_pairs(make, scores, models, answers, missing)
    if baseline not in models:
        raise unknown("baseline", baseline, models)
    epochs = scores.assign(epoch=scores.get("epoch", 1))
    wide = epochs.pivot(index=["query_id", "epoch"], columns="model", values="score")[models]
    whole = ~wide.isna().groupby("query_id", sort=False).any()
    means = wide.groupby("query_id", sort=False).mean().where(whole)
    means = means.reindex(dict.fromkeys(scores["query_id"]))
    gap = means.drop(columns=baseline).sub(means[baseline], axis=0)
    outcomes = np.sign(gap.where(gap.abs() > margin, gap * 0))
    if missing == LOSS:  # who has no score loses; the baseline too
        lost = means.drop(columns=baseline).isna()
        won = lost.mul(0).add(means[baseline].isna(), axis=0).astype(bool) & ~lost
        outcomes = outcomes.mask(won, 1.0).mask(lost, -1.0)
    return _assemble(outcomes, baseline, answers=answers, table=scores, missing=missing, name=name)


def _over_pairs(
    make: Callable[[str], Pool],
    table: pd.DataFrame,
    models: list[str],
    answers: pd.DataFrame | None,
    missing: str,
) -> Pool:
    """Make the pool of all pairs from that of each baseline, without answers and gaps kept."""
    if len(models) < 2:
        raise InputError(f"only '{models[0]}' is there; two models at least are compared.")
    queries = list(dict.fromkeys(table["query_id"].astype(str)))
    outcomes = np.full((len(models), len(models), len(queries)), MISSING, dtype=np.int8)
    for b, baseline in enumerate(models):
        pool = make(baseline)
        places = [queries.index(query) for query in pool.queries]
        for model in pool.models:
            column = pool.need("outcomes")[:, pool.column(model)]
            outcomes[models.index(model), b, places] = column
    outcomes[np.arange(len(models)), np.arange(len(models))] = 0
    gaps = np.argwhere(np.triu((outcomes == MISSING).transpose(2, 0, 1), 1))
    if len(gaps) and missing == REFUSE:
        named = [
            f"'{short(models[a])}' against '{short(models[b])}' on '{short(queries[i])}'"
            for i, a, b in gaps
        ]
        raise refusal(named, "verdict")
    keep = np.ones(len(queries), dtype=bool)
    if missing == DROP:
        keep[gaps[:, 0]] = False
    if not keep.any():
        raise InputError("no query has the verdicts of all pairs; say missing=keep.")
    kept = tuple(query for query, stays in zip(queries, keep, strict=True) if stays)
    plain = Pool(
        kept,
        tuple(models),
        models[0],
        texts=_per_query(table, "query", kept),
        categories=_per_query(table, "category", kept),
        name=pool.name,
    )
    plain = plain if answers is None else _with_answers(plain, answers)
    return all_pairs(plain, outcomes[:, :, keep])


def _assemble(
    outcomes: pd.DataFrame,
    baseline: str,
    *,
    answers: pd.DataFrame | None,
    table: pd.DataFrame,
    missing: str,
    name: str,
) -> Pool:
    """Make the pool of a table of outcomes: a row per query, a column per candidate."""
    outcomes = _settled(outcomes, missing)
    models = (*outcomes.columns, baseline)
    codes = np.column_stack([outcomes.fillna(MISSING).to_numpy(), np.zeros(len(outcomes))])
    queries = tuple(map(str, outcomes.index))
    pool = Pool(
        queries,
        models,
        baseline,
        texts=_per_query(table, "query", queries),
        outcomes=codes.astype(np.int8),
        categories=_per_query(table, "category", queries),
        name=name,
    )
    return pool if answers is None else _with_answers(pool, answers)


def _settled(outcomes: pd.DataFrame, missing: str) -> pd.DataFrame:
    gaps = outcomes.isna()
    if not gaps.to_numpy().any() or missing == KEEP:
        return outcomes
    if missing == REFUSE:
        named = [
            f"'{short(str(model))}' on '{short(str(query))}'"
            for query, row in gaps.iterrows()
            for model in gaps.columns
            if row[model]
        ]
        raise refusal(named, "verdict")
    left = outcomes[~gaps.any(axis=1)] if missing == DROP else outcomes.fillna(-1)
    if left.empty:
        raise InputError("no query has the verdicts of all models; say missing=keep or =loss.")
    return left


def _per_query(table: pd.DataFrame, column: str, queries: Iterable[str]) -> tuple[str, ...] | None:
    """One value per query; None unless every query has one."""
    if column not in table:
        return None
    known = table.dropna(subset=[column]).drop_duplicates("query_id")
    found = known.set_index(known["query_id"].astype(str))[column].reindex(list(queries))
    return None if found.isna().any() else tuple(map(str, found))


def _answers_in(verdicts: pd.DataFrame) -> pd.DataFrame | None:
    """The answers that verdicts bring along; None unless every verdict does."""
    if "response_a" not in verdicts or verdicts["response_a"].isna().any():
        return None
    sides = [
        verdicts.rename(columns={f"model_{side}": "model", f"response_{side}": "response"})
        for side in "ab"
    ]
    both = pd.concat([side[["query_id", "model", "response"]] for side in sides])
    return both.drop_duplicates(["query_id", "model"])


def _with_answers(pool: Pool, answers: pd.DataFrame) -> Pool:
    """Add responses, texts and categories.

    Raises:
        InputError: a model or query of the pool without an answer.
    """
    need_columns(answers, ("model", "query_id", "response"), "answers")
    wanted = answers[
        answers["model"].isin(pool.models) & answers["query_id"].astype(str).isin(pool.queries)
    ]
    given = set(zip(wanted["model"], wanted["query_id"].astype(str), strict=True))
    gaps = [(m, q) for q in pool.queries for m in pool.models if (m, q) not in given]
    if gaps:
        raise refusal([f"'{short(m)}' on '{short(q)}'" for m, q in gaps], "answer")
    found = Pool.from_frame(wanted, pool.baseline).subset(pool.queries, pool.models)
    fields: dict[str, Any] = {"responses": found.responses}
    for field in ("texts", "categories"):
        fields[field] = _either(getattr(found, field), getattr(pool, field))
    return pool.replace(**fields)


def _either(first: Sequence[str] | None, second: Sequence[str] | None) -> Sequence[str] | None:
    return second if first is None else first
