"""Other sensible readings of the methods that the paper names without formulas.

The choice of one reading could decide a comparison; `every_form` makes all that are tried.

- **Uncertainty, Confidence**: an earlier program of the paper's group ranks queries by three static
  rules of a committee (`RULES`). Here the committee votes loss, draw or win, so its shares can be
  taken over all candidates and judges together, or per candidate and averaged.
- **Bradley-Terry**: ours weighs the votes' disagreement with the fit by who leads. Two others: the
  same without weights, and the spread of the votes among those who lead.
- **Select-LLM**: ours takes queries by the similarity of answers and learns from wins, draws and
  losses. Its paper (arXiv 2605.24981) uses *one* similarity for both: here between answers, and
  between outcomes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from llmsel._base.errors import unknown
from llmsel.pool import Pool
from llmsel.similarity import similarity
from llmsel.strategies import BradleyTerry, Random, SelectLLM, Strategy, vote_shares


def entropy_of(shares: np.ndarray) -> np.ndarray:
    """Entropy in bits of the shares on the last axis."""
    return np.asarray(-(shares * np.log2(np.where(shares > 0, shares, 1))).sum(axis=-1))


def margin_of(shares: np.ndarray) -> np.ndarray:
    """One minus the lead of the largest share over the second."""
    ordered = np.sort(shares, axis=-1)
    return np.asarray(1 - (ordered[..., -1] - ordered[..., -2]))


def dissent_of(shares: np.ndarray) -> np.ndarray:
    """One minus the largest share."""
    return np.asarray(1 - shares.max(axis=-1))


RULES: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "entropy": entropy_of,
    "margin": margin_of,
    "dissent": dissent_of,
}


class Committee(Random):
    """A static rule of a committee: the query on which the votes agree least.

    Args:
        rule: of `RULES`.
        pooled: True: shares over all candidates and judges together; False: per candidate over the
            judges, the rule averaged over the candidates.

    Raises:
        InputError: an unknown rule.
    """

    needs = ("votes",)

    def __init__(self, rule: str = "entropy", *, pooled: bool = True) -> None:
        """Name the strategy by its rule."""
        if rule not in RULES:
            raise unknown("rule of a committee", rule, RULES)
        self.rule = rule
        self.pooled = pooled
        self.name = f"{rule}, {'pooled' if pooled else 'per candidate'}"  # type: ignore[misc]

    def prepare(self, pool: Pool) -> None:
        """Score the queries once."""
        shares = vote_shares(pool)
        if self.pooled:
            self._scores = RULES[self.rule](shares.mean(axis=1))
        else:
            self._scores = RULES[self.rule](shares).mean(axis=-1)


class BradleyTerryPlain(BradleyTerry):
    """Bradley-Terry without weights: disagreement with the fit counts the same for everyone."""

    name = "Bradley-Terry, unweighted"

    def scores(self) -> np.ndarray:
        """Mean information over the candidates in nats, shape ``(R, n)``."""
        p = self.win_chance()
        gain = np.stack([-np.log1p(-p), -0.5 * np.log(4 * p * (1 - p)), -np.log(p)], axis=1)
        nats: np.ndarray = gain.reshape(len(p), -1) @ self._shares / p.shape[1]
        return nats


class BradleyTerrySpread(BradleyTerry):
    """Bradley-Terry by spread: the query on which the likely winners are voted most apart.

    With ``l`` Luce's weights of the fit (`BradleyTerry`; the baseline takes part) and ``v_ij`` the
    mean vote, in -1..1, the score is the variance ``sum_j l_j v_ij^2 - (sum_j l_j v_ij)^2``.
    """

    name = "Bradley-Terry, spread"

    def prepare(self, pool: Pool) -> None:
        """Take the mean votes, shape ``(m, n)``."""
        super().prepare(pool)
        mean = pool.need("votes")[:, pool.candidate_columns].mean(axis=-1)
        self._mean = np.ascontiguousarray(mean.T)

    def scores(self) -> np.ndarray:
        """Variance of the mean votes, shape ``(R, n)``."""
        p = self.win_chance()
        strength = p / (1 - p)
        luce = strength / (1 + strength.sum(axis=1, keepdims=True))
        spread: np.ndarray = luce @ self._mean**2 - (luce @ self._mean) ** 2
        return spread


class SelectLLMAnswers(SelectLLM):
    """Select-LLM with one similarity, between answers.

    Its paper compares a candidate's answer with a reference answer by the similarity that it takes
    queries by. Our oracle compares and writes no reference: the reference is the answer, or the
    answers, that it places highest on the query (the baseline's is among those compared), and the
    utility of a candidate is the similarity of its answer to the nearest of them.
    ``P_j <- P_j exp(utility_j / tau)``, over the candidates alone.
    """

    name = "Select-LLM, one similarity"

    def prepare(self, pool: Pool) -> None:
        """Measure how alike the responses are; the belief is over the candidates."""
        self._candidates = pool.candidate_columns
        self._alike = similarity(pool, self.similarity)
        self._pairs = np.triu_indices(len(self._candidates), k=1)
        among = self._alike[:, self._candidates[:, None], self._candidates]
        self._unlike = np.ascontiguousarray(1.0 - among[:, *self._pairs].T.astype(float))

    def begin(self, realizations: int) -> None:
        """All candidates are equally likely."""
        self._log_weights = np.zeros((realizations, len(self._candidates)))

    def observe(self, chosen: np.ndarray, outcomes: np.ndarray) -> None:
        """Weigh each candidate by the similarity of its answer to the reference."""
        best = outcomes == outcomes.max(axis=1, keepdims=True)  # MISSING is below every outcome
        alike = self._alike[chosen][:, self._candidates].astype(float)  # (R, m, M)
        utility = np.where(best[:, None], alike, 0.0).max(axis=2)
        self._log_weights += utility / self.tau
        self._log_weights -= self._log_weights.max(axis=1, keepdims=True)


class SelectLLMOutcomes(SelectLLM):
    """Select-LLM with one similarity, between outcomes: ``s(x, y) = 1 - |x - y| / 2``.

    Queries are taken by the similarity of the weak votes, averaged over the judges; the update is
    the similarity of the outcome to a win, which is 0, 1/2, 1 for loss, draw, win.
    """

    name = "Select-LLM, outcomes"
    needs = ("votes",)

    def __init__(self, tau: float = 1.0) -> None:
        """Check the temperature."""
        super().__init__(tau)
        del self.similarity  # the votes take its place

    def prepare(self, pool: Pool) -> None:
        """Measure how unlike the votes are, pair by pair of models."""
        votes = pool.need("votes").astype(float)
        self._pairs = np.triu_indices(pool.n_models, k=1)
        first, second = self._pairs
        apart = np.abs(votes[:, first] - votes[:, second]).mean(axis=2) / 2
        self._unlike = np.ascontiguousarray(apart.T)


FORMS: Mapping[str, tuple[str, ...]] = {  # of each named method: names of its readings, ours first
    "Uncertainty": ("Uncertainty", "margin, pooled", "dissent, pooled"),
    "Confidence": ("Confidence", "margin, per candidate", "entropy, per candidate"),
    "Bradley-Terry": ("Bradley-Terry", BradleyTerryPlain.name, BradleyTerrySpread.name),
    "Select-LLM": ("Select-LLM", SelectLLMAnswers.name, SelectLLMOutcomes.name),
}


def every_form(pool: Pool) -> list[Strategy]:
    """Make the readings in `FORMS` beside ours that the pool has the data for.

    Entropy of pooled shares is our Uncertainty, dissent per candidate our Confidence; so the three
    rules are there in both ways of counting.
    """
    others: list[Strategy] = [
        Committee("margin"),
        Committee("dissent"),
        Committee("margin", pooled=False),
        Committee("entropy", pooled=False),
        BradleyTerryPlain(),
        BradleyTerrySpread(),
        SelectLLMAnswers(),
        SelectLLMOutcomes(),
    ]
    return [one for one in others if all(getattr(pool, f) is not None for f in one.needs)]
