"""The receipt: an experiment with aliases of one model, whose exact results an audit made known.

The first candidate gets four aliases: the same outcomes, and votes of which a fifth are changed by
a rule that needs no generator of random numbers. LLM Selector is run in the official mode without
them (*clean*) and with them (*refined*) on the same pools. Regret is counted in whole numbers,
``2 P`` times the difference of win rates in a pool of P queries, so results are equal or not.

Source: "step 88" of an audit of RobustML-Lab/llm-selector at commit 15faa47. The numbers to hit
are in ``data/official/receipt.json``; on the published files nobody here has run it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any

import numpy as np
import pandas as pd

from llmsel._base.errors import InputError, unknown
from llmsel._base.files import ROOT, read_text
from llmsel.benchmarks import load
from llmsel.benchmarks.published import FOLDERS, JUDGES
from llmsel.pool import Pool
from llmsel.strategies import LLMSelector
from llmsel.studies.clones import shared
from llmsel.studies.official import run_official, source_order
from llmsel.studies.scores import first_leader, leaders

ALIASES = 4
CHANGED = 0.20  # share of an alias's votes that differ from its parent's
STEPS = 30  # budget
SEEDS = 1000
EXPECTED = ROOT / "data" / "official" / "receipt.json"


def changed_cells(folder: str, n_queries: int, *, judges: int = JUDGES) -> np.ndarray:
    """Tell which votes of which alias differ from the parent's.

    Args:
        folder: name that seeds the hash.
        n_queries: of the whole set, not of a pool.
        judges: number of judges z.

    Returns:
        bool, shape ``(n, z, 4)``.
    """
    shape = (n_queries, judges, ALIASES)
    draws = [_uniform(f"step88|{folder}|{q}|{k}|{a}") for q, k, a in np.ndindex(shape)]
    return np.array(draws).reshape(shape) < CHANGED


def _uniform(text: str) -> float:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64


def with_aliases(pool: Pool, folder: str) -> Pool:
    """Return the pool with four aliases of its first candidate, before the baseline.

    Args:
        pool: in `llmsel.studies.official.source_order`.
        folder: name that seeds the changed votes.
    """
    votes, outcomes = pool.need("votes"), pool.need("outcomes")
    parent = votes[:, 0]  # (n, z)
    step = np.where(np.arange(ALIASES) % 2 == 0, 1, -1)  # -1 -> 0 -> 1 -> -1, and backwards
    moved = (parent[..., None] + 1 + step) % 3 - 1
    changed = changed_cells(folder, pool.n_queries, judges=parent.shape[1])
    alias = np.where(changed, moved, parent[..., None]).transpose(0, 2, 1)  # (n, 4, z)
    copies = np.repeat(outcomes[:, :1], ALIASES, axis=1)
    return pool.replace(
        models=(*pool.candidates, *(f"alias {a}" for a in range(ALIASES)), pool.baseline),
        votes=np.concatenate([votes[:, :-1], alias, votes[:, -1:]], axis=1).astype(np.int8),
        outcomes=np.concatenate([outcomes[:, :-1], copies, outcomes[:, -1:]], axis=1),
        responses=None,
    )


@dataclasses.dataclass(frozen=True, eq=False)
class Receipt:
    """Clean and refined runs of the alias experiment, on the same pools.

    Args:
        paths: int32, shape ``(2, R, B)``: queries of the clean and of the refined runs.
        answers: int, shape ``(2, R, B)``: columns of the roots (candidates, then the baseline).
        regrets: int, shape ``(2, R, B)``: best sum of outcomes in the pool less the answer's, which
            is ``2 P`` times the regret in win rate.
        control: int, shape ``(R, B)``: regret of the refined answers on the clean paths.
        near_ties: steps in which rounding alone chose, of the clean and of the refined runs.
        pool_size: queries per pool P.
    """

    paths: np.ndarray
    answers: np.ndarray
    regrets: np.ndarray
    control: np.ndarray
    near_ties: tuple[int, int]
    pool_size: int


def alias_experiment(
    pool: Pool, folder: str, *, seeds: int = SEEDS, budget: int = STEPS
) -> Receipt:
    """Run the alias experiment.

    Args:
        pool: with complete outcomes and votes.
        folder: of the published matrix; it seeds the changed votes.
        seeds: number of pools, drawn by the seeds 0, 1, ...
        budget: annotations per run.
    """
    clean = source_order(pool)
    refined = with_aliases(clean, folder)
    runs = [
        run_official(one, [LLMSelector()], realizations=seeds, budget=min(budget, one.n_queries))
        for one in (clean, refined)
    ]
    paths = np.stack([run.chosen[LLMSelector.name] for run in runs])
    outcomes = clean.need("outcomes")
    total = outcomes[runs[0].orders].sum(axis=1, dtype=np.int64)  # (R, M)
    answers = np.stack(
        [_answers(one, path) for one, path in zip((clean, refined), paths, strict=True)]
    )
    control = _answers(refined, paths[0])
    every = np.arange(len(total))[:, None]
    near = [int((run.near_ties[LLMSelector.name] > 1).sum()) for run in runs]
    best = total.max(axis=1)[:, None]
    return Receipt(
        paths,
        answers,
        np.stack([best - total[every, answer] for answer in answers]),
        best - total[every, control],
        (near[0], near[1]),
        runs[0].orders.shape[1],
    )


def _answers(pool: Pool, path: np.ndarray) -> np.ndarray:
    """Column of the root answered after each annotation; an alias stands for its parent."""
    answer = first_leader(leaders(pool.need("outcomes")[path], complete=True)).argmax(axis=-1)
    aliases = [j for j, model in enumerate(pool.models) if model.startswith("alias ")]
    root = np.arange(pool.n_models)
    root[aliases] = 0
    root[-1] -= len(aliases)
    return np.asarray(root[answer])


def summary(receipt: Receipt, folder: str) -> dict[str, Any]:
    """Reduce a receipt to the numbers that the audit published.

    Returns:
        ``terminal`` and ``cumulative``: sums over the seeds times ``2 P``, whole numbers; their
        means ``terminal_mean`` and ``cumulative_mean``, ``cumulative_median``; ``low``, ``high``
        (95 % of bootstrap means) and ``p`` (one-sided, random signs) of the terminal mean;
        ``jaccard`` (mean over the seeds of shared queries over all), ``order``, ``set``, ``root``
        (shares of the seeds in which the path, its set, or the last answer changed).
    """
    delta = receipt.regrets[1] - receipt.regrets[0]
    terminal, cumulative = delta[:, -1], delta.sum(axis=1)
    shares = [shared(*pair) for pair in zip(*receipt.paths, strict=True)]
    scale = 2 * receipt.pool_size
    low, high = bootstrap_interval(terminal / scale, _seed("bootstrap", folder))
    return {
        "terminal": int(terminal.sum()),
        "cumulative": int(cumulative.sum()),
        "terminal_mean": float(terminal.mean() / scale),
        "low": low,
        "high": high,
        "p": sign_flip(terminal / scale, _seed("signflip", folder)),
        "cumulative_mean": float(cumulative.mean() / scale),
        "cumulative_median": float(np.median(cumulative) / scale),
        "jaccard": float(np.mean(shares)),
        "order": float((receipt.paths[0] != receipt.paths[1]).any(axis=1).mean()),
        "set": float(np.mean([share < 1 for share in shares])),
        "root": float((receipt.answers[0] != receipt.answers[1])[:, -1].mean()),
    }


def _seed(what: str, folder: str) -> int:
    digest = hashlib.sha256(f"step88-{what}|{folder}".encode()).digest()
    return int.from_bytes(digest[:8], "big")


def bootstrap_interval(values: np.ndarray, seed: int) -> tuple[float, float]:
    """95 % quantiles of 50,000 bootstrap means, drawn in batches of 500."""
    rng, size = np.random.default_rng(seed), len(values)
    means = [values[rng.integers(0, size, (500, size))].mean(axis=1) for _ in range(100)]
    low, high = np.quantile(np.concatenate(means), [0.025, 0.975])
    return float(low), float(high)


def sign_flip(values: np.ndarray, seed: int) -> float:
    """One-sided p of the mean under 100,000 random signs, drawn in batches of 1000."""
    rng, size, observed = np.random.default_rng(seed), len(values), values.mean()
    count = 0
    for _ in range(100):
        signs = rng.integers(0, 2, (1000, size), dtype=np.int8) * 2 - 1
        count += int(((signs * values).mean(axis=1) >= observed - 1e-15).sum())
    return (count + 1) / 100_001


def toy(n: int = 500, m: int = 6) -> Pool:
    """Build a pool from hashes alone: no file and no generator of random numbers is needed."""

    def cell(text: str) -> int:
        return hashlib.sha256(f"toy|{text}".encode()).digest()[0] % 3 - 1

    outcomes = np.zeros((n, m + 1), dtype=np.int8)
    votes = np.zeros((n, m + 1, JUDGES), dtype=np.int8)
    for q, j in np.ndindex(n, m):
        outcomes[q, j] = cell(f"outcome|{j}|{q}")
        votes[q, j] = [cell(f"vote|{j}|{q}|{k}") for k in range(JUDGES)]
    return Pool(
        tuple(f"toy-{q}" for q in range(n)),
        (*(f"model-{j}" for j in range(m)), "baseline"),
        "baseline",
        votes=votes,
        outcomes=outcomes,
        name="toy",
        simulated=True,
    )


def matrix(folder: str) -> Pool:
    """Load a published matrix by the name of its folder."""
    names = {place: name for name, place in FOLDERS.items()}
    return load(f"official:{names[folder]}")


def expected() -> dict[str, dict[str, float]]:
    """Published numbers of the receipt, by folder; ``toy`` is this project's own."""
    found: dict[str, dict[str, float]] = json.loads(read_text(EXPECTED))["results"]
    return found


def compare_with_audit(folder: str, *, seeds: int | None = None) -> pd.DataFrame:
    """Run the alias experiment on a published matrix, or on ``toy``, and hold it to the audit.

    Args:
        folder: of the published matrix, or ``toy``.
        seeds: number of pools; None takes those of the audit.

    Returns:
        One row per number: ``folder``, ``number``, ``audit``, ``here``, and ``hit``: whole numbers
        must be equal, the others within 1e-12.

    Raises:
        InputError: an unknown folder.
    """
    published = expected()
    if folder not in published:
        raise unknown("folder of the receipt", folder, published)
    pool = toy() if folder == "toy" else matrix(folder)
    numbers = dict(published[folder])
    count = int(numbers.pop("seeds"))
    receipt = alias_experiment(pool, folder, seeds=seeds or count)
    here = summary(receipt, folder)
    rows = [
        (folder, number, value, here[number], abs(value - here[number]) <= 1e-12)
        for number, value in numbers.items()
    ]
    return pd.DataFrame(rows, columns=["folder", "number", "audit", "here", "hit"])


def hold(table: pd.DataFrame) -> None:
    """Refuse a comparison in which a number is missed.

    Raises:
        InputError: naming the first number that is not the audit's.
    """
    missed = table[~table["hit"]]
    if len(missed):
        first = missed.iloc[0]
        raise InputError(
            f"receipt of {first['folder']}: {first['number']} is {first['here']}, the audit has "
            f"{first['audit']}; {len(missed)} of {len(table)} numbers are missed."
        )
