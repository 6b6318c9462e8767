"""A panel says what more than half of its members say, and nothing where that is open."""

import itertools
from collections import Counter

import pytest
from helpers.loopback import serve
from helpers.servers import longer, pool_of

from llmsel._base.errors import InputError
from llmsel.answers.prices import Prices
from llmsel.answers.server import ServerError
from llmsel.judging.collect import annotate
from llmsel.judging.judges import Judge, Verdict
from llmsel.judging.llm import LLMJudge
from llmsel.judging.log import AnnotationLog
from llmsel.judging.panel import Panel, majority
from llmsel.judging.provenance import bias, warnings_of
from llmsel.judging.replay import read_log
from llmsel.pool import MISSING

OUTCOMES = (-1, 0, 1)


class Fixed(Judge):
    """Says one thing, and counts how often."""

    def __init__(self, name, said):
        self.name, self.said, self.asked = name, said, 0

    def judge(self, query, response, baseline_response):
        self.asked += 1
        if isinstance(self.said, Exception):
            raise self.said
        return Verdict(self.said)


def whole(votes):
    """The outcome of a whole panel: more than half, else a draw."""
    outcome, count = Counter(votes).most_common(1)[0]
    return outcome if 2 * count > len(votes) else 0


@pytest.mark.parametrize("members", [1, 2, 3, 4, 5])
def test_the_outcome_is_that_of_every_way_in_which_the_rest_may_vote(members):
    for asked in range(members + 1):
        for given in itertools.product((*OUTCOMES, MISSING), repeat=asked):
            known = [each for each in given if each != MISSING]
            rest = itertools.product(OUTCOMES, repeat=members - len(known))
            possible = {whole([*known, *more]) for more in rest}
            expected = possible.pop() if len(possible) == 1 else None
            assert majority(given, members - asked) == expected


@pytest.mark.parametrize(
    ("said", "outcome", "asked"),
    [
        ((1, 1, -1), 1, 2),
        ((1, -1, -1), -1, 3),
        ((1, -1, 0), 0, 3),
        ((1, 0), 0, 2),
        ((1, -1, 0, 1), 0, 3),  # nobody can have three of four any more
        ((1, MISSING, 1), 1, 3),
        ((1, MISSING, -1), MISSING, 3),  # the missing one would have decided: no draw is guessed
        ((MISSING, MISSING, 1), MISSING, 3),
        ((RuntimeError("boom"), -1, -1), -1, 3),
    ],
)
def test_members_are_asked_until_the_outcome_is_settled(said, outcome, asked):
    members = [Fixed(f"j{i}", each) for i, each in enumerate(said)]
    verdict = Panel(members).judge("?", "a", "b")
    assert verdict.outcome == outcome and sum(j.asked for j in members) == asked
    held = verdict.detail["members"]
    assert [each["by"] for each in held] == [j.name for j in members[:asked]]
    if outcome == MISSING:
        assert "members gave no verdict (j" in verdict.detail["failed"]


def test_a_panel_in_a_log_has_its_members_their_bias_and_their_bill(tmp_path):
    pool = pool_of("long answer", "no", queries=3)

    def by_name(body, number):
        return "A" if body["model"] == "x/base" else longer(body)

    path = tmp_path / "log.jsonl"
    with serve(by_name) as server:
        members = [
            LLMJudge(name, server.url, prices=Prices(price, 0))
            for name, price in (("x/base", 1), ("sane", 10), ("third", 100))
        ]
        panel = Panel(members)
        assert panel.estimate(pool)["requests"] == 18 and panel.spent["requests"] == 0
        with (
            pytest.warns(UserWarning, match="'x/base' is also a model of the pool"),
            AnnotationLog(path, pool, strategy="Random") as log,
        ):
            annotate(log, panel, workers=2)
        assert panel.spent["requests"] == 18 == len(server.bodies)  # draw, win: the third decides
    held = read_log(path, pool)
    assert [(e.outcome, e.by, e.order) for e in held.given] == [
        (1, "panel of x/base, sane, third", "both")
    ] * 3
    assert [m["outcome"] for m in held.given[0].detail["members"]] == [0, 1, 1]
    assert held.judges[0][1]["members"] == [judge.settings for judge in members]
    assert bias(held.given)["pairs"] == 9 and bias(held.given)["first"] == pytest.approx(1 / 3)
    assert any("'x/base' is also a model" in each for each in warnings_of(held))
    assert held.cost == pytest.approx(panel.spent["cost"]) == pytest.approx(3 * 2 * 111 * 1e-4)


def test_a_member_that_is_gone_ends_it_and_another_setting_is_another_judge(tmp_path):
    with pytest.raises(InputError, match="at least one judge"):
        Panel([])
    with pytest.raises(ServerError):
        Panel([Fixed("a", 1), Fixed("b", ServerError("gone"))]).judge("?", "a", "b")
    pool = pool_of("a", "bb", queries=4)
    with serve(longer) as server, AnnotationLog(tmp_path / "log.jsonl", pool) as log:
        for seed in (1, 2):
            judges = [
                LLMJudge("m", server.url),
                LLMJudge("n", server.url, parameters={"seed": seed}),
            ]
            annotate(log, Panel(judges), queries=2)
        (said,) = warnings_of(log.contents)
    assert "the judge was changed after 2 outcomes: member 2: parameters {" in said


def test_what_members_see_is_what_a_verdict_depends_on():
    shared, other = ({"?": text} for text in ("right", "wrong"))
    panels = [
        Panel([LLMJudge("m", references=shared), LLMJudge("n", references=r)]).context("?")
        for r in (shared, other, None)
    ]
    assert len(set(panels)) == 3 and None not in panels
    assert Panel([LLMJudge("m")]).context("?") is None
