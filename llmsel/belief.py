"""The two-parameter belief about which model is best: prior, update, expected entropy.

LLM Selector (arXiv 2510.09418v1), equations 2-5; ARCHITECTURE.md, "Method". Realizations are an
array axis everywhere; a selection step for R of them is a matrix product, or for one of a large
pool a sum of look-ups.

Weights are kept as logarithms relative to the leading model (the leader has 0). Thousands of
updates then neither underflow nor lose the ranking, and the entropy of an almost certain belief
is a sum of positive terms instead of a difference of nearly equal ones, so it keeps its relative
precision however small it is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from llmsel._base.errors import InputError
from llmsel._base.packed import PackedVotes, add_up
from llmsel.pool import MISSING

Table = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
ATOMS = 8  # kinds of query that the bootstrap's prior can draw


@dataclasses.dataclass(frozen=True)
class Belief:
    """The two-parameter model of the outcomes of the best model.

    Args:
        eps_loss: probability that the best model loses against the baseline on a query.
        eps_draw: probability of a draw; a win has ``1 - eps_loss - eps_draw``.

    Raises:
        InputError: the three probabilities are not all above 0 and below 1.
    """

    eps_loss: float = 0.2
    eps_draw: float = 0.4

    def __post_init__(self) -> None:
        """Refuse parameters outside the open simplex: a zero would rule a model out for good."""
        inside = self.eps_loss > 0 and self.eps_draw > 0 and self.eps_loss + self.eps_draw < 1
        if not inside:
            raise InputError(
                f"eps_loss={self.eps_loss}, eps_draw={self.eps_draw} lie outside the simplex: "
                "both must be above 0 and their sum below 1."
            )

    def likelihood(self, outcomes: np.ndarray) -> np.ndarray:
        """P(outcome of j | j is best) for int8 outcomes of any shape; float64, same shape.

        A missing outcome counts 1/3. The two-parameter model treats the outcomes of all models
        but the best as uniform over loss, draw and win; marginalising the unknown cell leaves
        exactly that factor, so a model neither gains nor loses by not being judged.
        """
        table = np.array([self.eps_loss, self.eps_draw, 1 - self.eps_loss - self.eps_draw, 1 / 3])
        chance: np.ndarray = table[np.where(outcomes == MISSING, 2, outcomes) + 1]
        return chance

    def prior(self, realizations: int, models: int) -> np.ndarray:
        """Uniform log-weights: float64 zeros of shape ``(R, M)``."""
        return np.zeros((realizations, models))

    def update(self, log_weights: np.ndarray, outcomes: np.ndarray) -> np.ndarray:
        """Bayes' rule after one annotated row per realization (equation 3).

        Args:
            log_weights: float64, shape ``(R, M)``, leader at 0.
            outcomes: int8, shape ``(R, M)``.

        Returns:
            New log-weights, leader at 0.
        """
        updated = log_weights + np.log(self.likelihood(outcomes))
        relative: np.ndarray = updated - updated.max(axis=-1, keepdims=True)
        return relative


def posterior(log_weights: np.ndarray) -> np.ndarray:
    """Weight of each model in the belief, shape ``(R, M)``: rows sum to 1.

    It is P(model is best) if the two-parameter model is true, which it seldom is: see
    `bootstrap_best` for a calibrated one.
    """
    weights = np.exp(log_weights - log_weights.max(axis=-1, keepdims=True))
    chance: np.ndarray = weights / weights.sum(axis=-1, keepdims=True)
    return chance


def entropy(log_weights: np.ndarray) -> np.ndarray:
    """Entropy in nats of the belief, shape ``(R,)``; relative precision near 0."""
    log_weights = log_weights - log_weights.max(axis=-1, keepdims=True)
    leader = log_weights.argmax(axis=-1)
    rest = np.exp(log_weights)
    np.put_along_axis(rest, leader[:, None], 0.0, axis=-1)
    total = rest.sum(axis=-1)
    nats: np.ndarray = np.log1p(total) - (rest * log_weights).sum(axis=-1) / (1 + total)
    return nats


def bootstrap_best(
    outcomes: np.ndarray,
    size: int,
    *,
    baseline: int,
    rng: np.random.Generator,
    draws: int = 1000,
    prior: float = 8.0,
) -> np.ndarray:
    """P(model is best of the pool), by a Bayesian bootstrap over the annotated queries.

    The queries that are not annotated are drawn from an urn that holds the annotated ones, and
    ``prior`` queries on which every candidate's outcome is drawn by itself from all outcomes seen
    (and one loss, draw and win): the posterior of a Dirichlet process over whole queries, for a
    finite pool. Without the prior it is far too sure after few queries. With it, for queries drawn
    at random, of models said to be the best with 0.95 or more at least that share are on the five
    real benchmarks; where many models are nearly level, what is said after few queries is still up
    to some 20 points too high. For queries that were chosen it is a guide. A missing outcome is
    drawn like those of the prior.

    Source: Rubin, "The Bayesian bootstrap" (1981); Lo, "A Bayesian bootstrap for a finite
    population" (1988); the prior is this project's.

    Args:
        outcomes: int8, shape ``(t, M)``: annotated rows, t >= 1, with `Outcome.MISSING`.
        size: number of queries of the pool, at least t.
        baseline: column of the baseline, which has win rate 1/2.
        rng: source of the draws.
        draws: number of pools drawn.
        prior: weight of the prior, in queries.

    Returns:
        float64, shape ``(M,)``: sums to 1; a draw with several best models is shared among them.
    """
    annotated, models = outcomes.shape
    missing = outcomes == MISSING
    points = np.where(missing, 0.0, (outcomes + 1.0) / 2)
    judged = np.delete(points, baseline, axis=1)[~np.delete(missing, baseline, axis=1)]
    values = np.concatenate([judged, [0.0, 0.5, 1.0]])
    weight = np.concatenate([np.ones(annotated), np.full(ATOMS, prior / ATOMS)])
    share = rng.gamma(weight, size=(draws, len(weight)))
    count = rng.multinomial(size - annotated, share / share.sum(axis=1, keepdims=True))
    count[:, :annotated] += 1
    total = count[:, :annotated] @ points
    row, column = np.nonzero(missing)
    unknown = count[:, row] * rng.choice(values, (draws, len(row)))
    total += unknown @ (column[:, None] == np.arange(models))
    fresh = rng.choice(values, (draws, ATOMS, models))
    total += np.einsum("da,dam->dm", count[:, annotated:], fresh)
    total[:, baseline] = size / 2
    best = total >= total.max(axis=1, keepdims=True) - 1e-9
    chance: np.ndarray = (best / best.sum(axis=1, keepdims=True)).mean(axis=0)
    return chance


class ExpectedEntropy:
    """Expected entropy of the belief after each query, guessed by the weak judges (equation 5).

    With ``p_j = w_j e_j``, where ``w`` are the weights and ``e_j`` the likelihood of judge k's
    vote for model j, and ``Z = sum p_j``, the entropy after the vote is
    ``log Z - (1/Z) sum p_j log p_j``. Taken relative to the leader l (``w_l = 1``):
    ``x = sum_{j != l} p_j / e_l`` and
    ``H = log(1 + x) + (x log e_l - sum_{j != l} p_j log p_j / e_l) / (1 + x)``.
    Both sums are linear in functions of the vote, which gives two ways to compute them. Many
    realizations share matrix products with tables of all likelihoods, as long as these tables are
    small. Otherwise each realization looks the sums up, several models at a time, in votes that
    are packed once (`llmsel._base.packed`), and only a belief that is sure needs the leader.

    Args:
        belief: the likelihood of each vote.
        votes: int8, shape ``(n, M, z)``; may be memory-mapped.
        memory: bytes; the likelihood tables may take a quarter of them. The packed votes take a
            sixth to a fourth of what the votes take.
    """

    # a block of working arrays that stays in the processor's cache while it is worked on
    CACHE = 2**20
    # bytes of likelihood tables up to which one realization computes as fast with them as without
    WORTH = 2**23
    # smallest weight of all models but the leader, after any vote, at which the entropy is a
    # difference of numbers of its own size; the looked-up sums are then used as they stand
    SURE = 0.01

    def __init__(self, belief: Belief, votes: np.ndarray, memory: int = 2**30) -> None:
        """Nothing is read before the first score."""
        self.belief = belief
        self.votes = votes
        self.memory = memory
        chance = belief.likelihood(np.array([-1, 0, 1]))
        self._alone = _odd_one_out(chance)
        # where the likelihood takes only two values, as with the default eps (a draw is as likely
        # as a win), e log e is a linear function of e: one matrix product fewer
        self._line: tuple[float, float] | None = None
        if self._alone is not None:
            low, high = chance.min(), chance.max()
            slope = (high * np.log(high) - low * np.log(low)) / (high - low) if low < high else 0.0
            self._line = (float(low * np.log(low) - slope * low), float(slope))
        # replaced as a whole, so that threads may share one object
        self._kept: tuple[int, list[Table]] | None = None
        self._packed: PackedVotes | None = None

    def __call__(self, log_weights: np.ndarray) -> np.ndarray:
        """Score every query for every realization.

        Args:
            log_weights: float64, shape ``(R, M)``, leader at 0.

        Returns:
            float64, shape ``(R, n)``: nats, averaged over the judges with equal weight.
        """
        tables = 4 * 8 * self.votes.size
        if tables <= min(self.memory // 4, self.WORTH * len(log_weights)):
            return self._multiply(log_weights)
        return self._look_up(log_weights)

    def _multiply(self, log_weights: np.ndarray) -> np.ndarray:
        """Score by matrix products with tables of likelihoods."""
        realizations, _ = log_weights.shape
        n, _, judges = self.votes.shape
        leader = log_weights.argmax(axis=1)
        weights = np.exp(log_weights)
        weights[np.arange(realizations), leader] = 0.0
        other = weights * log_weights
        if self._line is not None:
            constant = self._line[0] * weights.sum(axis=1, keepdims=True)
            other += self._line[1] * weights
        both = np.concatenate([weights, other])
        result = np.empty((realizations, n))
        start = 0
        for likelihood, surprise, inverse, log_likelihood in self._tables(realizations):
            width = likelihood.shape[1] // judges
            product = both @ likelihood
            x, y = product[:realizations], product[realizations:]
            y += weights @ surprise if self._line is None else constant
            scale = inverse[leader]
            x *= scale
            y *= scale
            nats = _entropy_of(
                x, y, np.take(log_likelihood, leader, axis=0, out=scale, mode="clip")
            )
            # judges are the outer axis of a block's columns: adding them up is contiguous
            nats.reshape(realizations, judges, width).sum(
                axis=1, out=result[:, start : start + width]
            )
            start += width
        result /= judges
        return result

    def _tables(self, realizations: int) -> list[Table]:
        """Return, per block of queries, e, e log e, 1/e, log e of shape (M, z * q)."""
        kept = self._kept
        if kept is None or kept[0] != realizations:
            n, _, judges = self.votes.shape
            width = max(1, self.CACHE // (judges * max(realizations, 1) * 8 * 4))
            tables = [self._table(self.votes[i : i + width]) for i in range(0, n, width)]
            kept = self._kept = realizations, tables
        return kept[1]

    def _table(self, votes: np.ndarray) -> Table:
        likelihood = self.belief.likelihood(votes.transpose(1, 2, 0))
        likelihood = np.ascontiguousarray(likelihood.reshape(votes.shape[1], -1))
        log_likelihood = np.log(likelihood)
        return likelihood, likelihood * log_likelihood, 1 / likelihood, log_likelihood

    def _look_up(self, log_weights: np.ndarray) -> np.ndarray:
        """Score by look-ups in packed votes."""
        if self._packed is None:
            self._packed = PackedVotes(self.votes, self._alone)
        result = np.empty((len(log_weights), len(self.votes)))
        for row, logs in zip(result, log_weights, strict=True):
            self._look_one_up(self._packed, logs, out=row)
        result /= self.votes.shape[2]
        return result

    def _look_one_up(
        self, packed: PackedVotes, log_weights: np.ndarray, *, out: np.ndarray
    ) -> None:
        """Score for one realization, log-weights of shape (M,); the judges' sum to (n,)."""
        chance = self.belief.likelihood(packed.meaning)
        doubt = np.exp(log_weights).sum() - 1
        sure = doubt * chance.min() / chance.max() < self.SURE
        score = self._by_leader if sure else self._as_it_stands
        start = 0
        for nats in score(packed, log_weights[:, None], chance):
            stop = start + nats.shape[1]
            nats.sum(axis=0, out=out[start:stop])
            start = stop

    def _as_it_stands(
        self, packed: PackedVotes, log_weights: np.ndarray, chance: np.ndarray
    ) -> Iterator[np.ndarray]:
        """Yield log Z - (1/Z) sum p_j log p_j of each block: float64, shape (z, q)."""
        logs = log_weights + np.log(chance)
        p = np.exp(logs)
        tables = packed.tables(p + 1j * p * logs)
        for block in packed.blocks:
            total = add_up(block, tables)
            z = total.real.copy()
            nats = np.log(z)
            nats -= np.divide(total.imag, z, out=z)
            yield nats

    def _by_leader(
        self, packed: PackedVotes, log_weights: np.ndarray, chance: np.ndarray
    ) -> Iterator[np.ndarray]:
        """Yield the same taken relative to the leader, which is exact for a belief that is sure."""
        leader = int(log_weights.argmax())
        logs = log_weights + np.log(chance)
        p = np.exp(log_weights) * chance
        p[leader] = 0.0
        tables = packed.tables(p + 1j * p * logs)
        chunk, digit = packed.place(leader)
        inverse, log_likelihood = (1 / chance)[digit], np.log(chance)[digit]
        for block in packed.blocks:
            total = add_up(block, tables)
            scale = inverse.take(block[chunk])
            x, y = total.real * scale, total.imag * scale
            np.take(log_likelihood, block[chunk], out=scale, mode="clip")
            yield _entropy_of(x, y, scale)


def _odd_one_out(chance: np.ndarray) -> int | None:
    """Return a vote whose likelihood may differ while the other two have the same, or None."""
    for vote in (-1, 0, 1):
        first, second = np.delete(chance, vote + 1)
        if first == second:
            return vote
    return None


def _entropy_of(x: np.ndarray, y: np.ndarray, log_e: np.ndarray) -> np.ndarray:
    """Return ``log(1 + x) + (x log e_l - y) / (1 + x)``, in nats; the arguments are used up."""
    np.multiply(x, log_e, out=log_e)
    log_e -= y
    np.log1p(x, out=y)
    x += 1
    log_e /= x
    y += log_e
    return y
