"""Benchmarks by name: where each comes from and how it becomes a Pool."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from llmsel.datasets import alpacaeval, smol
from llmsel.datasets.fetch import fetch_all, files, is_here, registry
from llmsel.errors import unknown
from llmsel.pool import MISSING, Pool
from llmsel.weak import add_votes


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """How a benchmark is made: its loader, the published files it reads, and one line about it."""

    load: Callable[..., Pool]
    size: str
    about: str
    files: Callable[[], list[str]] = list  # published files, pinned in the registry
    own: tuple[Path, ...] = ()  # files of this repository


BENCHMARKS = {
    "smol": Benchmark(
        smol.load,
        "120 x 12",
        "answers of a small local LLM, judged by programs; in the repository",
        own=smol.FILES,
    ),
    "alpacaeval": Benchmark(
        alpacaeval.load,
        "805 x 53",
        "AlpacaEval 1, judged by GPT-4 against text_davinci_003",
        lambda: files(alpacaeval.COMMIT),
    ),
}


def names() -> tuple[str, ...]:
    """Names of all benchmarks."""
    return tuple(BENCHMARKS)


def load(name: str, **options: Any) -> Pool:
    """Load a benchmark with its weak votes.

    Parameters
    ----------
    name: one of `names`.
    options: passed to the benchmark's own loader.

    Raises
    ------
    InputError: an unknown name (the nearest is suggested), or files that cannot be had.
    """
    pool = _find(name).load(**options)
    return pool if pool.votes is not None else add_votes(pool)


def describe(name: str) -> dict[str, Any]:
    """Name, size, origin of a benchmark, and whether its files are here."""
    benchmark = _find(name)
    here = all(is_here(file) for file in benchmark.files())
    return {"name": name, "size": benchmark.size, "about": benchmark.about, "here": here}


def fingerprint(name: str) -> str:
    """Hash of a benchmark's files; those to be fetched are not read, their pins are hashes."""
    benchmark = _find(name)
    digest = hashlib.sha256()
    for file in benchmark.files():
        digest.update(f"{file} {registry()[file]}".encode())
    for path in benchmark.own:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def fetch_files(name: str) -> list[Path]:
    """Fetch and verify all files of a benchmark (an empty list: it is in the repository)."""
    return fetch_all(_find(name).files(), name)


def card(name: str) -> str:
    """Describe a benchmark from its data: size, judged cells, draws, win rates, oddities."""
    pool = load(name)
    outcomes = np.delete(pool.need("outcomes"), pool.baseline_index, axis=1)
    judged = outcomes[outcomes != MISSING]
    rates = sorted(zip(pool.win_rates(), pool.models, strict=True), reverse=True)
    lines = [
        f"{name}{' (simulated)' if pool.simulated else ''}: {_find(name).about}",
        f"queries {pool.n_queries}, candidates {len(pool.candidates)}, baseline {pool.baseline}",
        f"judged cells {judged.size} of {outcomes.size}, missing {outcomes.size - judged.size}",
        f"wins {(judged == 1).mean():.1%}, draws {(judged == 0).mean():.1%}, "
        f"losses {(judged == -1).mean():.1%}",
        "best:  " + ", ".join(f"{m} {r:.1%}" for r, m in rates[:3]),
        "worst: " + ", ".join(f"{m} {r:.1%}" for r, m in rates[-3:]),
        *(f"{key}: {value}" for key, value in pool.notes.items()),
        f"content sha256 {pool.content_hash}",
    ]
    return "\n".join(lines)


def _find(name: str) -> Benchmark:
    if name not in BENCHMARKS:
        raise unknown("benchmark", name, BENCHMARKS)
    return BENCHMARKS[name]
