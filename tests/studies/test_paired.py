"""Paired comparisons."""

import math

import pytest
from helpers.pools import PROTOCOL

import llmsel
from llmsel._base.errors import InputError
from llmsel.studies import paired, votes
from llmsel.studies import scores as metrics
from llmsel.studies import votes as voters


def test_runs_share_their_pools_and_compare_pairwise(pool):
    perfect = voters.perfect_votes(pool)
    scores = votes.run_votes(pool, {"own": pool.votes, "truth": perfect}, **PROTOCOL)
    assert list(scores) == ["Random", "own", "truth"]
    direct = metrics.score(llmsel.run(pool, ["Random", "LLM Selector"], **PROTOCOL))
    for ours, name in (("Random", "Random"), ("own", "LLM Selector")):
        assert (scores[ours]["gap"] == direct[name]["gap"]).all()
    table = paired.compare(scores, upto=5).set_index("strategy")
    assert list(table.index) == ["own", "truth"]
    areas = paired.area(scores, upto=5)
    gap = areas["own"] - areas["Random"]
    assert table["difference"]["own"] == pytest.approx(gap.mean())
    error = 2.093024 * gap.std() / math.sqrt(20)  # Student's t, 19 degrees of freedom
    assert table["high"]["own"] == pytest.approx(gap.mean() + error)
    with pytest.raises(InputError, match="unknown strategy"):
        paired.compare(scores, against="Randon")


@pytest.mark.parametrize(
    ("low", "high", "words"), [(0.1, 0.2, "up"), (-0.2, -0.1, "down"), (-0.1, 0.1, "unclear")]
)
def test_words_follow_the_interval(low, high, words):
    assert paired.verdict(low, high, "up", "down", "unclear") == words
