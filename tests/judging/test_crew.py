"""Judges at work: workers are requests in flight, a stop ends it, what is paid for is kept."""

import signal
import threading
import time

import pytest
from helpers import pools

import llmsel
from llmsel._base.errors import InputError
from llmsel.judging import crew
from llmsel.judging.collect import annotate, fill, judge_race, resume, verdict_of
from llmsel.judging.judges import Judge, Verdict
from llmsel.judging.log import AnnotationLog
from llmsel.judging.provenance import failures, warnings_of
from llmsel.judging.replay import read_log
from llmsel.pool import MISSING


class Scripted(Judge):
    """A judge that does as a test says; the pool's responses name their cells."""

    name = "scripted"

    def __init__(self, pool, trouble=None):
        self.pool, self.trouble = pool, trouble or {}
        self.lock, self.now, self.most, self.asked = threading.Lock(), 0, 0, []
        self.stopped = threading.Event()

    def judge(self, query, response, baseline_response):
        with self.lock:
            self.asked.append(response)
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            trouble = self.trouble.get(response)
            if isinstance(trouble, Verdict):
                return trouble
            if callable(trouble):
                trouble = trouble()
            if isinstance(trouble, BaseException):
                raise trouble
            i, model = response.split("|")
            return Verdict(int(self.pool.outcomes[int(i), self.pool.column(model)]))
        finally:
            with self.lock:
                self.now -= 1

    def stop(self):
        self.stopped.set()


def named(n=40, m=4, **options):
    pool = pools.simulated(n=n, m=m, spread=2.0, **{"seed": 3, **options})
    return pool.replace(responses=[[f"{i}|{m}" for m in pool.models] for i in range(n)])


def cells(log):
    return {(e.query, e.model): e.outcome for e in log.given}


@pytest.mark.parametrize("workers", [1, 3, 8])
def test_workers_are_judgements_in_flight(workers, tmp_path):
    pool = named(n=4)
    judge = Scripted(pool)
    slow = {r: lambda: time.sleep(0.01) for row in pool.responses for r in row}
    judge.trouble = slow
    with AnnotationLog(tmp_path / "log.jsonl", pool) as log:
        fill(log, judge, cells=[(q, pool.candidates) for q in pool.queries], workers=workers)
        assert len(log.given) == 16 and judge.most == workers


def test_one_ctrl_c_ends_it_and_keeps_what_is_paid_for(tmp_path, monkeypatch):
    pool, main = named(), threading.main_thread().ident
    judge, begun = Scripted(pool), []

    def slow():
        begun.append(time.monotonic())
        if len(begun) == 6:
            signal.pthread_kill(main, signal.SIGINT)
        time.sleep(0.2)

    judge.trouble = {r: slow for row in pool.responses for r in row}
    with AnnotationLog(tmp_path / "log.jsonl", pool) as log:
        start = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            annotate(log, judge, workers=4)
        assert time.monotonic() - start < 5 and judge.stopped.is_set()
        assert len(log.given) == len(judge.asked) < 12  # each that was begun is kept
        judge.trouble = {}
        annotate(log, judge, workers=4)
        assert len(judge.asked) == len(log.given) == 160  # and none is paid for twice


def test_a_judge_that_hangs_does_not_keep_ctrl_c_waiting(tmp_path, monkeypatch):
    monkeypatch.setattr(crew, "GRACE", 0.3)
    pool, gate, main = named(n=2), threading.Event(), threading.main_thread().ident
    judge = Scripted(pool)

    def hang():
        signal.pthread_kill(main, signal.SIGINT)
        gate.wait(30)

    judge.trouble = {f"0|{pool.candidates[1]}": hang}
    with AnnotationLog(tmp_path / "log.jsonl", pool) as log:
        start = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            fill(log, judge, cells=[("q0", pool.candidates)], workers=1)
        assert time.monotonic() - start < 3
        assert [e.model for e in log.given] == [pool.candidates[0]]
    gate.set()


def test_a_dead_server_is_one_error_and_not_a_hundred(tmp_path):
    pool = named()
    gone = InputError("the server is gone")
    judge = Scripted(pool, {r: gone for row in pool.responses[2:] for r in row})
    with AnnotationLog(tmp_path / "log.jsonl", pool) as log:
        with pytest.raises(InputError, match="the server is gone"):
            fill(log, judge, cells=[(q, pool.candidates) for q in pool.queries], workers=4)
        assert len(judge.asked) <= 8 + 4 and {e.query for e in log.given} == {"q0", "q1"}
        assert not failures(log.given)  # an outage is no failed judgement: it is asked again


@pytest.mark.parametrize(
    ("trouble", "why"),
    [
        (Verdict(MISSING, detail={"failed": "content filter"}), "content filter"),
        (Verdict(MISSING), "no verdict could be read"),
        (KeyError("x"), "KeyError: 'x'"),
        (SystemExit(3), "SystemExit: 3"),
        (lambda: ValueError("bad"), "ValueError: bad"),
    ],
)
def test_one_refused_query_never_blocks_a_race(trouble, why, tmp_path):
    pool = named()
    bad = f"5|{pool.candidates[0]}"
    judge, path = Scripted(pool, {bad: trouble}), tmp_path / "log.jsonl"
    race = {"seed": 0, "delta": 0.2, "batch": 20}
    with AnnotationLog(path, pool) as log:
        first = judge_race(log, judge, race=llmsel.Race(pool, **race), workers=3)
        assert first.stop and log.rows["q5"][pool.candidates[0]].failed == why
        assert failures(log.given) == {pool.candidates[0]: 1} == dict(first.failed)
        assert any("judgements failed" in warning for warning in warnings_of(log.contents))
        judge.trouble, asked = {}, len(judge.asked)
        again = judge_race(log, judge, race=llmsel.Race(pool, **race))
        assert len(judge.asked) == asked and again.failed  # only on request
        mended = judge_race(log, judge, race=llmsel.Race(pool, **race), retry_failed=True)
        assert judge.asked[asked] == bad and not mended.failed and not failures(log.given)
        assert "1 judgements that had failed were judged again." in mended.remarks
    with AnnotationLog(tmp_path / "whole.jsonl", pool) as log:
        whole = judge_race(log, judge, race=llmsel.Race(pool, **race))
        assert (whole.statement, whole.winners) == (mended.statement, mended.winners)
    assert verdict_of(read_log(path, pool)).statement == whole.statement


def test_what_failed_in_an_outage_is_judged_again_by_the_next_run(tmp_path):
    pool = named(n=6)
    passing = Verdict(MISSING, detail={"failed": "timed out", "passing": True})
    refused = Verdict(MISSING, detail={"failed": "refused"})
    one, two = f"1|{pool.candidates[0]}", f"2|{pool.candidates[0]}"
    judge, path = Scripted(pool, {one: passing, two: refused}), tmp_path / "log.jsonl"
    with AnnotationLog(path, pool) as log:
        annotate(log, judge)
        assert sum(failures(log.given).values()) == 2 and not log.session.remaining
        judge.trouble = {two: refused}
        annotate(log, judge)  # nothing is open: but the outage has passed
        assert judge.asked.count(one) == 2 and judge.asked.count(two) == 1
        annotate(log, judge, retry_failed=True)
        assert judge.asked.count(two) == 2 and len(log.given) == 24  # refused once more
        judge.trouble = {}
        annotate(log, judge, retry_failed=True)
        assert not failures(log.given)
        rates = log.session.best()
    held = read_log(path, pool)
    assert held.session.best() == rates and held.again == 3
    assert cells(held) == {
        (q, m): a for q in pool.queries for m, a in pool.row(q).items() if m != pool.baseline
    }


def test_a_race_computes_no_weak_votes(tmp_path, monkeypatch):
    pool = named().replace(votes=None)
    monkeypatch.setattr("llmsel.judging.opening.add_votes", lambda _: pytest.fail("votes computed"))
    with AnnotationLog(tmp_path / "log.jsonl", pool) as log:
        judge_race(log, Scripted(pool), race=llmsel.Race(pool), calls=8)
    assert resume(read_log(tmp_path / "log.jsonl", pool)) is not None
    with pytest.raises(pytest.fail.Exception, match="votes computed"):
        AnnotationLog(tmp_path / "other.jsonl", pool, strategy="LLM Selector")


def test_weak_votes_are_added_where_the_order_needs_them(tmp_path):
    pool, path = named(n=6), tmp_path / "log.jsonl"
    bare = pool.replace(votes=None)
    with AnnotationLog(path, bare, strategy="LLM Selector") as log:
        annotate(log, Scripted(pool), queries=2)
    assert read_log(path, bare).session.pool.votes is not None
    with pytest.raises(InputError, match="queries, responses or votes differ"):
        read_log(path, pool)  # other votes than the log's
