"""A champion that is only believed to be the best may give way: what that costs the capitals."""

from __future__ import annotations

import numpy as np


class Tenure:
    """Capitals since the audit began, and what a change by guess undoes: the min rule.

    The proof is in `llmsel.racing.audit`.

    Args:
        n_models: number of models M, the baseline included.

    Attributes:
        capital: float64 (M,): log of the product of the factors, as far as it may be kept.
        gone: bool (M,): dropped since the last change by guess.
        changes: number of changes by guess.
    """

    def __init__(self, n_models: int):
        """Start with capitals of 1."""
        self.capital, self._kept = np.zeros(n_models), np.zeros(n_models)
        self.gone = np.zeros(n_models, dtype=bool)
        self.changes = 0

    def crown(self) -> None:
        """Note a change to a champion whose total is known to be larger."""
        self._kept = np.minimum(self._kept, self.capital)

    def guess(self) -> np.ndarray:
        """Give back what was lost since the last guess; return who was dropped, and is live again.

        Returns:
            bool (M,).
        """
        back = self.gone.copy()
        self.gone[:] = False
        self.capital = np.minimum(self.capital, self._kept)
        self._kept = self.capital.copy()
        self.changes += 1
        return back
