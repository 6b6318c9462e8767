"""The annotation log: nothing lost, nothing torn, the very same session again."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from helpers import pools

from llmsel._base.errors import InputError
from llmsel.judging.log import AnnotationLog
from llmsel.judging.replay import read_log, replay
from llmsel.pool import MISSING
from llmsel.strategies import STRATEGIES, LLMSelector


def annotate(log, pool, steps, one_by_one=True):
    for _ in range(steps):
        query = log.session.ask().query
        row = pool.row(query)
        row = {model: row.get(model, MISSING) for model in pool.candidates}
        for part in [{m: a} for m, a in row.items()] if one_by_one else [row]:
            log.record(query, part, by="test", order="baseline first")


def same_state(one, other):
    """Every bit of what decides the next query and the answer."""
    assert [q for q, _ in one.history] == [q for q, _ in other.history]
    for (_, a), (_, b) in zip(one.history, other.history, strict=True):
        assert np.array_equal(a, b)
    assert one._log_weights.tobytes() == other._log_weights.tobytes()
    assert np.array_equal(one._rank, other._rank)
    assert one.strategy.scores().tobytes() == other.strategy.scores().tobytes()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_replay_rebuilds_the_session_bit_for_bit(strategy, tmp_path):
    pool = dict(pools.hostile())["missing outcomes"]
    path = tmp_path / "log.jsonl"
    with AnnotationLog(path, pool, strategy=strategy, seed=3) as log:
        annotate(log, pool, 4)
        annotate(log, pool, 3, one_by_one=False)
        log.undo()
        annotate(log, pool, 1, one_by_one=False)
        annotate(log, pool, 1)
        query = log.session.ask().query
        log.record(query, {pool.candidates[0]: 1}, by="test")
        again = replay(path, pool)
        same_state(again, log.session)
        assert again.best() == log.session.best()
        left = log.open_models(query)
    with AnnotationLog(path, pool) as log:  # takes strategy and seed from the log
        same_state(again, log.session)
        assert log.open_models(query) == left == list(pool.candidates[1:])
        annotate_rest = dict.fromkeys(left, 0)
        assert log.record(query, annotate_rest, by="test")
        assert log.session.history[-1][0] == query


def test_a_line_says_who_judged_what_how_and_when(tmp_path):
    pool = pools.simulated(n=4, m=2)
    with AnnotationLog(tmp_path / "log.jsonl", pool, strategy="LLM Selector") as log:
        log.record("q1", {pool.candidates[0]: -1}, by="ann", order="both", detail={"note": "é"})
        log.record("q1", {pool.candidates[1]: MISSING}, by="ann")
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert lines[0]["pool"] == pool.replace(outcomes=None, votes=None).content_hash
    assert lines[0]["strategy"] == {"name": "LLMSelector", "eps_loss": 0.2, "eps_draw": 0.4}
    assert lines[0]["seed_chosen"] is False and all(len(line["crc"]) == 8 for line in lines)
    assert (
        lines[1].items()
        >= {
            "query": "q1",
            "model": pool.candidates[0],
            "outcome": -1,
            "order": "both",
            "by": "ann",
            "detail": {"note": "é"},
        }.items()
    )
    assert lines[1]["time"].endswith("+00:00") and lines[1]["version"]
    assert lines[2]["outcome"] is None  # missing, not a draw
    assert read_log(tmp_path / "log.jsonl", pool).given[1].outcome == MISSING


def test_undo_is_logged_and_survives(tmp_path):
    pool = pools.simulated(n=6, m=3)
    first, second, third = pool.candidates
    path = tmp_path / "log.jsonl"
    with AnnotationLog(path, pool) as log:
        log.record("q2", {first: 1}, by="ann")
        log.record("q2", {second: 0, third: 0}, by="ann")  # identical responses: one annotation
        assert log.session.remaining == 5
        assert log.undo() == ("q2", (second, third))
        assert log.session.remaining == 6
    with AnnotationLog(path, pool) as log:
        assert log.open_models("q2") == [second, third]
        assert [entry.model for entry in log.given] == [first]
        assert log.undo() == ("q2", (first,))
        with pytest.raises(InputError, match="nothing to undo"):
            log.undo()
    assert len(path.read_text().splitlines()) == 6  # append-only: header, 3 outcomes, 2 undos


def test_a_torn_last_line_is_repaired_and_said_so(tmp_path):
    pool = pools.simulated(n=6, m=3)
    path = tmp_path / "log.jsonl"
    with AnnotationLog(path, pool) as log:
        annotate(log, pool, 2)
    whole = path.read_bytes()
    last = whole[:-1].rfind(b"\n") + 1
    for cut in range(last + 1, len(whole)):
        path.write_bytes(whole[:cut])
        with pytest.warns(UserWarning, match="is ignored"):
            contents = read_log(path, pool)
        session, given = contents.session, contents.given
        assert path.read_bytes() == whole[:cut]  # reading changes nothing
        with pytest.warns(UserWarning, match="torn by a stop half-way and was removed"):
            AnnotationLog(path, pool).close()
        assert path.read_bytes() == whole[:last]
        assert len(given) == 5 and len(session.history) == 1
    path.write_bytes(whole + b"\0" * 20)  # what a power cut can leave
    with pytest.warns(UserWarning, match="torn"):
        AnnotationLog(path, pool).close()
    assert path.read_bytes() == whole
    header = whole.index(b"\n")
    path.write_bytes(whole[: header - 5])
    with pytest.warns(UserWarning, match="torn"):
        log = AnnotationLog(path, pool)
    assert not log.given
    log.close()
    path.write_bytes(whole[: header + 1] + b"{oops\n" + whole[header + 1 :])
    with pytest.raises(InputError, match=r"log.jsonl, line 2, is damaged: it has no checksum"):
        AnnotationLog(path, pool)


def test_a_log_of_something_else_is_refused(tmp_path):
    pool = pools.simulated(n=6, m=3)
    path = tmp_path / "log.jsonl"
    with AnnotationLog(path, pool, strategy="LLM Selector", seed=1) as log:
        annotate(log, pool, 1)
    other = pools.simulated(n=6, m=3, seed=9, name="other")
    for make in (
        lambda: AnnotationLog(path, other),
        lambda: replay(path, other),
    ):
        with pytest.raises(InputError, match="is the log of another pool"):
            make()
    for arguments, message in [
        ({"seed": 2}, "begun with seed 1, not 2"),
        ({"strategy": "Random"}, r"begun with strategy .*LLMSelector.*, not .*Random"),
        ({"strategy": LLMSelector(0.1)}, "begun with strategy"),
    ]:
        with pytest.raises(InputError, match=message):
            AnnotationLog(path, pool, **arguments)
    (tmp_path / "not.jsonl").write_text('{"model": "a"}\n')
    with pytest.raises(InputError, match="is not an annotation log"):
        AnnotationLog(tmp_path / "not.jsonl", pool)
    with pytest.raises(InputError, match="no log"):
        replay(tmp_path / "absent.jsonl", pool)


def test_bad_records_change_nothing(tmp_path):
    pool = pools.simulated(n=4, m=2)
    path = tmp_path / "log.jsonl"
    good = pool.candidates[0]
    with AnnotationLog(path, pool) as log:
        log.record("q1", {good: 1}, by="ann")
        before = path.read_bytes()
        for query, outcomes, order, message in [
            ("q9", {good: 1}, "both", "unknown query id"),
            ("q1", {good: 1}, "both", "annotated already"),
            ("q2", {pool.baseline: 0}, "both", "unknown candidate"),
            ("q2", {good: 2}, "both", "must be"),
            ("q2", {good: True}, "both", "must be"),
            ("q2", {good: 1}, "bth", "unknown order 'bth'"),
        ]:
            with pytest.raises(InputError, match=message):
                log.record(query, outcomes, by="ann", order=order)
        assert path.read_bytes() == before
    with pytest.raises(InputError, match=r"log.jsonl' is closed"):
        log.record("q2", {good: 1}, by="ann")


def test_a_second_process_is_refused_and_a_second_cell_takes_over(tmp_path):
    pool = pools.simulated(n=4, m=2)
    pool.save(tmp_path / "pool.npz")
    path = tmp_path / "log.jsonl"
    code = (
        "import sys, llmsel\nfrom llmsel.judging.log import AnnotationLog\n"
        "pool = llmsel.Pool.load(sys.argv[1])\n"
        "try:\n    AnnotationLog(sys.argv[2], pool)\n"
        "except llmsel.InputError as error:\n    print(error)\n"
    )
    arguments = [sys.executable, "-c", code, str(tmp_path / "pool.npz"), str(path)]
    with AnnotationLog(path, pool):
        second = subprocess.run(arguments, capture_output=True, text=True, check=True)
        assert "another process is writing 'log.jsonl'; close it there first" in second.stdout
    assert subprocess.run(arguments, capture_output=True, text=True, check=True).stdout == ""
    older = AnnotationLog(path, pool)
    newer = AnnotationLog(path, pool)
    newer.record("q1", {pool.candidates[0]: 1}, by="ann")
    with pytest.raises(InputError, match="is closed"):
        older.record("q2", {pool.candidates[0]: 1}, by="ann")
    newer.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork to kill a child quickly")
def test_kill_minus_nine_at_random_points_loses_at_most_the_annotation_in_flight(tmp_path):
    """200 kills; the child reports each annotation after it is on disk."""
    pool = pools.simulated(n=400, m=3, z=1)
    path = tmp_path / "log.jsonl"
    rng = random.Random(0)
    landed = torn = 0
    AnnotationLog(path, pool, strategy="Random").close()
    for _ in range(200):
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.close(read)
                with AnnotationLog(path, pool) as log:
                    done = len(log.given)
                    while True:
                        query = log.session.ask().query
                        for model in log.open_models(query):
                            log.record(query, {model: (done % 3) - 1}, by="child")
                            done += 1
                            os.write(write, done.to_bytes(4, "little"))
            finally:
                os._exit(0)
        os.close(write)
        told = os.read(read, 4)  # its first annotation: now it is in the middle of things
        time.sleep(rng.random() * 0.004)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        while more := os.read(read, 4096):
            told += more
        os.close(read)
        reported = int.from_bytes(told[-4:], "little")
        torn += not path.read_bytes().endswith(b"\n")
        given = read_log(path, pool).given
        assert reported <= len(given) <= reported + 1
        assert [entry.outcome for entry in given] == [(i % 3) - 1 for i in range(len(given))]
        landed += 1
        if len(given) > 900:  # start over before the pool is used up
            path.unlink()
            AnnotationLog(path, pool, strategy="Random").close()
    print(f"{landed} kills, {torn} torn lines, nothing lost")
    assert landed == 200
