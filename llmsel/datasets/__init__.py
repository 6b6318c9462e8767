"""Benchmarks by name: where each comes from and how it becomes a Pool."""

from __future__ import annotations

from typing import Any

from llmsel.datasets import smol
from llmsel.errors import unknown
from llmsel.pool import Pool
from llmsel.weak import add_votes

LOADERS = {"smol": smol.load}


def load(name: str, **options: Any) -> Pool:
    """Load a benchmark with its weak votes.

    Raises
    ------
    InputError: an unknown name (the nearest is suggested).
    """
    if name not in LOADERS:
        raise unknown("benchmark", name, LOADERS)
    pool = LOADERS[name](**options)
    return pool if pool.votes is not None else add_votes(pool)
