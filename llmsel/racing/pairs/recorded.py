"""What outcomes that are there already say of all pairs: exact, or as far as they go."""

from __future__ import annotations

import numpy as np

from llmsel._base.words import counted
from llmsel.pool import MISSING, Pool
from llmsel.racing.pairs.layout import comparisons, described

SLACK = 1e-9


def used_cells(pool: Pool) -> np.ndarray:
    """Mark the cells of a pool of all pairs that stand for a comparison: bool (n, M)."""
    m = pool.n_models - 1
    opponent = np.arange(pool.n_queries) % (m - 1) + 1
    used: np.ndarray = np.arange(pool.n_models) < opponent[:, None]
    return used


def sums(pool: Pool) -> tuple[np.ndarray, np.ndarray]:
    """Sum r = +1/2, 0, -1/2 of each model against each other one.

    Args:
        pool: of all pairs, with outcomes.

    Returns:
        float64 (M, M) each, M without the opponent: with every missing outcome a loss, and a win.
    """
    m = pool.n_models - 1
    table = pool.need("outcomes")[:, :m].reshape(-1, m - 1, m).astype(float) / 2
    missing = table == MISSING / 2
    low, high = np.zeros((2, m, m))
    for b in range(1, m):
        for a in range(b):
            cells, gone = table[:, b - 1, a], missing[:, b - 1, a]
            known, unknown = cells[~gone].sum(), gone.sum() / 2
            low[a, b], high[a, b] = known - unknown, known + unknown
            low[b, a], high[b, a] = -high[a, b], -low[a, b]
    return low, high


def standing_of(pool: Pool) -> tuple[tuple[str, ...], str]:
    """Say who is unbeaten, and who has the highest mean win rate.

    Args:
        pool: of all pairs, with outcomes.

    Returns:
        The models that surely no other beats, and a sentence or two.
    """
    low, high = sums(pool)
    names = np.array(pool.models[:-1], dtype=object)
    unbeaten = tuple(names[(high <= SLACK).all(axis=0)])
    mean_low, mean_high = low.sum(axis=1), high.sum(axis=1)
    best = [j for j in range(len(names)) if mean_low[j] >= np.delete(mean_high, j).max() - SLACK]
    if unbeaten:
        said = f"no model beats {_listed(unbeaten)} in direct comparison"
    elif (low > SLACK).any(axis=0).all():
        said = "every model is beaten by another: there is no Condorcet winner"
    else:
        said = "who is unbeaten hangs on what is missing"
    if best:
        most = f"{_listed(names[best])} {'have' if len(best) > 1 else 'has'}"
        said += f"; {most} the highest mean win rate against all others"
    else:
        said += "; who has the highest mean win rate hangs on what is missing"
    gone = int((pool.need("outcomes") == MISSING)[used_cells(pool)].sum())
    lost = f", {counted(gone, 'outcome')} missing" if gone else ": this is exact"
    return unbeaten, f"{said} ({described(pool)}, {comparisons(pool) - gone} comparisons{lost})."


def _listed(names: np.ndarray | tuple[str, ...]) -> str:
    return " and ".join(f"'{name}'" for name in names)
