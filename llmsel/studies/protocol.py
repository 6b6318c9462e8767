"""What every experiment shares: the result, sizes, blocks, processes, checkpoint, provenance."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from llmsel._base.files import cache_dir
from llmsel.pool import Pool


@dataclasses.dataclass(frozen=True, eq=False)
class Result:
    """What every strategy chose in every realization.

    Args:
        pool: the benchmark, with outcomes.
        orders: int32, shape ``(R, P)``: the pool of each realization in its random order.
        chosen: per strategy name, int32, shape ``(R, B)``: query positions in order of annotation.
        parameters: everything that made the result: seed, sizes, strategies, versions, input hash.
    """

    pool: Pool
    orders: np.ndarray
    chosen: Mapping[str, np.ndarray]
    parameters: Mapping[str, Any]

    @property
    def budget(self) -> int:
        """Annotations per realization ``B``."""
        return next(iter(self.chosen.values())).shape[1]


def checkpoints() -> Path:
    """Folder in the user's cache where interrupted experiments keep what is finished."""
    return cache_dir() / "runs"
