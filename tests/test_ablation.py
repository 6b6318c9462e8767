"""Judges of known quality, paired comparisons, other baselines, every subset."""

import itertools
import math

import literal
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from pools import simulated

import llmsel
from llmsel import ablation, charts, domains, greedy, metrics, pairs, voters
from llmsel.belief import Belief, posterior
from llmsel.errors import InputError
from llmsel.pool import MISSING, Pool

PROTOCOL = {"realizations": 20, "pool_size": 16, "jobs": 1}


@pytest.fixture(scope="module")
def pool():
    return simulated(n=40, m=6, seed=11)


def candidates(pool, array):
    return np.delete(array, pool.baseline_index, axis=1)


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


def test_runs_share_their_pools_and_compare_pairwise(pool):
    perfect = voters.perfect_votes(pool)
    scores = ablation.run_votes(pool, {"own": pool.votes, "truth": perfect}, **PROTOCOL)
    assert list(scores) == ["Random", "own", "truth"]
    direct = metrics.score(llmsel.run(pool, ["Random", "LLM Selector"], **PROTOCOL))
    for ours, name in (("Random", "Random"), ("own", "LLM Selector")):
        assert (scores[ours]["gap"] == direct[name]["gap"]).all()
    table = ablation.compare(scores, upto=5).set_index("strategy")
    assert list(table.index) == ["own", "truth"]
    areas = ablation.area(scores, upto=5)
    gap = areas["own"] - areas["Random"]
    assert table["difference"]["own"] == pytest.approx(gap.mean())
    error = 2.093024 * gap.std() / math.sqrt(20)  # Student's t, 19 degrees of freedom
    assert table["high"]["own"] == pytest.approx(gap.mean() + error)
    with pytest.raises(InputError, match="unknown strategy"):
        ablation.compare(scores, against="Randon")


def test_steering_towards_easy_queries():
    outcomes = np.array([[1, 0]] * 5 + [[-1, 0]] * 15, dtype=np.int8)
    easy_first = Pool(range(20), ["m", "base"], "base", outcomes=outcomes)
    order = np.arange(20, dtype=np.int32)[None]
    result = llmsel.Result(easy_first, order, {"Random": order}, {})
    row = ablation.steering(result, budget=5).loc[0]
    assert row["lift"] == row["optimism"] == pytest.approx(1 - 0.25)
    assert row["favours_baseline"] == 1  # a win is as likely as a draw
    assert ablation.steering(result, 5, Belief(0.2, 0.2))["favours_baseline"][0] == 0
    row = ablation.steering(result, budget=20).loc[0]
    assert row["lift"] == 0 == row["optimism"]


def test_noise_sweep(pool):
    table = ablation.noise_sweep(pool, [0, 0.5], repeats=2, **PROTOCOL)
    assert table["flip"].tolist() == [0, 0.5]
    perfect = {"truth": voters.perfect_votes(pool)}
    alone = ablation.compare(ablation.run_votes(pool, perfect, **PROTOCOL)).loc[0]
    assert table["difference"][0] == pytest.approx(alone["difference"])
    assert math.isnan(table["spread"][0]) and table["spread"][1] >= 0


def test_calibration_of_a_judge_that_knows(pool):
    table = voters.calibration(pool.replace(votes=voters.perfect_votes(pool)))
    assert table["vote"].tolist() == table["outcome"].tolist() == [0, 0.5, 1]
    assert table["cells"].sum() == 40 * 6


@pytest.mark.parametrize(
    ("low", "high", "words"), [(0.1, 0.2, "up"), (-0.2, -0.1, "down"), (-0.1, 0.1, "unclear")]
)
def test_words_follow_the_interval(low, high, words):
    assert ablation.verdict(low, high, "up", "down", "unclear") == words


def test_shuffled_null(pool):
    table = ablation.shuffled_null(pool, permutations=3, **PROTOCOL)
    assert list(table["votes"]) == ["Random", "real", "shuffle 1", "shuffle 2", "shuffle 3"]
    real = table.set_index("votes").loc["real"]
    assert real["difference"] == 0 == real["low"]
    same = pool.replace(votes=np.zeros_like(pool.votes))  # nothing to shuffle
    assert ablation.null_rank(ablation.shuffled_null(same, 2, **PROTOCOL)) == (2, 2)
    table["value"] = [0, 3, 1, 2, 4]
    assert ablation.null_rank(table) == (1, 3)
    assert ablation.null_rank(table, higher_is_better=False) == (2, 3)


def test_sensitivity_covers_the_simplex(pool):
    table = ablation.sensitivity(pool, step=0.25, **PROTOCOL)
    assert len(table) == 3 and (table["eps_loss"] + table["eps_draw"] < 1).all()
    assert (
        (table["low"] <= table["identification"]) & (table["identification"] <= table["high"])
    ).all()
    tuned = ablation.sensitivity(pool, step=0.25, votes_as_oracle=True, **PROTOCOL)
    hidden = pool.replace(outcomes=np.zeros_like(pool.outcomes))
    blind = ablation.sensitivity(hidden, step=0.25, votes_as_oracle=True, **PROTOCOL)
    assert tuned.equals(blind)  # the oracle's outcomes are not looked at
    table["identification"], table["area"] = [0.5, 0.7, 0.7], [0.9, 0.1, 0.2]
    assert ablation.best_pair(table) == tuple(table.loc[2, ["eps_loss", "eps_draw"]])


def test_candidates_only_is_the_algorithm_without_the_baseline(pool):
    result = llmsel.run(pool, [ablation.CandidatesOnly(), "LLM Selector"], **PROTOCOL)
    chosen = result.chosen["LLM Selector, candidates only"]
    votes, outcomes = (candidates(pool, a) for a in (pool.votes, pool.outcomes))
    for order, picks in zip(result.orders, chosen, strict=True):
        assert literal.llm_selector(votes, outcomes, order, 16) == picks.tolist()
    assert (chosen != result.chosen["LLM Selector"]).any()


def test_exact_and_derived_baselines_on_smol():
    loaded, judged = pairs.with_baseline("smol", "few-shot", votes=False)
    assert judged and loaded.baseline == "few-shot"
    pool = llmsel.load("smol", votes=False)
    derived = pairs.rebased(pool, "few-shot", votes=False)
    # a better outcome against the old baseline can only come from a better grade
    assert ((derived.outcomes == 0) | (derived.outcomes == loaded.outcomes)).all()
    assert pairs.rebased(pool, "few-shot").votes is not None
    with pytest.raises(InputError, match="unknown baseline"):
        pairs.rebased(pool, "few-short")


def test_derived_cells_stay_unknown():
    pool = Pool("ab", ["m", "n", "base"], "base", outcomes=[[1, MISSING, 0], [-1, 0, 0]])
    derived = pairs.rebased(pool, "n")
    assert derived.outcomes.tolist() == [[MISSING, 0, MISSING], [-1, 0, 0]]


def test_all_pairs_of_smol_are_antisymmetric():
    models, rates = pairs.all_pairs("smol")
    assert np.allclose(rates + rates.T, 1) and len(models) == 13
    table = pairs.star_winners(models, rates)
    assert table["strength"].is_monotonic_increasing
    assert table["winner"].isin(models).any()


def test_condorcet_borda_and_star():
    cycle = np.array([[0.5, 1, 0], [0, 0.5, 1], [1, 0, 0.5]])
    assert pairs.condorcet(cycle) is None and pairs.borda(cycle).tolist() == [0, 1, 2]
    clear = np.array([[0.5, 0.6, 0.6], [0.4, 0.5, 0.9], [0.4, 0.1, 0.5]])
    assert pairs.condorcet(clear) == 0
    assert pairs.borda(clear).tolist() == [1]  # wins by more, but loses to the Condorcet winner
    table = pairs.star_winners(("a", "b", "c"), clear).set_index("baseline")
    assert table["winner"].to_dict() == {"a": "a", "b": "a", "c": "b"}
    assert table["is_condorcet"].to_dict() == {"a": True, "b": True, "c": False}
    assert table["is_borda"].to_dict() == {"a": False, "b": False, "c": True}


def test_entropy_of_subsets_is_literal(pool):
    tiny = pool.subset(queries=pool.queries[:6])
    belief = Belief(0.2, 0.3)
    every = greedy.subsets(6, 2)
    assert [tuple(s) for s in every] == list(itertools.combinations(range(6), 2))
    for found, (a, b) in zip(greedy.entropy_after(tiny, every, belief), every, strict=True):
        weights = belief.prior(1, tiny.n_models)
        for i in (a, b):
            weights = belief.update(weights, tiny.outcomes[[i]])
        p = posterior(weights)[0]
        assert found == pytest.approx(-(p * np.log(p)).sum())
    own = tiny.replace(votes=tiny.outcomes[..., None])
    assert np.allclose(
        greedy.planned_entropy(own, every, belief), greedy.entropy_after(tiny, every, belief)
    )


def test_greedy_against_all_subsets(pool):
    tiny = pool.subset(queries=pool.queries[:8])
    found = greedy.against_all(tiny, 3)
    assert 0 < found["plan"] <= 1 + 1e-9 and found["information"] <= 1 + 1e-9
    for name in ("beaten", "greedy", "random", "best_informed"):
        assert 0 <= found[name] <= 1
    assert greedy.against_all(tiny, 1)["plan"] == pytest.approx(1)  # one query: greedy is optimal
    everything = greedy.against_all(tiny, 8)
    assert everything["information"] == pytest.approx(1)
    assert everything["greedy"] == everything["random"] == 1


def test_brute_force_refuses_what_it_cannot_do(pool):
    with pytest.raises(InputError, match="subsets of 20"):
        greedy.subsets(40, 20)
    with pytest.raises(InputError, match="outside"):
        greedy.subsets(4, 5)
    holes = pool.outcomes.copy()
    holes[0, (pool.baseline_index + 1) % 7] = MISSING
    with pytest.raises(InputError, match="must be judged"):
        greedy.against_all(pool.replace(outcomes=holes), 1)


def test_charts_show_every_row():
    plt.switch_backend("agg")
    table = pd.DataFrame({"who": ["a", "b"], "x": [1, 2], "v": [0.1, 0.2], "low": 0, "high": 0.3})
    ax = charts.forest(table, "who", "v")
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "b"]
    assert charts.band(table, "x", "v", label="line").get_legend_handles_labels()[1] == ["line"]
    null = pd.DataFrame({"votes": ["Random", "real", "shuffle 1"], "value": [0.1, 0.2, 0.3]})
    assert "1 shuffles" in charts.null_strip(null).get_legend_handles_labels()[1][0]
    grid = pd.DataFrame({"eps_loss": [0.1, 0.2], "eps_draw": [0.1, 0.1], "value": [0.5, 0.6]})
    ax = charts.simplex(grid, "value", {"default": (0.2, 0.1)})
    assert ax.get_legend_handles_labels()[1] == ["default (0.2, 0.1)"]
    plt.close("all")


@pytest.mark.parametrize(
    ("category", "kind"),
    [
        ("coding", "code"),
        ("Advanced Algebra and Number Theory", "mathematics"),
        ("puzzles", "reasoning"),
        ("roleplay", "text"),
        ("Guitar Chord Theory", "text"),
    ],
)
def test_kinds_by_the_name_of_the_category(category, kind):
    assert domains.kind_of(category) == kind


def test_groups_are_measured_alone_and_together(pool):
    groups = ("easy",) * 25 + ("hard",) * 12 + ("rare",) * 3
    table = domains.by_group(pool, groups, permutations=2, realizations=5, jobs=1)
    assert table["group"].tolist() == ["easy", "hard", "all"]
    assert table["queries"].tolist() == [25, 12, 40]
    assert (table["shuffles"] == 2).all()
    everything = table.iloc[2]
    assert everything["kappa"] == pytest.approx(voters.agreement(pool)["kappa"].mean())
    assert (table["kappa_low"] <= table["kappa"]).all()
    assert domains.kinds(pool.replace(name="humaneval")) == ("code",) * 40
    with pytest.raises(InputError, match="no categories"):
        domains.kinds(pool)
