"""Kinds of queries: code, mathematics, reasoning and open text, told by the category's name."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd

from llmsel._base.errors import InputError
from llmsel.pool import Pool
from llmsel.studies.paired import compare
from llmsel.studies.votes import kappa, null_rank, resampled_agreement, run_votes, shuffled_null

CODE, MATHS, REASONING, TEXT = "code", "mathematics", "reasoning", "text"
# first match wins; names of published categories and clusters, not of single queries
PATTERNS = {
    CODE: r"cod(e|ing)|program|python|java|c\+\+|sql|script|software|algorithm|api\b|web dev|"
    r"react|html|css|linux|docker|kubernetes|matplotlib|regex|debug|git\b|shader|compiler|"
    r"pytorch|excel|database|rust|\.net|c#|bash|aws|server|network|verilog|latex",
    MATHS: r"math|arithmetic|algebra|geometr|calcul|probabilit|statistic|equation|theorem|number",
    REASONING: r"reason|puzzle|logic|riddle|chess|game theory",
}
CODE_BENCHMARKS = ("humaneval",)  # every query is code, and there are no categories


def kinds(pool: Pool) -> tuple[str, ...]:
    """Name the kind of each query.

    Raises:
        InputError: a pool without categories that is not known to be all code.
    """
    if pool.name in CODE_BENCHMARKS:
        return (CODE,) * pool.n_queries
    if pool.categories is None:
        raise InputError(f"pool '{pool.name}' has no categories; give one per query.")
    return tuple(kind_of(category) for category in pool.categories)


def kind_of(category: str) -> str:
    """Tell the kind from a category's name; what nothing fits is text."""
    for kind, pattern in PATTERNS.items():
        if re.search(rf"\b({pattern})", category.lower()):
            return kind
    return TEXT


def by_group(
    pool: Pool, groups: tuple[str, ...], *, permutations: int = 0, least: int = 10, **protocol: Any
) -> pd.DataFrame:
    """Measure weak judges and LLM Selector within each group of queries, and on all.

    Args:
        pool: with outcomes and votes.
        groups: the group of each query.
        permutations: shuffles of the votes for the null; 0 leaves it out.
        least: groups with fewer queries are left out.
        protocol: realizations, seed, jobs of `llmsel.run`; a realization's pool is three quarters
            of the group (at most 400), its budget half of that.

    Returns:
        One row per group, ``all`` last: ``benchmark``, ``group``, ``queries``, ``draws`` (share of
        the judged cells), ``kappa`` with ``kappa_low``, ``kappa_high`` (mean of the judges'
        agreement beyond chance, 95 %, queries resampled), ``difference``, ``low``, ``high``
        (identification minus Random's, mean over budgets, 95 % over realizations), ``beaten``
        (shuffles that match or beat the real votes) and ``shuffles``.
    """
    rows = []
    for group in (*dict.fromkeys(groups), "all"):
        keep = [q for q, g in zip(pool.queries, groups, strict=True) if group in (g, "all")]
        if len(keep) < least:
            continue
        part = pool.subset(queries=keep)
        size = min(400, max(1, 3 * len(keep) // 4))
        own = {**protocol, "pool_size": size, "budget": max(1, size // 2)}
        gain = compare(run_votes(part, {"real": part.need("votes")}, **own)).iloc[0]
        beaten, shuffles = 0, 0
        if permutations:
            beaten, shuffles = null_rank(shuffled_null(part, permutations, **own))
        outcomes = part.need("outcomes")[:, part.candidate_columns]
        middle, low, high = _kappa(part)
        rows.append(
            {
                "benchmark": pool.name,
                "group": group,
                "queries": len(keep),
                "draws": (outcomes == 0).sum() / np.isin(outcomes, (-1, 0, 1)).sum(),
                "kappa": middle,
                "kappa_low": low,
                "kappa_high": high,
                "difference": gain["difference"],
                "low": gain["low"],
                "high": gain["high"],
                "beaten": beaten,
                "shuffles": shuffles,
            }
        )
    return pd.DataFrame(rows)


def _kappa(pool: Pool) -> tuple[float, float, float]:
    """Mean over the judges of Cohen's kappa, with its 95 % interval over the queries."""
    agreements = resampled_agreement(pool, pool.need("votes"), bootstraps=200)
    mean = np.nan_to_num(kappa(*agreements)).mean(axis=1)
    low, high = np.percentile(mean[1:], [2.5, 97.5])
    return float(mean[0]), float(low), float(high)
