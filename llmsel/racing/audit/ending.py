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
    low, high = ledger.low, np.where(live, ledger.high, -np.inf)
    rival = np.full(len(high), high.max())  # what the best of the others may have won
    rival[high.argmax()] = np.delete(high, high.argmax()).max()
    leaders = best_rated(ledger, live)
    if champion >= 0:  # sums never fall below a champion's: the proof needs it
        leaders = live & (low == low[champion])
    best, near = leaders & (low >= rival), leaders & (low >= rival - margin)
    if best.any() and not (champion >= 0 and margin > 0):  # who is dropped may be better by less
        return (TIED if best.sum() > 1 else EXHAUSTED), best
    if near.any() and margin > 0:
        return WITHIN, near
    return INCOMPLETE, best_rated(ledger, live)


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
