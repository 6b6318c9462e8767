"""Judges: programs, races, and what is kept when one fails."""

import threading

import numpy as np
import pytest
from helpers import pools
from helpers.judges import graded
from helpers.servers import pool_of

import llmsel
from llmsel._base.errors import InputError
from llmsel.answers.server import ServerError
from llmsel.judging.collect import annotate, fill, judge_race, verdict_of
from llmsel.judging.judges import ProgramJudge
from llmsel.judging.log import AnnotationLog
from llmsel.judging.replay import read_log
from llmsel.pool import MISSING


def test_a_program_judges_by_score_or_by_comparison(tmp_path):
    pool = pool_of("four", "4", "4 or 5", "4 or 5", text="2 + 2?")

    def exact(query, response):
        return response == "4"

    with AnnotationLog(tmp_path / "log.jsonl", pool, strategy="Random") as log:
        annotate(log, ProgramJudge(exact))
        assert [(e.model, e.outcome, e.by) for e in log.given] == [
            ("c0", 0, "exact"),
            ("c1", 1, "exact"),
            ("c2", 0, "exact"),
        ]
        assert log.given[2].detail == {"identical": True}
    shorter = ProgramJudge(
        lambda q, a, b: (len(a) < len(b)) - (len(a) > len(b)), compares=True, name="short"
    )
    assert shorter.judge("?", "a", "bcd").outcome == 1 and shorter.name == "short"


def leave(*_):
    raise SystemExit(2)


@pytest.mark.parametrize(
    ("function", "compares", "why"),
    [
        (lambda q, a: float("nan"), False, "'g' returned NaN; return a number"),
        (lambda q, a: "x", False, "'g' returned 'x'; return a number"),
        (lambda q, a: {}[q], False, "'g' raised KeyError: '?' "),
        (leave, False, "'g' called sys.exit(2)"),
        (lambda q, a, b: "A", True, "'g' returned 'A'; return "),
        (lambda q, a, b: 2, True, "'g' returned 2; return -1, 0 or 1"),
    ],
)
def test_a_program_that_fails_is_a_failed_judgement_with_a_reason(function, compares, why):
    verdict = ProgramJudge(function, compares=compares, name="g").judge("?", "a", "b")
    assert verdict.outcome == MISSING and verdict.detail["failed"].startswith(why)


def test_a_race_stops_with_a_certificate_and_goes_on_where_it_was(tmp_path):
    pool, judge = graded(pools.simulated(n=300, m=4, spread=2.0, seed=3))
    with AnnotationLog(tmp_path / "whole.jsonl", pool, strategy="Random") as log:
        whole = judge_race(log, judge, race=llmsel.Race(pool, seed=5, delta=0.05))
        assert whole.certified and len(log.given) == whole.calls < 4 * 300
        assert whole.winners == tuple(
            np.array(pool.models)[pool.win_rates() == pool.win_rates().max()]
        )
    path = tmp_path / "parts.jsonl"
    for _ in range(3):
        with AnnotationLog(path, pool, strategy="Random") as log:
            part = judge_race(log, judge, race=llmsel.Race(pool, seed=5, delta=0.05), calls=9)
            assert not part.certified
    with AnnotationLog(path, pool) as log:
        assert len(log.given) == 27
        assert judge_race(log, judge, race=llmsel.Race(pool, seed=5, delta=0.05)) == whole


def test_the_log_of_a_race_holds_its_certificate(tmp_path):
    pool, judge = graded(pools.simulated(n=300, m=4, spread=2.0, seed=3))
    path = tmp_path / "log.jsonl"
    with AnnotationLog(path, pool, strategy="Random") as log:
        assert verdict_of(log) is None
        run = llmsel.Race(pool, seed=5, delta=0.05, batch=4)
        seen = []
        found = judge_race(log, judge, race=run, workers=3, watch=seen.append)
        assert seen[-1] == found and len(seen) > 2 and not seen[0].certified
        assert log.race == run.settings
        with pytest.raises(InputError, match=r"holds a race with delta 0.05, not 0.01: a cert"):
            judge_race(log, judge, race=llmsel.Race(pool, seed=5, delta=0.01, batch=4))
    contents = read_log(path, pool)
    assert contents.race == run.settings and verdict_of(contents) == found
    with AnnotationLog(tmp_path / "one.jsonl", pool, strategy="Random") as log:
        one = judge_race(log, judge, race=llmsel.Race(pool, seed=5, delta=0.05, batch=4))
    assert one == found  # whatever the number of threads


def test_progress_is_told_call_by_call_and_not_step_by_step(tmp_path):
    pool, judge = graded(pools.simulated(n=30, m=4, seed=3))
    with AnnotationLog(tmp_path / "log.jsonl", pool) as log:
        seen, steps = [], []
        judge_race(
            log,
            judge,
            race=llmsel.Race(pool, seed=1, batch=8),
            calls=24,
            kept=lambda: seen.append(len(log.given)),
            watch=lambda _: steps.append(len(log.given)),
        )
    assert seen == list(range(1, 25)) and len(steps) < 8


@pytest.mark.parametrize("workers", [1, 4])
def test_what_was_judged_before_an_error_is_in_the_log(tmp_path, workers):
    pool, judge = graded(pools.simulated(n=30, m=6, seed=3))
    oracle, done, gate = judge.judge, [], threading.Event()

    def fails_on_the_third(query, response, baseline_response):
        done.append(response)
        if len(done) == 3:
            raise ServerError("the server is gone")
        if workers > 1 and len(done) > 3:
            gate.wait(0.3)  # still being judged when the error arrives
        return oracle(query, response, baseline_response)

    judge.judge = fails_on_the_third
    with AnnotationLog(tmp_path / "log.jsonl", pool, strategy="Random") as log:
        with pytest.raises(ServerError):
            judge_race(log, judge, race=llmsel.Race(pool, batch=4), workers=workers)
        assert len(log.given) == len(done) - 1 < 4 * 6


def test_a_race_gives_up_on_what_the_judge_cannot_say(tmp_path):
    pool, judge = graded(pools.simulated(n=30, m=3, seed=3))
    oracle = judge._function
    judge._function = lambda q, a, b: MISSING if a.startswith("3|") else oracle(q, a, b)
    with AnnotationLog(tmp_path / "log.jsonl", pool, strategy="Random") as log:
        assert judge_race(log, judge, race=llmsel.Race(pool, seed=1)).statement
        assert {e.outcome for e in log.given if e.query == "q3"} <= {MISSING}
        fill(log, judge, cells=[(log.session.ask().query, [])])  # nothing to do is no error
