"""What outcomes that are there already say of all pairs: exact, or as far as they go."""

from __future__ import annotations

import numpy as np

from llmsel._base.words import counted
from llmsel.pool import MISSING, Pool
from llmsel.racing.pairs.layout import (
    comparisons,
    contestants,
    described,
    outcomes_of,
    used_cells,
)
from llmsel.racing.pairs.table import most_sums


def standing_of(pool: Pool) -> tuple[tuple[str, ...], str]:
    """Say who is unbeaten, and who has the highest mean win rate.

    Args:
        pool: of all pairs, with outcomes.

    Returns:
        The models that surely no other beats, and a sentence or two.
    """
    most = most_sums(outcomes_of(pool))
    names = np.array(contestants(pool), dtype=object)
    unbeaten = tuple(names[(most <= 0).all(axis=0)])
    high, low = most.sum(axis=1), -most.sum(axis=0)
    best = [j for j in range(len(names)) if low[j] >= np.delete(high, j).max()]
    if unbeaten:
        said = f"no model beats {_listed(unbeaten)} in direct comparison"
    elif (most < 0).any(axis=1).all():  # somebody surely wins more against each
        said = "every model is beaten by another: there is no Condorcet winner"
    else:
        said = "who is unbeaten hangs on what is missing"
    if best:
        who = f"{_listed(names[best])} {'have' if len(best) > 1 else 'has'}"
        said += f"; {who} the highest mean win rate against all others"
    else:
        said += "; who has the highest mean win rate hangs on what is missing"
    gone = int((pool.need("outcomes") == MISSING)[used_cells(pool)].sum())
    lost = f", {counted(gone, 'outcome')} missing" if gone else ": this is exact"
    return unbeaten, f"{said} ({described(pool)}, {comparisons(pool) - gone} comparisons{lost})."


def _listed(names: np.ndarray | tuple[str, ...]) -> str:
    return " and ".join(f"'{name}'" for name in names)
