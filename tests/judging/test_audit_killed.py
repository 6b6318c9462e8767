"""Kill -9 in the middle of an audit: the next run goes on, and the verdict is the same."""

import os
import random
import signal
import time
import warnings

import pytest
from helpers.judges import graded
from helpers.pools import simulated

from llmsel.judging.collect import judge_race, resume, verdict_of
from llmsel.judging.judges import Judge
from llmsel.judging.log import AnnotationLog
from llmsel.judging.replay import read_log
from llmsel.racing.audit import CHALLENGE, CHAMPION, Audit
from llmsel.racing.race import Race

RULE = Audit(alpha=0.2, switch="early", start=0.0)


class Slow(Judge):
    """A judge that takes its time, so that a kill falls between its verdicts."""

    name = "slow"

    def __init__(self, judge):
        self.judged = judge

    def judge(self, query, response, baseline):
        time.sleep(0.004)
        return self.judged.judge(query, response, baseline)


def run(pool, judge, path, **options):
    with AnnotationLog(path, pool) as log:
        race = Race(pool, RULE, seed=2, batch=4)
        return judge_race(log, judge, race=race, workers=2, **options)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork to kill a child quickly")
def test_kills_in_the_middle_of_an_audit_change_nothing(tmp_path):
    pool, judge = graded(simulated(n=60, m=14, spread=0.4, seed=3))
    whole = run(pool, judge, tmp_path / "whole.jsonl")
    path, rng, phases = tmp_path / "killed.jsonl", random.Random(1), set()
    warnings.simplefilter("ignore")  # a torn last line is said to be repaired
    for _ in range(400):
        child = os.fork()
        if child == 0:
            try:
                run(pool, Slow(judge), path)
            finally:
                os._exit(0)
        time.sleep(0.02 + rng.random() * 0.08)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        if not path.exists() or not path.stat().st_size:
            continue
        held = read_log(path, pool)
        assert len({(each.query, each.model) for each in held.given}) == len(held.given)
        if (race := resume(held)) is not None:
            phases.add(race._course.phase)
            if race.verdict().stop:
                break
    assert {CHAMPION, CHALLENGE} <= phases
    said = verdict_of(read_log(path, pool))
    assert (said.winners, said.calls, said.certified) == (whole.winners, whole.calls, True)
    assert said.dropped == whole.dropped
