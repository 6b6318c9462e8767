"""How likely is a model to lose on a query it is not judged on? A two-way logistic model.

``logit P(loss) = level + strength_j + difficulty_i + gamma . g_ij`` with ridge priors, fitted to
all judged cells by diagonal Newton sweeps. A draw counts as half a loss. Nothing that is
certified depends on it: a wrong prediction costs calls, never validity.
"""

from __future__ import annotations

from typing import Any

import numpy as np

SD_MODEL, SD_QUERY, SD_FEATURE = 1.5, 1.5, 1.0  # prior standard deviations, in logits
FREE = 1e-3  # ridge of the level, which is nearly free
LONGEST_STEP = 2.0  # of one Newton update, in logits
DOUBT = np.pi / 8  # a logistic function averaged over a spread v is one of z / sqrt(1 + DOUBT v)
SHRINK = 0.1  # share of every prediction that is taken from the mean prediction
LAST_SWEEPS = 4  # per refit; warm started, so few are enough


def expit(z: np.ndarray) -> np.ndarray:
    """Return the logistic function of z."""
    return _expit_of_minus(np.negative(z))


def _expit_of_minus(z: np.ndarray) -> np.ndarray:
    """Turn z into 1 / (1 + exp(z)) in place: short arrays cost mostly what a call costs."""
    np.exp(z, out=z)
    z += 1.0
    np.divide(1.0, z, out=z)
    return z


class _Cells:
    """The judged cells of one model: their places, the sum of their losses, and their `base`.

    The first ``fresh`` entries of ``base`` are those of the fit ``version``.
    """

    def __init__(self, size: int):
        self.count, self.lost = 0, 0.0
        self.places = np.empty(size, dtype=np.intp)
        self.base = np.empty(size)
        self.fresh, self.version = 0, -1

    def add(self, place: int, loss: float) -> None:
        self.places[self.count] = place
        self.count += 1
        self.lost += loss


class LossPredictor:
    """Fitted to judged cells; a loss fraction y is 1 for a loss, 1/2 for a draw, 0 for a win.

    Attributes:
        version: predictions made at an earlier one are out of date.
        difficulty: float64 (P,), in logits, positive where models lose.
        strength: float64 (M,), in logits, positive for a model that loses.
        draws: share of draws among the judged cells, over the mean of p (1 - p).
    """

    def __init__(self, n_queries: int, n_models: int, *, features: np.ndarray | None = None):
        """Know nothing: every prediction is 1/2.

        Args:
            n_queries: number of queries P.
            n_models: number of models M.
            features: float64 of shape (P, M, F), known for all cells; None for none.
        """
        self.version = 0
        self.strength, self.difficulty = np.zeros(n_models), np.zeros(n_queries)
        self.spread_model = np.full(n_models, SD_MODEL**2)
        self.spread_query = np.full(n_queries, SD_QUERY**2)
        self.level, self.draws = 0.0, 0.0
        self._features = np.zeros((n_queries, n_models, 0)) if features is None else features
        self.gamma = np.zeros(self._features.shape[2])
        # places, models and losses of all cells: arrays of those fitted to, rows of those since
        self._fitted = np.empty(0, dtype=np.intp), np.empty(0, dtype=np.intp), np.empty(0)
        self._fresh: list[tuple[int, int, float]] = []
        self._refreshed = 0  # cells when `refresh` fitted last
        self._of_model = [_Cells(n_queries) for _ in range(n_models)]

    @property
    def n_cells(self) -> int:
        """Number of judged cells learned so far."""
        return len(self._fitted[0]) + len(self._fresh)

    def add(self, place: int, model: int, loss: float) -> None:
        """Learn one judged cell."""
        self._fresh.append((place, model, loss))
        self._of_model[model].add(place, loss)

    def refresh(self, growth: float) -> None:
        """Fit again when the judged cells have grown by a factor since the last time."""
        if self.n_cells > growth * self._refreshed:
            self.fit()
            self._refreshed = self.n_cells

    def fit(self) -> None:
        """Fit everything to all judged cells, starting from the present values."""
        self.version += 1
        if not self.n_cells:
            return
        i, j, y = self._collect()
        g = self._features[i, j]
        s, d = self.strength[j], self.difficulty[i]
        for _ in range(LAST_SWEEPS if self.version > 1 else 3 * LAST_SWEEPS):
            e, w = self._errors(s, d, y, g)
            self.level += float(_step(e.sum(), w.sum(), self.level, FREE))
            e, w = self._errors(s, d, y, g)
            self.strength += _update(e, w, j, self.strength, SD_MODEL)
            s = self.strength[j]
            e, w = self._errors(s, d, y, g)
            self.difficulty += _update(e, w, i, self.difficulty, SD_QUERY)
            d = self.difficulty[i]
            if g.shape[1]:
                e, w = self._errors(s, d, y, g)
                self.gamma += _step(e @ g, w @ (g * g), self.gamma, SD_FEATURE**-2)
        _, w = self._errors(s, d, y, g)
        self.spread_model = 1 / (np.bincount(j, w, len(self.strength)) + SD_MODEL**-2)
        self.spread_query = 1 / (np.bincount(i, w, len(self.difficulty)) + SD_QUERY**-2)
        self.draws = float((y == 0.5).sum() / max(w.sum(), 1e-9))

    def _collect(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return places, models and losses of all cells, as arrays."""
        if not self._fresh:
            return self._fitted
        i, j, y = (
            np.concatenate([known, np.array(new, dtype=known.dtype)])
            for known, new in zip(self._fitted, zip(*self._fresh, strict=True), strict=True)
        )
        self._fitted, self._fresh = (i, j, y), []
        return i, j, y

    def refine(self, model: int) -> None:
        """Update the strength of one model by one Newton step, all else as it is."""
        cells, now, ridge = self._of_model[model], float(self.strength[model]), SD_MODEL**-2
        if not cells.count:
            return
        p = _expit_of_minus(np.subtract(-now, self._judged_base(model, cells)))
        expected = float(np.add.reduce(p))
        w = expected - float(p @ p)
        step = (cells.lost - expected - now * ridge) / (w + ridge)
        self.strength[model] = now + min(max(step, -LONGEST_STEP), LONGEST_STEP)
        self.spread_model[model] = 1 / (w + ridge)

    def _judged_base(self, model: int, cells: _Cells) -> np.ndarray:
        """Return `base` of a model's judged cells; only what is new since the last time is made."""
        if cells.version != self.version:
            cells.fresh, cells.version = 0, self.version
        if cells.fresh < cells.count:
            new = slice(cells.fresh, cells.count)
            cells.base[new] = self.base(model, cells.places[new])
            cells.fresh = cells.count
        return cells.base[: cells.count]

    def base(self, model: int, places: np.ndarray) -> np.ndarray:
        """Return the logits of some queries without the model's strength: float64 (k,)."""
        base: np.ndarray = self.level + self.difficulty[places]
        if len(self.gamma):
            base = base + self._features[places, model] @ self.gamma
        return base

    def part(self, model: int, places: np.ndarray) -> np.ndarray:
        """Return what the last feature adds to `base`: float64 (k,); 0 without features."""
        if not len(self.gamma):
            return np.zeros(len(places))
        part: np.ndarray = self._features[places, model, -1] * self.gamma[-1]
        return part

    def outdate(self) -> None:
        """Forget what was kept of features: they changed."""
        self.version += 1

    @property
    def pull(self) -> float:
        """Logits by which one unit of the last feature moves a typical prediction."""
        wide = 1 + DOUBT * (np.median(self.spread_model) + self.spread_query.mean())
        return float((1 - SHRINK) * abs(self.gamma[-1]) / np.sqrt(wide))

    def doubt(self, places: np.ndarray) -> np.ndarray:
        """Return the part of the doubt in a prediction that is the queries': float64 (k,)."""
        doubt: np.ndarray = 1 + DOUBT * self.spread_query[places]
        return doubt

    def predict(self, model: int, base: np.ndarray, doubt: np.ndarray) -> np.ndarray:
        """Predict the loss fraction of one model on some queries.

        Args:
            model: its column.
            base: float64 (k,), from `base`.
            doubt: float64 (k,), from `doubt`.

        Returns:
            float64 (k,): posterior means, shrunk towards their mean.
        """
        wide = doubt + DOUBT * self.spread_model.item(model)
        z = np.subtract(-self.strength.item(model), base)
        z /= np.sqrt(wide, out=wide)
        p = _expit_of_minus(z)
        mean = float(np.add.reduce(p)) / len(p)
        p *= 1 - SHRINK
        p += SHRINK * mean
        return p

    def wide(self, model: int) -> float:
        """Return by what a logit is divided for the posterior variance of a model's strength."""
        return float(np.sqrt(1 + DOUBT * self.spread_model[model]))

    def _errors(
        self, strength: np.ndarray, difficulty: np.ndarray, y: np.ndarray, g: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return y - p and p (1 - p) of cells whose strengths and difficulties are given."""
        z = self.level + strength
        z += difficulty
        if g.shape[1]:
            z += g @ self.gamma
        p = _expit_of_minus(np.negative(z, out=z))
        e = y - p
        rest = 1 - p
        rest *= p
        return e, rest


def _step(gradient: Any, curvature: Any, now: Any, ridge: float) -> np.ndarray:
    """Return a bounded Newton step of a penalised logistic likelihood."""
    step = (gradient - now * ridge) / (curvature + ridge)
    return np.asarray(np.clip(step, -LONGEST_STEP, LONGEST_STEP))


def _update(
    e: np.ndarray, w: np.ndarray, group: np.ndarray, now: np.ndarray, sd: float
) -> np.ndarray:
    """Return the Newton steps of one value per group."""
    return _step(np.bincount(group, e, len(now)), np.bincount(group, w, len(now)), now, sd**-2)
