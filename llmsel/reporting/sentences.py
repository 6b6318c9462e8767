"""What the tables of a study say, in sentences under its notebook's picture.

Like a figure, each is a function of the tables that the notebook saves, so
`llmsel.reporting.redraw` writes it again without the run. Words that depend on numbers are chosen
by the numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from llmsel._base.intervals import mean_interval, wilson
from llmsel.reporting.findings import join, points, spread
from llmsel.studies.baselines import trend
from llmsel.studies.efficiency import distinct_targets
from llmsel.studies.paired import verdict
from llmsel.studies.votes import null_rank

AGAINST_RANDOM = (
    "is better than random queries",
    "is worse than random queries",
    "cannot be told from random queries",
)


def say_baseline_strength(
    table: pd.DataFrame, stars: pd.DataFrame, facts: Mapping[str, Any]
) -> None:
    """Print whether the choice of the baseline decides who wins, and at what price.

    Args:
        table: from `llmsel.studies.baselines.by_baseline`.
        stars: from `llmsel.studies.baselines.star_winners`.
        facts: ``outcomes`` (judged or re-derived), ``condorcet``, ``borda`` (names), ``seed``.
    """
    condorcet, borda = facts["condorcet"], facts["borda"]
    print(f"All pairs ({facts['outcomes']}): Condorcet winner {condorcet}, Borda winner {borda}.")
    count = len(stars)
    least, most = wilson(stars["is_borda"].mean(), count)
    print(
        f"{stars['winner'].nunique()} different winners over {count} baselines. The star winner is "
        f"the Borda winner with {stars['is_borda'].sum()} of {count} baselines ({least:.0%} to "
        f"{most:.0%}), the Condorcet winner with {stars['is_condorcet'].sum()}."
    )
    words = (
        "a stronger baseline makes it easier",
        "a stronger baseline makes it harder",
        "no clear trend with the baseline's strength",
    )
    for name in ("LLM Selector", "Random"):
        low, rho, high = trend(table, name, seed=int(facts["seed"]))
        print(
            f"{name}: {verdict(low, high, *words)} (rank correlation {rho:+.2f}, {low:+.2f} to "
            f"{high:+.2f} over {len(table)} baselines)."
        )
    ahead, behind = (table["low"] > 0).sum(), (table["high"] < 0).sum()
    print(
        f"LLM Selector is ahead of random queries with {ahead} of {len(table)} baselines, behind "
        f"with {behind}; mean {points(table['advantage'].mean())} points."
    )


def say_universal_parameters(table: pd.DataFrame) -> None:
    """Print what a pair that was tuned elsewhere loses.

    Args:
        table: from `llmsel.studies.tuning.left_out`.
    """
    for kind, part in table.groupby("tuned on", sort=False):
        worse, better = (part["low"] > 0).sum(), (part["high"] < 0).sum()
        low, mean, high = mean_interval(part["lost"].to_numpy())
        print(
            f"{kind}: loses {points(mean)} points on average ({spread(low, high)} over "
            f"{len(part)} benchmarks); clearly worse than the own pair on {worse}, clearly better "
            f"on {better}."
        )
    means = table.groupby("tuned on", sort=False)["identification"].mean()
    best = means.drop("Random").idxmax()
    print(
        f"Of what one can do beforehand, '{best}' identifies most: {means[best]:.0%} on average, "
        f"random queries {means['Random']:.0%}."
    )


def say_weak_judges(
    agreement: pd.DataFrame,
    noise: pd.DataFrame,
    null: pd.DataFrame,
    variants: pd.DataFrame,
    truth: pd.DataFrame,
) -> None:
    """Print how good a weak judge must be before it pays.

    Args:
        agreement: of every judge with the oracle: judge, agreement, kappa.
        noise: from `llmsel.studies.votes.noise_sweep`, with ``percent``.
        null: from `llmsel.studies.votes.shuffled_null`.
        variants: of judges made of the answers; the k-gram judges come first.
        truth: from `llmsel.studies.votes.truth_as_judge`; a perfect judge with known rates last.
    """
    top = agreement.loc[agreement["kappa"].idxmax()]
    print(
        f"Agreement: {agreement['agreement'].min():.0%} to {agreement['agreement'].max():.0%}; "
        f"beyond chance at most kappa {top['kappa']:.2f} ({top['judge']})."
    )
    known = f"a perfect judge and eps = {truth['eps'].iloc[-1]}"
    rows = {"the k-gram judges": variants.iloc[0], "a perfect judge": noise.iloc[0]}
    for name, row in (rows | {known: truth.iloc[-1]}).items():
        said = verdict(row["low"], row["high"], *AGAINST_RANDOM)
        print(f"With {name} LLM Selector {said}: {_advantage(row)}.")
    beaten, shuffles = null_rank(null)
    own = 100 * null.loc[null["votes"].str.startswith("shuffle"), "value"].std()
    rare = (beaten + 1) / (shuffles + 1) <= 0.05
    print(
        f"Shuffled null: {beaten} of {shuffles} shuffles match or beat the real votes (shuffles "
        f"spread by {own:.1f} points): "
        + (
            "better than votes without information."
            if rare
            else "no evidence that they know the query."
        )
    )
    pays = [f"{flip:.0f}" for flip in noise.loc[noise["low"] > 0, "percent"]]
    where = f"flip rates of {join(pays)} %" if pays else "none of the flip rates from 0 to 50 %"
    best = noise.loc[noise["difference"].idxmax()]
    print(
        f"A noisy judge beats random queries at {where}; the advantage is largest at "
        f"{best['percent']:.0f} %, {_advantage(best)}."
    )


def _advantage(row: pd.Series) -> str:
    return f"{points(row['difference'])} points ({spread(row['low'], row['high'])})"


def say_targets(tables: Mapping[str, pd.DataFrame], boards: Sequence[str], title: str) -> None:
    """Print where LLM Selector needs fewer annotations than the strongest baseline, where more.

    Args:
        tables: board -> from `llmsel.studies.efficiency.annotation_efficiency`, or with intervals
            over queries from `llmsel.studies.over_queries.saved_over_queries`.
        boards: that are counted.
        title: what they are.
    """
    rows = distinct_targets({board: tables[board] for board in boards})
    fewer, more = (rows["vs_strongest_low"] > 0).sum(), (rows["vs_strongest_high"] < 0).sum()
    top = rows.loc[rows["vs_strongest"].idxmax()]
    print(f"{title}: {', '.join(boards)}")
    print(f"{len(rows)} distinct targets (best and near-best, 90 and 95 % of runs):")
    print(f"  fewer annotations than the strongest baseline in {fewer}, more in {more},")
    print(f"  no difference that the interval over pools excludes in {len(rows) - fewer - more}.")
    if "vs_strongest_query_low" in rows:
        fewer = (rows["vs_strongest_query_low"] > 0).sum()
        more = (rows["vs_strongest_query_high"] < 0).sum()
        print(f"  Over queries: fewer in {fewer}, more in {more}.")
    print(
        f"  Largest saving {top.vs_strongest:.1%} ({top.vs_strongest_low:.1%} to "
        f"{top.vs_strongest_high:.1%}): {top.board}, {top.metric} @ {top.level:.0%}."
    )
