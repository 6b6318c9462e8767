"""Look-ups in packed votes give what the matrix products and the literal algorithm give."""

import numpy as np
import pytest
from helpers import pools

from llmsel import LLMSelector, Session
from llmsel._base import packed
from llmsel._base.packed import PackedVotes, add_up
from llmsel.belief import Belief, ExpectedEntropy
from llmsel.benchmarks.simulated import simulate
from llmsel.studies import by_query
from llmsel.studies.reference import selection as literal

# a draw as likely as a win, as a loss, a loss as a win, all three, and none as another
EPS = [(0.2, 0.4), (0.25, 0.25), (0.375, 0.25), (1 / 3, 1 / 3), (0.2, 0.3), (0.05, 0.9)]
POOLS = dict(pools.hostile())


@pytest.fixture
def looked_up(monkeypatch):
    """No tables of likelihoods, and blocks that hold a few queries."""
    monkeypatch.setattr(ExpectedEntropy, "WORTH", 0)
    monkeypatch.setattr(packed, "BLOCK", 21)


@pytest.mark.parametrize("alone", [None, -1, 0, 1])
@pytest.mark.parametrize("models", [1, 6, 7, 8, 11, 12, 50])
def test_sums_are_those_of_the_votes(alone, models):
    rng = np.random.default_rng(models)
    votes = rng.integers(-1, 2, (9, models, 4)).astype(np.int8)
    held = PackedVotes(votes, alone)
    terms = rng.normal(size=(models, held.base)) + 1j * rng.normal(size=(models, held.base))
    tables = held.tables(terms)
    assert tables.shape[1] <= packed.ENTRIES
    digits = votes + 1 if alone is None else (votes == alone).astype(int)
    expected = terms[np.arange(models)[:, None], digits].sum(axis=1)
    (block,) = held.blocks
    np.testing.assert_allclose(add_up(block, tables).T, expected, rtol=1e-12, atol=1e-12)
    for model in range(models):
        chunk, digit = held.place(model)
        np.testing.assert_array_equal(digit[block[chunk]].T, digits[:, model])


@pytest.mark.parametrize("alone", [None, -1, 0, 1])
def test_a_digit_means_a_vote_of_its_kind(alone):
    meaning = PackedVotes(np.zeros((1, 1, 1), np.int8), alone).meaning.tolist()
    if alone is None:
        assert meaning == [-1, 0, 1]
    else:
        assert meaning[1] == alone and meaning[0] in {-1, 0, 1} - {alone}


@pytest.mark.parametrize("eps", EPS)
def test_scores_are_those_of_the_matrix_products(eps, looked_up):
    pool = pools.simulated(n=50, m=24, z=4, seed=51)
    log_weights = np.log(np.random.default_rng(1).dirichlet(np.full(25, 0.1), 6))
    log_weights -= log_weights.max(axis=1, keepdims=True)
    log_weights[0] = 0
    log_weights[1] = np.where(np.arange(25) == 3, 0, log_weights[1] - 40)  # sure of one model
    score = ExpectedEntropy(Belief(*eps), pool.votes)
    np.testing.assert_allclose(score(log_weights), score._multiply(log_weights), rtol=1e-12)


@pytest.mark.parametrize("eps", [(0.2, 0.4), (0.2, 0.3)])
@pytest.mark.parametrize("name", POOLS)
def test_picks_are_those_of_the_literal_version(name, eps, looked_up):
    pool = POOLS[name]
    result = by_query.run(pool, [LLMSelector(*eps)], realizations=4, seed=11, jobs=1)
    votes, outcomes = pool.votes.tolist(), pool.outcomes.tolist()
    for order, chosen in zip(result.orders.tolist(), result.chosen["LLM Selector"], strict=True):
        assert chosen.tolist() == literal.llm_selector(votes, outcomes, order, len(order), *eps)


@pytest.mark.parametrize("eps", EPS)
def test_it_does_not_matter_where_a_belief_begins_to_be_sure(eps, looked_up, monkeypatch):
    """On either side of the change from one form to the other both agree to twelve digits."""
    pool = pools.simulated(n=40, m=24, z=4, seed=52)
    chance = Belief(*eps).likelihood(np.array([-1, 0, 1]))
    doubt = ExpectedEntropy.SURE * chance.max() / chance.min()
    rows = []
    for factor in (0.5, 0.99, 1.01, 2.0):
        row = np.full(25, np.log(factor * doubt / 24))
        row[5] = 0.0
        rows.append(row - row.max())
    score = ExpectedEntropy(Belief(*eps), pool.votes)
    found = score(np.array(rows))
    for sure in (0.0, np.inf):
        monkeypatch.setattr(ExpectedEntropy, "SURE", sure)
        np.testing.assert_allclose(score(np.array(rows)), found, rtol=1e-12)


def test_a_memory_mapped_pool_is_picked_from_alike(tmp_path, monkeypatch):
    pool = simulate(3000, 40, z=5, path=tmp_path / "votes.npy")
    assert isinstance(pool.votes.base, np.memmap)
    orders = np.random.default_rng(2).permutation(3000).astype(np.int32)[None]
    picks = {}
    for worth in (0, 2**40):
        monkeypatch.setattr(ExpectedEntropy, "WORTH", worth)
        selector = LLMSelector()
        selector.prepare(pool.hide_outcomes())
        picks[worth] = by_query.select(selector, pool.outcomes, orders=orders, budget=25).tolist()
    assert picks[0] == picks[2**40]


def test_votes_are_packed_once_per_pool(looked_up, monkeypatch):
    made = []
    pack = PackedVotes.__init__
    monkeypatch.setattr(PackedVotes, "__init__", lambda *a: made.append(a) or pack(*a))
    pool = pools.simulated(n=12, m=3, seed=3)
    session = Session(pool, "LLM Selector", seed=0)
    for _ in range(3):
        session.tell(session.ask().query, {})
    session.undo()
    again = session.ask().query
    assert len(made) == 1
    fresh = Session(pool, "LLM Selector", seed=0)
    for query, _ in session.history:
        fresh.tell(query, {})
    assert fresh.ask().query == again


def test_another_pool_is_not_scored_by_the_votes_of_the_last():
    selector = LLMSelector()
    scores = []
    for seed in (1, 2):
        selector.prepare(pools.simulated(n=12, m=3, seed=seed))
        selector.begin(1)
        scores.append(selector.scores())
    assert not np.allclose(*scores)


def test_a_strategy_that_takes_other_votes_is_scored_by_them():
    class Without(LLMSelector):
        def prepare(self, pool):
            super().prepare(pool)
            self._votes = self._votes[:, :3]

    pool = pools.simulated(n=12, m=4, seed=1)
    selector = Without()
    selector.prepare(pool)
    selector.begin(2)
    expected = -ExpectedEntropy(Belief(), pool.votes[:, :3])(np.zeros((2, 3)))
    np.testing.assert_allclose(selector.scores(), expected, rtol=1e-12)
