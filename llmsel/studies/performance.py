"""How fast the engine is, and what it is held against: all measured in one run, by one clock.

Times are processor seconds of this process, so only their ratios say anything about another
machine. The caller keeps BLAS to one core (`threadpoolctl.threadpool_limits`), as each process of
the engine has one. Whoever compares a way with another compares what it picks too: a fast wrong
answer is no answer.
"""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from llmsel import weak_judges
from llmsel._base.packed import PackedVotes
from llmsel.belief import Belief, ExpectedEntropy
from llmsel.benchmarks import simulated
from llmsel.pool import Pool, draw_orders
from llmsel.racing.audit import Audit
from llmsel.strategies import LLMSelector
from llmsel.studies.by_query import select
from llmsel.studies.reference import audit as literal_audit
from llmsel.studies.reference import selection as literal

LITERAL_STEPS = 3  # of the literal version, which takes seconds for each
TABLES = 2**25  # votes up to which tables made anew at each step are timed
JUDGES = 10  # of the simulated pools, as a real pool has orders of k-grams


def seconds(call: Callable[[], object], repeat: int = 1) -> float:
    """Return the least processor time of a few calls, in seconds."""
    times = []
    for _ in range(repeat):
        began = time.process_time()
        call()
        times.append(time.process_time() - began)
    return min(times)


def peak_memory() -> float:
    """Return the most memory that this process has held, in GiB (on Linux)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def plain(pool: Pool, order: np.ndarray, budget: int, belief: Belief) -> list[int]:
    """Play one realization of LLM Selector as one would write it in NumPy.

    Posterior times likelihood, normalise, entropy: vectorised over queries, judges and models.

    Args:
        pool: with votes and outcomes.
        order: int, shape ``(n,)``: ties go to the query that comes first in it.
        budget: annotations.
        belief: the likelihood of a vote and of an outcome.

    Returns:
        The queries chosen, in order.
    """
    outcomes, likelihood = pool.need("outcomes"), belief.likelihood(pool.need("votes"))
    models = outcomes.shape[1]
    pi, rank = np.ones(models) / models, np.argsort(order)
    chosen: list[int] = []
    for _ in range(budget):
        p = pi[:, None] * likelihood
        q = p / p.sum(axis=1, keepdims=True)
        score = (q * np.log(q)).sum(axis=1).mean(axis=1)
        score[chosen] = -np.inf
        tied = np.flatnonzero(score >= score.max() - 1e-10 * abs(score.max()))
        chosen.append(int(tied[rank[tied].argmin()]))
        pi = pi * belief.likelihood(outcomes[chosen[-1]])
        pi /= pi.sum()
    return chosen


def three_ways(pool: Pool, *, realizations: int, steps: int) -> tuple[pd.Series, dict[str, bool]]:
    """Time one selection step of LLM Selector: the literal version, `plain`, and the engine.

    Args:
        pool: with votes and outcomes.
        realizations: of the engine, in lockstep; the others play the first one.
        steps: of the engine and of `plain`; the literal version plays `LITERAL_STEPS`.

    Returns:
        Way -> seconds per step and realization; and way -> whether it picks what the engine picks.
    """
    outcomes = pool.need("outcomes")
    orders = draw_orders(pool.n_queries, pool.n_queries, realizations=realizations, seed=0)
    selector = LLMSelector()
    selector.prepare(pool.hide_outcomes())
    select(selector, outcomes, orders=orders, budget=1)  # tables are made once
    lists = pool.need("votes").tolist(), outcomes.tolist(), orders[0].tolist()
    picks: dict[str, list[int]] = {}

    def engine() -> None:
        played = select(selector, outcomes, orders=orders, budget=steps)
        picks["engine"] = played[0].tolist()

    def loop() -> None:
        picks["plain NumPy"] = plain(pool, orders[0], steps, Belief())

    def slow() -> None:
        picks["literal"] = literal.llm_selector(*lists, LITERAL_STEPS)

    times = {
        "literal": seconds(slow) / LITERAL_STEPS,
        "plain NumPy": seconds(loop) / steps,
        "engine": seconds(engine) / steps / realizations,
    }
    mine = picks.pop("engine")
    return pd.Series(times), {way: mine[: len(some)] == some for way, some in picks.items()}


def floor(pool: Pool, realizations: int) -> pd.Series:
    """Time what a step cannot do without, per realization.

    Args:
        pool: with votes.
        realizations: in lockstep.

    Returns:
        What -> seconds: the matrix products of one step for all realizations, at the rate that BLAS
        reaches on them, in float64 and float32; those of one realization alone over the half of
        its queries that is still open; reading the votes once from memory.
    """
    n, models, judges = pool.need("votes").shape
    bytes_read = np.ones(2**27, np.int8)
    read = seconds(bytes_read.max) / bytes_read.size * n * models * judges
    shares = n * judges / 1000 / realizations
    double, single = (
        _products(realizations, models, 1000, dtype) * shares for dtype in (np.float64, np.float32)
    )
    return pd.Series(
        {
            "matrix products, float64": double,
            "matrix products, float32": single,
            "one realization alone, open queries only": _products(
                1, models, min(200, n // 2) * judges, np.float64
            ),
            "reading the votes once per lockstep": read / realizations,
        }
    )


def _products(rows: int, models: int, columns: int, dtype: type) -> float:
    """Seconds of the two products of some realizations' weights with a table of likelihoods."""
    left: np.ndarray = np.ones((2 * rows, models), dtype)
    right: np.ndarray = np.ones((models, columns), dtype)
    out, repeat = left @ right, 50

    def call() -> None:
        for _ in range(repeat):
            np.dot(left, right, out=out)

    return seconds(call) / repeat


def growth(sizes: Sequence[tuple[int, int]]) -> pd.DataFrame:
    """Time one step of one realization on simulated pools, their votes mapped from disk.

    Args:
        sizes: queries and candidates of each pool.

    Returns:
        Indexed by queries and candidates; in seconds: ``first step`` (it packs the votes),
        ``step``, ``tables anew`` (tables of all likelihoods made for each step; NaN where they
        are too large), ``packed`` (reading the packed votes), ``floor`` (reading the votes as they
        are); ``step / floor``, ``step / packed``, ``tables anew / step``; ``votes (GiB)``, ``peak
        memory (GiB)``; ``same``: whether the step's scores are those of the tables (NaN where
        these are too large).
    """
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for queries, candidates in sizes:
            path = Path(folder) / f"{queries}-{candidates}.votes"
            votes = simulated.simulate(queries, candidates, z=JUDGES, path=path).need("votes")
            row = {"queries": queries, "candidates": candidates, **_step(votes)}
            row |= {"votes (GiB)": votes.size / 2**30, "peak memory (GiB)": peak_memory()}
            rows.append(row)
            del votes
            path.unlink()
    table = pd.DataFrame(rows).set_index(["queries", "candidates"])
    for over, under in (("step", "floor"), ("step", "packed"), ("tables anew", "step")):
        table[f"{over} / {under}"] = table[over] / table[under]
    return table


def _step(votes: np.ndarray) -> dict[str, float]:
    """Time one step, and what it is compared with."""
    weights = np.zeros((1, votes.shape[1]))
    score, tables = (ExpectedEntropy(Belief(), votes, memory=2**38) for _ in range(2))
    tables.WORTH = 2**38  # bytes of tables that are worth reading: all
    row = {"first step": seconds(lambda: score(weights))}
    row["step"] = seconds(lambda: score(weights), 3)
    row["tables anew"] = row["same"] = np.nan
    if votes.size <= TABLES:
        row["tables anew"] = seconds(lambda: tables(weights))
        later = weights - np.random.default_rng(0).exponential(size=weights.shape)
        later -= later.max()
        row["same"] = float(np.allclose(score(later), tables(later), rtol=1e-9))
    packed = PackedVotes(votes, -1).blocks
    row["packed"] = seconds(lambda: [block.max() for block in packed], 3)
    return row | {"floor": seconds(votes.max, 3)}


def races(pool: Pool, count: int, *, literal_races: int = 1, largest: int = 400) -> pd.DataFrame:
    """Time audit races on random pools; play the first also by the literal version.

    Args:
        pool: with outcomes.
        count: of races.
        literal_races: how many of them the literal version plays too.
        largest: queries of a pool, at most.

    Returns:
        One row per race: ``calls``, ``seconds``; and ``literal`` (its seconds) and ``same``
        (whether it asks for the same cells), NaN where it did not play.
    """
    size, outcomes = min(largest, pool.n_queries), pool.need("outcomes")
    rows: list[dict[str, float]] = []
    orders = draw_orders(pool.n_queries, size, realizations=count, seed=0)
    for seed, order in enumerate(orders):
        table = outcomes[order].tolist()
        asked, took = _play(table, pool.baseline_index, seed)
        row = {"calls": len(took), "seconds": took.sum(), "literal": np.nan, "same": np.nan}
        if seed < literal_races:
            began = time.process_time()
            slow = literal_audit.audit(table, pool.baseline_index, seed=seed)
            row["literal"] = time.process_time() - began
            row["same"] = float(slow[0] == asked)
        rows.append(row)
    return pd.DataFrame(rows)


def interactive(queries: int, candidates: int) -> pd.DataFrame:
    """Time the steps of two simulated audit races with many candidates.

    A step is what telling one outcome computes, the plan of the next cells included. In one race
    all candidates win by the same fair coin, so that nearly everything must be judged.

    Args:
        queries: of the pool.
        candidates: of the pool.

    Returns:
        Indexed by what: ``calls``, and ``median ms``, ``99.9 % ms``, ``longest ms`` of a step; a
        column per race.
    """
    board = simulated.simulate(queries, candidates, z=1, seed=1)
    outcomes = board.need("outcomes")
    fair = np.random.default_rng(1).choice([-1, 1], outcomes.shape).astype(np.int8)
    fair[:, board.baseline_index] = 0
    columns = {}
    for name, table in {"simulated": outcomes, "all alike": fair}.items():
        took = 1000 * _play(table.tolist(), board.baseline_index, 0)[1]
        columns[name] = {
            "calls": len(took),
            "median ms": np.median(took),
            "99.9 % ms": np.quantile(took, 0.999),
            "longest ms": took.max(),
        }
    return pd.DataFrame(columns)


def _play(
    rows: list[list[int]], baseline: int, seed: int
) -> tuple[list[list[tuple[int, int]]], np.ndarray]:
    """Rounds of cells that an audit race asks for, and seconds of each call told."""
    race = Audit().begin(len(rows), len(rows[0]), baseline=baseline, seed=seed)
    asked, took = [], []
    while cells := race.ask():
        asked.append(list(cells))
        for i, j in cells:
            began = time.process_time()
            race.tell((i, j), rows[i][j])
            took.append(time.process_time() - began)
    return asked, np.array(took)


def reading(pool: Pool, orders: int = 10) -> dict[str, float]:
    """Time the weak judges' reading of all answers, without the cache.

    Args:
        pool: with responses.
        orders: of k-grams.

    Returns:
        ``responses``, ``tokens``, and seconds: ``tokenising``, ``all orders`` (tokenising too).
    """
    texts = pool.need("responses").ravel().tolist()
    return {
        "responses": len(texts),
        "tokens": len(weak_judges.tokenize(texts)[0]),
        "tokenising": seconds(lambda: weak_judges.tokenize(texts)),
        "all orders": seconds(lambda: weak_judges.kgram_scores(texts, orders)),
    }
