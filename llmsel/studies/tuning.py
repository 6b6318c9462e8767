"""The one way in which eps is tuned on the weak judges, in every notebook.

The paper tunes eps on the weak judges alone; of its grid and criterion nothing is known to us. Here
the criterion of `llmsel.studies.parameters.tune` is used on pools that do not depend on the
experiment that follows, so that one board has one tuned pair, wherever it is tuned. No judgement is
paid for: what it costs is the runs that `cost` counts.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from llmsel._base.files import cached_array
from llmsel._base.intervals import mean_interval
from llmsel.pool import Pool
from llmsel.strategies import LLMSelector, Random, Strategy
from llmsel.studies.by_query import run
from llmsel.studies.paired import compare
from llmsel.studies.parameters import best_pair, eps_grid, sensitivity, tune_eps
from llmsel.studies.provenance import code_hash
from llmsel.studies.scores import IDENTIFICATION, score, shown_name

STEP = 0.1  # of the grid
REALIZATIONS = 30
LARGEST = 400  # queries per pool: half of the board, and no more than this
DEFAULT = (0.2, 0.4)
COLUMNS = ("eps_loss", "eps_draw", "queries", "area")


def tuned_on_votes(
    pool: Pool,
    seed: int = 0,
    *,
    step: float = STEP,
    realizations: int = REALIZATIONS,
    cache: bool = True,
    **more: Any,
) -> tuple[LLMSelector, pd.DataFrame]:
    """Tune eps on the weak judges: the one criterion, on the one kind of pools.

    Args:
        pool: with votes; its outcomes are not looked at.
        seed: of the pools; 0 gives the pair that is called *the tuned pair*.
        step: of the grid.
        realizations: pools per pair.
        cache: keep the table in the cache folder, keyed by the pool and by the code that makes it.
        more: jobs of `llmsel.run`.

    Returns:
        LLM Selector with the tuned pair, and the table of all pairs (see `tune_eps`).
    """
    size = max(1, min(LARGEST, pool.n_queries // 2))
    options = {"pool_size": size, "budget": max(1, size // 2), "realizations": realizations}

    def grid() -> np.ndarray:
        table = tune_eps(pool, step, seed=seed, **options, **more)[1]
        return np.asarray(table[list(COLUMNS)], dtype=float)

    if cache:
        key = [_code(), pool.content_hash, seed, step, options]
        shape = (len(eps_grid(step)), len(COLUMNS))
        found = cached_array("tuning", key, shape=shape, dtype=np.float64, compute=grid)
    else:
        found = grid()
    table = pd.DataFrame(found, columns=list(COLUMNS))
    return LLMSelector(float(table["eps_loss"][0]), float(table["eps_draw"][0])), table


@functools.cache
def _code() -> str:
    """Hash of the code that a tuning runs through."""
    studies = ("by_query", "parameters", "protocol", "scores", "efficiency", "tuning")
    core = [Path(__file__).parents[1] / f"{name}.py" for name in ("pool", "belief", "strategies")]
    return code_hash([*core, *(Path(__file__).with_name(f"{name}.py") for name in studies)])


def cost(*, step: float = STEP, realizations: int = REALIZATIONS) -> int:
    """Runs of LLM Selector that one tuning takes; judgements: none."""
    return len(eps_grid(step)) * realizations


def pairs_by_seed(pool: Pool, seeds: int = 5, **options: Any) -> pd.DataFrame:
    """Tune with several seeds.

    Args:
        pool: with votes.
        seeds: number of tunings.
        options: of `tuned_on_votes`.

    Returns:
        One row per seed: ``seed``, ``eps_loss``, ``eps_draw``, and the criterion's ``queries`` and
        ``area`` on the weak judges.
    """
    best = [tuned_on_votes(pool, seed, **options)[1].iloc[0] for seed in range(seeds)]
    table = pd.DataFrame(best).reset_index(drop=True)
    table.insert(0, "seed", range(seeds))
    return table


def against_default(pool: Pool, pairs: pd.DataFrame, **protocol: Any) -> pd.DataFrame:
    """Compare tuned pairs with the default under the real oracle, on the same pools.

    Args:
        pool: with outcomes and votes.
        pairs: from `pairs_by_seed`.
        protocol: realizations, pool_size, budget, seed, jobs of `llmsel.run`.

    Returns:
        The pairs with ``value`` (mean identification over the budgets), ``default`` (the same of
        the default pair), ``difference``, ``low``, ``high`` (95 % over pools).
    """
    base = LLMSelector(*DEFAULT)
    scored = dict(score(run(pool, [base], **protocol)))
    rows = {}
    for pair in dict.fromkeys(zip(pairs["eps_loss"], pairs["eps_draw"], strict=True)):
        tuned = score(run(pool, [LLMSelector(*pair)], **protocol))[base.name]
        both = compare({"tuned": tuned, base.name: scored[base.name]}, base.name)
        rows[pair] = both.iloc[0][["value", "other", "difference", "low", "high"]].to_numpy()
    found = [rows[pair] for pair in zip(pairs["eps_loss"], pairs["eps_draw"], strict=True)]
    columns = ["value", "default", "difference", "low", "high"]
    return pairs.join(pd.DataFrame(found, columns=columns, dtype=float))


def is_stable(pairs: pd.DataFrame) -> bool:
    """Tell whether every seed gives the same pair."""
    return len(pairs[["eps_loss", "eps_draw"]].drop_duplicates()) == 1


def left_out(
    pools: Mapping[str, Pool],
    sizes: Mapping[str, int],
    *,
    step: float = STEP,
    share: float = 0.2,
    realizations: int = REALIZATIONS,
    seed: int = 0,
) -> pd.DataFrame:
    """Leave each benchmark out in turn: what does a pair tuned elsewhere lose on it?

    The pair of the others is the one with the highest mean, over them, of identification relative
    to the best on each. Pairs are tuned on some pools and compared on five times as many others.

    Args:
        pools: benchmark -> pool, with outcomes and votes.
        sizes: benchmark -> queries per realization.
        step: of the grid.
        share: budget as a share of the pool.
        realizations: per pair of the grid.
        seed: of the pools.

    Returns:
        Four rows per benchmark: ``benchmark`` (as shown), ``tuned on`` (``others``, ``weak
        votes``, ``default``, ``Random``), ``pair``, ``identification`` at the budget, that of the
        benchmark's ``own pair``, and what is ``lost`` against it, ``low``, ``high`` (shares; 95 %
        over pools).
    """
    grids = {
        name: sensitivity(
            pool, step, share=share, realizations=realizations, pool_size=sizes[name], seed=seed
        )
        for name, pool in pools.items()
    }
    found = {name: grid["identification"] for name, grid in grids.items()}
    relative = pd.DataFrame({name: values / values.max() for name, values in found.items()})
    rows = []
    for name, pool in pools.items():
        place = relative.drop(columns=name).mean(axis=1).idxmax()
        others = LLMSelector(*grids[name].loc[place, ["eps_loss", "eps_draw"]])
        named: dict[str, Strategy] = {"own": LLMSelector(*best_pair(grids[name])), "others": others}
        named |= {"weak votes": tuned_on_votes(pool)[0], "default": LLMSelector(*DEFAULT)}
        named |= {"Random": Random()}
        options: dict[str, Any] = {"realizations": 5 * realizations, "seed": seed + 1}
        options |= {"pool_size": sizes[name], "budget": round(share * sizes[name])}
        last = {}
        for kind, each in named.items():
            credit = score(run(pool, [each], **options))[each.name][IDENTIFICATION][:, -1]
            last[kind] = credit.astype(float)
        shown = shown_name({"benchmark": name, "simulated": pool.simulated})
        for kind in ("others", "weak votes", "default", "Random"):
            low, lost, high = mean_interval(last["own"] - last[kind])
            values = (last[kind].mean(), last["own"].mean(), lost, low, high)
            rows.append((shown, kind, _pair(named[kind]), *map(float, values)))
    columns = ["benchmark", "tuned on", "pair", "identification", "own pair", "lost", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def _pair(strategy: Strategy) -> str:
    if not isinstance(strategy, LLMSelector):
        return ""
    return f"({strategy.eps_loss:g}, {strategy.eps_draw:g})"
