"""A published peer that looks at paired differences a few times, with a margin of equivalence."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from llmsel._base.errors import InputError
from llmsel._base.verdicts import WITHIN
from llmsel.studies.methods.alone import Alone, Cell, OneByOne
from llmsel.studies.methods.desk import Desk

CLOSER = 0.01  # looks whose information differs by less are skipped
NODES = 400  # of the integration between looks


def spent(share: np.ndarray | float, alpha: float) -> np.ndarray:
    """Return the error spent on both sides by a share of the information.

    Hwang, Shih and DeCani's family with gamma 1, near Pocock's.
    """
    return np.asarray(alpha * (1 - np.exp(-np.asarray(share, dtype=float))) / (1 - np.exp(-1.0)))


@functools.cache
def boundaries(shares: tuple[float, ...], alpha: float) -> tuple[float, ...]:
    """Return critical values of |z| at looks, so that a random walk passes one with chance alpha.

    The density of a Brownian motion that has not passed yet is carried from look to look on
    Gauss-Legendre nodes (Armitage, McPherson and Rowe), the boundary found by bisection.

    Args:
        shares: of the information at each look, increasing in (0, 1].
        alpha: two-sided.
    """
    steps = np.diff(shares, prepend=0.0)
    cost = np.diff(spent(np.array(shares), alpha), prepend=0.0)
    where, mass = np.zeros(1), np.ones(1)
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    found: list[float] = []
    for share, step, part in zip(shares, steps, cost, strict=True):
        low, high = 0.0, 10.0
        for _ in range(45):
            z = (low + high) / 2
            if _beyond(where, mass, edge=z * np.sqrt(share), step=step) > part:
                low = z
            else:
                high = z
        edge = high * np.sqrt(share)
        found.append(float(high))
        ahead = edge * nodes
        gap = (ahead[:, None] - where) / np.sqrt(step)
        density = np.exp(-0.5 * gap * gap) @ mass / np.sqrt(2 * np.pi * step)
        where, mass = ahead, density * edge * weights
    return tuple(found)


def _beyond(where: np.ndarray, mass: np.ndarray, *, edge: float, step: float) -> float:
    """Return the chance to pass an edge on either side within a step."""
    cdf = NormalDist().cdf
    up = np.array([cdf((x - edge) / step**0.5) + cdf((-x - edge) / step**0.5) for x in where])
    return float(up @ mass)


class _Looks(Alone):
    def __init__(self, desk: Desk, r: int, *, rule: GroupSequential):
        super().__init__(desk, r)
        size, models = desk.pool_size, desk.n_models
        self._margin = rule.delta
        self.live = np.ones(models, dtype=bool)
        self._ends = looks(size, rule.first, rule.batch)
        pairs = models * (models - 1) / 2 if rule.corrected else 1.0
        self._limits = boundaries(tuple(k / size for k in self._ends), rule.alpha / pairs)
        self._look = self._seen = 0

    def ask(self) -> list[Cell]:
        if self.stop:
            return []
        return [(self._seen, j) for j in np.flatnonzero(self.live & self.paid).tolist()]

    def tell(self, cells: Sequence[Cell], outcomes: Sequence[int]) -> None:
        for cell, outcome in zip(cells, outcomes, strict=True):
            self.sheet.learn(cell, outcome)
        self._seen += 1
        if self._seen == self._ends[self._look]:
            self._decide()

    def _decide(self) -> None:
        """Drop who is shown to be worse than a live model; stop if the rest is equivalent."""
        critical = self._limits[self._look]
        live = np.flatnonzero(self.live)
        mean, error = self._pairs(live)
        # zero variance: nothing differed, or all by as much; the published code gives up
        beaten = (mean - critical * error > 0).any(axis=0)
        near = np.abs(mean) + critical * error <= self._margin
        leader = self.best(np.where(self.live, self.sheet.mean, -np.inf))
        self.live[live[beaten]] = False
        self._look += 1
        left = self.live[live]
        if not self.live[leader]:  # by missing outcomes, pairs need not agree with means
            leader = self.best(np.where(self.live, self.sheet.mean, -np.inf))
        close = near[np.flatnonzero(live == leader)[0]] | ~left | (live == leader)
        if self.live.sum() > 1 and self._look < len(self._ends) and close.all():
            self.stop, self.certified = WITHIN, True
            self.live = np.arange(len(self.live)) == leader
        elif self.live.sum() == 1 or self._look == len(self._ends):
            self.end(self.live, promises=True)

    def _pairs(self, live: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return means of y_i - y_j and their standard errors, on the queries known for both."""
        y, known = (
            self.sheet.y[live, : self._seen],
            self.sheet.known[live, : self._seen].astype(float),
        )
        y = np.where(known > 0, y, 0.0)
        count = np.maximum(known @ known.T, 1)
        own, square = y @ known.T, (y * y) @ known.T
        mean = (own - own.T) / count
        power = (square + square.T - 2 * (y @ y.T)) / count
        variance = np.maximum(power - mean * mean, 0) * count / np.maximum(count - 1, 1)
        error = np.sqrt(variance / count)
        error[(error == 0) | (count < 2)] = np.inf
        return mean, error

    @property
    def winners(self) -> np.ndarray:
        mean = np.where(self.live, self.sheet.mean, -np.inf)
        return np.asarray(mean == mean.max())


def looks(size: int, first: int, batch: int) -> list[int]:
    """Return the numbers of queries seen at each look, the pool's own size last."""
    ends = [*range(first, size, batch), size]
    kept: list[int] = []
    for k in ends:
        if k == size and kept and k - kept[-1] < CLOSER * size:
            kept.pop()
        if not kept or k - kept[-1] >= CLOSER * size:
            kept.append(k)
    return kept


class GroupSequential(OneByOne):
    """Arviv et al. (arXiv 2607.08522), our implementation: looks at pairs, equivalence margin.

    Public (complete): the mean difference of a pair of models is looked at after the first 100
    queries and then every 100; its interval is ``d +- c_k se`` without a finite-pool correction,
    c_k from the error spending of Hwang, Shih and DeCani with gamma 1; first efficacy (the interval
    excludes 0: the worse is out), then equivalence (it lies within the margin). Alpha 0.05, and
    independence of the differences is assumed: an asymptotic promise. Ours: many models, all live
    ones judged on one shared order, alpha divided by all pairs; it stops when one is left, or all
    that are left are equivalent to the leader; a pair without variance goes on, where the published
    code stops with an error; at the end of the pool the exact means decide. A missing outcome
    leaves its query out of the pair.

    Args:
        alpha: two-sided, for all pairs together if ``corrected``, in (0, 1).
        delta: win-rate margin of equivalence, above 0.
        first: queries before the first look.
        batch: queries between looks.
        corrected: divide alpha by the number of pairs.
        name: what tables call it.

    Raises:
        InputError: a parameter out of range.
    """

    def __init__(
        self,
        alpha: float = 0.05,
        delta: float = 0.02,
        *,
        first: int = 100,
        batch: int = 100,
        corrected: bool = True,
        name: str = "Arviv et al. (our implementation)",
    ):
        """Check the ranges."""
        if not 0 < alpha < 1 or not 0 < delta < 1 or min(first, batch) < 1:
            raise InputError(
                f"Arviv et al.: alpha={alpha} and delta={delta} must be in (0, 1), first={first} "
                f"and batch={batch} at least 1."
            )
        self.alpha, self.delta, self.first, self.batch = alpha, delta, first, batch
        self.corrected, self.name = corrected, name

    def start(self, desk: Desk, r: int) -> Alone:
        """Start one realization."""
        return _Looks(desk, r, rule=self)
