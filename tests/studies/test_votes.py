"""Judges of known quality, and what their votes are worth."""

import math

import numpy as np
import pytest
from helpers.pools import PROTOCOL, candidates

from llmsel._base.errors import InputError
from llmsel.pool import MISSING, Pool
from llmsel.studies import paired, votes
from llmsel.studies import votes as voters


@pytest.mark.parametrize("flip", [0.0, 0.3, 1.0])
def test_noisy_votes_are_wrong_as_often_as_asked(pool, flip):
    votes = voters.noisy_votes(pool, flip, judges=50, seed=1)
    assert votes.dtype == np.int8 and set(np.unique(votes)) <= {-1, 0, 1}
    wrong = candidates(pool, votes) != candidates(pool, pool.outcomes)[..., None]
    assert wrong.mean() == pytest.approx(flip, abs=0.01)
    assert (votes[:, pool.baseline_index] == 0).all()
    assert (votes == voters.noisy_votes(pool, flip, judges=50, seed=1)).all()


def test_a_flipped_vote_is_either_other_outcome(pool):
    votes = candidates(pool, voters.noisy_votes(pool, 1.0, judges=200))
    lost = candidates(pool, pool.outcomes) == -1
    assert (votes[lost] == 1).mean() == pytest.approx(0.5, abs=0.02)


def test_flip_rate_is_checked(pool):
    with pytest.raises(InputError, match=r"flip=1\.5"):
        voters.noisy_votes(pool, 1.5)


def test_perfect_and_random_votes(pool):
    holes = pool.outcomes.copy()
    holes[0, (pool.baseline_index + 1) % 7] = MISSING
    gaps = pool.replace(outcomes=holes)
    perfect = voters.perfect_votes(gaps)
    assert perfect.min() >= -1 and (perfect[1:, :, 0] == pool.outcomes[1:]).all()
    table = voters.agreement(gaps, perfect)
    assert table["agreement"][0] == 1 and table["kappa"][0] == pytest.approx(1)
    assert table["win_rates"][0] == pytest.approx(1)
    random = voters.random_votes(gaps, judges=30)
    table = voters.agreement(gaps, random)
    assert abs(table["kappa"].mean()) < 0.03
    assert gaps.replace(votes=random).votes is not None


def test_agreement_beyond_chance_on_hand_counted_votes():
    outcomes = np.array([[1, 0], [1, 0], [-1, 0], [0, 0]], dtype=np.int8)
    votes = np.array([[1, 0], [-1, 0], [-1, 0], [1, 0]], dtype=np.int8)[..., None]
    row = voters.agreement(Pool("abcd", ["m", "base"], "base", outcomes=outcomes), votes).loc[0]
    assert row["agreement"] == 2 / 4
    chance = 2 / 4 * 2 / 4 + 2 / 4 * 1 / 4  # P(win) P(win) + P(loss) P(loss)
    assert row["chance"] == pytest.approx(chance)
    assert row["kappa"] == pytest.approx((0.5 - chance) / (1 - chance))
    assert row["decided"] == pytest.approx(2 / 3)
    assert row["low"] <= 0.5 <= row["high"]
    assert math.isnan(row["win_rates"])  # one candidate has no correlation


def test_shuffles_permute_whole_rows(pool):
    shuffled = voters.shuffled_votes(pool, seed=3)
    assert not (shuffled == pool.votes).all()
    assert sorted(row.tobytes() for row in shuffled) == sorted(r.tobytes() for r in pool.votes)


def test_length_and_consensus_votes():
    answers = [["aa", "aaa", "a"], ["b b c", "b b", "b b c"]]
    pool = Pool(["x", "y"], ["m", "n", "base"], "base", responses=answers)
    assert voters.length_votes(pool)[..., 0].tolist() == [[1, 1, 0], [0, -1, 0]]
    assert voters.consensus_votes(pool)[1, :, 0].tolist() == [0, -1, 0]


def test_noise_sweep(pool):
    table = votes.noise_sweep(pool, [0, 0.5], repeats=2, **PROTOCOL)
    assert table["flip"].tolist() == [0, 0.5]
    perfect = {"truth": voters.perfect_votes(pool)}
    alone = paired.compare(votes.run_votes(pool, perfect, **PROTOCOL)).loc[0]
    assert table["difference"][0] == pytest.approx(alone["difference"])
    assert math.isnan(table["spread"][0]) and table["spread"][1] >= 0


def test_calibration_of_a_judge_that_knows(pool):
    table = voters.calibration(pool.replace(votes=voters.perfect_votes(pool)))
    assert table["vote"].tolist() == table["outcome"].tolist() == [0, 0.5, 1]
    assert table["cells"].sum() == 40 * 6


def test_shuffled_null(pool):
    table = votes.shuffled_null(pool, permutations=3, **PROTOCOL)
    assert list(table["votes"]) == ["Random", "real", "shuffle 1", "shuffle 2", "shuffle 3"]
    real = table.set_index("votes").loc["real"]
    assert real["difference"] == 0 == real["low"]
    same = pool.replace(votes=np.zeros_like(pool.votes))  # nothing to shuffle
    assert votes.null_rank(votes.shuffled_null(same, 2, **PROTOCOL)) == (2, 2)
    table["value"] = [0, 3, 1, 2, 4]
    assert votes.null_rank(table) == (1, 3)
    assert votes.null_rank(table, higher_is_better=False) == (2, 3)


def test_the_truth_as_a_judge_is_tried_with_the_best_ones_own_rates(pool):
    table = votes.truth_as_judge(pool, **PROTOCOL)
    assert table["judge"].tolist() == [
        *("random judge", "k-gram judges", "perfect judge"),
        *("k-gram judges", "perfect judge"),
    ]
    best = pool.outcomes[:, np.argmax(np.delete(pool.win_rates(), pool.baseline_index))]
    assert pool.baseline_index == pool.n_models - 1
    rates = [max(0.05, round(float(np.mean(best == code)), 2)) for code in (-1, 0)]
    assert table["eps"].tolist() == 3 * ["(0.2, 0.4)"] + 2 * ["({:g}, {:g})".format(*rates)]
    real = paired.compare(votes.run_votes(pool, {"k": pool.votes}, **PROTOCOL)).iloc[0]
    assert table.loc[1, "difference"] == pytest.approx(real["difference"])
    assert (table["low"] <= table["difference"]).all()
