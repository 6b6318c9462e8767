"""Published peers whose stop carries a guarantee, by weighted draws: CELEUS, and Ao et al.

Both estimate each model's mean over the pool by a prediction for every cell, corrected on judged
cells that are drawn with known chances, inside an interval that holds at every time. Our
implementations, from public descriptions: each class says what in it is ours.

One draw (CELEUS, arXiv 2606.20820). With R the open queries of a model, x in [0, 1] any prediction
of y = 1, 1/2, 0 made before the draw, and query I drawn with chances q > 0 on R::

    base = (sum of judged y + sum_R x) / P
    Y    = base + (y_I - x_I) / (P q_I)            its mean, given the past, is the pool mean
    a    = base - max_R x / (P q),   b = base + max_R (1 - x) / (P q)        a <= Y <= b
    K(m) <- K(m) (1 + f (Y - m) / (m - a))         against "the mean is at most m"
    K(m) <- K(m) (1 + f (m - Y) / (b - m))         against "the mean is at least m"

Each K is the mean of the capitals of 5 fixed fractions f; the interval holds the m whose capital
is below 2 M / alpha on both sides, and intervals of all times are intersected. K is monotone in m,
so a grid, read outwards, is enough. Missing outcomes are losses for the lower and wins for the
upper bound.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np

from llmsel._base.errors import InputError
from llmsel._base.verdicts import WITHIN
from llmsel.pool import MISSING, Pool
from llmsel.racing.audit.predictor import LossPredictor, expit
from llmsel.studies.methods.alone import Alone, Cell, OneByOne
from llmsel.studies.methods.desk import Desk

FRACTIONS = np.array([0.02, 0.07, 0.2, 0.5, 0.9])  # of the largest fair bet
STEPS = 200  # of the grid of means
EQUAL = 1e-9
CERTAIN = 1e100  # a capital against what is impossible; above any limit, and no overflow
REFIT = 1.1  # the predictor is fitted again when the judged cells have grown by this factor


class Bounds:
    """Intervals for the pool means of y of some models, each at any time.

    Args:
        n_models: number of models M.
        pool_size: number of queries P.
        limit: a mean is rejected when a capital against it reaches this.

    Attributes:
        lower, upper: float64 (M,): what the means are shown to lie between.
    """

    def __init__(self, n_models: int, pool_size: int, limit: float):
        """Know nothing but that means lie in [0, 1]."""
        self._size, self._limit = pool_size, limit
        self._grid = np.linspace(0, 1, STEPS + 1)
        self._capital = np.ones((2, n_models, len(self._grid), len(FRACTIONS)))
        self.lower, self.upper = np.zeros(n_models), np.ones(n_models)

    def add(
        self,
        models: np.ndarray,
        x: np.ndarray,
        q: np.ndarray,
        at: np.ndarray,
        *,
        judged: np.ndarray,
        y: np.ndarray,
    ) -> None:
        """Learn one draw of each of some models.

        Args:
            models: int (k,).
            x: float64 (k, P), predictions of y.
            q: float64 (k, P), chances of the queries, 0 where not open.
            at: int (k,): the queries drawn.
            judged: float64 (2, k): sums of y judged before, missing as losses, and as wins.
            y: float64 (2, k): the outcomes drawn, in the same two ways.
        """
        row, is_open = np.arange(len(models)), q > 0
        reach = np.where(is_open, 1 / np.where(is_open, self._size * q, 1), 0)
        base = (judged + np.where(is_open, x, 0).sum(axis=1)) / self._size
        signal = base + (y - x[row, at]) * reach[row, at]
        least = base[0] - (x * reach).max(axis=1)
        most = base[1] + ((1 - x) * reach).max(axis=1)
        grid = self._grid
        self._bet(0, models, signal[0][:, None] - grid, grid - least[:, None])
        self._bet(1, models, grid - signal[1][:, None], most[:, None] - grid)
        won = self._capital[:, models].mean(axis=3) >= self._limit
        count = won.sum(axis=2)  # the capitals are monotone, so those that won stand at one end
        low = np.where(count[0] > 0, grid[np.maximum(count[0] - 1, 0)], 0)
        high = np.where(count[1] > 0, grid[np.minimum(len(grid) - count[1], STEPS)], 1)
        self.lower[models] = np.maximum(self.lower[models], low)
        self.upper[models] = np.minimum(self.upper[models], high)

    def _bet(self, side: int, models: np.ndarray, gain: np.ndarray, room: np.ndarray) -> None:
        """Multiply capitals by 1 + f gain / room; where room is below 0 the mean is impossible."""
        odds = np.divide(gain, room, out=np.zeros_like(gain), where=room > EQUAL)
        odds = np.maximum(odds, -1)  # but for rounding it is
        odds[room < -EQUAL] = CERTAIN
        capital = self._capital[side, models]
        capital *= 1 + FRACTIONS * odds[..., None]
        self._capital[side, models] = np.minimum(capital, CERTAIN)


class _Drawing(Alone):
    """Draws cells with known chances, keeps intervals, and drops who lies below another's."""

    def __init__(self, desk: Desk, r: int, *, alpha: float, delta: float):
        super().__init__(desk, r)
        candidates = int(desk.paid.sum())
        self.bounds = Bounds(desk.n_models, desk.pool_size, 2 * candidates / alpha)
        self.bounds.lower[desk.baseline] = self.bounds.upper[desk.baseline] = 0.5
        self.live = np.ones(desk.n_models, dtype=bool)
        self._delta = delta

    @abstractmethod
    def choose(self) -> np.ndarray:
        """Return the models to judge on one query each: int (k,)."""

    @abstractmethod
    def predict(self, models: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return predictions x, and weights to draw with: float64 (k, P) each."""

    def learned(self, cell: Cell, outcome: int) -> None:
        """Tell the predictor."""

    def ask(self) -> list[Cell]:
        if self.stop:
            return []
        self._models = models = self.choose()
        self._x, weight = self.predict(models)
        weight = np.where(self.sheet.open[models], weight, 0)
        self._q = weight / weight.sum(axis=1, keepdims=True)
        passed = self._q.cumsum(axis=1)
        number = self.rng.random(len(models)) * passed[:, -1]
        # the first query at which more than the number has passed: its own chance is above 0
        self._at = (passed > number[:, None]).argmax(axis=1)
        return list(zip(self._at.tolist(), models.tolist(), strict=True))

    def tell(self, cells: Sequence[Cell], outcomes: Sequence[int]) -> None:
        sheet, k = self.sheet, len(cells)
        models, drawn = self._models[:k], np.array(outcomes)
        lost = sheet.lost[models]
        judged = sheet.total[models] + np.stack([np.zeros(k), lost])
        worst = np.where(drawn == MISSING, [[-1], [1]], drawn)
        x, q, at = self._x[:k], self._q[:k], self._at[:k]
        self.bounds.add(models, x, q, at, judged=judged, y=0.5 + 0.5 * worst)
        for cell, outcome in zip(cells, outcomes, strict=True):
            sheet.learn(cell, outcome)
            self.learned(cell, outcome)
        self._finish()

    def _finish(self) -> None:
        """Drop who is beaten; stop at one model, at the margin, or when all is judged."""
        sheet, bounds = self.sheet, self.bounds
        done = sheet.left == 0
        low = np.where(done, sheet.total / sheet.pool_size, bounds.lower)
        high = np.where(done, (sheet.total + sheet.lost) / sheet.pool_size, bounds.upper)
        low, high = np.where(self.live, low, -np.inf), np.where(self.live, high, -np.inf)
        self.live &= high >= low.max() - EQUAL
        first = int(low.argmax())
        others = np.where(np.arange(len(low)) == first, -np.inf, np.where(self.live, high, -np.inf))
        if self.live.sum() == 1 or done[self.live].all():
            self.end(self.live, promises=True)
        elif self._delta > 0 and others.max() <= low[first] + self._delta:
            self.stop, self.certified = WITHIN, True
            self.live = np.arange(len(low)) == first

    @property
    def estimate(self) -> np.ndarray:
        """Estimated pool means of y of the live models: float64 (M,), -inf for the others."""
        return np.where(self.live, self.sheet.mean, -np.inf)

    @property
    def winners(self) -> np.ndarray:
        values = self.estimate
        return np.asarray(values == values.max())


class _Celeus(_Drawing):
    def __init__(self, desk: Desk, r: int, *, rule: CELEUS):
        super().__init__(desk, r, alpha=rule.alpha, delta=rule.delta)
        self._floor = rule.floor
        self._predictor = LossPredictor(desk.pool_size, desk.n_models)

    def choose(self) -> np.ndarray:
        return np.flatnonzero(self.live & (self.sheet.left > 0))

    def predict(self, models: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        predictor = self._predictor
        predictor.refresh(REFIT)
        x, is_open = self._expected(models), self.sheet.open[models]
        error = np.where(is_open, np.sqrt(x * (1 - x)), 0)
        share = error / error.sum(axis=1, keepdims=True)
        even = 1 / is_open.sum(axis=1, keepdims=True)
        return x, (1 - self._floor) * share + self._floor * even

    def _expected(self, models: np.ndarray) -> np.ndarray:
        """Return posterior means of y: float64 (k, P)."""
        predictor = self._predictor
        spread = predictor.spread_model[models, None] + predictor.spread_query
        logit = predictor.level + predictor.strength[models, None] + predictor.difficulty
        return np.asarray(1 - expit(logit / np.sqrt(1 + np.pi / 8 * spread)))

    def learned(self, cell: Cell, outcome: int) -> None:
        if outcome != MISSING:
            self._predictor.add(*cell, 0.5 - 0.5 * outcome)

    @property
    def estimate(self) -> np.ndarray:
        """Means of judged y, and of predictions where nothing is judged."""
        sheet = self.sheet
        x = self._expected(np.arange(sheet.n_models))
        mean = np.where(sheet.known, sheet.y, x).mean(axis=1)
        mean = np.where(sheet.left == 0, sheet.mean, mean)
        return np.where(self.live, mean, -np.inf)


class CELEUS(OneByOne):
    """CELEUS (arXiv 2606.20820), our implementation: any-time intervals from weighted draws.

    Public are the signal and its validity (this module's docstring). Ours, as the description is
    silent: x from the audit's two-way logistic predictor, where the paper asks a small language
    model; chances ``q = (1 - floor) (in proportion to sqrt(x (1 - x))) + floor / |R|``; 8 fixed
    fractions; the interval at level ``alpha / M``; and the search for the best model, for which
    every live model is drawn once per step and dropped below another's lower bound. The present
    answer is the largest mean of judged outcomes and, elsewhere, predictions.

    Args:
        alpha: error rate over all models, in (0, 1).
        delta: win-rate margin (0..1) at which to stop; 0 for the best model itself.
        floor: share of the chances that is uniform, in (0, 1].
        name: what tables call it.

    Raises:
        InputError: a parameter out of range.
    """

    def __init__(
        self,
        alpha: float = 0.05,
        delta: float = 0.0,
        *,
        floor: float = 0.2,
        name: str = "CELEUS (our implementation)",
    ):
        """Check the ranges."""
        if not 0 < alpha < 1 or not 0 <= delta < 1 or not 0 < floor <= 1:
            raise InputError(
                f"CELEUS: alpha={alpha} must be in (0, 1), delta={delta} in [0, 1), floor={floor} "
                "in (0, 1]."
            )
        self.alpha, self.delta, self.floor, self.name = alpha, delta, floor, name

    def start(self, desk: Desk, r: int) -> Alone:
        """Start one realization."""
        return _Celeus(desk, r, rule=self)


class _Audited(_Drawing):
    def __init__(self, desk: Desk, r: int, *, rule: ProxyLUCB):
        super().__init__(desk, r, alpha=rule.alpha, delta=rule.delta)
        shape = (desk.pool_size, desk.n_models)
        proxy = np.full(shape, 0.5) if rule.proxy is None else rule.proxy[desk.positions(r)]
        self._proxy = np.ascontiguousarray(proxy.T, dtype=float)
        context = np.rint(2 * self._proxy).astype(np.intp)  # loss, draw or win says the proxy
        self._context = np.where(np.isnan(self._proxy), 1, context)
        self._proxy = np.where(np.isnan(self._proxy), 0.5, self._proxy)
        self._errors = np.tile(PRIOR_COUNT * np.array([1.0, 0.0, PRIOR_VARIANCE]), (3, 1))
        self._least, self._level = rule.least, self._proxy.mean(axis=1)
        self._checked = np.zeros(desk.n_models)
        self._first = np.flatnonzero(desk.paid).tolist()

    def choose(self) -> np.ndarray:
        waiting = self.live & (self.sheet.left > 0)
        if self._first:
            return np.array([self._first.pop(0)])
        values = self.estimate
        leader = self.best(values)
        rival = np.where(np.arange(len(values)) == leader, -np.inf, self._upper())
        pair = np.array([leader, self.best(rival)])
        pair = pair[waiting[pair]]
        return pair if len(pair) else np.array([self.best(np.where(waiting, rival, -np.inf))])

    def _upper(self) -> np.ndarray:
        """Upper bounds of the live models, those still open and wide apart by their estimates."""
        return np.where(self.live, self.bounds.upper + 1e-6 * self.estimate, -np.inf)

    def predict(self, models: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        count, total, square = self._errors.T
        deviation = np.sqrt(np.maximum(square / count - (total / count) ** 2, 0))
        return self._proxy[models], np.maximum(deviation, self._least)[self._context[models]]

    def learned(self, cell: Cell, outcome: int) -> None:
        if outcome != MISSING:
            place, model = cell
            error = 0.5 + 0.5 * outcome - self._proxy[model, place]
            self._errors[self._context[model, place]] += (1, error, error**2)
            self._checked[model] += self._proxy[model, place]

    @property
    def estimate(self) -> np.ndarray:
        """Mean proxy plus mean error of the proxy where it was checked."""
        sheet, count = self.sheet, np.maximum(self.sheet.count, 1)
        mean = self._level + (sheet.total - self._checked) / count
        full = sheet.left == 0
        values = np.where(full, sheet.mean, np.where(sheet.count > 0, mean, -1.0))
        return np.where(self.live, values, -np.inf)


PRIOR_COUNT, PRIOR_VARIANCE = 5.0, 0.25  # pseudo-counts of a context's errors


class ProxyLUCB(OneByOne):
    """Ao et al. (arXiv 2601.21471), our implementation: a cheap judge everywhere, ours to check it.

    Public: LUCB pulls the leader and its strongest challenger; a proxy F is there for every
    pull, the expensive judgement with a chance in proportion to ``sqrt(Var(y - F | context))``,
    estimated and floored; stop when the leader's lower bound is above all upper bounds. Ours: F is
    known on the whole pool beforehand, so only its error needs an interval, which is that of this
    module with x = F (theirs is sub-Gaussian plus empirical Bernstein); contexts are the three
    verdicts of the proxy, with 5 pseudo-counts; every candidate is drawn once first. Without a
    proxy F = 1/2, and it is LUCB with uniform draws and intervals by betting.

    Args:
        alpha: error rate over all models, in (0, 1).
        delta: win-rate margin (0..1) at which to stop; 0 for the best model itself.
        proxy: float (n, M): y as the cheap judge sees it, nan where it says nothing; None for none.
        least: floor of the deviation that the chances are made of, above 0.
        name: what tables call it.

    Raises:
        InputError: a parameter out of range.
    """

    def __init__(
        self,
        alpha: float = 0.05,
        delta: float = 0.0,
        *,
        proxy: np.ndarray | None = None,
        least: float = 0.02,
        name: str = "Ao et al. (our implementation)",
    ):
        """Check the ranges."""
        if not 0 < alpha < 1 or not 0 <= delta < 1 or least <= 0:
            raise InputError(
                f"Ao et al.: alpha={alpha} must be in (0, 1), delta={delta} in [0, 1), "
                f"least={least} above 0."
            )
        self.alpha, self.delta, self.proxy, self.least = alpha, delta, proxy, least
        self.name = name

    def check(self, pool: Pool, pool_size: int) -> None:
        """Refuse a proxy of another shape than the pool's, or with values outside [0, 1]."""
        if self.proxy is None:
            return
        shape = (pool.n_queries, pool.n_models)
        if self.proxy.shape != shape or not np.nanmax(np.abs(self.proxy - 0.5)) <= 0.5:
            raise InputError(f"'{self.name}': proxy must be of shape {shape}, with values 0 to 1.")

    def start(self, desk: Desk, r: int) -> Alone:
        """Start one realization."""
        return _Audited(desk, r, rule=self)
