"""Benchmarks by name: where each comes from and how it becomes a Pool."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from llmsel._base.errors import InputError, unknown
from llmsel.benchmarks import (
    alpacaeval,
    arena_hard,
    assemble,
    humaneval,
    mt_bench,
    published,
    shaberi,
    simulated,
    smol,
)
from llmsel.benchmarks.assemble import cached
from llmsel.benchmarks.fetch import fetch_all, is_here, registry, state
from llmsel.pool import Pool
from llmsel.weak_judges import add_votes


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
        alpacaeval.needed,
    ),
    "arena-hard": Benchmark(
        arena_hard.load,
        "500 x 36",
        "Arena-Hard 0.1, judged by GPT-4o against gpt-4-0314",
        arena_hard.needed,
    ),
    "mt-bench": Benchmark(
        mt_bench.load,
        "80 x 5",
        "MT-Bench, first turns judged by human experts",
        mt_bench.needed,
    ),
    "humaneval": Benchmark(
        humaneval.load,
        "164 x 30",
        "HumanEval, judged by unit tests; nothing is executed",
        humaneval.needed,
        own=humaneval.FILES,
    ),
}
for _name, (_n, _m) in shaberi.SHAPES.items():
    BENCHMARKS[f"shaberi:{_name}"] = Benchmark(
        partial(shaberi.load, _name),
        f"{_n} x {_m}",
        f"Japanese queries, answers graded by {_name}; in the repository",
        own=shaberi.FILES,
    )
for _name, (_n, _m) in published.SHAPES.items():
    BENCHMARKS[f"official:{_name}"] = Benchmark(
        partial(published.load, _name),
        f"{_n} x {_m}",
        f"the paper's published matrices of {_name}",
        partial(published.needed, _name),
    )
for _name, (_n, _m) in published.SHAPES.items():
    BENCHMARKS[f"twin:{_name}"] = Benchmark(
        partial(simulated.load, _name),
        f"{_n} x {_m}",
        f"simulated stand-in with the shape of the paper's {_name}",
    )


def names() -> tuple[str, ...]:
    """Names of all benchmarks."""
    return tuple(BENCHMARKS)


def load(name: str, *, votes: bool = True, **options: Any) -> Pool:
    """Load a benchmark with its weak votes.

    A benchmark made of published files is kept in the cache once it is read.

    Args:
        name: one of `names`.
        votes: add the votes of the k-gram judges where the benchmark brings responses and no votes.
        options: passed to the benchmark's own loader, such as ``baseline`` or ``seed``.

    Raises:
        InputError: an unknown name (the nearest is suggested) or option, or files that cannot be
            had.
    """
    benchmark = _find(name)
    known = inspect.signature(benchmark.load)
    try:
        known.bind(**options)
    except TypeError as error:
        raise InputError(f"benchmark '{name}': {error}; its options: {known}.") from error

    if "folder" not in options:
        _need_own(name, benchmark)

    def build() -> Pool:
        pool = benchmark.load(**options)
        wordless = pool.responses is None or not votes
        return pool if wordless or pool.votes is not None else add_votes(pool)

    if benchmark.files():
        return cached(fingerprint(name), options | {"votes": votes}, build=build)
    return build()


def describe(name: str) -> dict[str, Any]:
    """Name, size, origin of a benchmark, and whether its files are here."""
    benchmark = _find(name)
    # the list of files to fetch may itself be one of those in the repository
    here = not _absent(benchmark) and all(is_here(file) for file in benchmark.files())
    return {"name": name, "size": benchmark.size, "about": benchmark.about, "here": here}


def fingerprint(name: str) -> str:
    """Hash of a benchmark's files; those to be fetched are not read, their pins are hashes."""
    benchmark = _find(name)
    _need_own(name, benchmark)
    digest = hashlib.sha256()
    for file in benchmark.files():
        digest.update(f"{file} {registry()[file]}".encode())
    for path in benchmark.own:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def sources(name: str) -> tuple[Path, ...]:
    """Modules that make a benchmark's pool of its files."""
    load_it = _find(name).load
    loader = inspect.getmodule(load_it.func if isinstance(load_it, partial) else load_it)
    return tuple(Path(str(module.__file__)) for module in (assemble, loader) if module)


def fetch_files(name: str) -> list[Path]:
    """Fetch and verify all files of a benchmark (an empty list: it is in the repository)."""
    benchmark = _find(name)
    _need_own(name, benchmark)
    return fetch_all(benchmark.files(), name)


def verify(name: str) -> dict[str, list[str]]:
    """Check the hashes of a benchmark's files that are here; nothing is fetched.

    Returns:
        The files by state: ``verified``, ``damaged``, ``absent``.
    """
    benchmark = _find(name)
    absent = [str(path) for path in _absent(benchmark)]
    found: dict[str, list[str]] = {"verified": [], "damaged": [], "absent": absent}
    for file in () if absent else benchmark.files():
        found[state(file)].append(file)
    return found


def _absent(benchmark: Benchmark) -> list[Path]:
    """Files of the repository that are not here: llmsel was installed without its checkout."""
    return [path for path in benchmark.own if not path.exists()]


def _need_own(name: str, benchmark: Benchmark) -> None:
    if absent := _absent(benchmark):
        raise InputError(
            f"benchmark '{name}' is part of llmsel's repository, and '{absent[0]}' is not here: "
            "clone the repository and name its folder in LLMSEL_ROOT."
        )


def _find(name: str) -> Benchmark:
    if name not in BENCHMARKS:
        raise unknown("benchmark", name, BENCHMARKS)
    return BENCHMARKS[name]
