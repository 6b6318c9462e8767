"""What every experiment shares, paid by query or by call: random pools, processes, checkpoints.

A realization draws a pool of ``pool_size`` queries without replacement, in random order. It
depends only on the seed and on its number: it is the same alone, with a thousand others, or in
another process.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import inspect
import os
import shutil
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from tqdm import tqdm

from llmsel._base.errors import InputError
from llmsel._base.files import VERSION, cache_dir, write_atomically
from llmsel.pool import Pool, draw_orders
from llmsel.studies.provenance import digest

OURS, OFFICIAL = "ours", "official"  # modes: who draws the pools, breaks ties and names the answer
PACKAGE = Path(__file__).parents[1]
# the code that a half-finished experiment must be finished with
ENGINE = (
    *sorted(PACKAGE.glob("*.py")),
    *sorted((PACKAGE / "audit").glob("*.py")),
    *sorted((PACKAGE / "_base").glob("*.py")),
    *sorted(Path(__file__).parent.glob("by_*.py")),
    *sorted((Path(__file__).parent / "methods").glob("*.py")),
    Path(__file__),
)


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
        return int(next(iter(self.chosen.values())).shape[1])


@dataclasses.dataclass(frozen=True, eq=False)
class Protocol:
    """The random pools of an experiment, and what made them.

    Args:
        pool: the benchmark, with outcomes.
        orders: int32, shape ``(R, P)``: the pool of each realization in its random order.
        seed: of the orders.
        mode: `OURS`, or `OFFICIAL` (see `llmsel.studies.official`).
    """

    pool: Pool
    orders: np.ndarray
    seed: int
    mode: str = OURS

    @classmethod
    def draw(cls, pool: Pool, *, realizations: int, pool_size: int | None, seed: int) -> Protocol:
        """Draw the pools.

        Args:
            pool: with outcomes.
            realizations: number of random pools R.
            pool_size: queries per pool; None takes ``min(400, n)``.
            seed: any realization can be drawn alone from it.

        Raises:
            InputError: a pool without outcomes, or a number out of range.
        """
        pool.need("outcomes")
        size = min(400, pool.n_queries) if pool_size is None else pool_size
        if not 1 <= size <= pool.n_queries:
            raise InputError(
                f"pool_size={size} is outside 1..{pool.n_queries}, the queries of '{pool.name}'."
            )
        if realizations < 1:
            raise InputError(f"realizations={realizations}; at least 1 is needed.")
        orders = draw_orders(pool.n_queries, size, realizations=realizations, seed=seed)
        return cls(pool, orders, seed)

    @property
    def realizations(self) -> int:
        """Number of random pools R."""
        return len(self.orders)

    @property
    def pool_size(self) -> int:
        """Queries per pool P."""
        return int(self.orders.shape[1])

    def parameters(self, **more: Any) -> dict[str, Any]:
        """List all that makes a result, for the first line of its tables."""
        return {
            "benchmark": self.pool.name,
            "simulated": self.pool.simulated,
            **more,
            "mode": self.mode,
            "realizations": self.realizations,
            "pool_size": self.pool_size,
            "seed": self.seed,
            "input_sha256": self.pool.content_hash,
            "llmsel": VERSION,
            "numpy": np.__version__,
        }


@dataclasses.dataclass(frozen=True)
class Block:
    """A contestant's work on some realizations.

    Args:
        name: of the contestant.
        start: number of the first realization.
        work: makes arrays by name, each with one row per realization.
    """

    name: str
    start: int
    work: Callable[[], Mapping[str, np.ndarray]]


def names_of(contestants: Iterable[Any], kind: str) -> list[str]:
    """Names of strategies or methods.

    Raises:
        InputError: there is none, or two share a name.
    """
    names = [one.name for one in contestants]
    if not names:
        raise InputError(f"there is no {kind}; give at least one.")
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise InputError(
            f"two {'strategies' if kind == 'strategy' else f'{kind}s'} share the name "
            f"'{twice[0]}'; give each its own 'name'."
        )
    return names


def play(
    blocks: Sequence[Block],
    label: str,
    *,
    jobs: int | None = None,
    checkpoint: Path | None = None,
) -> dict[str, dict[str, np.ndarray]]:
    """Do all blocks, in parallel processes.

    Args:
        blocks: of each contestant in the order of the realizations.
        label: of the progress bar.
        jobs: processes; None takes ``LLMSEL_JOBS`` from the environment, or all cores. They run on
            whatever joblib backend is active (see `joblib.parallel_config`).
        checkpoint: folder of this experiment alone (see `checkpoint_of`): finished blocks are kept
            there until all are done.

    Returns:
        Per contestant its arrays over all realizations.
    """
    work = joblib.Parallel(
        n_jobs=min(joblib.effective_n_jobs(_jobs(jobs)), len(blocks)), return_as="generator"
    )(
        joblib.delayed(_kept)(block.work, checkpoint and checkpoint / f"{number}.npz")
        for number, block in enumerate(blocks)
    )
    parts: dict[str, list[Mapping[str, np.ndarray]]] = {}
    for block, part in zip(tqdm(blocks, desc=label, disable=None), work, strict=True):
        parts.setdefault(block.name, []).append(part)
    if checkpoint is not None:
        shutil.rmtree(checkpoint, ignore_errors=True)
    return {
        name: {key: np.concatenate([part[key] for part in some]) for key in some[0]}
        for name, some in parts.items()
    }


def _jobs(jobs: int | None) -> int:
    if jobs is not None:
        return jobs
    text = os.environ.get("LLMSEL_JOBS") or "-1"
    try:
        return int(text)
    except ValueError as error:
        raise InputError(f"LLMSEL_JOBS is '{text}'; give a number of processes.") from error


def _kept(
    work: Callable[[], Mapping[str, np.ndarray]], path: Path | None
) -> Mapping[str, np.ndarray]:
    """Do one block, or read it where an interrupted experiment has left it."""
    if path is None:
        return work()
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            return dict(kept)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        pass  # absent or damaged
    made = work()
    with contextlib.suppress(OSError), write_atomically(path) as new:  # a full disk costs no work
        np.savez(new, **made)  # type: ignore[arg-type]
    return made


def checkpoint_of(
    folder: str | Path | None, parameters: Mapping[str, Any], *, contestants: Sequence[Any]
) -> Path | None:
    """Make the folder of one experiment: another one, or other code, gets another folder.

    Args:
        folder: of all checkpoints; None for no checkpoint.
        parameters: of the experiment (see `Protocol.parameters`).
        contestants: strategies or methods; their public attributes and their classes' code count.

    Raises:
        InputError: the folder cannot be made.
    """
    if folder is None:
        return None
    engine = hashlib.sha256(b"".join(path.read_bytes() for path in ENGINE)).hexdigest()
    players = [(_code(type(one)), _settings(one)) for one in contestants]
    place = Path(folder) / digest([engine, parameters, players])[:16]
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"checkpoint '{place}' cannot be written: {error.strerror}.") from error
    return place


def _code(kind: type) -> str:
    try:
        return inspect.getsource(kind)
    except (OSError, TypeError):  # a class typed into a console has no source
        return repr(kind)


def _settings(contestant: Any) -> dict[str, Any]:
    return {k: v for k, v in sorted(vars(contestant).items()) if not k.startswith("_")}


def checkpoints() -> Path:
    """Folder in the user's cache where interrupted experiments keep what is finished."""
    return cache_dir() / "runs"
