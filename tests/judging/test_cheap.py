"""A cheap judge beside the one that counts: lines of its own, replayed, never in the way."""

import json

import numpy as np
import pytest
from helpers import pools
from helpers.judges import graded

import llmsel
from llmsel._base.errors import InputError
from llmsel.judging.collect import judge_race, resume, verdict_of
from llmsel.judging.judges import Judge, ProgramJudge, Verdict
from llmsel.judging.log import AnnotationLog
from llmsel.judging.repair import check_log
from llmsel.judging.replay import read_log
from llmsel.pool import MISSING
from llmsel.racing.race import Race


class Cheap(Judge):
    """Errs in some cells, by its own hash of the answer; counts how often it is asked."""

    name = "cheap"

    def __init__(self, truth, fails_after=None):
        self.truth, self.asked, self.fails_after = truth, 0, fails_after

    def judge(self, query, response, baseline_response):
        self.asked += 1
        if self.fails_after is not None and self.asked > self.fails_after:
            raise InputError("the server is gone")
        given = self.truth.judge(query, response, baseline_response)
        wrong = sum(map(ord, response)) % 7 == 0
        return Verdict(-given.outcome if wrong else given.outcome)


@pytest.fixture(scope="module")
def judged():
    return graded(pools.simulated(n=200, m=16, spread=1.0, seed=4))


def race_of(pool, price=0.0, **options):
    rule = llmsel.Audit(switch="early")
    return Race(pool, rule, seed=5, batch=4, cheap_price=price, **options)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_cheap_verdicts_are_lines_of_their_own_and_replay_the_race(tmp_path, judged):
    pool, judge = judged
    path, cheap = tmp_path / "log.jsonl", Cheap(judge)
    said = []
    with AnnotationLog(path, pool) as log:
        verdict = judge_race(
            log, judge, race=race_of(pool), cheap=cheap, workers=3, gauge=said.append
        )
        assert verdict.certified and verdict.calls == len(log.given)
    bought = [line for line in lines(path) if "cheap" in line]
    assert 0 < cheap.asked <= len(bought)
    assert {line["by"] for line in bought} == {"cheap"}
    held = read_log(path, pool)
    again = resume(held)
    assert verdict_of(held) == verdict
    assert again.cheap == said[-1]
    assert again.cheap["verdicts"] == len(bought)
    assert check_log(path).damaged == ()


def test_a_stop_anywhere_changes_nothing(tmp_path, judged):
    pool, judge = judged
    whole, parts = tmp_path / "whole.jsonl", tmp_path / "parts.jsonl"
    with AnnotationLog(whole, pool) as log:
        verdict = judge_race(log, judge, race=race_of(pool), cheap=Cheap(judge))
    calls = 90
    for _ in range(100):
        with AnnotationLog(parts, pool) as log:
            part = judge_race(log, judge, race=race_of(pool), cheap=Cheap(judge), calls=calls)
        if part.certified:
            break
    assert part == verdict

    def told(path):
        kept = (line for line in lines(path) if "outcome" in line)
        return sorted(
            (line.get("cheap", ""), line.get("query", ""), line["model"]) for line in kept
        )

    assert told(whole) == told(parts)


def test_a_cheap_judge_that_fails_stops_nothing_and_is_not_asked_again(tmp_path, judged):
    pool, judge = judged
    path, cheap = tmp_path / "log.jsonl", Cheap(judge, fails_after=50)
    with AnnotationLog(path, pool) as log:
        verdict = judge_race(log, judge, race=race_of(pool), cheap=cheap)
        rows = log.contents.cheap
    assert verdict.certified
    assert cheap.asked == 51
    assert MISSING in {code for row in rows.values() for code in row.values()}
    why = {
        line["detail"]["failed"] for line in lines(path) if line.get("cheap") and "detail" in line
    }
    assert why == {"InputError: the server is gone"}


def test_without_its_cheap_judge_a_race_goes_on(tmp_path, judged):
    pool, judge = judged
    path = tmp_path / "log.jsonl"
    with AnnotationLog(path, pool) as log:
        judge_race(log, judge, race=race_of(pool), cheap=Cheap(judge), calls=150)
    with AnnotationLog(path, pool) as log:
        verdict = judge_race(log, judge, race=race_of(pool, None))
        best = pool.win_rates() == pool.win_rates().max()
        assert verdict.certified and verdict.winners == tuple(np.array(pool.models)[best])


def test_a_race_begun_without_a_cheap_judge_takes_none(tmp_path, judged):
    pool, judge = judged
    with AnnotationLog(tmp_path / "log.jsonl", pool) as log:
        with pytest.raises(InputError, match="begun without a cheap judge"):
            judge_race(log, judge, race=race_of(pool, None), cheap=Cheap(judge))
        assert log.race is None


def test_only_an_audit_can_use_one(judged):
    with pytest.raises(InputError, match="only a race by audit"):
        Race(judged[0], llmsel.Certified(), cheap_price=0.1)


def test_what_is_not_wanted_cannot_be_told(judged):
    pool, _ = judged
    race = race_of(pool)
    assert race.ask_cheap() == ()
    with pytest.raises(InputError, match="no cheap verdict on"):
        race.tell_cheap(pool.queries[0], {pool.candidates[0]: 1})


def test_a_judge_that_returns_no_verdict_is_unknown(tmp_path, judged):
    pool, judge = judged
    nonsense = ProgramJudge(lambda *_: "well", compares=True, name="nonsense")
    with AnnotationLog(tmp_path / "log.jsonl", pool) as log:
        verdict = judge_race(log, judge, race=race_of(pool), cheap=nonsense)
        assert verdict.certified
        assert {c for row in log.contents.cheap.values() for c in row.values()} <= {0, MISSING}


@pytest.mark.parametrize(
    ("event", "why"),
    [({"outcome": 3}, "its outcome is 3"), ({"model": "nobody"}, "no candidate 'nobody'")],
)
def test_a_damaged_cheap_line_is_named(tmp_path, judged, event, why):
    pool, _ = judged
    with AnnotationLog(tmp_path / "log.jsonl", pool) as log:
        line = {"cheap": pool.queries[0], "model": pool.candidates[0], "outcome": 1}
        line |= {"by": "x", "time": "now", "version": "1"}
        with pytest.raises(InputError, match=why):
            log.contents.apply([(2, line | event)], tmp_path / "log.jsonl")
