"""`twin:<name>`: simulated stand-ins with the shapes of the paper's six benchmarks.

Item-response model. Model ``j`` has an ability, query ``i`` a difficulty and a discrimination:

    margin[i, j] = discrimination[i] * (ability[j] - difficulty[i]) + logistic noise

The outcome is the sign of the margin, and a draw inside a band around zero whose width gives the
chosen share of draws. A weak judge is right on cell ``(i, j)`` with a chance drawn once per cell
around one drawn once per model, so the judges err together, and more on some models; the mean
chance is the chosen ``agreement``. A judge that is wrong about a win or a loss calls it a draw as
often as draws are; the rest of its errors are the opposite.

Everything here is simulated and says so in every table and figure. Nothing was fitted to the
real benchmarks: only the shapes are theirs.
"""

from __future__ import annotations

from pathlib import Path
from statistics import NormalDist

import numpy as np

from llmsel._base.errors import InputError
from llmsel.benchmarks.published import SHAPES
from llmsel.pool import Pool

BASELINE = "baseline"
BLOCK = 2**21  # votes made at a time: bounds the memory; part of the seeding, so never varied
PER_CELL, PER_MODEL = 3.0, 10.0  # concentrations; weak and true win rates correlate about 0.6


def load(
    name: str,
    seed: int = 0,
    *,
    agreement: float = 0.55,
    draws: float = 0.15,
    candidates: int | None = None,
    queries: int | None = None,
    judges: int = 10,
) -> Pool:
    """Simulate the stand-in of one of the paper's benchmarks (see `simulate`).

    Args:
        name: the benchmark whose shape is taken, without ``twin:``.
        seed: the same seed gives the same pool.
        agreement: share of votes that equal the outcome.
        draws: share of draws among the outcomes.
        candidates: another number than the benchmark's.
        queries: another number than the benchmark's.
        judges: number of weak judges.
    """
    n, m = SHAPES[name]
    return simulate(
        n if queries is None else queries,
        m if candidates is None else candidates,
        z=judges,
        seed=seed,
        agreement=agreement,
        draws=draws,
        name=f"twin:{name}",
    )


def simulate(
    n: int,
    m: int,
    *,
    z: int = 10,
    seed: int = 0,
    agreement: float = 0.55,
    draws: float = 0.15,
    path: str | Path | None = None,
    name: str = "simulated",
) -> Pool:
    """Simulate a pool of any size by the module's model.

    Args:
        n: number of queries.
        m: number of candidates.
        z: number of weak judges.
        seed: the same seed gives the same pool, in memory or in a file.
        agreement: share of votes that equal the outcome, within (0, 1).
        draws: share of draws among the outcomes, within [0, 1).
        path: write the votes to this ``.npy`` file block by block and map it into memory
            (read-only); needed for pools whose votes, ``n * (m + 1) * z`` bytes, do not fit.
        name: name of the pool.

    Returns:
        A pool without responses, ``simulated=True``: ``m`` candidates in the order of their
        ability, best first, and the baseline last.

    Raises:
        InputError: a size below 1, or a share outside its range.
    """
    if min(n, m, z) < 1:
        raise InputError(f"a simulated pool needs sizes of at least 1; got {n} x {m} x {z}.")
    if not 0 < agreement < 1:
        raise InputError(f"agreement is {agreement}; it must be between 0 and 1.")
    if not 0 <= draws < 1:
        raise InputError(f"draws is {draws}; it must be at least 0 and less than 1.")
    rows = max(1, BLOCK // ((m + 1) * z))
    root = np.random.SeedSequence(seed)
    rng = np.random.default_rng(root.spawn(1)[0])
    # evenly spaced quantiles: every seed has the same spread of abilities
    quantiles = [NormalDist().inv_cdf((m - j - 0.5) / m) for j in range(m)]
    ability = np.array(quantiles) + rng.normal(0, 0.1, m)
    ability = np.sort(ability)[::-1].astype(np.float32)
    chance = rng.beta(agreement * PER_MODEL, (1 - agreement) * PER_MODEL, m)
    chance = np.clip(chance - chance.mean() + agreement, 0.01, 0.99)
    pilot = np.abs(_margins(rng, max(1, min(n, 2**21 // m)), ability))
    band = float(np.quantile(pilot, draws)) if draws else 0.0

    outcomes = np.zeros((n, m + 1), dtype=np.int8)
    shape = (n, m + 1, z)
    if path is None:
        votes = np.zeros(shape, dtype=np.int8)
    else:
        votes = np.lib.format.open_memmap(path, "w+", np.int8, shape)
    for start in range(0, n, rows):
        rng = np.random.default_rng(root.spawn(1)[0])
        margin = _margins(rng, min(rows, n - start), ability)
        truth = (margin > band).astype(np.int8) - (margin < -band).astype(np.int8)
        outcomes[start : start + rows, :m] = truth
        votes[start : start + rows, :m] = _guess(rng, truth, chance, draws, z)
    if path is not None:
        votes.flush()  # type: ignore[attr-defined]
        votes = np.load(path, mmap_mode="r")
    return Pool(
        queries=tuple(map(str, range(n))),
        models=(*(f"model-{j + 1:0{len(str(m))}d}" for j in range(m)), BASELINE),
        baseline=BASELINE,
        votes=votes,
        outcomes=outcomes,
        name=name,
        simulated=True,
        notes={
            "source": "simulated by an item-response model; no real data",
            "licence": "none needed",
            "oracle": "simulated",
            "parameters": {"seed": seed, "agreement": agreement, "draws": draws, "judges": z},
        },
    )


def _margins(rng: np.random.Generator, n: int, ability: np.ndarray) -> np.ndarray:
    """Margins of ``n`` fresh queries: float32, shape ``(n, m)``."""
    difficulty = rng.standard_normal((n, 1), dtype=np.float32)
    discrimination = np.exp(0.3 * rng.standard_normal((n, 1), dtype=np.float32))
    uniform = rng.random((n, len(ability)), dtype=np.float32)
    uniform = np.clip(uniform, 1e-7, 1 - 1e-7)
    noise = np.log(uniform / (1 - uniform))
    return np.asarray(discrimination * (ability - difficulty) + noise)


def _guess(
    rng: np.random.Generator, truth: np.ndarray, chance: np.ndarray, draws: float, z: int
) -> np.ndarray:
    """Votes of the weak judges on a block: int8, shape ``(rows, m, z)``."""
    p = rng.beta(chance * PER_CELL, (1 - chance) * PER_CELL, truth.shape)
    right = rng.random((*truth.shape, z), dtype=np.float32) < p[:, :, None]
    # one wrong answer per cell, so that judges that err agree in their error
    side = np.where(rng.random(truth.shape) < 0.5, 1, -1)
    wrong = np.where(truth == 0, side, np.where(rng.random(truth.shape) < draws, 0, -truth))
    return np.where(right, truth[:, :, None], wrong[:, :, None].astype(np.int8))


def adversarial_pools(
    queries: int = 250, candidates: int = 15, *, seed: int = 0
) -> dict[str, Pool]:
    """Simulate pools that tempt a race into dropping the best model.

    Meant to be raced as a whole (``pool_size = queries``), so that only the order is random.

    Args:
        queries: number of queries, at least 20.
        candidates: number of candidates, at least 3.
        seed: of the simulation.

    Returns:
        Name -> pool, each marked as simulated. "all equal": every candidate wins by the same fair
        coin; "near ties": two candidates a single query apart, far above the rest; "heavy draws":
        95 % draws, close abilities; "drift": candidates that are strong early or late in file
        order; "adversarial prefix": the best candidate loses the first quarter of the file and wins
        after.
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
