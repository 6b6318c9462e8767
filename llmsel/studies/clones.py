"""Clones: what copies of a model do to the choice of queries, and a prior that bears them.

A belief that is uniform over models gives a model and its four copies five times the mass of any
other, so queries are chosen for them. Whoever enters one model under several names, or many
fine-tunes of one, steers the annotation. The answers tell which models are one family
(`families`); `FamilyPrior` gives each family one model's mass.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import pandas as pd

from llmsel._base.errors import InputError, unknown
from llmsel._base.intervals import mean_interval
from llmsel.pool import MISSING, Pool
from llmsel.strategies import LLMSelector
from llmsel.studies.protocol import Result
from llmsel.studies.scores import GAP, score

LEAST = 0.9  # share of queries with equal answers that makes two models one family
# kind of clone -> share of queries on which all differs, share of votes that differ
KINDS: Mapping[str, tuple[float, float]] = {
    "exact copies": (0.0, 0.0),
    "near-duplicates": (0.01, 0.0),
    "aliases": (0.0, 0.2),
}
MEMBERS = ("weighted", "one")


def with_clones(
    pool: Pool, parent: str, kind: str = "exact copies", *, copies: int = 4, seed: int = 0
) -> Pool:
    """Return the pool with clones of a candidate, behind the other models.

    Args:
        pool: with outcomes and votes.
        parent: name of the candidate.
        kind: of `KINDS`. Near-duplicates give another answer on 1 % of the queries, with another
            outcome and other votes; of aliases a fifth of the votes differs and nothing else.
        copies: number of clones.
        seed: of what differs.

    Raises:
        InputError: an unknown candidate or kind.
    """
    if parent not in pool.candidates:
        raise unknown("candidate", parent, pool.candidates)
    if kind not in KINDS:
        raise unknown("kind of clone", kind, KINDS)
    rng = np.random.default_rng(seed)
    column = pool.column(parent)
    votes = np.repeat(pool.need("votes")[:, [column]], copies, axis=1)
    outcomes = np.repeat(pool.need("outcomes")[:, [column]], copies, axis=1)
    queries, cells = KINDS[kind]
    other = rng.random(outcomes.shape) < queries
    moved = other[..., None] | (rng.random(votes.shape) < cells)
    votes = np.where(moved, _next(votes), votes)
    outcomes = np.where(other & (outcomes != MISSING), _next(outcomes), outcomes)
    fields = {
        "models": (*pool.models, *(f"{parent}, copy {c + 1}" for c in range(copies))),
        "votes": np.concatenate([pool.need("votes"), votes], axis=1).astype(np.int8),
        "outcomes": np.concatenate([pool.need("outcomes"), outcomes], axis=1).astype(np.int8),
    }
    if pool.responses is not None:
        answers = np.repeat(pool.responses[:, [column]], copies, axis=1)
        answers = np.where(other, answers + " (other words)", answers)
        fields["responses"] = np.concatenate([pool.responses, answers], axis=1)
    return pool.replace(**fields)


def _next(outcomes: np.ndarray) -> np.ndarray:
    """Loss to draw, draw to win, win to loss."""
    return (outcomes.astype(int) + 2) % 3 - 1


def families(pool: Pool, least: float = LEAST) -> np.ndarray:
    """Group the models that answer alike.

    Two candidates are of one family if they give the same answer on a share of ``least`` of the
    queries, or where the pool has no responses, get the same votes of every judge; so are those
    that a third joins. No outcome is looked at. The baseline is always alone.

    Args:
        pool: with responses or votes.
        least: share of the queries, above 0.

    Returns:
        int64, shape ``(M,)``: for each model the column of its family's first member.

    Raises:
        InputError: a share outside (0, 1].
    """
    if not 0 < least <= 1:
        raise InputError(f"least={least}; the share of equal answers must be above 0, at most 1.")
    if pool.responses is not None:
        codes = np.stack([pd.factorize(row)[0] for row in pool.responses])
    else:
        rows = pool.need("votes")
        codes = np.stack([np.unique(row, axis=0, return_inverse=True)[1] for row in rows])
    first = np.arange(pool.n_models)
    for j in pool.candidate_columns:
        same = (codes[:, [j]] == codes).mean(axis=0) >= least
        same[pool.baseline_index] = False
        joined = np.isin(first, first[same])
        first[joined] = first[joined].min()
    return first


class FamilyPrior(LLMSelector):
    """LLM Selector whose prior gives each family of models (`families`) one model's mass.

    Args:
        eps_loss, eps_draw: as in `LLMSelector`.
        least: share of equal answers that makes a family.
        members: ``one``: the first member stands for its family in the belief, so copies change
            nothing; ``weighted``: all members stand in it and share the mass.

    Raises:
        InputError: unknown ``members``, or what `LLMSelector` and `families` refuse.
    """

    name = "LLM Selector, family prior"

    def __init__(
        self,
        eps_loss: float = 0.2,
        eps_draw: float = 0.4,
        *,
        least: float = LEAST,
        members: str = "one",
    ) -> None:
        """Check the parameters."""
        super().__init__(eps_loss, eps_draw)
        if members not in MEMBERS:
            raise unknown("way to count members", members, MEMBERS)
        self.least = least
        self.members = members
        if members == "weighted":
            self.name = "LLM Selector, family weights"  # type: ignore[misc]

    def prepare(self, pool: Pool) -> None:
        """Find the families by the answers."""
        super().prepare(pool)
        first = families(pool, self.least)
        kept = np.flatnonzero(first == np.arange(pool.n_models))
        self._kept = kept if self.members == "one" else np.arange(pool.n_models)
        self._votes = np.ascontiguousarray(self._votes[:, self._kept])
        size = np.bincount(first, minlength=pool.n_models)[first]
        self._prior = np.zeros(len(kept)) if self.members == "one" else -np.log(size)
        self._prior -= self._prior.max()

    def begin(self, realizations: int) -> None:
        """Every family has the same mass."""
        super().begin(realizations)
        self._log_weights = self._log_weights + self._prior

    def observe(self, chosen: np.ndarray, outcomes: np.ndarray) -> None:
        """Bayes' rule over those in the belief."""
        super().observe(chosen, outcomes[:, self._kept])


def clone_effect(clean: Result, cloned: Result, *, budget: int | None = None) -> pd.DataFrame:
    """Compare runs with clones with runs without, on the same pools.

    Both are asked for the best of the models without clones, as a clone's answer is its parent's:
    what differs is the choice of queries alone.

    Args:
        clean: without clones.
        cloned: the same strategies, pools and seed, with clones.
        budget: annotations looked at; None takes all.

    Returns:
        One row per strategy: ``strategy``, ``order`` and ``set`` (shares of the pools in which the
        path, or the set of annotated queries, changed), ``jaccard`` (mean of shared queries over
        all), ``cumulative`` (sum over the budgets of the gap in win rate, with clones less
        without) with ``low``, ``high`` (95 % over pools), and ``last`` (change of the last gap).

    Raises:
        InputError: results on other pools.
    """
    if not np.array_equal(clean.orders, cloned.orders):
        raise InputError("the two results are not on the same pools; give both runs one seed.")
    before, after = score(clean), score(dataclasses.replace(clean, chosen=cloned.chosen))
    rows = []
    for name in clean.chosen:
        paths = clean.chosen[name][:, :budget], cloned.chosen[name][:, :budget]
        share = np.array([shared(*pair) for pair in zip(*paths, strict=True)])
        change = (after[name][GAP] - before[name][GAP])[:, :budget].astype(float)
        low, mean, high = mean_interval(change.sum(axis=1))
        order = (paths[0] != paths[1]).any(axis=1).mean()
        different = (share < 1).mean()
        rows.append((name, order, different, share.mean(), mean, low, high, change[:, -1].mean()))
    columns = ["strategy", "order", "set", "jaccard", "cumulative", "low", "high", "last"]
    return pd.DataFrame(rows, columns=columns)


def shared(one: np.ndarray, other: np.ndarray) -> float:
    """Queries in both over queries in either."""
    first, second = set(one.tolist()), set(other.tolist())
    return len(first & second) / len(first | second)
