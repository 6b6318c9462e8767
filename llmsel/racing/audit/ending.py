"""Who is named when a race has asked all that it could."""

from __future__ import annotations

import numpy as np

from llmsel._base.verdicts import EXHAUSTED, INCOMPLETE, TIED, WITHIN
from llmsel.racing.audit.ledger import Ledger


def best_rated(ledger: Ledger, some: np.ndarray) -> np.ndarray:
    """Mark the models of the highest rate among some: bool (M,)."""
    rate = np.where(some, ledger.rate, -np.inf)
    return np.asarray(some & (rate == rate.max()))


def exhausted(
    ledger: Ledger, live: np.ndarray, champion: int, margin: float
) -> tuple[str, np.ndarray]:
    """Say why a race ends that has asked everything of the live, and mark its answer.

    Args:
        ledger: what is judged.
        live: bool (M,): at least two models, judged in full.
        champion: column; -1 if there is none.
        margin: delta P.

    Returns:
        The stop, and bool (M,).
    """
    low, high = ledger.low, ledger.high
    leaders = best_rated(ledger, live)
    if champion >= 0:  # sums never fall below a champion's: the proof needs it
        leaders = live & (low == low[champion])
    near = champion >= 0 and margin > 0
    return settled(low, high, live, leaders, margin, near=near) or (
        INCOMPLETE,
        best_rated(ledger, live),
    )


def settled(
    low: np.ndarray,
    high: np.ndarray,
    live: np.ndarray,
    leaders: np.ndarray,
    margin: float,
    *,
    near: bool,
) -> tuple[str, np.ndarray] | None:
    """Say which leaders are the answer, or None if what is missing could turn it.

    Args:
        low: float64 (M,): sums with every missing outcome a loss.
        high: float64 (M,): the same with a win.
        live: bool (M,): at least two models, judged in full.
        leaders: bool (M,): those of them that may be named.
        margin: delta times the cells of a model.
        near: whether models were dropped that may be better by that margin.
    """
    most = np.where(live, high, -np.inf)
    rival = np.full(len(most), most.max())  # what the best of the others may have won
    rival[most.argmax()] = np.delete(most, most.argmax()).max()
    best, close = leaders & (low >= rival), leaders & (low >= rival - margin)
    if best.any() and not near:
        return (TIED if best.sum() > 1 else EXHAUSTED), best
    if close.any() and margin > 0:
        return WITHIN, close
    return None


def exhausted_best(
    ledger: Ledger, live: np.ndarray, champion: int, margin: float, best: int
) -> tuple[str, np.ndarray]:
    """Say the same of the best few: arguments as of `exhausted`.

    Args:
        ledger: what is judged.
        live: bool (M,): more than ``best`` models, judged in full.
        champion: column of the least champion; -1 if there is none.
        margin: delta P.
        best: how many are wanted; more are named if they tie for the last place.
    """
    low = np.where(live, ledger.low, -np.inf)
    least = low[champion] if champion >= 0 else np.sort(low)[-best]
    named = low >= least
    rival = ledger.high[live & ~named].max(initial=-np.inf)
    if rival <= least and not (champion >= 0 and margin > 0):
        return EXHAUSTED, named
    return (WITHIN if margin > 0 and rival <= least + margin else INCOMPLETE), named
