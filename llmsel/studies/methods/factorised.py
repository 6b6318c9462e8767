"""Published peers that predict every cell from those judged: PULSE, and UCB-E with low rank.

Neither has a stop of its own. Only candidates are predicted: the baseline is named when the best
of them is below 1/2 on its judged cells, as predictions are shrunk and 1/2 is not. Our
implementations, from public descriptions and, where there is public code, from the facts in it:
each class says what in it is ours.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np

from llmsel._base.errors import InputError
from llmsel._base.verdicts import EXHAUSTED
from llmsel.studies.methods.alone import Alone, Cell, OneByOne
from llmsel.studies.methods.desk import Desk

HIDDEN = 0.05  # chance of a judged cell to be hidden from one member of an ensemble
EQUAL = 1e-9
SWEEPS, RIDGE = 10, 0.1  # of alternating least squares


class _Indexed(Alone):
    """Judges cells of the model with the largest index until none is open."""

    def __init__(self, desk: Desk, r: int):
        super().__init__(desk, r)
        self._candidates = np.flatnonzero(desk.paid)

    @abstractmethod
    def choose(self) -> list[Cell]:
        """Return the next cells; none when all is judged."""

    def ask(self) -> list[Cell]:
        cells = self.choose()
        if not cells:
            self.stop = EXHAUSTED
        return cells

    @property
    @abstractmethod
    def means(self) -> np.ndarray:
        """Estimates of the candidates' pool means of y: float64 (K,)."""

    @property
    def winners(self) -> np.ndarray:
        """The best candidates; the baseline, if what they are judged on says they are below it."""
        values, named = self.means, np.zeros(self.sheet.n_models, dtype=bool)
        best = self._candidates[values >= values.max() - EQUAL]
        rate = self.sheet.mean[best].max()
        named[best] = rate >= 0.5
        named[self.sheet.baseline] = rate <= 0.5
        return named


class _Pulse(_Indexed):
    def __init__(self, desk: Desk, r: int, *, rule: PULSE):
        super().__init__(desk, r)
        self._rule, models = rule, len(self._candidates)
        self._factors = Factors((models, desk.pool_size), rule.rank, rng=self.rng)
        self._x = np.full((models, desk.pool_size), 0.5)
        self._fresh, self._fits = 0, 0
        self._terms: list[list[float]] = [[] for _ in range(models)]
        self._misses: list[list[float]] = [[] for _ in range(models)]

    @property
    def means(self) -> np.ndarray:
        full = self.sheet.left[self._candidates] == 0
        terms = np.array([np.mean(t) if t else -np.inf for t in self._terms])
        return np.where(full, self.sheet.mean[self._candidates], terms)

    def choose(self) -> list[Cell]:
        left = self.sheet.left[self._candidates]
        seen = self.sheet.pool_size - left
        bonus = np.sqrt(self._rule.a / np.maximum(seen, 1))
        bound = np.where(seen > 0, self.means + bonus, np.inf)
        bound = np.where(left > 0, bound, -np.inf)
        if not (left > 0).any():
            return []
        k = int(np.lexsort((self.rank[self._candidates], -bound))[0])
        places = np.flatnonzero(self.sheet.open[self._candidates[k]])
        batch = self.rng.choice(places, min(self._rule.batch, len(places)), replace=False)
        return [(int(i), int(self._candidates[k])) for i in batch]

    def tell(self, cells: Sequence[Cell], outcomes: Sequence[int]) -> None:
        model = cells[0][1]
        k = int(np.searchsorted(self._candidates, model))
        rest, x = self.sheet.open[model].copy(), self._x[k]
        seen = np.where(self.sheet.known[model], self.sheet.y[model], x)
        for cell, outcome in zip(cells, outcomes, strict=True):
            self.sheet.learn(cell, outcome)
        batch = np.array([place for place, _ in cells])
        y = np.where(self.sheet.known[model], self.sheet.y[model], x)  # missing: as predicted
        chance = len(batch) / int(rest.sum())
        e = (seen[~rest].sum() + y[batch].sum() / chance) / len(x)
        h = (x[~rest].sum() + x[batch].sum() / chance) / len(x)
        trust = self._trust(k, x[rest], chance) if self._terms[k] else 0.0
        self._terms[k].append(float(e + trust * (x.mean() - h)))
        self._misses[k].append(float((y[batch] - trust * x[batch]).sum() / chance))
        self._fresh += len(cells)
        every = self._rule.refit * len(self._candidates)
        if self._fresh >= every and all(self._terms):
            self._fit()

    def _trust(self, k: int, x: np.ndarray, chance: float) -> float:
        """Return lam, how much of the correction is used."""
        total, missed = float(x.sum()), float(np.mean(self._misses[k] or [0.0]))
        spread = (1 - chance) / chance * float(x @ x) + total**2
        if missed <= 0 or spread == 0:
            return 1.0
        return float(np.clip(1 - total * missed / spread, 0, 1))

    def _fit(self) -> None:
        """Fit to all judged cells; from here on, corrections are made with the new predictions."""
        y, known = self.sheet.y[self._candidates], self.sheet.known[self._candidates]
        self._x = self._factors.fit(y, known, 10 if self._fits else 50)
        self._misses = [[] for _ in self._candidates]
        self._fresh, self._fits = 0, self._fits + 1


class PULSE(OneByOne):
    """PULSE (arXiv 2605.10405), our implementation: UCB on means corrected by a factor model.

    Public (algorithm complete): every candidate starts with a batch of ``batch`` cells; then the
    one with the largest ``mu + sqrt(a / n)`` gets the next batch of B of its U open cells, uniform
    without replacement, with chance ``pi = B / U`` each. Per batch, with x the predictions and R
    the U cells::

        e = (sum_seen y + sum_batch y / pi) / P      h = (sum_seen x + sum_batch x / pi) / P
        mu = mean over batches of  e + lam (mean of all x - h)            (first batch: e)
        lam = clip(1 - F Z / (S + F^2), 0, 1),  1 if Z <= 0
        F = sum_R x,  S = (1 - pi) / pi sum_R x^2,  Z = mean of earlier sum_batch (y - lam x) / pi

    with Z forgotten at a refit, x = sigmoid(u.v) by cross-entropy and Adam, fitted again as cells
    come in, and a full candidate at its exact mean. The authors' code keeps the old predictions in
    ``sum_seen x`` after a refit, which puts the correction off centre: here all of h uses the same
    x. Ours: there is no history of other models, so u and v are both learned from the judged
    cells, with a decay that such data need (theirs, 0.01 per row and column, predicts worse than
    a constant here); a draw is a soft label 1/2; missing outcomes count as predicted; a refit after
    ``refit`` cells per candidate. The published batch is 64, for pools of thousands. It has no
    stop: its second theorem holds for one budget.

    Args:
        batch: cells per pull B.
        a: constant of the bonus, above 0.
        rank: length of u and v.
        refit: cells per candidate between fits.
        name: what tables call it.

    Raises:
        InputError: a parameter out of range.
    """

    def __init__(
        self,
        batch: int = 64,
        a: float = 1.0,
        *,
        rank: int = 32,
        refit: int = 4,
        name: str = "PULSE (our implementation)",
    ):
        """Check the ranges."""
        if min(batch, rank, refit) < 1 or a <= 0:
            raise InputError(
                f"PULSE: batch={batch}, rank={rank}, refit={refit} must be at least 1, a={a} "
                "above 0."
            )
        self.batch, self.a, self.rank, self.refit, self.name = batch, a, rank, refit, name

    def start(self, desk: Desk, r: int) -> Alone:
        """Start one realization."""
        return _Pulse(desk, r, rule=self)


class Factors:
    """sigmoid(u.v) for every cell, by cross-entropy on judged cells and Adam; warm started.

    Args:
        shape: (K, P).
        rank: length of u and v.
        rng: of the start.
        decay: of squared weights, in cells.
        rate: learning rate.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        rank: int,
        *,
        rng: np.random.Generator,
        decay: float = 1.0,
        rate: float = 0.02,
    ):
        """Start near 1/2 everywhere."""
        self._weights = [rng.normal(0, 0.1, (n, rank)) for n in shape]
        self._decay, self._rate = decay, rate

    def fit(self, y: np.ndarray, known: np.ndarray, steps: int) -> np.ndarray:
        """Take some steps on all judged cells.

        Args:
            y: float64 (K, P), anything where not known.
            known: bool (K, P).
            steps: of Adam, each on all judged cells.

        Returns:
            float64 (K, P), predictions.
        """
        u, v = self._weights
        first, second = ([np.zeros_like(w) for w in (u, v)] for _ in range(2))
        target = np.where(known, y, 0)
        for t in range(1, steps + 1):
            error = np.where(known, self._predict() - target, 0)
            slopes = error @ v + self._decay * u, error.T @ u + self._decay * v
            for w, slope, m, s in zip((u, v), slopes, first, second, strict=True):
                m += 0.1 * (slope - m)
                s += 0.001 * (slope**2 - s)
                w -= self._rate * m / (1 - 0.9**t) / (np.sqrt(s / (1 - 0.999**t)) + 1e-8)
        return self._predict()

    def _predict(self) -> np.ndarray:
        u, v = self._weights
        return np.asarray(1 / (1 + np.exp(-(u @ v.T))))


class _LowRank(_Indexed):
    def __init__(self, desk: Desk, r: int, *, rule: UCBELowRank):
        super().__init__(desk, r)
        self._rule = rule
        everyone = desk.pool_size * len(self._candidates)
        first = self.rng.permutation(everyone)[: int(rule.warm * everyone)]
        places, models = first % desk.pool_size, self._candidates[first // desk.pool_size]
        self._warm: list[Cell] = list(zip(places.tolist(), models.tolist(), strict=True))
        self._mean = np.full((len(self._candidates), desk.pool_size), 0.5)

    @property
    def means(self) -> np.ndarray:
        known, y = self.sheet.known[self._candidates], self.sheet.y[self._candidates]
        full = self.sheet.left[self._candidates] == 0
        mixed = np.where(known, y, self._mean).mean(axis=1)
        return np.where(full, self.sheet.mean[self._candidates], mixed)

    def choose(self) -> list[Cell]:
        if self._warm:
            some = len(self._candidates)
            cells, self._warm = self._warm[:some], self._warm[some:]
            return cells
        left = self.sheet.left[self._candidates]
        if not left.any():
            return []
        y, known = self.sheet.y[self._candidates], self.sheet.known[self._candidates]
        self._mean, deviation = ensemble(y, known, self._rule.members, rng=self.rng)
        bold = self._mean + self._rule.width * deviation
        score = np.where(known, y, bold).mean(axis=1)
        score[~known.any(axis=1)] = np.inf
        score[left == 0] = -np.inf
        k = int(np.lexsort((self.rank[self._candidates], -score))[0])
        is_open = self.sheet.open[self._candidates[k]]
        worth = np.where(is_open, deviation[k], -np.inf)
        most = min(self._rule.batch, int(left[k]))
        places = np.argsort(-worth, kind="stable")[:most]
        return [(int(i), int(self._candidates[k])) for i in places]

    def tell(self, cells: Sequence[Cell], outcomes: Sequence[int]) -> None:
        for cell, outcome in zip(cells, outcomes, strict=True):
            self.sheet.learn(cell, outcome)


def ensemble(
    y: np.ndarray, known: np.ndarray, members: int, *, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Fit fresh rank-1 factorisations by alternating least squares; each hides some judged cells.

    All members are fitted at once: sums over all judged cells are one matrix product, from which
    the few cells that a member does not see are taken off.

    Args:
        y: float64 (K, P), anything where not known.
        known: bool (K, P).
        members: how many.
        rng: of the starts and of what is hidden.

    Returns:
        Mean and standard deviation of the members' predictions: float64 (K, P) each.
    """
    cells = np.argwhere(known)
    seen, y = known.astype(float), np.where(known, y, 0.0)
    hidden, of = np.nonzero(rng.random((len(cells), members)) < HIDDEN)
    k, i = cells[hidden].T
    value = y[k, i]
    u = rng.standard_normal((len(y), members))
    for _ in range(SWEEPS):
        v = _half(y.T, seen.T, u, rows=i, columns=k, of=of, value=value)
        u = _half(y, seen, v, rows=k, columns=i, of=of, value=value)
    mean = u @ v.T / members
    square = (u * u) @ (v * v).T / members
    return mean, np.sqrt(np.maximum(square - mean * mean, 0))


def _half(
    y: np.ndarray,
    seen: np.ndarray,
    other: np.ndarray,
    *,
    rows: np.ndarray,
    columns: np.ndarray,
    of: np.ndarray,
    value: np.ndarray,
) -> np.ndarray:
    """Solve for one side, float64 (rows, members), given the other."""
    shape = (len(y), other.shape[1])
    slot, factor = rows * shape[1] + of, other[columns, of]
    count = shape[0] * shape[1]
    off = np.bincount(slot, value * factor, count).reshape(shape)
    less = np.bincount(slot, factor * factor, count).reshape(shape)
    return np.asarray((y @ other - off) / (seen @ (other * other) - less + RIDGE))


class UCBELowRank(OneByOne):
    """UCB-E-LRF (arXiv 2407.06172), our implementation: UCB by an ensemble of rank-1 fits.

    Public (complete): random cells up to a share ``warm`` of all; then, per step, 64 fresh rank-1
    factorisations u v (standard normal start, 10 sweeps of alternating least squares, ridge 0.1),
    each with 5 % of the judged cells hidden; m, s their mean and deviation; a candidate's score
    is its mean over queries of y where judged and ``m + 5 s`` elsewhere; the best one is judged on
    its 32 open queries of largest s. Answer: the best mean of y where judged and m elsewhere. Ours:
    a missing outcome is left out of fits and counts as predicted.

    Args:
        batch: cells per step.
        warm: share of all cells judged at random first, in [0, 1].
        members: of the ensemble, at least 2.
        width: how many deviations count as a bonus.
        name: what tables call it.

    Raises:
        InputError: a parameter out of range.
    """

    def __init__(
        self,
        batch: int = 32,
        warm: float = 0.05,
        *,
        members: int = 64,
        width: float = 5.0,
        name: str = "UCB-E-LRF (our implementation)",
    ):
        """Check the ranges."""
        if batch < 1 or members < 2 or not 0 <= warm <= 1:
            raise InputError(
                f"UCB-E-LRF: batch={batch} must be at least 1, members={members} at least 2, "
                f"warm={warm} in [0, 1]."
            )
        self.batch, self.warm, self.members = batch, warm, members
        self.width, self.name = width, name

    def start(self, desk: Desk, r: int) -> Alone:
        """Start one realization."""
        return _LowRank(desk, r, rule=self)
