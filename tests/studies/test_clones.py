"""Clones: what they change, what finds them, and the prior under which they change nothing."""

import numpy as np
import pytest
from helpers import pools

from llmsel._base.errors import InputError
from llmsel.pool import MISSING
from llmsel.studies import by_query
from llmsel.studies.clones import (
    KINDS,
    FamilyPrior,
    clone_effect,
    families,
    shared,
    with_clones,
)

PROTOCOL = {"realizations": 12, "pool_size": 24, "budget": 12, "seed": 2, "jobs": 1}


@pytest.fixture(scope="module")
def board():
    """Answers that no two models share, so that only clones are families."""
    pool = pools.simulated(n=200, m=6, z=4, seed=11)
    rows = [[f"{text} {j}" for j, text in enumerate(row)] for row in pool.responses.tolist()]
    return pool.replace(responses=rows)


@pytest.mark.parametrize("kind", KINDS)
def test_what_differs_in_a_clone(board, kind):
    parent = board.candidates[2]
    pool = with_clones(board, parent, kind, copies=3, seed=1)
    queries, cells = KINDS[kind]
    assert pool.models[:-3] == board.models and pool.n_models == board.n_models + 3
    np.testing.assert_array_equal(pool.votes[:, :-3], board.votes)
    column = board.column(parent)
    for c in (-3, -2, -1):
        outcome = (pool.outcomes[:, c] != board.outcomes[:, column]).mean()
        vote = (pool.votes[:, c] != board.votes[:, column]).mean()
        answer = (pool.responses[:, c] != board.responses[:, column]).mean()
        assert outcome == answer == pytest.approx(queries, abs=0.02)
        assert vote == pytest.approx(max(queries, cells), abs=0.05)
        assert (outcome > 0) == (queries > 0) and (vote > 0) == (max(queries, cells) > 0)


def test_a_missing_outcome_stays_missing():
    pool = pools.simulated(n=400)
    outcomes = pool.outcomes.copy()
    column = pool.candidate_columns[0]
    outcomes[::2, column] = MISSING
    holes = pool.replace(outcomes=outcomes)
    cloned = with_clones(holes, pool.models[column], "near-duplicates")
    assert (cloned.outcomes[::2, -4:] == MISSING).all()
    assert (cloned.outcomes[1::2, -4:] != MISSING).all()


@pytest.mark.parametrize("kind", KINDS)
def test_clones_are_one_family_and_nobody_else_is(board, kind):
    assert (families(board) == np.arange(board.n_models)).all()
    parent = board.candidates[2]
    found = families(with_clones(board, parent, kind))
    assert (found[-4:] == board.column(parent)).all()
    assert (found[:-4] == np.arange(board.n_models)).all()


def test_without_responses_votes_tell(board):
    blind = board.replace(responses=None)
    parent = blind.candidates[0]
    cloned = with_clones(blind, parent)
    assert cloned.responses is None
    assert (families(cloned)[-4:] == blind.column(parent)).all()
    assert len(set(families(with_clones(blind, parent, "aliases"))[-4:])) == 4


def test_a_third_joins_two_and_the_baseline_stays_alone():
    pool = pools.simulated(n=10, m=4)
    a, b, c, d = pool.candidate_columns
    words = np.array([[f"{i} {j}" for j in range(5)] for i in range(10)], dtype=object)
    words[:6, b] = words[:6, a]
    words[4:, c] = words[4:, b]
    words[:, pool.baseline_index] = words[:, d]
    found = families(pool.replace(responses=words.tolist()), 0.6)
    assert found[a] == found[b] == found[c] and found[d] == d
    assert found[pool.baseline_index] == pool.baseline_index


def test_a_family_prior_of_one_member_is_blind_to_clones(board):
    parent = board.candidates[2]
    prior = FamilyPrior()
    clean = by_query.run(board, ["LLM Selector", prior], **PROTOCOL)
    np.testing.assert_array_equal(clean.chosen["LLM Selector"], clean.chosen[prior.name])
    for kind in KINDS:
        cloned = by_query.run(with_clones(board, parent, kind), ["LLM Selector", prior], **PROTOCOL)
        np.testing.assert_array_equal(cloned.chosen[prior.name], clean.chosen[prior.name])
        assert (cloned.chosen["LLM Selector"] != clean.chosen["LLM Selector"]).any()
        table = clone_effect(clean, cloned).set_index("strategy")
        assert table.loc[prior.name, "order"] == 0 and table.loc[prior.name, "jaccard"] == 1
        assert table.loc[prior.name, ["cumulative", "last"]].tolist() == [0, 0]
        assert table.loc["LLM Selector", "order"] > 0


def test_weights_share_one_mass(board):
    pool = with_clones(board, board.candidates[2])
    prior = FamilyPrior(members="weighted")
    prior.prepare(pool.hide_outcomes())
    prior.begin(1)
    mass = prior.posterior()[0]
    family = families(pool) == board.column(board.candidates[2])
    assert mass[family].sum() == pytest.approx(1 / board.n_models)
    assert mass[~family] == pytest.approx(np.full((~family).sum(), 1 / board.n_models))
    prior.observe(np.array([0]), pool.outcomes[[0]])
    assert prior.settings["members"] == "weighted" and prior.posterior().sum() == pytest.approx(1)


def test_effect_by_hand_and_mistakes(board):
    clean = by_query.run(board, ["Random"], **PROTOCOL)
    same = clone_effect(clean, clean, budget=5).iloc[0]
    assert same[["order", "set", "cumulative", "last"]].tolist() == [0, 0, 0, 0]
    assert shared(np.array([1, 2, 3]), np.array([2, 3, 4])) == 0.5
    other = by_query.run(board, ["Random"], **{**PROTOCOL, "seed": 5})
    with pytest.raises(InputError, match="not on the same pools"):
        clone_effect(clean, other)
    for mistake, message in (
        (lambda: with_clones(board, board.baseline), "unknown candidate"),
        (lambda: with_clones(board, board.candidates[0], "copy"), "unknown kind of clone"),
        (lambda: families(board, 0), "must be above 0"),
        (lambda: FamilyPrior(members="two"), "unknown way to count members"),
    ):
        with pytest.raises(InputError, match=message):
            mistake()
