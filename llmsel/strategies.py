"""Strategies: which query to annotate next.

A strategy sees the pool without the oracle's outcomes, and learns one annotated row at a time,
so it cannot peek. It scores the queries; the caller (experiment or session) takes the open query
with the highest score and breaks ties by a seeded random order. All realizations are scored at
once: arrays have a realization axis R.

The paper gives the baselines only by name; the definitions here are this project's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from llmsel._base.checks import made_of
from llmsel._base.errors import InputError, unknown
from llmsel.belief import Belief, ExpectedEntropy, posterior
from llmsel.pool import MISSING, Pool
from llmsel.similarity import similarity

TIE = 1e-10  # scores closer than this, relative to the best, are equal


class Strategy(ABC):
    """The interface of every query strategy; `scores` is the only method that must be written."""

    name: ClassVar[str]
    adaptive: ClassVar[bool] = True  # False: the scores never change, so they are asked for once
    needs: ClassVar[tuple[str, ...]] = ("votes",)  # fields of the pool

    def prepare(self, pool: Pool) -> None:  # noqa: B027 - optional
        """Look at the pool once, before any run; its outcomes are hidden."""

    def begin(self, realizations: int) -> None:  # noqa: B027 - optional
        """Forget all outcomes and get ready for ``R`` realizations in lockstep."""

    @abstractmethod
    def scores(self) -> np.ndarray:
        """Score the queries, higher is better: float64, shape ``(R, n)`` or ``(n,)``."""

    def observe(self, chosen: np.ndarray, outcomes: np.ndarray) -> None:  # noqa: B027 - optional
        """Learn one annotated query per realization.

        Args:
            chosen: int, shape ``(R,)``: positions of the queries.
            outcomes: int8, shape ``(R, M)``: their rows; unjudged cells are `Outcome.MISSING`.
        """

    @property
    def settings(self) -> dict[str, Any]:
        """Class name and parameters, as JSON can hold them; `from_settings` reads them."""
        parameters = {k: v for k, v in vars(self).items() if not k.startswith("_")}
        return {"name": type(self).__name__, **parameters}

    def __repr__(self) -> str:
        """Class name and parameters, as they are written in code."""
        parameters = list(self.settings.items())[1:]
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in parameters)})"


class Random(Strategy):
    """Uniform without replacement: all scores equal, so the seeded random order decides."""

    name = "Random"
    adaptive = False
    needs: ClassVar[tuple[str, ...]] = ()

    def prepare(self, pool: Pool) -> None:
        """Every query gets the same score."""
        self._scores = np.zeros(pool.n_queries)

    def scores(self) -> np.ndarray:
        """Shape ``(n,)``: zeros."""
        return self._scores


class Uncertainty(Random):
    """Entropy of the weak judges' votes on the query, over all candidates and judges."""

    name = "Uncertainty"
    needs = ("votes",)

    def prepare(self, pool: Pool) -> None:
        """Entropy in nats of the shares of loss, draw and win among the query's votes."""
        shares = vote_shares(pool).mean(axis=1)
        self._scores = -(shares * np.log(np.where(shares > 0, shares, 1))).sum(axis=-1)


class Confidence(Random):
    """Lowest confidence first: the share of judges behind a candidate's majority vote."""

    name = "Confidence"
    needs = ("votes",)

    def prepare(self, pool: Pool) -> None:
        """Average the majority's share over the candidates."""
        self._scores = -vote_shares(pool).max(axis=-1).mean(axis=-1)


class MostDraws(Random):
    """Share of draws among the query's votes, highest first."""

    name = "Most Draws"
    needs = ("votes",)

    def prepare(self, pool: Pool) -> None:
        """Average the draw share over the candidates."""
        self._scores = vote_shares(pool)[..., 1].mean(axis=-1)


class BradleyTerry(Strategy):
    r"""Query whose votes disagree most with a Bradley-Terry fit, about the leaders.

    Bradley-Terry abilities ``theta`` are fitted on the outcomes annotated so far; a draw is half
    a win each way, and every candidate starts with ``prior`` virtual draws against the baseline
    (``theta = 0``), so unbeaten candidates stay finite. As everyone meets only the baseline, the
    likelihood splits by candidate and the fit has a closed form: with ``s_j`` points from ``t_j``
    judged queries, ``p_j = sigmoid(theta_j) = (s_j + prior / 2) / (t_j + prior)``.

    Score of query i, with ``v`` = 0, 1/2, 1 for a vote of loss, draw, win, and ``z`` judges::

        score_i = sum_j l_j (1/z) sum_k D(v_ijk || p_j)
        D(v || p) = v log(v / p) + (1 - v) log((1 - v) / (1 - p))
        l_j = exp(theta_j) / sum_h exp(theta_h)      (h runs over all models)

    ``D`` is the information gained when the vote comes true; ``l_j`` is Luce's probability that j
    is preferred to all the others, so only disagreement about the leaders counts.

    Args:
        prior: number of virtual draws, above 0.
    """

    name = "Bradley-Terry"

    def __init__(self, prior: float = 1.0) -> None:
        """Keep the strength of the prior."""
        self.prior = prior

    def prepare(self, pool: Pool) -> None:
        """Lay out the vote shares as one matrix (3 * candidates, n)."""
        self._candidates = pool.candidate_columns
        shares = vote_shares(pool)  # (n, m, 3)
        self._shares = np.ascontiguousarray(shares.transpose(2, 1, 0).reshape(-1, len(shares)))

    def begin(self, realizations: int) -> None:
        """No outcome yet."""
        self._points = np.zeros((realizations, len(self._candidates)))
        self._judged = np.zeros((realizations, len(self._candidates)))

    def win_chance(self) -> np.ndarray:
        """Fitted chance of each candidate to beat the baseline: float64, shape ``(R, m)``."""
        return (self._points + self.prior / 2) / (self._judged + self.prior)

    def scores(self) -> np.ndarray:
        """Information in nats, shape ``(R, n)``."""
        p = self.win_chance()
        strength = p / (1 - p)  # exp(theta)
        luce = strength / (1 + strength.sum(axis=1, keepdims=True))  # the baseline has strength 1
        gain = np.stack([-np.log1p(-p), -0.5 * np.log(4 * p * (1 - p)), -np.log(p)], axis=1)
        nats: np.ndarray = (gain * luce[:, None]).reshape(len(p), -1) @ self._shares
        return nats

    def observe(self, chosen: np.ndarray, outcomes: np.ndarray) -> None:
        """Count points and judged queries."""
        cells = outcomes[:, self._candidates]
        judged = cells != MISSING
        self._points += np.where(judged, (cells + 1.0) / 2, 0.0)
        self._judged += judged


class LLMSelector(Strategy):
    """LLM Selector: the query with the smallest expected entropy of the belief (Algorithm 1).

    Args:
        eps_loss, eps_draw: see `Belief`; the defaults are those of the published code.
    """

    name = "LLM Selector"

    def __init__(self, eps_loss: float = 0.2, eps_draw: float = 0.4) -> None:
        """Check the parameters."""
        Belief(eps_loss, eps_draw)
        self.eps_loss = eps_loss
        self.eps_draw = eps_draw

    @property
    def belief(self) -> Belief:
        """The two-parameter model."""
        return Belief(self.eps_loss, self.eps_draw)

    def prepare(self, pool: Pool) -> None:
        """Take the weak votes."""
        self._belief = self.belief
        self._votes = pool.need("votes")
        self._expected_entropy = ExpectedEntropy(self._belief, self._votes)

    def begin(self, realizations: int) -> None:
        """Uniform prior over the candidates and the baseline; tables of the votes are kept."""
        if self._expected_entropy.votes is not self._votes:  # a subclass has its own
            self._expected_entropy = ExpectedEntropy(self._belief, self._votes)
        self._log_weights = self._belief.prior(realizations, self._votes.shape[1])

    def scores(self) -> np.ndarray:
        """Minus the expected entropy in nats, shape ``(R, n)``."""
        return -self._expected_entropy(self._log_weights)

    def observe(self, chosen: np.ndarray, outcomes: np.ndarray) -> None:
        """Bayes' rule."""
        self._log_weights = self._belief.update(self._log_weights, outcomes)

    def posterior(self) -> np.ndarray:
        """P(model is best), shape ``(R, M)``."""
        return posterior(self._log_weights)


class SelectLLM(Strategy):
    """Select-LLM (arXiv 2605.24981): the query on which likely winners answer least alike.

    Picks ``argmin_i sum_jk P_j P_k s(f_j(q_i), f_k(q_i))`` and updates
    ``P_j <- P_j exp(score_j / tau)``, the score being 0, 1/2, 1 for loss, draw, win. As the P sum
    to 1 and ``s(f, f) = 1``, that is the largest ``sum_{j != k} P_j P_k (1 - s)``, which keeps
    its precision when P is close to certainty. A missing outcome counts 1/2.

    Args:
        tau: temperature of the update, above 0 (`llmsel.studies.parameters.tune_tau` tunes it).
        similarity: a kind of `llmsel.similarity.similarity`.

    Raises:
        InputError: tau is not above 0.
    """

    name = "Select-LLM"
    needs = ("responses",)

    def __init__(self, tau: float = 1.0, similarity: str = "token_f1") -> None:
        """Check the temperature."""
        if not tau > 0:
            raise InputError(f"tau={tau}; the temperature must be above 0.")
        self.tau = tau
        self.similarity = similarity

    def prepare(self, pool: Pool) -> None:
        """Measure how alike the responses are; only pairs j < k, as the measure is symmetric."""
        alike = similarity(pool, self.similarity)
        self._pairs = np.triu_indices(pool.n_models, k=1)
        self._unlike = np.ascontiguousarray(1.0 - alike[:, *self._pairs].T.astype(float))

    def begin(self, realizations: int) -> None:
        """All models are equally likely."""
        models = int(self._pairs[1].max()) + 1
        self._log_weights = np.zeros((realizations, models))

    def scores(self) -> np.ndarray:
        """Expected dissimilarity, shape ``(R, n)``."""
        p = posterior(self._log_weights)
        first, second = self._pairs
        unlike: np.ndarray = (p[:, first] * p[:, second]) @ self._unlike
        return unlike

    def observe(self, chosen: np.ndarray, outcomes: np.ndarray) -> None:
        """Weigh each model by its score."""
        score = np.where(outcomes == MISSING, 0.5, (outcomes + 1.0) / 2)
        self._log_weights += score / self.tau
        self._log_weights -= self._log_weights.max(axis=1, keepdims=True)


STRATEGIES: dict[str, type[Strategy]] = {
    cls.name: cls
    for cls in (Random, BradleyTerry, MostDraws, Uncertainty, Confidence, LLMSelector, SelectLLM)
}


def make(strategy: str | Strategy) -> Strategy:
    """Return a strategy by its name with default parameters, or the object itself.

    Raises:
        InputError: an unknown name; the message suggests the nearest.
    """
    if isinstance(strategy, Strategy):
        return strategy
    if strategy not in STRATEGIES:
        raise unknown("strategy", strategy, STRATEGIES)
    return STRATEGIES[strategy]()


def from_settings(settings: Mapping[str, Any]) -> Strategy:
    """Make the strategy that has these `Strategy.settings`.

    Raises:
        InputError: a strategy that llmsel does not know, or parameters that it does not have.
    """
    classes = {cls.__name__: cls for cls in STRATEGIES.values()}
    return made_of(settings, classes, kind="strategy")


def possible(pool: Pool) -> list[str]:
    """Names of the strategies for which the pool holds what they need."""
    return [
        name
        for name, cls in STRATEGIES.items()
        if all(getattr(pool, field) is not None for field in cls.needs)
    ]


def vote_shares(pool: Pool) -> np.ndarray:
    """Share of the weak judges that vote loss, draw, win: float64, shape ``(n, m, 3)``.

    Only the ``m`` candidates: the baseline's votes are draws by definition.
    """
    votes = pool.need("votes")[:, pool.candidate_columns]
    return np.stack([(votes == code).mean(axis=-1) for code in (-1, 0, 1)], axis=-1)


def pick(scores: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """Take the open query with the highest score, ties by rank.

    Scores within a relative `TIE` of the best are equal, so that another BLAS or another number
    of realizations picks the same query. (Comparing rounded scores, the usual way, splits true
    ties that straddle a rounding boundary.)

    Args:
        scores: float64, shape ``(R, n)`` or ``(n,)``.
        rank: int, shape ``(R, n)``: the seeded random order; the largest value of its dtype marks a
            query that is closed or not in the pool.

    Returns:
        int64, shape ``(R,)``: positions of the queries.
    """
    closed = np.iinfo(rank.dtype).max
    scores = np.where(rank == closed, -np.inf, scores)
    best = scores.max(axis=1, keepdims=True)
    tied = scores >= best - TIE * np.abs(best)
    first: np.ndarray = np.where(tied, rank, closed).argmin(axis=1)
    return first


CLOSED = np.iinfo(np.int32).max  # rank of a query that cannot be chosen
