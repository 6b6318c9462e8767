"""The contract that every strategy must pass; a new strategy is tested the day it is written."""

import json

import choix
import numpy as np
import pytest
from helpers import pools
from rouge_score import rouge_scorer

from llmsel import similarity, strategies, weak_judges
from llmsel._base.errors import InputError
from llmsel.pool import MISSING, Pool
from llmsel.studies import by_query
from llmsel.studies.reference import selection as literal

POOL = pools.simulated(n=30, m=6, z=4, seed=61)


def picks(strategy, pool, realizations=5, budget=None, seed=3):
    result = by_query.run(
        pool, [strategy], realizations=realizations, budget=budget, seed=seed, jobs=1
    )
    return next(iter(result.chosen.values()))


@pytest.mark.parametrize("name", strategies.STRATEGIES)
class TestContract:
    def test_takes_every_query_once(self, name):
        for chosen in picks(name, POOL):
            assert sorted(chosen) == list(range(30))

    def test_a_smaller_budget_is_a_prefix(self, name):
        np.testing.assert_array_equal(picks(name, POOL, budget=12), picks(name, POOL)[:, :12])

    def test_names_and_order_of_the_models_do_not_matter(self, name):
        turned = list(reversed(POOL.models))
        np.testing.assert_array_equal(picks(name, POOL), picks(name, POOL.subset(models=turned)))

    def test_can_be_run_again(self, name):
        strategy = strategies.make(name)
        first = picks(strategy, POOL)
        np.testing.assert_array_equal(first, picks(strategy, POOL))

    def test_scores_are_finite_with_missing_outcomes(self, name):
        strategy = strategies.make(name)
        strategy.prepare(POOL.hide_outcomes())
        strategy.begin(2)
        row = np.full((2, 7), MISSING, np.int8)
        row[:, POOL.baseline_index] = 0
        strategy.observe(np.array([0, 1]), row)
        scores = strategy.scores()
        assert np.isfinite(scores).all() and scores.shape in ((30,), (2, 30))

    def test_its_description_names_its_parameters(self, name):
        assert repr(strategies.make(name)).startswith(type(strategies.make(name)).__name__ + "(")


@pytest.mark.parametrize("name", strategies.STRATEGIES)
def test_a_strategy_says_what_it_lacks_and_is_left_out_by_default(name):
    bare = POOL.replace(votes=None, responses=None)
    assert strategies.possible(bare) == ["Random"]
    assert strategies.possible(POOL) == list(strategies.STRATEGIES)
    for field in strategies.STRATEGIES[name].needs:
        with pytest.raises(InputError, match=f"has no {field}; (compute|give)"):
            picks(name, bare)


@pytest.mark.parametrize("kind", ["token_f1", "rouge_l"])
def test_similarity_equals_the_literal_measure(kind, monkeypatch):
    tokens = [[weak_judges.TOKEN.findall(text.lower()) for text in row] for row in POOL.responses]
    measure = {"token_f1": literal.token_f1, "rouge_l": literal.rouge_l}[kind]
    alike = similarity.similarity(POOL, kind)
    for i in range(POOL.n_queries):
        expected = [[measure(a, b) for b in tokens[i]] for a in tokens[i]]
        np.testing.assert_allclose(alike[i], expected, atol=1e-6)
    monkeypatch.setattr(similarity, "_one_query", None)  # the second time it is read
    np.testing.assert_array_equal(similarity.similarity(POOL, kind), alike)
    with pytest.raises(InputError, match="unknown similarity 'rouge': did you mean 'rouge_l'"):
        similarity.similarity(POOL, "rouge")


def test_rouge_l_agrees_with_the_reference_package():
    scorer = rouge_scorer.RougeScorer(["rougeL"])
    texts = ["the cat sat on the mat", "a cat on the mat sat there", "nothing alike", "the the"]
    pool = Pool(["q"], ["a", "b", "c", "d"], "a", responses=[texts])
    alike = similarity.similarity(pool, "rouge_l")[0]
    for j, one in enumerate(texts):
        for k, other in enumerate(texts):
            expected = scorer.score(one, other)["rougeL"].fmeasure
            assert alike[j, k] == pytest.approx(expected, abs=1e-6)


def test_select_llm_refuses_a_temperature_of_zero():
    with pytest.raises(InputError, match=r"tau=0; the temperature must be above 0"):
        strategies.SelectLLM(tau=0)


def test_random_takes_the_seeded_order():
    result = by_query.run(POOL, ["Random"], realizations=4, jobs=1)
    np.testing.assert_array_equal(result.chosen["Random"], result.orders)


def test_bradley_terry_fit_is_the_maximum_likelihood_fit_with_virtual_draws():
    rng = np.random.default_rng(5)
    strategy = strategies.BradleyTerry(prior=2)
    strategy.prepare(POOL.hide_outcomes())
    strategy.begin(1)
    baseline, candidates = POOL.baseline_index, strategy._candidates
    games = []  # every half point is one game, so a draw is a game won and a game lost
    for c in candidates:
        games += 2 * [(c, baseline), (baseline, c)]
    for i in rng.permutation(30)[:12]:
        strategy.observe(np.array([i]), POOL.outcomes[[i]])
        for c in candidates:
            won = {1: 2, 0: 1, -1: 0}[int(POOL.outcomes[i, c])]
            games += won * [(c, baseline)] + (2 - won) * [(baseline, c)]
    ability = choix.opt_pairwise(POOL.n_models, games, alpha=1e-9)
    expected = 1 / (1 + np.exp(ability[baseline] - ability[candidates]))
    np.testing.assert_allclose(strategy.win_chance()[0], expected, atol=1e-4)


def test_true_ties_are_broken_by_the_order_whatever_the_rounding():
    scores = np.array([[1.0, 1.0 + 1e-13, 0.5, 1.0 - 1e-13]])
    rank = np.array([[2, 3, 0, 1]], dtype=np.int32)
    assert strategies.pick(scores, rank) == [3]
    assert strategies.pick(-scores, rank) == [2]
    rank[0, 3] = strategies.CLOSED
    assert strategies.pick(scores, rank) == [0]


def test_ties_in_a_collapsed_belief_are_relative():
    scores = -np.array([[1e-30, 1.1e-30, 1e-30]])
    assert strategies.pick(scores, np.array([[1, 0, 2]], dtype=np.int32)) == [0]


def test_llm_selector_prefers_the_query_whose_guesses_tell_models_apart():
    votes = np.zeros((2, 3, 1), np.int8)
    votes[1, 0], votes[1, 1] = 1, -1
    pool = Pool(["dull", "sharp"], ["a", "b", "base"], "base", votes=votes, outcomes=votes[..., 0])
    assert picks("LLM Selector", pool, realizations=3)[:, 0].tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    "strategy",
    [cls() for cls in strategies.STRATEGIES.values()]
    + [strategies.LLMSelector(0.1, 0.3), strategies.SelectLLM(0.5, similarity="rouge_l")],
    ids=repr,
)
def test_a_strategy_is_made_anew_from_its_settings(strategy):
    settings = json.loads(json.dumps(strategy.settings))
    again = strategies.from_settings(settings)
    assert type(again) is type(strategy) and again.settings == strategy.settings
    strategy.prepare(POOL)  # what it has learned is no setting
    assert strategy.settings == settings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "LLMSelektor"}, "unknown strategy 'LLMSelektor': did you mean 'LLMSelector'"),
        ({}, "unknown strategy ''"),
        ({"name": "Random", "seed": 1}, "the strategy 'Random' cannot be made with seed=1"),
        ({"name": "SelectLLM", "tau": 0}, "must be above 0"),
    ],
)
def test_settings_of_no_strategy_are_refused_in_one_sentence(settings, message):
    with pytest.raises(InputError, match=message) as caught:
        strategies.from_settings(settings)
    assert "\n" not in str(caught.value)
