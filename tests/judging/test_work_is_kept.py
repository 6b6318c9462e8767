"""Work that is kept: whatever stops a log, nothing that was acknowledged is lost or told twice."""

import contextlib
import errno
import itertools
import json
import random
import shutil

import pytest
from helpers import pools
from helpers.commands import run
from helpers.faults import BadDisk, Stop, small_disk
from helpers.judges import graded

import llmsel
from llmsel._base.errors import InputError
from llmsel.judging.collect import judge_race
from llmsel.judging.log import AnnotationLog
from llmsel.judging.person import AnnotationView
from llmsel.judging.provenance import remarks_of
from llmsel.judging.repair import check_log
from llmsel.judging.replay import read_log
from llmsel.pool import Pool


def same(log, path, pool):
    """What the open log says is what is on disk, and the disk is whole."""
    on_disk = read_log(path, pool)
    assert [(e.query, e.model, e.outcome) for e in log.given] == [
        (e.query, e.model, e.outcome) for e in on_disk.given
    ]
    assert [q for q, _ in log.session.history] == [q for q, _ in on_disk.session.history]
    assert not check_log(path).damaged
    return on_disk


STEPS = {  # what a person or a judge does to a log
    "an outcome": lambda log: log.record("q1", {log.session.pool.candidates[0]: 1}, by="a"),
    "a row": lambda log: log.record("q2", dict.fromkeys(log.session.pool.candidates, 0), by="a"),
    "an undo": lambda log: log.undo(),
    "a judge": lambda log: log.begin_judge({"name": "j", "temperature": 1}),
}


@pytest.mark.parametrize("step", STEPS)
def test_ctrl_c_at_every_line_of_recording_writes_nothing_twice(step, tmp_path):
    pool = pools.simulated(n=4, m=2)
    begun = tmp_path / "begun.jsonl"
    with AnnotationLog(begun, pool, seed=1) as log:
        log.record("q0", dict.fromkeys(pool.candidates, -1), by="a")
    wanted = tmp_path / "wanted.jsonl"
    shutil.copy(begun, wanted)
    with AnnotationLog(wanted, pool) as log, Stop() as count:
        STEPS[step](log)
    expected = [(e.query, e.model, e.outcome) for e in read_log(wanted, pool).given]
    path, doubted = tmp_path / "log.jsonl", 0
    for at in range(1, count.lines + 1):
        shutil.copy(begun, path)
        with AnnotationLog(path, pool) as log:
            with Stop(at) as stop:
                STEPS[step](log)
            assert stop.hit
            doubted += log._doubt
            found = same(log, path, pool)  # read from disk again
            if [(e.query, e.model, e.outcome) for e in found.given] != expected:
                STEPS[step](log)  # it is given again
            assert [(e.query, e.model, e.outcome) for e in log.given] == expected
            same(log, path, pool)
    assert doubted > 5


def test_ctrl_c_while_the_log_recovers_from_ctrl_c(tmp_path):
    pool = pools.simulated(n=4, m=2)
    path, first = tmp_path / "log.jsonl", pool.candidates[0]
    for at in itertools.count(1, 2):
        path.unlink(missing_ok=True)
        with AnnotationLog(path, pool, seed=1) as log:
            log._doubt = True
            with Stop(at) as stop:
                assert log.given == []
            log.record("q1", {first: 1}, by="a")
            same(log, path, pool)
        if not stop.hit:
            break
    assert at > 20


def test_ctrl_c_at_random_places_of_a_race_gives_the_same_certificate(tmp_path):
    pool, judge = graded(pools.simulated(n=40, m=4, spread=2.0, seed=3))
    options = {"seed": 5, "delta": 0.2, "batch": 2}
    with AnnotationLog(tmp_path / "whole.jsonl", pool) as log, Stop() as count:
        whole = judge_race(log, judge, race=llmsel.Race(pool, **options))
    cells = {(e.query, e.model): e.outcome for e in read_log(tmp_path / "whole.jsonl", pool).given}
    rng, stops = random.Random(0), 0
    for number in range(8):
        path = tmp_path / f"{number}.jsonl"
        with AnnotationLog(path, pool) as log:  # one open log, as in a notebook
            while True:
                with Stop(rng.randrange(1, count.lines // 2)) as stop:
                    found = judge_race(log, judge, race=llmsel.Race(pool, **options))
                stops += stop.hit
                if not stop.hit:
                    break
            on_disk = same(log, path, pool)
        assert (found.statement, found.winners) == (whole.statement, whole.winners)
        assert {(e.query, e.model): e.outcome for e in on_disk.given} == cells
        assert on_disk.known == len(cells)
    print(f"{stops} stops of 8 races")
    assert stops > 8


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize("fault", [("write", 0), ("write", 1), ("write", 100), "fsync"])
def test_a_disk_that_fails_glues_nothing_and_keeps_what_was_acknowledged(
    fault, code, tmp_path, monkeypatch
):
    pool = pools.simulated(n=6, m=3)
    path = tmp_path / "log.jsonl"
    disk = BadDisk(monkeypatch, code)
    acknowledged = {}
    with AnnotationLog(path, pool) as log:
        for number, (query, model) in enumerate(itertools.product(pool.queries, pool.candidates)):
            if number % 3 == 1:
                disk.fail = [fault] * (1 + number % 2)  # twice: the recovery may fail, too
                while disk.fail:
                    with pytest.raises(InputError, match=r"log.jsonl' (could not|cannot) be writ"):
                        log.record(query, {model: 1}, by="a")
                if model in log.rows.get(query, {}):
                    continue  # all of it had come to the disk
            log.record(query, {model: 0}, by="a")
            acknowledged[query, model] = 0
        found = same(log, path, pool)
    given = {(e.query, e.model): e.outcome for e in found.given}
    assert len(given) == 18 and given.items() >= acknowledged.items()


def test_a_disk_that_fails_for_good_leaves_a_log_that_can_be_read(tmp_path, monkeypatch):
    pool = pools.simulated(n=3, m=2)
    path = tmp_path / "log.jsonl"
    disk = BadDisk(monkeypatch)
    log = AnnotationLog(path, pool)
    log.record("q0", {pool.candidates[0]: 1}, by="a")
    disk.fail = [("write", 60)]
    with pytest.raises(InputError, match="Input/output error"):
        log.record("q1", {pool.candidates[0]: 1}, by="a")
    log.close()
    with pytest.warns(UserWarning, match="torn by a stop"):
        again = AnnotationLog(path, pool)
    assert len(again.given) == 1
    again.close()


def test_a_header_on_a_full_disk_leaves_no_half_header(tmp_path, monkeypatch):
    pool = pools.simulated(n=3, m=2)
    disk = BadDisk(monkeypatch, errno.ENOSPC)
    disk.fail = [("write", 10)]
    with pytest.raises(InputError, match=r"cannot be written \(No space left"):
        AnnotationLog(tmp_path / "log.jsonl", pool)
    assert (tmp_path / "log.jsonl").read_bytes() == b""
    AnnotationLog(tmp_path / "log.jsonl", pool).close()


def fill(filler):
    """Leave no room on a disk."""
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 512)


def recorded(log, query, model):
    """Record an outcome; False if the disk is full."""
    try:
        log.record(query, {model: 1}, by="a")
    except InputError as error:
        return "No space left on device" not in str(error)
    return True


def test_a_full_disk_in_earnest(tmp_path):
    pool = pools.simulated(n=60, m=3)
    with small_disk(tmp_path / "small") as folder:
        if folder is None:
            pytest.skip("no small disk: mounting a tmpfs needs root")
        path, filler = folder / "log.jsonl", folder / "filler"
        with AnnotationLog(path, pool, seed=0) as log:
            fill(filler)
            done, refused = {}, 0
            for query, model in itertools.product(pool.queries, pool.candidates):
                if refused < 3 and not recorded(log, query, model):
                    refused += 1
                    continue
                if refused == 3:
                    filler.unlink(missing_ok=True)  # somebody makes room
                    log.record(query, {model: 1}, by="a")
                done[query, model] = 1
            same(log, path, pool)
            kept = {(e.query, e.model): e.outcome for e in log.given}
        assert refused >= 3 and len(done) > 100 and kept.items() >= done.items()


def pool_of(*rows):
    models = [f"m{j}" for j in range(len(rows[0]) - 1)] + ["base"]
    return Pool([f"q{i}" for i in range(len(rows))], models, "base", responses=rows)


def test_the_view_shows_what_the_disk_said_and_goes_on(tmp_path, monkeypatch):
    pool = pool_of(["a", "base"], ["b", "base"], ["c", "base"])
    disk = BadDisk(monkeypatch)
    with AnnotationLog(tmp_path / "log.jsonl", pool) as log:
        view = AnnotationView(log, "ann")
        shown = view.query, view.group
        disk.fail = [("write", 40), ("write", 0)]
        view.press("1")
        assert "could not be written (Input/output error)" in view._note.value
        assert (view.query, view.group) == shown
        disk.fail = []
        view.press("1")
        assert not view._note.value and len(log.given) == 1 and (view.query, view.group) != shown
        same(log, log.path, pool)


def test_ctrl_c_at_every_line_of_a_click_counts_it_once(tmp_path):
    pool = pool_of(["a", "base"], ["b", "base"])
    path, kept = tmp_path / "log.jsonl", 0
    for at in itertools.count(1, 5):
        path.unlink(missing_ok=True)
        with AnnotationLog(path, pool, seed=1) as log:
            view = AnnotationView(log, "ann", race=llmsel.Race(pool, seed=1))
            first = view.query
            with Stop(at) as stop:
                view.press("1")
            view.press("1")
            same(log, path, pool)
            queries = [e.query for e in log.given]
            assert first in queries and len(queries) == len(set(queries))
            kept += "was kept" in view._note.value
        if not stop.hit:
            break
    assert at > 40 and kept > 5


def test_a_skip_in_a_race_neither_freezes_the_view_nor_breaks_the_log(tmp_path):
    pool = pool_of(*[[f"a{i}", f"b{i}", "base"] for i in range(4)])
    with AnnotationLog(tmp_path / "log.jsonl", pool) as log:
        view, seen = AnnotationView(log, "ann"), set()
        view.press("4")  # one of two candidates on the first query
        while view.group is not None:
            assert (view.query, view.group.models) not in seen  # never asked twice
            seen.add((view.query, view.group.models))
            view.press("1" if len(seen) % 3 else "4")
        assert not view._note.value
        found = same(log, log.path, pool)
        assert found.known == len(found.given) == len(seen) + 1
        skipped = [e for e in log.given if e.outcome not in (-1, 0, 1)]
        log.record(skipped[0].query, {skipped[0].model: 1}, by="ann")  # judged later
        assert same(log, log.path, pool).again == 1


def tamper(how, path, lock):
    if how == "replaced":
        other = path.with_name("other")
        shutil.copy(path, other)
        other.replace(path)
    elif how == "deleted":
        path.unlink()
    elif how == "shortened":
        path.write_bytes(path.read_bytes()[:-20])
    elif how == "lengthened":
        path.write_bytes(path.read_bytes() + b"{}\n")
    elif how == "lock deleted":
        lock.unlink()
    else:
        lock.unlink()
        lock.touch()


@pytest.mark.parametrize("in_doubt", [False, True])
@pytest.mark.parametrize(
    "how", ["replaced", "deleted", "shortened", "lengthened", "lock deleted", "lock replaced"]
)
def test_a_log_or_lock_that_changed_under_an_open_log(how, in_doubt, tmp_path):
    pool = pools.simulated(n=3, m=2)
    path, lock = tmp_path / "log.jsonl", tmp_path / "log.jsonl.lock"
    with AnnotationLog(path, pool) as log:
        log.record("q0", {pool.candidates[0]: 1}, by="a")
        log._doubt = in_doubt and not how.startswith(("lock", "length"))
        tamper(how, path, lock)
        before = path.read_bytes() if path.exists() else None
        with pytest.raises(InputError, match=r"(lock|log).*open.* nothing was|damaged"):
            log.record("q1", {pool.candidates[0]: 1}, by="a")
        assert (path.read_bytes() if path.exists() else None) == before
        if log.closed:
            with pytest.raises(InputError, match="is closed"):
                log.record("q1", {pool.candidates[0]: 1}, by="a")


NOT_OURS = {
    "one line": b'{"model": "a", "query": "q"}\n',
    "no end of line": b'{"model": "a"}',
    "an answer and half of one": b'{"model": "a"}\n{"model": ',
    "text": b"to do: buy milk",
    "nearly ours": b'{"llmsel": "annotation',
    "binary": bytes(range(256)),
    "a blank": b" ",
    "a line end": b"\n",
}


@pytest.mark.parametrize("name", NOT_OURS)
def test_a_file_that_is_no_log_is_never_touched(name, tmp_path):
    path = tmp_path / "file.jsonl"
    path.write_bytes(NOT_OURS[name])
    pool = tmp_path / "pool.npz"
    pools.simulated(n=3, m=2).save(pool)
    for call in (
        lambda: AnnotationLog(path, Pool.load(pool)),
        lambda: read_log(path, Pool.load(pool)),
        lambda: check_log(path, repair=True),
    ):
        with pytest.raises(InputError, match="is not an annotation log"):
            call()
    assert run("session", "ask", path, "--pool", pool).exit_code != 0
    assert path.read_bytes() == NOT_OURS[name]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file.jsonl", "pool.npz"]


def test_an_outcome_written_twice_is_read_once_and_two_outcomes_are_not(tmp_path):
    pool = pools.simulated(n=3, m=2)
    path = tmp_path / "log.jsonl"
    with AnnotationLog(path, pool) as log:
        log.record("q0", dict.fromkeys(pool.candidates, 1), by="a")
        log.undo()
        log.record("q0", dict.fromkeys(pool.candidates, 0), by="a")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:4], lines[3], *lines[4:], lines[-1], lines[-1]]))
    assert [e.outcome for e in read_log(path, pool).given] == [0, 0]
    path.write_bytes(b"".join([*lines, lines[1]]))
    with pytest.raises(InputError, match=r"line 7, is damaged: it gives 'model-.' on 'q0' another"):
        read_log(path, pool)
    assert "another outcome" in check_log(path).damaged[0]
    found = check_log(path, repair=True)
    assert found.backup.read_bytes() == b"".join([*lines, lines[1]])
    assert [e.outcome for e in read_log(path, pool).given] == [0, 1]  # the later stands


def test_every_flipped_bit_is_found_and_mended(tmp_path):
    pool = pools.simulated(n=2, m=1)
    path = tmp_path / "log.jsonl"
    with AnnotationLog(path, pool) as log:
        log.begin_race(llmsel.Race(pool, seed=0).settings)
        log.record("q0", {pool.candidates[0]: 1}, by="a", detail={"note": "é"})
        log.undo()
        log.record("q1", {pool.candidates[0]: -1}, by="a")
    raw = path.read_bytes()
    rng, mended = random.Random(0), 0
    for place in rng.sample(range(len(raw) - 1), 120):
        damaged = bytearray(raw)
        damaged[place] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        with pytest.raises(InputError):
            read_log(path, pool)
        if damaged.count(b"\n") == raw.count(b"\n") and place > 30:
            found = check_log(path, repair=True)
            assert found.mended == 1 and "is restored" in found.damaged[0]
            assert path.read_bytes() == raw
            found.backup.unlink()
            mended += 1
    assert mended > 90


def test_what_cannot_be_mended_is_left_out_and_kept_beside(tmp_path):
    pool = pools.simulated(n=3, m=2)
    path = tmp_path / "log.jsonl"
    one, two = pool.candidates
    with AnnotationLog(path, pool, seed=0) as log:
        log.record("q0", {one: 1}, by="a")
        log.record("q0", {two: 1}, by="a")
        log.record("q1", {one: -1}, by="a")
    assert check_log(path) == check_log(path, repair=True)  # nothing to do
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], lines[2][:40] + b"\n", lines[3], b'{"undo": "q']))
    found = check_log(path, repair=True)
    assert [text[:6] for text in found.damaged] == ["line 3", "line 5"] and not found.mended
    assert found.lines == 5 and found.backup.exists()
    assert [(e.query, e.model) for e in read_log(path, pool).given] == [("q0", one), ("q1", one)]
    log = AnnotationLog(path, pool)
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(InputError, match="another process is writing"):
        check_log(path, repair=True)
    log.close()
    path.write_bytes(b'{"llmsel": "annotations", oops\n' + b"".join(lines[1:]))
    with pytest.raises(InputError, match=r"the header of 'log.jsonl' is damaged"):
        check_log(path, repair=True)
    with pytest.raises(InputError, match="no log"):
        check_log(tmp_path / "absent.jsonl")


def test_logs_of_llmsel_0_2_are_read_and_gone_on_with(tmp_path, request):
    folder = request.config.rootpath / "tests" / "fixtures" / "logs"
    pool = pools.simulated(n=8, m=3, seed=1)
    path = tmp_path / "session.jsonl"
    shutil.copy(folder / "session.jsonl", path)
    held = read_log(path, pool)
    assert len(held.given) == 12 and held.undone == 2 and len(held.session.history) == 4
    assert held.session.strategy.name == "LLM Selector" and held.session.seed == 2
    assert held.session.seed_drawn is None and "the log does not say" in remarks_of(held)[0]
    with AnnotationLog(path, pool, strategy="LLM Selector", seed=2) as log:
        query = log.session.ask().query
        log.record(query, dict.fromkeys(pool.candidates, 0), by="ann")
        same(log, path, pool)
    pool, judge = graded(pool)
    shutil.copy(folder / "race.jsonl", tmp_path / "race.jsonl")
    with AnnotationLog(tmp_path / "race.jsonl", pool) as log:
        assert len(log.given) == 17 and log.race["seed"] == 5
        found = judge_race(log, judge, race=llmsel.Race(pool, delta=0.05, batch=2))
        assert found.stop and len(log.given) > 17
        assert "seed" not in found.statement and remarks_of(log.contents) == (
            "the log does not say whether the seed 5 was drawn or chosen.",
        )
        same(log, tmp_path / "race.jsonl", pool)
    lines = [json.loads(line) for line in (tmp_path / "race.jsonl").read_text().splitlines()]
    assert "crc" not in lines[1] and "crc" in lines[-1]


def test_ctrl_c_while_a_log_is_opened_leaves_neither_lock_nor_half_a_header(tmp_path):
    pool = pools.simulated(n=3, m=2)
    path = tmp_path / "log.jsonl"
    for at in itertools.count(1, 9):
        path.unlink(missing_ok=True)
        with Stop(at) as stop:
            AnnotationLog(path, pool, seed=1).close()
        with AnnotationLog(path, pool, seed=1) as log:
            log.record("q0", dict.fromkeys(pool.candidates, 1), by="a")
            same(log, path, pool)
        if not stop.hit:
            break
    assert at > 60
