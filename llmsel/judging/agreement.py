"""How far two judges agree on the comparisons that both judged, beyond chance.

Cohen, *A coefficient of agreement for nominal scales* (1960), and its weighted form (1968) for the
order loss, draw, win. A query's comparisons share its text and the baseline's answer, so intervals
are over queries: the percentile bootstrap that draws whole queries.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from llmsel._base.errors import InputError
from llmsel._base.words import counted, percent
from llmsel.pool import MISSING

Cells = Mapping[tuple[str, str], int]  # (query, model) -> outcome
Interval = tuple[float, float] | None
CODES = (-1, 0, 1)
SAMPLES = 2000
FEWEST = 10  # queries; of fewer, the bootstrap's interval is much too narrow
PLAIN = 1.0 - np.eye(3)  # every disagreement counts the same
LINEAR = np.abs(np.subtract.outer(CODES, CODES)) / 2  # a win called a draw counts half


@dataclasses.dataclass(frozen=True)
class Agreement:
    """What two judges said about the same comparisons.

    Args:
        first, second: the judges.
        table: number of comparisons by the first judge's verdict (row) and the second's (column):
            loss, draw, win.
        queries: that these comparisons are on.
        share: of them with the same verdict (0..1); None without any.
        share_interval: low and high, about 95 %, over queries; None of too few queries, or if all
            resamples are alike, as they are where nothing is disagreed on.
        kappa: Cohen's: 0 as by chance, 1 always; None where chance alone agrees always, as both
            gave one and the same verdict to all.
        kappa_interval: as ``share_interval``.
        weighted: kappa with linear weights: a win called a loss counts twice a win called a draw.
        weighted_interval: as ``share_interval``.
    """

    first: str
    second: str
    table: tuple[tuple[int, ...], ...]
    queries: int
    share: float | None
    share_interval: Interval
    kappa: float | None
    kappa_interval: Interval
    weighted: float | None
    weighted_interval: Interval

    @property
    def cells(self) -> int:
        """Comparisons that both judged."""
        return sum(map(sum, self.table))

    @property
    def statement(self) -> str:
        """All that in one or two sentences."""
        who = f"'{self.first}' and '{self.second}'"
        if self.share is None:
            return f"{who} judged no comparison in common; nothing is known of their agreement."
        same = sum(row[i] for i, row in enumerate(self.table))
        found = (
            f"{who} agree on {same} of {counted(self.cells, 'common comparison')} "
            f"({percent(self.share)}{_range(self.share_interval, percent, ', {} to {}')}) on "
            f"{self.queries} {'query' if self.queries == 1 else 'queries'}"
        )
        if self.kappa is None or self.weighted is None:
            return (
                f"{found}; both gave one and the same verdict to all, so that chance alone would "
                "agree as often: kappa is undefined."
            )
        return (
            f"{found}; beyond chance, Cohen's kappa is {self.kappa:.2f}"
            f"{_range(self.kappa_interval, _two)}, with linear weights {self.weighted:.2f}"
            f"{_range(self.weighted_interval, _two)}.{self._gap()}"
        )

    def _gap(self) -> str:
        if self.kappa_interval is not None:
            return ""
        why = f"fewer than {FEWEST} queries" if self.queries < FEWEST else "too little variety"
        return f" There is no interval: {why}."


def agreement(
    first: Cells,
    second: Cells,
    *,
    names: tuple[str, str] = ("first", "second"),
    samples: int = SAMPLES,
    seed: int = 0,
) -> Agreement:
    """Compare two judges on the comparisons that both judged.

    Args:
        first: (query, model) -> -1 (loss), 0 (draw), 1 (win), or `Outcome.MISSING`, which counts as
            not judged.
        second: the same of the other judge.
        names: of the judges, for the statement.
        samples: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        InputError: an outcome of another kind.

    Example:
        >>> one = {("q1", "a"): 1, ("q1", "b"): 0, ("q2", "a"): -1, ("q2", "b"): 1}
        >>> two = {("q1", "a"): 1, ("q1", "b"): -1, ("q2", "a"): -1}
        >>> found = agreement(one, two)
        >>> found.table
        ((1, 0, 0), (1, 0, 0), (0, 0, 1))
        >>> found.kappa, found.weighted
        (0.5, 0.6666666666666667)
    """
    common = [cell for cell in first if cell in second and _judged(first, cell, second)]
    places = {query: i for i, query in enumerate(dict.fromkeys(query for query, _ in common))}
    tables = np.zeros((len(places), 3, 3))
    for cell in common:
        tables[places[cell[0]], first[cell] + 1, second[cell] + 1] += 1
    total = tables.sum(axis=0)
    drawn = _resampled(tables, samples, seed)
    return Agreement(
        *names,
        table=tuple(tuple(int(count) for count in row) for row in total),
        queries=len(places),
        share=_known(_share(total)),
        share_interval=_interval(_share(drawn)),
        kappa=_known(_kappa(total, PLAIN)),
        kappa_interval=_interval(_kappa(drawn, PLAIN)),
        weighted=_known(_kappa(total, LINEAR)),
        weighted_interval=_interval(_kappa(drawn, LINEAR)),
    )


def _judged(first: Cells, cell: tuple[str, str], second: Cells) -> bool:
    """Whether both gave a verdict on a cell."""
    for given in (first[cell], second[cell]):
        if given not in (*CODES, MISSING):
            raise InputError(
                f"the outcome of model '{cell[1]}' on query '{cell[0]}' is {given!r}; it must be "
                "-1 (loss), 0 (draw), 1 (win) or Outcome.MISSING."
            )
    return MISSING not in (first[cell], second[cell])


def _resampled(tables: np.ndarray, samples: int, seed: int) -> np.ndarray:
    """Tables of bootstrap samples of whole queries: ``(samples, 3, 3)``; none of too few."""
    n = len(tables)
    if n < FEWEST:
        return np.empty((0, 3, 3))
    rng = np.random.default_rng(seed)
    draws = (np.bincount(rng.integers(n, size=n), minlength=n) for _ in range(samples))
    return np.stack([np.tensordot(times, tables, axes=1) for times in draws])


def _share(tables: np.ndarray) -> np.ndarray:
    """Share on the diagonal; NaN of an empty table."""
    count = tables.sum(axis=(-2, -1))
    same = np.trace(tables, axis1=-2, axis2=-1)
    blank = np.full_like(count, np.nan, dtype=float)
    return np.asarray(np.divide(same, count, out=blank, where=count > 0))


def _kappa(tables: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """``1 - seen / expected`` disagreement; NaN where none is to be expected."""
    rows, columns = tables.sum(axis=-1), tables.sum(axis=-2)
    count = tables.sum(axis=(-2, -1))
    seen = (weights * tables).sum(axis=(-2, -1)) * count
    expected = (weights * rows[..., :, None] * columns[..., None, :]).sum(axis=(-2, -1))
    blank = np.full_like(count, np.nan, dtype=float)
    return np.asarray(1 - np.divide(seen, expected, out=blank, where=expected > 0))


def _known(value: np.ndarray) -> float | None:
    return None if np.isnan(value) else float(value)


def _interval(values: np.ndarray) -> Interval:
    """Middle 95 % of the resamples; None where too many are undefined, or all are alike."""
    known = values[~np.isnan(values)]
    if len(known) == 0 or len(known) < 0.95 * len(values):
        return None
    low, high = np.quantile(known, [0.025, 0.975])
    return None if low == high else (float(low), float(high))


def _range(interval: Interval, write: Callable[[float], str], form: str = " ({} to {})") -> str:
    """Write an interval to stand behind its number; nothing without one."""
    return "" if interval is None else form.format(*map(write, interval))


def _two(value: float) -> str:
    return f"{value:.2f}"
