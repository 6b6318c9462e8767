"""Simulated pools on which careless elimination rules lose the best model."""

from __future__ import annotations

import numpy as np

from llmsel.pool import Pool


def hostile_pools(queries: int = 250, candidates: int = 15, seed: int = 0) -> dict[str, Pool]:
    """Simulate pools that tempt a race into dropping the best model.

    Meant to be raced as a whole (``pool_size = queries``), so that only the order is random.

    Parameters
    ----------
    queries, candidates: sizes, at least 20 and 3.
    seed: of the simulation.

    Returns
    -------
    Name -> pool, each marked as simulated. "all equal": every candidate wins by the same fair
    coin; "near ties": two candidates a single query apart, far above the rest; "heavy draws":
    95 % draws, close abilities; "drift": candidates that are strong early or late in file order;
    "adversarial prefix": the best candidate loses the first quarter of the file and wins after.
    """
    rng = np.random.default_rng(seed)
    shape = (queries, candidates)

    def win(chance: np.ndarray | float) -> np.ndarray:
        return np.where(rng.random(shape) < chance, 1, -1)

    tables = {"all equal": win(0.5)}
    ties = win(np.where(np.arange(candidates) < 2, 0.8, 0.5))
    ties[:, 1] = ties[rng.permutation(queries), 0]  # the same number of wins, elsewhere
    ties[np.flatnonzero(ties[:, 1] == -1)[0], 1] = 1
    tables["near ties"] = ties
    tables["heavy draws"] = win(np.linspace(0.5, 0.6, candidates)) * (rng.random(shape) < 0.05)
    place = np.linspace(-1, 1, queries)[:, None]
    tables["drift"] = win(0.5 + 0.4 * place * np.where(np.arange(candidates) % 2, 1, -1))
    prefix = win(np.where(np.arange(candidates) == 0, 1.0, 0.7))
    prefix[: queries // 4, 0] = -1
    tables["adversarial prefix"] = prefix
    models = (*(f"candidate-{j}" for j in range(candidates)), "baseline")
    return {
        name: Pool(
            tuple(f"q{i}" for i in range(queries)),
            models,
            "baseline",
            outcomes=np.column_stack([table, np.zeros(queries)]).astype(np.int8),
            name=name,
            simulated=True,
        )
        for name, table in tables.items()
    }
