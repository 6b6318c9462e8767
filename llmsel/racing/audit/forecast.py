"""What the rest of a race is likely to cost. Predictions only: no certificate depends on them."""

from __future__ import annotations

import numpy as np

from llmsel.racing.audit.ledger import Ledger
from llmsel.racing.audit.shared_bets import SharedBets

LARGEST_PART = 0.8  # of its open queries that a model is predicted to need at most


def predicted_rest(
    ledger: Ledger,
    bets: SharedBets,
    *,
    live: np.ndarray,
    leader: int,
    seen: int,
    delta: float,
    limit: float,
) -> tuple[float, float]:
    """Predict the calls that are left, if the plain race goes on and if an audit starts.

    A capital is taken to grow as it just promised to on a shared query, and in an audit by the
    divergence of a challenger's losses from the leader's on every draw.

    Args:
        ledger: what is judged.
        bets: capitals of the plain race.
        live: bool (M,): models not dropped.
        leader: the champion, if the audit starts.
        seen: number of shared queries.
        delta: win-rate margin of the claim.
        limit: log capital that drops a model.
    """
    rem = float(ledger.pool_size - seen)
    others = live & (np.arange(len(live)) != leader)
    paid = others & (ledger.half > 0)
    loss = (ledger.known / 2 - ledger.total + 1) / (ledger.known + 2)
    mark = loss[leader] - delta
    growth = np.where(loss > mark, divergence(loss, max(mark, 0.01)), 0.0)
    audit = _needed(limit - bets.against(leader), growth, LARGEST_PART * rem)
    plain = _needed(limit - bets.capital, bets.growth, LARGEST_PART * rem)
    if bets.pairs is not None:
        pair = _needed(limit - bets.pairs[leader], bets.pair_growth[leader], np.inf)
        plain = np.minimum(plain, pair)
    if not ledger.half[leader]:  # the baseline costs nothing
        return float(plain[paid].sum()), float(audit[paid].sum())
    longest = float(plain[others].max())
    return float(plain[paid].sum()) + longest, rem + float(audit[paid].sum())


def _needed(nats: np.ndarray, growth: np.ndarray, most: float) -> np.ndarray:
    """Return the calls that gain some nats at a growth per call, at most so many."""
    return np.asarray(np.minimum(nats / np.maximum(growth, 1e-12), most))


def divergence(p: np.ndarray, q: float) -> np.ndarray:
    """Return the Kullback-Leibler divergence of coins p from a coin q, in nats."""
    return np.asarray(p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q)))
