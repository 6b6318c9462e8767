"""A paired test of two models on the queries that both were scored on."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from llmsel._base.checks import need_columns
from llmsel._base.errors import InputError, unknown
from llmsel._base.intervals import betting_interval, sign_test
from llmsel._base.terminal import short
from llmsel._base.words import at_least
from llmsel.answers.missing import DROP, LOSS, REFUSE, check_rule, refusal
from llmsel.answers.scores import read_scores
from llmsel.answers.sources import Source
from llmsel.pool import MISSING, Pool

SHUFFLE = 20250601  # the interval bets in an order that depends on no score


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What two models' scores on the same queries say.

    Args:
        first, second: the models.
        queries: on which both were scored; several epochs of a query are one, its mean.
        wins, draws, losses: queries on which the first scores higher, the same, lower.
        mean_first, mean_second: scores.
        difference: of the means, first less second, in the unit of the scores.
        low, high: its interval, for queries like these; holds at any sample size.
        p_value: of the exact two-sided sign test on wins and losses (McNemar's, on pass and fail).
        alpha: chance that the interval misses.
        dropped: queries left out, as one of the two has no score.
    """

    first: str
    second: str
    queries: int
    wins: int
    draws: int
    losses: int
    mean_first: float
    mean_second: float
    difference: float
    low: float
    high: float
    p_value: float
    alpha: float
    dropped: int = 0

    @property
    def better(self) -> str | None:
        """The model that the interval shows to be better; None if it shows neither."""
        return self.first if self.low > 0 else self.second if self.high < 0 else None

    @property
    def statement(self) -> str:
        """All that in one or two sentences."""
        found = f"no difference between '{self.first}' and '{self.second}' is shown"
        if self.better is not None:
            other = self.second if self.better == self.first else self.first
            found = f"'{self.better}' is better than '{other}'"
        left_out = f", {self.dropped} left out" if self.dropped else ""
        return (
            f"{found}: {self.mean_first:.4g} and {self.mean_second:.4g} on {self.queries} queries"
            f"{left_out}, a difference of {self.difference:+.4g} ({at_least(self.alpha)} interval "
            f"{self.low:+.4g} to {self.high:+.4g}); '{self.first}' wins {self.wins}, loses "
            f"{self.losses}, {self.draws} draws (exact sign test: p = {self.p_value:.2g})."
        )


def compare_models(
    scores: Source | pd.DataFrame | Pool,
    first: str,
    second: str,
    *,
    metric: str | None = None,
    filter: str | None = None,
    scale: tuple[float, float] = (0.0, 1.0),
    missing: str = REFUSE,
    alpha: float = 0.05,
) -> Comparison:
    """Test two models on the same queries.

    Args:
        scores: what `read_scores` reads or returns, or a pool with outcomes (a win is 1, a draw
            1/2). Not of a race: it judges what its outcomes make worth judging.
        first: a model.
        second: another.
        metric: which, where there are several, see `read_scores`.
        filter: see `read_scores`.
        scale: the lowest and the highest score there can be; the interval needs both.
        missing: ``"refuse"``, ``"drop"`` the query, or ``"loss"``: the lowest score.
        alpha: chance that the interval misses the mean of queries like these, at most.

    Raises:
        InputError: an unknown model, scores outside the scale, or scores that are missing.

    Example:
        >>> table = pd.DataFrame(
        ...     {
        ...         "model": ["a"] * 40 + ["b"] * 40,
        ...         "query_id": [f"q{i}" for i in range(40)] * 2,
        ...         "score": [1.0] * 30 + [0.0] * 10 + [0.0] * 40,
        ...     }
        ... )
        >>> found = compare_models(table, "a", "b")
        >>> found.wins, found.losses, found.better
        (30, 0, 'a')
    """
    check_rule(missing)
    if not 0 < alpha < 1:
        raise InputError(f"alpha is {alpha}; it must be between 0 and 1.")
    if isinstance(scores, Pool):
        table = _of_pool(scores)
    else:
        table = read_scores(scores, metric=metric, filter=filter)
    low, high = scale
    pairs, dropped = _pairs(table, (first, second), missing, low)
    _check_scale(pairs, low, high)
    mine, other = pairs[first].to_numpy(float), pairs[second].to_numpy(float)
    gap = mine - other
    ends = _interval(gap / (high - low), alpha)
    wins, losses = int((gap > 0).sum()), int((gap < 0).sum())
    return Comparison(
        first,
        second,
        queries=len(gap),
        wins=wins,
        draws=len(gap) - wins - losses,
        losses=losses,
        mean_first=float(mine.mean()),
        mean_second=float(other.mean()),
        difference=float(gap.mean()),
        low=ends[0] * (high - low),
        high=ends[1] * (high - low),
        p_value=sign_test(wins, losses),
        alpha=alpha,
        dropped=dropped,
    )


def _of_pool(pool: Pool) -> pd.DataFrame:
    """Lay outcomes out as scores; what was not judged has none."""
    outcomes = pool.need("outcomes")
    codes = outcomes.ravel().astype(float)
    return pd.DataFrame(
        {
            "model": list(pool.models) * pool.n_queries,
            "query_id": np.repeat(np.array(pool.queries, dtype=object), pool.n_models),
            "score": np.where(codes == MISSING, np.nan, (codes + 1) / 2),
        }
    )


def _pairs(
    table: pd.DataFrame, models: tuple[str, str], missing: str, lowest: float
) -> tuple[pd.DataFrame, int]:
    """Lay the scores of two models side by side, the mean of its epochs for each query.

    Returns:
        A row for each query, a column for each model; and how many queries were left out.
    """
    need_columns(table, ("model", "query_id", "score"), "scores")
    for model in models:
        if model not in set(table["model"]):
            raise unknown("model", model, dict.fromkeys(table["model"]))
    if models[0] == models[1]:
        raise InputError(f"'{models[0]}' cannot be compared with itself; name two models.")
    table = table[table["model"].isin(models)]
    wide = table.assign(epoch=table.get("epoch", 1)).pivot(
        index=["query_id", "epoch"], columns="model", values="score"
    )
    wide = wide.loc[wide[list(models)].notna().any(axis=1) | (missing == LOSS), list(models)]
    gaps = wide.isna()
    if gaps.to_numpy().any() and missing == REFUSE:
        raise refusal(_named(gaps), "score")
    absent = gaps.any(axis=1).groupby("query_id").any()
    wide = wide.fillna(lowest)
    means = wide.groupby("query_id", sort=True).mean()
    if missing == DROP:
        means = means[~absent.reindex(means.index)]
    if means.empty:
        raise InputError(f"no query was scored for both '{models[0]}' and '{models[1]}'.")
    return means, int(absent.sum()) if missing == DROP else 0


def _named(gaps: pd.DataFrame) -> list[str]:
    return [
        f"'{short(str(model))}' has no score on '{short(str(query))}'"
        + (f", epoch {epoch}" if epoch != 1 else "")
        for (query, epoch), row in gaps.iterrows()
        for model in gaps.columns
        if row[model]
    ]


def _check_scale(pairs: pd.DataFrame, low: float, high: float) -> None:
    if not low < high:
        raise InputError(f"the scale goes from {low:g} to {high:g}; give the lower end first.")
    worst, best = float(pairs.min().min()), float(pairs.max().max())
    if worst < low or best > high:
        raise InputError(
            f"the scores go from {worst:g} to {best:g}, beyond the scale {low:g} to {high:g}: give "
            "the lowest and the highest score there can be, e.g. scale=(1, 10)."
        )


def _interval(gap: np.ndarray, alpha: float) -> tuple[float, float]:
    """Interval of the mean of differences in [-1, 1]."""
    order = np.random.default_rng(SHUFFLE).permutation(len(gap))
    low, high = betting_interval((gap[order] + 1) / 2, alpha=alpha)
    return 2 * low - 1, 2 * high - 1
