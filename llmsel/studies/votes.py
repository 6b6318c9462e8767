"""Weak judges of every quality, and how well they guess: what the ablations vote with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from llmsel._base.errors import InputError
from llmsel._base.intervals import mean_interval
from llmsel.pool import MISSING, Pool
from llmsel.similarity import similarity
from llmsel.strategies import LLMSelector
from llmsel.studies.by_query import run
from llmsel.studies.paired import area, compare
from llmsel.studies.parameters import steering
from llmsel.studies.scores import IDENTIFICATION, score
from llmsel.weak_judges import compare_with_baseline


def perfect_votes(pool: Pool) -> np.ndarray:
    """Votes of one judge that knows the oracle's outcomes (an unjudged cell is a draw).

    Returns:
        int8, shape ``(n, M, 1)``.
    """
    outcomes = pool.need("outcomes")
    return np.where(outcomes == MISSING, 0, outcomes).astype(np.int8)[..., None]


def random_votes(pool: Pool, judges: int = 1, *, seed: int = 0) -> np.ndarray:
    """Votes drawn per cell with the oracle's rates of losses, draws and wins: no information.

    Returns:
        int8, shape ``(n, M, judges)``; the baseline's are draws.
    """
    outcomes = pool.need("outcomes")[:, pool.candidate_columns]
    judged = outcomes[outcomes != MISSING]
    shape = (pool.n_queries, pool.n_models, judges)
    votes = np.random.default_rng(seed).choice(judged, shape)
    votes[:, pool.baseline_index] = 0
    return votes


def noisy_votes(pool: Pool, flip: float, *, judges: int = 1, seed: int = 0) -> np.ndarray:
    """Votes that are the oracle's outcome, but with chance ``flip`` one of the two others.

    Args:
        pool: with outcomes.
        judges: number of judges z.
        seed: of the errors.
        flip: in [0, 1]; 0 is `perfect_votes`, 2/3 holds no information.

    Returns:
        int8, shape ``(n, M, judges)``; the judges err independently, the baseline's are draws.

    Raises:
        InputError: a flip rate outside [0, 1].
    """
    if not 0 <= flip <= 1:
        raise InputError(f"flip={flip}; the flip rate must be within 0 and 1.")
    rng = np.random.default_rng(seed)
    truth = np.repeat(perfect_votes(pool), judges, axis=2)
    wrong = rng.random(truth.shape) < flip
    other = (truth + 1 + rng.integers(1, 3, truth.shape)) % 3 - 1  # either of the two others
    votes = np.where(wrong, other, truth).astype(np.int8)
    votes[:, pool.baseline_index] = 0
    return votes


def shuffled_votes(pool: Pool, seed: int = 0) -> np.ndarray:
    """Permute the pool's votes over the queries, whole rows at once: the shuffled null.

    What a judge thinks of each candidate on average, and how candidates and judges go together,
    stays; what it says about the single query is lost.

    Returns:
        int8, shape ``(n, M, z)``.
    """
    return pool.need("votes")[np.random.default_rng(seed).permutation(pool.n_queries)]


def length_votes(pool: Pool) -> np.ndarray:
    """Votes of one judge that prefers the longer response (in characters).

    Returns:
        int8, shape ``(n, M, 1)``.
    """
    lengths = np.vectorize(len, otypes=[float])(pool.need("responses"))
    return compare_with_baseline(lengths, pool.baseline_index)[..., None]


def consensus_votes(pool: Pool) -> np.ndarray:
    """Votes of one judge that prefers the response most like all the others (token F1).

    It stands in for an embedding judge: the response nearest to the centre wins, without a
    neural network.

    Returns:
        int8, shape ``(n, M, 1)``.
    """
    alike = similarity(pool, "token_f1").mean(axis=2, dtype=float)
    return compare_with_baseline(alike, pool.baseline_index)[..., None]


def agreement(pool: Pool, votes: np.ndarray | None = None) -> pd.DataFrame:
    """How well each weak judge guesses the oracle's outcomes, cell by cell and model by model.

    Args:
        pool: with outcomes.
        votes: int8, shape ``(n, M, z)``; None takes the pool's.

    Returns:
        One row per judge: ``judge`` (1..z), ``agreement`` (share of judged cells), ``low``,
        ``high`` (95 %, resampling queries: the cells of one query are not independent),
        ``chance`` (agreement of independent votes and outcomes with the same rates), `kappa`,
        ``decided`` (agreement where neither is a draw), and ``win_rates`` (correlation over the
        candidates of weak and true win rates; NaN if one side is constant).
    """
    votes = pool.need("votes") if votes is None else votes
    outcomes = pool.need("outcomes")[:, pool.candidate_columns]
    judged = outcomes != MISSING
    raw, chance = resampled_agreement(pool, votes, bootstraps=500)
    low, high = np.percentile(raw[1:], [2.5, 97.5], axis=0)
    rows = []
    for k in range(votes.shape[2]):
        vote = votes[:, pool.candidate_columns, k]
        decided = judged & (vote != 0) & (outcomes != 0)
        weak, true = _means(vote, judged), _means(outcomes, judged)
        rows.append(
            {
                "judge": k + 1,
                "agreement": raw[0, k],
                "low": low[k],
                "high": high[k],
                "chance": chance[0, k],
                "kappa": kappa(raw, chance)[0, k],
                "decided": (vote == outcomes)[decided].mean() if decided.any() else np.nan,
                "win_rates": _correlation(weak, true),
            }
        )
    return pd.DataFrame(rows)


def resampled_agreement(
    pool: Pool, votes: np.ndarray, *, bootstraps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Agreement of each judge with the oracle, and what chance gives, with queries resampled.

    Args:
        pool: with outcomes.
        votes: int8, shape ``(n, M, z)``.
        bootstraps: number of resamples B.

    Returns:
        Two float64 arrays of shape ``(1 + B, z)``, the queries as they are in the first row: the
        share of judged cells that a judge guesses right, and the share that independent votes and
        outcomes with the same rates would.
    """
    keep = pool.candidate_columns
    outcomes, votes = pool.need("outcomes")[:, keep], votes[:, keep]
    judged = outcomes != MISSING
    pair = 3 * np.where(judged, outcomes + 1, 0)[..., None] + votes + 1
    n, judges = len(outcomes), votes.shape[2]
    tables = np.zeros((n, judges, 9))
    for cell in range(9):
        tables[:, :, cell] = ((pair == cell) & judged[..., None]).sum(axis=1)
    draws = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), bootstraps)
    weights = np.concatenate([np.ones((1, n)), draws])
    joint = np.einsum("bn,njc->bjc", weights, tables).reshape(len(weights), judges, 3, 3)
    joint /= np.maximum(joint.sum(axis=(2, 3), keepdims=True), 1)
    right = np.trace(joint, axis1=2, axis2=3)
    return right, (joint.sum(axis=2) * joint.sum(axis=3)).sum(axis=-1)


def kappa(agreement: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """Cohen's kappa: the share of what is left above chance; NaN where chance leaves nothing."""
    left = np.where(chance < 1, 1 - chance, np.nan)
    return np.asarray((agreement - chance) / left)


def _means(cells: np.ndarray, judged: np.ndarray) -> np.ndarray:
    total = np.where(judged, cells, 0).sum(axis=0)
    return np.asarray(total / np.maximum(judged.sum(axis=0), 1))


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    if len(a) < 2 or a.std() < 1e-12 or b.std() < 1e-12:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


def calibration(pool: Pool, bins: int = 5) -> pd.DataFrame:
    """Compare what the judges say together with what happens.

    Returns:
        One row per bin that holds cells: ``vote`` (mean over its cells of the mean vote, 0 all say
        loss, 1 all say win), ``outcome`` (mean points of the same cells, draws 1/2), ``cells``.
    """
    keep = pool.candidate_columns
    outcomes = pool.need("outcomes")[:, keep]
    share = (pool.need("votes")[:, keep].mean(axis=2) + 1) / 2
    judged = outcomes != MISSING
    cells = pd.DataFrame({"vote": share[judged], "outcome": (outcomes[judged] + 1.0) / 2})
    groups = cells.groupby(np.minimum((cells["vote"] * bins).astype(int), bins - 1))
    return groups.mean().assign(cells=groups.size()).reset_index(drop=True)


def run_votes(pool: Pool, votes: Mapping[str, np.ndarray], **protocol: Any) -> dict[str, Any]:
    """Run LLM Selector once per set of votes, and Random, all on the same pools.

    Args:
        pool: with outcomes.
        votes: name -> int8, shape ``(n, M, z)``.
        protocol: of `llmsel.run`; ``strategy`` (a `Strategy`) replaces LLM Selector.

    Returns:
        Scores by name, as `llmsel.studies.scores.score` makes them; ``Random`` comes first.
    """
    strategy = protocol.pop("strategy", None) or LLMSelector()
    scores: dict[str, Any] = dict(score(run(pool, ["Random"], **protocol)))
    for name, one in votes.items():
        result = run(pool.replace(votes=one), [strategy], **protocol)
        scores[name] = score(result)[strategy.name]
    return scores


def noise_sweep(
    pool: Pool, flips: Sequence[float], *, repeats: int = 3, seed: int = 0, **protocol: Any
) -> pd.DataFrame:
    """Run LLM Selector with one noisy judge at a time, from perfect to useless.

    Args:
        pool: with outcomes.
        seed: of the judges and of the pools.
        **protocol: realizations, pool_size, budget, jobs of `llmsel.run`.
        flips: flip rates of `llmsel.studies.votes.noisy_votes`.
        repeats: judges drawn per flip rate; the perfect one (0) is the same each time.

    Returns:
        One row per rate: ``flip``, ``difference`` (identification minus Random's, mean over
        budgets, realizations and repeats), ``low``, ``high`` (95 % over realizations), and
        ``spread`` (standard deviation over the repeats; NaN for one).
    """
    rows = []
    for flip in flips:
        draws = range(repeats if flip else 1)
        votes = {f"#{r}": noisy_votes(pool, flip, judges=1, seed=seed + r) for r in draws}
        areas = area(run_votes(pool, votes, seed=seed, **protocol))
        gains = areas.drop(columns="Random").sub(areas["Random"], axis=0)
        low, mean, high = mean_interval(gains.mean(axis=1).to_numpy())
        rows.append((flip, mean, low, high, gains.mean().std()))
    return pd.DataFrame(rows, columns=["flip", "difference", "low", "high", "spread"])


def shuffled_null(
    pool: Pool,
    permutations: int = 20,
    *,
    metric: str = IDENTIFICATION,
    upto: int | None = None,
    seed: int = 0,
    **protocol: Any,
) -> pd.DataFrame:
    """Run LLM Selector with the pool's votes and with many shuffles of them, on the same pools.

    Returns:
        One row per run: ``votes`` (``Random``, ``real``, ``shuffle 1``, ...), ``value`` (mean of
        the metric over budgets and realizations), and ``difference``, ``low``, ``high``: the real
        votes minus this run, 95 % paired over realizations.
    """
    shuffles = {f"shuffle {k}": shuffled_votes(pool, seed + k) for k in range(1, permutations + 1)}
    scores = run_votes(pool, {"real": pool.need("votes"), **shuffles}, seed=seed, **protocol)
    areas = area(scores, metric, upto=upto)
    rows = []
    for name in areas:
        low, mean, high = mean_interval((areas["real"] - areas[name]).to_numpy())
        rows.append((name, areas[name].mean(), mean, low, high))
    return pd.DataFrame(rows, columns=["votes", "value", "difference", "low", "high"])


def null_rank(table: pd.DataFrame, higher_is_better: bool = True) -> tuple[int, int]:
    """Count the shuffles that match or beat the real votes, and all shuffles."""
    value = table.set_index("votes")["value"] * (1 if higher_is_better else -1)
    shuffles = value[value.index.str.startswith("shuffle")]
    return int((shuffles >= value["real"] - 1e-12).sum()), len(shuffles)


def truth_as_judge(pool: Pool, *, seed: int = 0, **protocol: Any) -> pd.DataFrame:
    """Give LLM Selector the true outcomes as votes, with the default eps and with the true rates.

    The true rates are the losses and draws of the truly best candidate, at least 0.05 each.

    Args:
        pool: with outcomes and votes.
        seed: of the random judge and of the pools.
        protocol: realizations, pool_size, budget, jobs of `llmsel.run`.

    Returns:
        One row per judge, from random to perfect: ``judge``, ``eps``; after a fifth of the budget
        ``lift``, ``optimism``, ``favours_baseline`` of `llmsel.studies.parameters.steering`; and
        ``difference``, ``low``, ``high``: identification minus that of random queries (shares).
    """
    keep = pool.candidate_columns
    column = pool.need("outcomes")[:, keep[int(np.argmax(pool.win_rates()[keep]))]]
    judged = column[column != MISSING]
    loss, draw = (max(0.05, round(float(np.mean(judged == code)), 2)) for code in (-1, 0))
    default, known = LLMSelector(), LLMSelector(loss, draw)
    perfect, kgrams = perfect_votes(pool), pool.need("votes")
    rows = []
    for name, votes, rule in (
        ("random judge", random_votes(pool, 1, seed=seed), default),
        ("k-gram judges", kgrams, default),
        ("perfect judge", perfect, default),
        ("k-gram judges", kgrams, known),
        ("perfect judge", perfect, known),
    ):
        result = run(pool.replace(votes=votes), ["Random", rule], seed=seed, **protocol)
        early = max(1, result.budget // 5)
        steered = steering(result, early, belief=rule.belief).iloc[1]
        row = {"judge": name, "eps": f"({rule.eps_loss:g}, {rule.eps_draw:g})"}
        row |= steered[["lift", "optimism", "favours_baseline"]].to_dict()
        rows.append(row | compare(score(result)).iloc[0][["difference", "low", "high"]].to_dict())
    return pd.DataFrame(rows)
