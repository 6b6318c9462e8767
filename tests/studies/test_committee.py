"""Other readings of the named methods: each held against a version written for reading."""

import math

import numpy as np
import pytest
from helpers import pools

from llmsel import strategies
from llmsel._base.errors import InputError
from llmsel.pool import MISSING
from llmsel.similarity import similarity
from llmsel.studies import by_query, committee
from llmsel.studies.reference import selection as literal

POOLS = dict(pools.hostile())
NAMES = ["plain", "one judge", "missing outcomes", "many judges", "identical candidates"]


def shares_of(pool, i):
    votes = pool.votes.tolist()
    return [literal.shares(votes, i, j) for j in pool.candidate_columns]


LITERAL_RULES = {
    "entropy": lambda s: -sum(x * math.log2(x) for x in s if x > 0),
    "margin": lambda s: 1 - (sorted(s)[2] - sorted(s)[1]),
    "dissent": lambda s: 1 - max(s),
}


@pytest.mark.parametrize("rule", committee.RULES)
def test_committees_by_hand(rule):
    pool = POOLS["many judges"]
    by_hand = LITERAL_RULES[rule]
    for pooled in (True, False):
        strategy = committee.Committee(rule, pooled=pooled)
        strategy.prepare(pool)
        for i, score in enumerate(strategy.scores()):
            each = shares_of(pool, i)
            mean = [sum(s[c] for s in each) / len(each) for c in range(3)]
            expected = by_hand(mean) if pooled else np.mean([by_hand(s) for s in each])
            assert score == pytest.approx(expected)


def test_ours_are_two_of_the_six():
    pool = POOLS["many judges"]
    pairs = [
        ("Uncertainty", committee.Committee("entropy")),
        ("Confidence", committee.Committee("dissent", pooled=False)),
    ]
    for name, form in pairs:
        result = by_query.run(pool, [name, form], realizations=5, jobs=1)
        np.testing.assert_array_equal(result.chosen[name], result.chosen[form.name])
    with pytest.raises(InputError, match="unknown rule of a committee 'margn'"):
        committee.Committee("margn")


def fitted(pool, seen):
    """Chance to beat the baseline and Luce's weights, straight from the formulas."""
    chance = {}
    for j in pool.candidate_columns:
        cells = [pool.outcomes[i, j] for i in seen if pool.outcomes[i, j] != MISSING]
        chance[j] = (sum((c + 1) / 2 for c in cells) + 0.5) / (len(cells) + 1)
    strength = {j: p / (1 - p) for j, p in chance.items()}
    whole = 1 + sum(strength.values())
    return chance, {j: s / whole for j, s in strength.items()}


def unweighted(pool, seen, i):
    chance, _ = fitted(pool, seen)

    def gain(v, p):
        parts = [(v, p), (1 - v, 1 - p)]
        return sum(a * math.log(a / b) for a, b in parts if a > 0)

    return np.mean(
        [np.mean([gain((v + 1) / 2, p) for v in pool.votes[i, j]]) for j, p in chance.items()]
    )


def spread(pool, seen, i):
    _, luce = fitted(pool, seen)
    mean = {j: pool.votes[i, j].mean() for j in luce}
    middle = sum(w * mean[j] for j, w in luce.items())
    baseline = (1 - sum(luce.values())) * middle**2
    return sum(w * (mean[j] - middle) ** 2 for j, w in luce.items()) + baseline


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("form", "by_hand"),
    [(committee.BradleyTerryPlain(), unweighted), (committee.BradleyTerrySpread(), spread)],
)
def test_bradley_terry_forms_by_hand(form, by_hand, name):
    pool = POOLS[name]
    form.prepare(pool.hide_outcomes())
    form.begin(1)
    for seen in ([], [0], [0, 3], [0, 3, 5, 7]):
        if seen:
            form.observe(np.array(seen[-1:]), pool.outcomes[seen[-1:]])
            if len(seen) == 4:
                form.begin(1)
                for i in seen:
                    form.observe(np.array([i]), pool.outcomes[[i]])
        expected = [by_hand(pool, seen, i) for i in range(pool.n_queries)]
        np.testing.assert_allclose(form.scores()[0], expected, atol=1e-12)


def one_similarity(pool, order, tau):
    """Select-LLM with one similarity between answers, query by query."""
    alike = similarity(pool, cache=False).astype(float)
    models = [int(j) for j in pool.candidate_columns]
    log = dict.fromkeys(models, 0.0)

    def score(i):
        top = max(log.values())
        p = {j: math.exp(x - top) for j, x in log.items()}
        whole = sum(p.values())
        return sum(
            p[j] * p[k] / whole**2 * (1 - alike[i, j, k]) for j in models for k in models if j != k
        )

    def observe(i):
        row = pool.outcomes[i]
        best = [k for k in range(pool.n_models) if row[k] == max(x for x in row if x != MISSING)]
        for j in models:
            log[j] += max(alike[i, j, k] for k in best) / tau

    return literal.run(score, observe, order, len(order))


@pytest.mark.parametrize("name", NAMES)
def test_one_similarity_between_answers_by_hand(name):
    pool = POOLS[name]
    form = committee.SelectLLMAnswers(0.3)
    result = by_query.run(pool, [form], realizations=3, jobs=1)
    for order, chosen in zip(result.orders.tolist(), result.chosen[form.name], strict=True):
        assert chosen.tolist() == one_similarity(pool, order, 0.3)


def test_a_candidate_placed_highest_has_full_utility():
    pool = POOLS["one dominates"]
    form = committee.SelectLLMAnswers()
    form.prepare(pool)
    form.begin(1)
    form.observe(np.array([0]), pool.outcomes[[0]])
    winner = int(np.flatnonzero(pool.candidate_columns == (pool.baseline_index + 1) % 6)[0])
    weights = form._log_weights[0]
    assert weights[winner] == weights.max() == 0.0


def test_one_similarity_between_outcomes_by_hand():
    pool = POOLS["many judges"]
    form = committee.SelectLLMOutcomes(0.5)
    assert form.settings == {"name": "SelectLLMOutcomes", "tau": 0.5}
    result = by_query.run(pool, [form], realizations=2, jobs=1)
    votes, models = pool.votes.astype(float), range(pool.n_models)
    unlike = np.array(
        [
            [[np.abs(votes[i, j] - votes[i, k]).mean() / 2 for j in models] for k in models]
            for i in range(pool.n_queries)
        ]
    )
    for order, chosen in zip(result.orders.tolist(), result.chosen[form.name], strict=True):
        p = np.full(pool.n_models, 1 / pool.n_models)

        def score(i):
            return p @ unlike[i] @ p  # noqa: B023 - used before it changes

        def observe(i):
            p[:] = p * np.exp((pool.outcomes[i] + 1) / 2 / 0.5)  # noqa: B023
            p[:] = p / p.sum()  # noqa: B023

        assert chosen.tolist() == literal.run(score, observe, order, len(order))


def test_every_form_is_named_and_runs_where_its_data_is():
    pool = POOLS["plain"]
    names = {one.name for one in committee.every_form(pool)}
    listed = {name for forms in committee.FORMS.values() for name in forms}
    assert names == listed - set(strategies.STRATEGIES)
    without = committee.every_form(pool.replace(responses=None))
    assert {one.name for one in without} == names - {"Select-LLM, one similarity"}
    result = by_query.run(pool, committee.every_form(pool), realizations=2, jobs=1)
    for chosen in result.chosen.values():
        assert all(sorted(row) == list(range(24)) for row in chosen.tolist())
