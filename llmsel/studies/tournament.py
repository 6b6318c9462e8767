"""How much races without a baseline cost, and whether what they certify is true."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from llmsel._base.intervals import wilson
from llmsel._base.verdicts import NO_WINNER
from llmsel.racing.audit import Audit
from llmsel.racing.pairs import Condorcet, PairsRule
from llmsel.racing.pairs.course import PairsRace
from llmsel.racing.pairs.table import most_sums
from llmsel.studies.scores import SLACK

NOBODY = "(nobody)"


def pair_races(
    models: Sequence[str],
    outcomes: np.ndarray,
    rules: Mapping[str, PairsRule],
    *,
    deltas: Sequence[float],
    realizations: int,
    seed: int = 0,
) -> pd.DataFrame:
    """Play races over all pairs of one pool; only the race's own draws differ between them.

    Args:
        models: names, M of them.
        outcomes: int8 (M, M, n), from `llmsel.studies.baselines.pair_outcomes`.
        rules: name -> rule.
        deltas: win-rate margins.
        realizations: races of each rule and margin.
        seed: of the first.

    Returns:
        One row per race: ``rule``, ``delta``, ``calls``, ``share`` (of all comparisons),
        ``named`` (names joined), ``certified``, ``wrong`` (certified, and not true).
    """
    n, _, size = outcomes.shape
    every = size * n * (n - 1) // 2
    rows = []
    for name, rule in rules.items():
        for delta in deltas:
            for k in range(realizations):
                race = rule.begin(size, n, delta=delta, seed=seed + k)
                while pairs := race.ask():
                    for pair in pairs:
                        i, a, b = pair
                        race.tell(pair, int(outcomes[a, b, i]))
                named = np.flatnonzero(race.winners)
                rows.append(
                    {
                        "rule": name,
                        "delta": delta,
                        "calls": race.calls,
                        "share": race.calls / every,
                        "named": " and ".join(models[int(j)] for j in named) or NOBODY,
                        "certified": race.certified,
                        "wrong": race.certified and not holds(rule, race, outcomes, delta),
                    }
                )
    return pd.DataFrame(rows)


def holds(rule: PairsRule, race: PairsRace, outcomes: np.ndarray, delta: float) -> bool:
    """Tell whether what a race says of a pool is true; a missing outcome counts against it.

    Args:
        rule: of the race.
        race: that is over.
        outcomes: int8 (M, M, n) of the whole pool.
        delta: win-rate margin.
    """
    n, _, size = outcomes.shape
    most = most_sums(outcomes)
    least, others = -most.T, ~np.eye(n, dtype=bool)
    if race.stop == NO_WINNER and delta:
        return bool((least > delta * size + SLACK).any(axis=0).all())
    if race.stop == NO_WINNER:
        return not bool(((most > 0) | ~others).all(axis=1).any())
    named = np.flatnonzero(race.winners)
    if isinstance(rule, Condorcet):
        return bool((most[:, named] <= delta * size + SLACK).all())
    rival = np.array([np.delete(most.sum(axis=1), j).max() for j in named])
    return bool((least.sum(axis=1)[named] >= rival - delta * size * (n - 1) - SLACK).all())


def star_races(
    models: Sequence[str],
    outcomes: np.ndarray,
    baseline: str,
    *,
    deltas: Sequence[float],
    realizations: int,
    seed: int = 0,
) -> pd.DataFrame:
    """Play audit races around one baseline of the same pool: columns as of `pair_races`.

    ``share`` is of all comparisons between any two models, and ``wrong`` is about the best win
    rate against the baseline: that the model named is also unbeaten is not what is certified.
    """
    n, _, size = outcomes.shape
    column = list(models).index(baseline)
    star = outcomes[:, column].T
    low = np.where(star < -1, -1, star).sum(axis=0, dtype=np.int64) / 2
    high = np.where(star < -1, 1, star).sum(axis=0, dtype=np.int64) / 2
    rows = []
    for delta in deltas:
        for k in range(realizations):
            order = np.random.default_rng([seed + k, size]).permutation(size)
            race = Audit().begin(size, n, baseline=column, delta=delta, seed=seed + k)
            while cells := race.ask():
                for place, j in cells:
                    race.tell((place, j), int(star[order[place], j]))
            named = np.flatnonzero(race.winners)
            rival = max(np.delete(high, j).max() for j in named) - delta * size - SLACK
            rows.append(
                {
                    "rule": f"star around {baseline}",
                    "delta": delta,
                    "calls": race.calls,
                    "share": race.calls / (size * n * (n - 1) // 2),
                    "named": " and ".join(models[int(j)] for j in named),
                    "certified": race.certified,
                    "wrong": race.certified and bool((low[named] < rival).any()),
                }
            )
    return pd.DataFrame(rows)


def pair_table(races: pd.DataFrame) -> pd.DataFrame:
    """Sum up races by rule and margin.

    Args:
        races: from `pair_races` and `star_races`.

    Returns:
        ``rule``, ``delta``, ``races``, ``share`` (mean, of all comparisons) with the 10th and 90th
        percentile ``low`` and ``high``, ``certified`` (share of the races), ``wrong`` (number),
        ``at_most`` (upper end of Wilson's 95 % interval of the rate) and ``named`` (most often).
    """
    rows = []
    for _, some in races.groupby(["rule", "delta"], sort=False):
        rule, delta = some["rule"].iloc[0], some["delta"].iloc[0]
        wrong, count = int(some["wrong"].sum()), len(some)
        rows.append(
            {
                "rule": rule,
                "delta": delta,
                "races": count,
                "share": some["share"].mean(),
                "low": some["share"].quantile(0.1),
                "high": some["share"].quantile(0.9),
                "certified": some["certified"].mean(),
                "wrong": wrong,
                "at_most": float(wilson(np.array(wrong / count), count)[1]),
                "named": some["named"].mode().iloc[0],
            }
        )
    return pd.DataFrame(rows)
