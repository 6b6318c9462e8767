"""Small pools for the tests, each with a difficulty of its own. All simulated."""

import numpy as np
from hypothesis import strategies as st

from llmsel.pool import MISSING, Pool


def simulated(n=24, m=5, z=3, agreement=0.6, spread=0.7, draws=0.8, seed=0, **fields):
    """Random outcomes with different abilities, and votes that agree with a chosen chance."""
    rng = np.random.default_rng(seed)
    ability = rng.normal(0, spread, m + 1)
    margin = ability + rng.normal(0, 1, (n, m + 1))
    outcomes = np.where(np.abs(margin) < draws / 2, 0, np.sign(margin)).astype(np.int8)
    guess = rng.integers(-1, 2, (n, m + 1, z))
    agree = rng.random((n, m + 1, z)) < agreement
    votes = np.where(agree, outcomes[:, :, None], guess).astype(np.int8)
    baseline = int(rng.integers(m + 1))
    outcomes[:, baseline] = 0
    votes[:, baseline] = 0
    models = [f"model-{j}" for j in range(m + 1)]
    words = np.array(["red", "green", "blue", "one", "two", "."], dtype=object)
    responses = [
        [" ".join(rng.choice(words, rng.integers(0, 9))) for _ in models] for _ in range(n)
    ]
    return Pool(
        [f"q{i}" for i in range(n)],
        models,
        models[baseline],
        responses=responses,
        votes=votes,
        outcomes=outcomes,
        simulated=True,
        **{"name": "simulated", **fields},
    )


def hostile():
    """Yield (name, pool): pools on which a careless engine picks another query."""
    yield "plain", simulated()
    yield "one judge", simulated(z=1, seed=1)
    yield "two models", simulated(m=1, seed=2)
    yield "single query", simulated(n=1, seed=3)
    pool = simulated(seed=4)
    twice = np.concatenate([pool.votes[:12], pool.votes[:12]])
    yield "every query twice", pool.replace(votes=twice)
    same = np.repeat(pool.votes[:, :1], 6, axis=1).copy()
    same[:, pool.baseline_index] = 0
    outcomes = np.repeat(pool.outcomes[:, :1], 6, axis=1).copy()
    outcomes[:, pool.baseline_index] = 0
    yield "identical candidates", pool.replace(votes=same, outcomes=outcomes)
    star = pool.outcomes.copy()
    star[:, (pool.baseline_index + 1) % 6] = 1
    star[:, (pool.baseline_index + 2) % 6] = -1
    yield "one dominates", pool.replace(outcomes=star)
    worst = np.where(np.arange(6) == pool.baseline_index, 0, -1).astype(np.int8)
    yield "baseline best", pool.replace(outcomes=np.tile(worst, (24, 1)))
    yield "all draws", pool.replace(outcomes=np.zeros_like(pool.outcomes))
    holes = pool.outcomes.copy()
    holes[np.random.default_rng(5).random(holes.shape) < 0.3] = MISSING
    holes[:, pool.baseline_index] = 0
    yield "missing outcomes", pool.replace(outcomes=holes)
    yield "many judges", simulated(n=30, m=8, z=10, seed=6)


@st.composite
def pools(draw, most_queries=8, most_models=5):
    """Any small valid pool: names and texts of any characters, every kind of hole."""
    n = draw(st.integers(1, most_queries))
    m = draw(st.integers(2, most_models))
    word = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    names = st.lists(word, min_size=n, max_size=n, unique=True)
    models = draw(st.lists(word, min_size=m, max_size=m, unique=True))
    baseline = draw(st.integers(0, m - 1))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    outcomes = votes = responses = None
    if draw(st.booleans()):
        outcomes = rng.choice([-1, 0, 1, MISSING], (n, m)).astype(np.int8)
        outcomes[0, (baseline + 1) % m] = 1
        outcomes[:, baseline] = 0
    if draw(st.booleans()):
        votes = rng.integers(-1, 2, (n, m, draw(st.integers(1, 3)))).astype(np.int8)
    if draw(st.booleans()):
        responses = draw(st.lists(st.lists(word, min_size=m, max_size=m), min_size=n, max_size=n))
    return Pool(
        draw(names),
        models,
        models[baseline],
        texts=draw(st.none() | st.lists(word, min_size=n, max_size=n)),
        categories=draw(st.none() | st.lists(word, min_size=n, max_size=n)),
        responses=responses,
        votes=votes,
        outcomes=outcomes,
        name=draw(word),
        simulated=draw(st.booleans()),
        notes=draw(st.dictionaries(word, st.integers() | word, max_size=2)),
    )


PROTOCOL = {"realizations": 20, "pool_size": 16, "jobs": 1}  # of a small experiment


def candidates(pool, array):
    """An array over models without the baseline's column."""
    return np.delete(array, pool.baseline_index, axis=1)
