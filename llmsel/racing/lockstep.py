"""Races by whole queries, side by side: what `Race` and the experiments both run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from llmsel._base.budget import Budget
from llmsel._base.errors import InputError
from llmsel._base.verdicts import (
    BUDGET,
    EXHAUSTED,
    FAILED,
    INCOMPLETE,
    ONE_LEFT,
    TIED,
    WITHIN,
    RaceVerdict,
    give_verdict,
)
from llmsel.racing.elimination import LockstepRule, Standing
from llmsel.racing.rules import check_margin


class Races:
    """R races side by side, each on its own pool of P queries; the number seen is the same in all.

    Alternate `begin_batch` and `learn` until no race is left in ``who``. Realization r depends on
    its own rows only, so it is the same alone or with a thousand others.

    Args:
        realizations, n_models, pool_size: sizes R, M, P.
        baseline: column of the baseline.
        rule: elimination rule.
        delta: win-rate margin (0..1) of the early stop; 0 for none.
        batch: queries judged per step; models are dropped only after each batch.
        budget: a batch is begun only if it can be paid in full.

    Attributes:
        who: int (r,): realizations still racing. ``now``: their `Standing`; calls: (r,) their cost.
        winners: bool (R, M): present leaders, at the end the answer. stop: str (R,): why it ended.
        dropped: int (R, M): queries seen when a model was dropped, 0 for the live.
    """

    def __init__(
        self,
        realizations: int,
        n_models: int,
        *,
        baseline: int,
        pool_size: int,
        rule: LockstepRule,
        delta: float = 0.0,
        batch: int = 1,
        budget: Budget | None = None,
    ):
        """Line up; nothing is judged yet."""
        check_margin(delta)
        if batch < 1:
            raise InputError(f"batch={batch}; at least one query is judged per step.")
        self.budget = Budget() if budget is None else budget
        self.who = np.arange(realizations)
        self.now = Standing(realizations, n_models, baseline=baseline, pool_size=pool_size)
        self.calls = np.zeros(realizations)
        self.winners = np.ones((realizations, n_models), dtype=bool)
        self.stop = np.full(realizations, "", dtype="<U16")
        self.dropped = np.zeros((realizations, n_models), dtype=int)
        self._evidence = rule.begin(self.now, delta)
        self._paid = np.arange(n_models) != baseline
        self.rule, self._batch, self._delta = rule, batch, delta

    def begin_batch(self) -> int:
        """Return the number of queries to judge now, after ending the races that cannot pay."""
        count = min(self._batch, self.now.pool_size - self.now.seen)
        price = count * (self.now.live & self._paid).sum(axis=1)
        broke = self.calls + price > self.budget.most_calls
        broke |= self.now.seen + count > self.budget.most_queries
        self._end(broke, np.full(len(broke), BUDGET))
        self.calls += price[~broke]
        return count

    def learn(self, rows: np.ndarray) -> None:
        """Learn the judged queries in order, then drop who is beaten.

        Args:
            rows: int8, shape ``(r, count, M)``: outcomes of the live models; those of others are
                not looked at; MISSING where a judgement was given up.
        """
        now = self.now
        for q in range(rows.shape[1]):
            self._evidence.stake(now)  # before the row is seen
            self._evidence.settle(*now.add(rows[:, q]))
        leaders = now.leaders
        beaten, close = self._evidence.verdict(now)
        going = now.live & ((beaten & ~leaders) | now.out_of_reach)
        now.live &= ~going
        self.dropped[self.who] += going * now.seen
        self.winners[self.who] = leaders
        stop = np.full(len(self.who), "", dtype="<U16")
        within = close.any(axis=1) & (now.seen < now.pool_size)
        self.winners[self.who[within]] = (close & leaders)[within]
        stop[within] = WITHIN
        if now.seen == now.pool_size:
            stop, self.winners[self.who] = self._exhausted(leaders)
        stop[now.live.sum(axis=1) == 1] = ONE_LEFT
        self.winners[self.who[stop == ONE_LEFT]] = now.live[stop == ONE_LEFT]
        self._end(stop != "", stop)

    def _exhausted(self, leaders: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Say why races end that have asked everything, and who wins, whatever is missing."""
        best = leaders & self.now.surely_best(0.0)
        near = leaders & self.now.surely_best(self._delta)
        known, close = best.any(axis=1), near.any(axis=1) & (self._delta > 0)
        stop = np.where(close, WITHIN, INCOMPLETE)
        stop[known] = np.where(best[known].sum(axis=1) > 1, TIED, EXHAUSTED)
        winners = np.where(close[:, None], near, leaders)
        return stop, np.where(known[:, None], best, winners)

    def _end(self, which: np.ndarray, stop: np.ndarray) -> None:
        """End some of the races still going."""
        if not which.any():
            return
        self.stop[self.who[which]] = stop[which]
        self.who, self.calls = self.who[~which], self.calls[~which]
        self.now.keep(~which)
        self._evidence.keep(~which)

    def verdict(self, models: Sequence[str], *, failing: bool = False, **facts: Any) -> RaceVerdict:
        """Say who wins, or leads, in the first realization, and what that is worth.

        Args:
            models: names, length M.
            failing: True if the race stopped because too many judgements failed.
            facts: ``calls``, ``queries``, ``failed``, ``seed_chosen`` of `give_verdict`.
        """
        return give_verdict(
            models,
            winners=self.winners[0],
            dropped=self.dropped[0],
            stop=str(self.stop[0]) or (FAILED if failing else ""),
            alpha=getattr(self.rule, "alpha", None) if self.rule.certifies else None,
            delta=self._delta,
            n_queries=self.now.pool_size,
            **facts,
        )
