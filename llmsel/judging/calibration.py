"""What an LLM judge's verdicts are worth by the standard of people who judged some of them too.

The win rate by people's standard is the judge's, corrected by how far the two differ where both
judged: prediction-powered inference (Angelopoulos, Bates, Fannjiang, Jordan and Zrnic, Science
2023, the mean), in a finite pool the difference estimator of survey sampling (Cochran, *Sampling
Techniques*). With verdicts ``f`` of the judge on N comparisons of a model, and ``y`` of people on n
of them, as points (0, 1/2, 1): ``mean over N of f  +  mean over n of (y - f)``. It is unbiased for
people's win rate on the N if the n are drawn from them at random, however wrong the judge is.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from llmsel._base.errors import InputError
from llmsel._base.intervals import betting_interval, sign_test
from llmsel._base.words import at_least, counted, margin
from llmsel.judging.agreement import Agreement, agreement
from llmsel.judging.collect import verdict_of
from llmsel.judging.judges import groups, settled
from llmsel.judging.opening import pool_hash
from llmsel.judging.provenance import bias
from llmsel.judging.replay import Contents
from llmsel.pool import MISSING, Pool, draw_orders
from llmsel.racing.race import RaceVerdict
from llmsel.strategies import Random

SHUFFLE = 20261130  # the intervals bet in an order that depends on no verdict


@dataclasses.dataclass(frozen=True)
class ByPeople:
    """One candidate by both standards; win rates are 0..1.

    Args:
        common: comparisons that both judged.
        people, judge: win rates on these.
        gap: people's less the judge's, paired, and its interval.
        judged: comparisons that the judge judged.
        said: the judge's win rate on these.
        estimate: of people's win rate on these, and its interval.
    """

    model: str
    common: int
    people: float
    judge: float
    gap: float
    gap_low: float
    gap_high: float
    judged: int
    said: float
    estimate: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class Lean:
    """Which way the judge leans where it disagrees with people: so many times each."""

    toward: int
    away: int

    @property
    def p_value(self) -> float:
        """Of the exact sign test of an even split; comparisons of a query count as independent."""
        return sign_test(self.toward, self.away)


@dataclasses.dataclass(frozen=True)
class Calibration:
    """What an LLM judge, or another, is worth by people's standard.

    Args:
        agreement: of people (first) and judge (second), settled comparisons left out.
        candidates: where they disagree, how often the judge is kinder to the candidate than people,
            and how often to the baseline.
        longer: of these, how often it is kinder to the longer answer, and how often to the shorter.
        position: the judge's position bias, see `llmsel.judging.provenance.bias`.
        models: the candidates that have common comparisons, in the pool's order.
        named: whom the judge's log names, or who leads it.
        certified: whether with a certificate, which is about the judge's own verdicts.
        ahead: models that people put ahead of it on the queries common to both models.
        untold: models that have no query in common with it, of which nothing is known.
        behind: by people's standard it is at most so much (win rate) behind the best of the pool;
            None where that cannot be had, as it takes the judge's verdicts on the whole pool and
            common comparisons that are drawn at random.
        doubts: why the common comparisons are not a random sample of the judge's; empty if they
            are, or are all of them. Estimates and intervals are a guide then.
        alpha: chance that one of the intervals misses, at most, and the same of ``behind``.
    """

    agreement: Agreement
    candidates: Lean
    longer: Lean
    position: dict[str, float | None]
    models: tuple[ByPeople, ...]
    named: tuple[str, ...]
    certified: bool
    ahead: tuple[str, ...]
    untold: tuple[str, ...]
    behind: float | None
    doubts: tuple[str, ...]
    alpha: float

    @property
    def statement(self) -> str:
        """All that in a few sentences."""
        said = [self.agreement.statement]
        if not self.models:
            return said[0]
        if lean := _leaning(self):
            said.append(lean)
        return " ".join([*said, self._winner(), self._worth()])

    def _winner(self) -> str:
        how = ", with a certificate about its own verdicts" if self.certified else ""
        said = f"'{self.agreement.second}' puts {_names(self.named)} first{how}; "
        said += "on the common queries people put "
        said += f"{_names(self.ahead)} ahead" if self.ahead else "no other model ahead"
        if self.untold:
            said += f", and it has none in common with {_names(self.untold)}"
        return f"{said}."

    def _worth(self) -> str:
        level = at_least(self.alpha)
        if self.doubts:
            return (
                f"For comparisons that people did not judge this is a guide only, as "
                f"{'; '.join(self.doubts)}: have people judge whole queries in random order."
            )
        if self.behind is None:
            return (
                "How far that may be from the best by people's standard can be said once "
                f"'{self.agreement.second}' has judged every comparison of the pool."
            )
        who = _names(self.named)
        if self.behind == 0:
            return f"By people's standard no model of this pool is better than {who} ({level})."
        some = any(each.common < each.judged for each in self.models)
        return (
            f"By people's standard {who} {'are' if len(self.named) > 1 else 'is'} within "
            f"{margin(math.ceil(1000 * self.behind) / 1000)} of the best win rate of this pool "
            f"({f'{level}; more comparisons by people narrow that' if some else 'exact'})."
        )


def calibrate(people: Contents, judge: Contents, *, alpha: float = 0.05) -> Calibration:
    """Compare a judge's log with that of people on the same pool.

    Args:
        people: their log, see `llmsel.judging.replay.read_log`.
        judge: the log of the LLM, or of anyone who is to be calibrated.
        alpha: chance (0..1) that any of the models' intervals misses, at most. They hold at any
            sample size (betting, without replacement; alpha is divided among the models).

    Raises:
        InputError: logs of different pools, a log without outcomes, or an alpha out of range.

    Example:
        >>> people = read_log("people.jsonl", pool)  # doctest: +SKIP
        >>> judge = read_log("judge.jsonl", pool)  # doctest: +SKIP
        >>> print(calibrate(people, judge).statement)  # doctest: +SKIP
    """
    pool = judge.pool
    _check(people, judge, alpha)
    ours, theirs = _points(people), _points(judge)
    common = ~np.isnan(ours) & ~np.isnan(theirs)
    own = pool.candidate_columns
    count = max(1, int(common[:, own].any(axis=0).sum()))
    named, certified = _named(judge)
    best = [pool.column(model) for model in named]
    ahead, untold = _ahead(ours, common, best)
    doubts = _doubts(people, judge, ours, theirs)
    whole = not np.isnan(theirs).any()
    behind = _behind(ours, theirs, best, alpha) if whole and not doubts else None
    lean, longer = _leans(pool, ours, theirs, common)
    position = {key: None if value != value else value for key, value in bias(judge.given).items()}
    return Calibration(
        agreement=_agreement(people, judge),
        candidates=lean,
        longer=longer,
        position=position,
        models=tuple(
            _by_people(pool.models[j], ours[:, j], theirs[:, j], alpha / count)
            for j in own
            if common[:, j].any()
        ),
        named=named,
        certified=certified,
        ahead=tuple(pool.models[j] for j in ahead),
        untold=tuple(pool.models[j] for j in untold),
        behind=behind,
        doubts=doubts,
        alpha=alpha,
    )


def _check(people: Contents, judge: Contents, alpha: float) -> None:
    if not 0 < alpha < 1:
        raise InputError(f"alpha is {alpha}; it must be between 0 and 1.")
    if pool_hash(people.pool) != pool_hash(judge.pool):
        raise InputError("the two logs are of different pools; name logs of one pool.")
    for what, contents in (("people", people), ("judge", judge)):
        if not contents.verdicts:
            raise InputError(f"the log of the {what} has no outcome yet; there is nothing to tell.")


def _points(contents: Contents) -> np.ndarray:
    """Points of every cell of the pool, 0, 1/2, 1 or NaN; the baseline's are 1/2."""
    pool = contents.pool
    points = np.full((pool.n_queries, pool.n_models), np.nan)
    points[:, pool.baseline_index] = 0.5
    for entry in contents.given:
        if entry.outcome != MISSING:
            points[pool.place(entry.query), pool.column(entry.model)] = (entry.outcome + 1) / 2
    return points


def _agreement(people: Contents, judge: Contents) -> Agreement:
    """Agreement on what had to be judged: no equal answers, none missing."""
    cells = [
        {
            (entry.query, entry.model): entry.outcome
            for entry in each.given
            if not _settled(each.pool, entry.query, entry.model)
        }
        for each in (people, judge)
    ]
    first, second = (_judges(each) for each in (people, judge))
    names = (first, second if second != first else f"{second} (judge)")
    return agreement(cells[0], cells[1], names=names)


def _settled(pool: Pool, query: str, model: str) -> bool:
    """Whether a comparison needs no judge."""
    if pool.responses is None:
        return False
    (group,) = groups(pool, query, [model])
    return settled(group) is not None


def _judges(contents: Contents) -> str:
    """Who gave the outcomes of a log, the busiest first."""
    counts = Counter(entry.by for entry in contents.given)
    return ", ".join(name for name, _ in counts.most_common(3)) + " ..." * (len(counts) > 3)


def _named(judge: Contents) -> tuple[tuple[str, ...], bool]:
    """Whom a log names, or who leads by the outcomes in it; and whether that is certified."""
    said = verdict_of(judge)
    if isinstance(said, RaceVerdict) and said.winners:
        return said.winners, said.certified
    points = _points(judge)
    judged = (~np.isnan(points)).sum(axis=0)
    rates = np.where(judged, np.nansum(points, axis=0) / np.maximum(judged, 1), -1.0)
    leads = np.flatnonzero(rates >= rates.max() - 1e-12)
    return tuple(judge.pool.models[j] for j in leads), False


def _by_people(model: str, ours: np.ndarray, theirs: np.ndarray, alpha: float) -> ByPeople:
    judged = theirs[~np.isnan(theirs)]
    common = ~np.isnan(ours) & ~np.isnan(theirs)
    gaps = ours[common] - theirs[common]
    low, high = _mean_interval(gaps, 1.0, alpha=alpha, total=len(judged))
    said, gap = float(judged.mean()), float(gaps.mean())
    return ByPeople(
        model,
        common=len(gaps),
        people=float(ours[common].mean()),
        judge=float(theirs[common].mean()),
        gap=gap,
        gap_low=low,
        gap_high=high,
        judged=len(judged),
        said=said,
        estimate=float(np.clip(said + gap, 0, 1)),
        low=float(np.clip(said + low, 0, 1)),
        high=float(np.clip(said + high, 0, 1)),
    )


def _mean_interval(
    values: np.ndarray, reach: float, *, alpha: float, total: int
) -> tuple[float, float]:
    """Interval of the mean of values in [-reach, reach], drawn from so many."""
    order = np.random.default_rng(SHUFFLE).permutation(len(values))
    ends = betting_interval((values[order] / reach + 1) / 2, alpha=alpha, total=total)
    return reach * (2 * ends[0] - 1), reach * (2 * ends[1] - 1)


def _ahead(
    ours: np.ndarray, common: np.ndarray, best: Sequence[int]
) -> tuple[list[int], list[int]]:
    """Models that people put ahead of one of the named, and those that cannot be compared."""
    ahead, untold = [], []
    for j in range(ours.shape[1]):
        if j in best:
            continue
        both = [common[:, j] & common[:, k] for k in best]
        if not any(each.any() for each in both):
            untold.append(j)
        elif any(
            (ours[each, j] - ours[each, k]).sum() > 0 for each, k in zip(both, best, strict=True)
        ):
            ahead.append(j)
    return ahead, untold


def _behind(
    ours: np.ndarray, theirs: np.ndarray, best: Sequence[int], alpha: float
) -> float | None:
    """Upper bound on how far the named are behind the best, paired over queries; None for none.

    A judge's error on the baseline's answer is in both models' verdicts, and cancels.
    """
    rivals = [j for j in range(ours.shape[1]) if j not in best]
    worst = 0.0
    for k in best:
        for j in rivals:
            ahead = theirs[:, j] - theirs[:, k]
            change = ours[:, j] - ours[:, k] - ahead
            known = change[~np.isnan(change)]
            if not len(known):
                return None
            share = min(0.5, 2 * alpha / (len(best) * len(rivals)))  # one end is used
            _, high = _mean_interval(known, 2.0, alpha=share, total=len(change))
            worst = max(worst, float(ahead.mean()) + high)
    return min(1.0, worst) if worst > 1e-9 else 0.0


def _doubts(
    people: Contents, judge: Contents, ours: np.ndarray, theirs: np.ndarray
) -> tuple[str, ...]:
    """Say why people's comparisons are no random sample of the judge's; empty if they are."""
    judged = ~np.isnan(theirs)
    if not (judged & np.isnan(ours)).any():
        return ()  # they are all of them
    if people.race is not None:
        return ("a race chose what people compared",)
    session, pool = people.session, people.pool
    found = []
    if session.rule is not None:
        found.append("a stopping rule looked at what people said")
    if type(session.strategy) is not Random:
        return (*found, f"the strategy '{session.strategy.name}' chose people's queries")
    touched = {pool.place(query) for query, row in people.rows.items() if row}
    n = pool.n_queries
    (order,) = draw_orders(n, n, realizations=1, seed=session.seed)
    if set(order[: len(touched)].tolist()) != touched:
        found.append("people's queries do not follow the random order of their log")
    if judge.race is not None and judge.race.get("seed") == session.seed:
        found.append("the judge's race went in the same order")
    rows = sorted(touched)
    gaps = int((judged[rows] & np.isnan(ours[rows])).sum())
    if gaps:
        found.append(f"{counted(gaps, 'comparison')} on people's queries are skipped or open")
    return tuple(found)


def _leans(
    pool: Pool, ours: np.ndarray, theirs: np.ndarray, common: np.ndarray
) -> tuple[Lean, Lean]:
    """Where the judge differs: toward candidate or baseline, toward the longer or the shorter."""
    gap = np.where(common, theirs - ours, 0.0)
    lean = Lean(int((gap > 0).sum()), int((gap < 0).sum()))
    if pool.responses is None:
        return lean, Lean(0, 0)
    length = np.array([[len(text) for text in row] for row in pool.responses])
    sides = np.sign(gap) * np.sign(length - length[:, [pool.baseline_index]])
    return lean, Lean(int((sides > 0).sum()), int((sides < 0).sum()))


def _leaning(found: Calibration) -> str:
    """Say which way the judge errs, where it is beyond chance."""
    said = []
    for lean, one, other in (
        (found.candidates, "the candidate", "the baseline"),
        (found.longer, "the longer answer", "the shorter answer"),
    ):
        if lean.p_value < 0.05:
            side, most = (one, lean.toward) if lean.toward > lean.away else (other, lean.away)
            said.append(f"to {side} in {most} of {lean.toward + lean.away}")
    if not said:
        return ""
    return f"Where they disagree, '{found.agreement.second}' is kinder {' and '.join(said)}."


def _names(models: Iterable[str]) -> str:
    quoted = [f"'{model}'" for model in models]
    return " and ".join(quoted) if len(quoted) <= 3 else f"{len(quoted)} models"
