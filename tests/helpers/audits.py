"""Races on pools made to tempt them (`llmsel.benchmarks.hostile`), and how many may go wrong."""

import numpy as np

from llmsel.benchmarks.hostile import coins, hostile_tables, lift, with_baseline
from llmsel.studies.promises import broken as play

__all__ = ["bound", "coins", "hostile_tables", "lift", "play", "with_baseline"]


def bound(races, alpha=0.05):
    """Wrong certificates that a rate of alpha exceeds with a chance of about 1 in 100."""
    return alpha * races + 2.4 * np.sqrt(alpha * (1 - alpha) * races)
