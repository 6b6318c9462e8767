"""Nothing judged is lost by an edit, and nothing that no longer holds is kept."""

import json

import numpy as np
import pytest
from helpers import pools
from helpers.commands import mistake, ok
from helpers.judges import graded

from llmsel._base.errors import InputError
from llmsel.judging.carry import carry
from llmsel.judging.collect import annotate, judge_race, verdict_of
from llmsel.judging.judges import Judge, Verdict
from llmsel.judging.log import AnnotationLog
from llmsel.judging.person import AnnotationView
from llmsel.judging.provenance import warnings_of
from llmsel.judging.repair import check_log
from llmsel.judging.replay import read_log
from llmsel.pool import MISSING, NO_ANSWER, Pool
from llmsel.racing.race import Race


class Longest(Judge):
    """Prefers the longer answer, and counts what it is asked."""

    def __init__(self, name="longest"):
        self.name = name
        self.asked = []

    def judge(self, query, response, baseline_response):
        self.asked.append((query, response, baseline_response))
        mine, other = len(response), len(baseline_response)
        return Verdict((mine > other) - (mine < other), order="both", detail={"why": "length"})


def answers(n=12, models=("a", "b", "base"), seed=0):
    """A pool whose answers differ in length."""
    rng = np.random.default_rng(seed)
    table = [[m[0] * int(rng.integers(1, 9)) for m in models] for _ in range(n)]
    return Pool(
        queries=[f"q{i}" for i in range(n)],
        models=models,
        baseline="base",
        texts=[f"Question {i}?" for i in range(n)],
        responses=table,
        name="answers",
    )


@pytest.fixture
def judged(tmp_path):
    """A finished log of whole queries, its pool and its path."""
    pool, path = answers(), tmp_path / "old.jsonl"
    with AnnotationLog(path, pool) as log:
        annotate(log, Longest())
    return path, pool


def finish(path, pool, judge=None):
    judge = judge or Longest()
    with AnnotationLog(path, pool) as log:
        annotate(log, judge)
        return judge, {(e.query, e.model): e.outcome for e in log.given}


def edited(pool, **cells):
    responses = pool.responses.copy()
    for cell, text in cells.items():
        i, j = map(int, cell.removeprefix("r").split("_"))
        responses[i, j] = text
    return pool.replace(responses=responses)


def test_a_typo_in_one_query_costs_that_query(judged, tmp_path):
    path, pool = judged
    texts = list(pool.texts)
    texts[3] = "Question three?"
    pool = pool.replace(texts=texts)
    with pytest.raises(InputError, match=r"another pool .*; \d+ of its \d+ verdicts hold.*carry"):
        AnnotationLog(path, pool)
    found = carry(path, tmp_path / "new.jsonl", pool)
    assert (found.cells, found.open) == (22, 2)
    assert f"{found.kept} of {found.verdicts} verdicts carry over" in found.statement
    judge, given = finish(tmp_path / "new.jsonl", pool)
    assert {query for query, *_ in judge.asked} <= {"Question three?"}
    assert len(given) == 24


@pytest.mark.parametrize("change", ["shuffled", "renamed", "model gone", "queries gone", "ids"])
def test_names_and_order_do_not_matter(judged, tmp_path, change):
    path, pool = judged
    if change == "shuffled":
        pool = pool.subset(pool.queries[::-1], ("base", "b", "a"))
    elif change == "renamed":
        pool = pool.replace(models=("A-2026", "b", "old"), baseline="old")
    elif change == "model gone":
        pool = pool.subset(models=("b", "base"))
    elif change == "queries gone":
        pool = pool.subset(pool.queries[2:7])
    else:
        pool = pool.replace(queries=[f"other-{i}" for i in range(12)])
    assert carry(path, tmp_path / "new.jsonl", pool).open == 0
    judge, given = finish(tmp_path / "new.jsonl", pool)
    assert not judge.asked
    for (query, model), outcome in given.items():
        row = pool.responses_to(query)
        gap = len(row[model]) - len(row[pool.baseline])
        assert outcome == np.sign(gap)


def test_a_new_model_and_new_queries_ask_only_for_what_is_new(judged, tmp_path):
    path, old = judged
    more = answers(15, ("a", "b", "base", "new"), seed=7)
    responses = more.responses.copy()
    responses[:12, :3] = old.responses
    pool = more.replace(responses=responses)
    found = carry(path, tmp_path / "new.jsonl", pool)
    assert found.open == 12 + 3 * 3
    judge, given = finish(tmp_path / "new.jsonl", pool)
    for query, response, _ in judge.asked:
        assert response[0] == "n" or int(query.split()[1].rstrip("?")) >= 12
    assert len(given) == 45


def test_another_answer_of_model_or_baseline_is_judged_again(judged, tmp_path):
    path, pool = judged
    pool = edited(pool, r0_0="a new answer of a", r1_2="a new answer of the baseline")
    assert carry(path, tmp_path / "new.jsonl", pool).open == 3
    judge, _ = finish(tmp_path / "new.jsonl", pool)
    assert len(judge.asked) == 3


def test_another_baseline_keeps_the_verdicts_on_old_against_new(judged, tmp_path):
    path, pool = judged
    old = {(e.query, e.model): e.outcome for e in read_log(path, pool).given}
    now = pool.replace(baseline="a")
    with pytest.raises(InputError, match=r"of its \d+ verdicts hold on this pool too"):
        AnnotationLog(path, now)
    found = carry(path, tmp_path / "new.jsonl", now)
    assert (found.cells, found.open) == (12, 12)  # 'base' against 'a', and not 'b' against 'a'
    assert f"{found.kept} of {found.verdicts} verdicts carry over, {found.turned} of them with" in (
        found.statement
    )
    assert "12 are open, as what was judged against 'base' says nothing of others against 'a'." in (
        found.statement
    )
    judge, given = finish(tmp_path / "new.jsonl", now)
    assert not any("b" not in response for _, response, _ in judge.asked)
    assert {old[q, "a"] for q in pool.queries} == {
        -1,
        1,
    }  # with one sign only, nothing would be told
    for query in pool.queries:
        assert given[query, "base"] == -old[query, "a"]
    (entry,) = {
        (e.order, e.detail["turned"])
        for e in read_log(tmp_path / "new.jsonl", now).given
        if e.detail.get("turned")
    }
    assert entry == ("both", True)
    # and back again, where they are what they were
    back = carry(tmp_path / "new.jsonl", tmp_path / "back.jsonl", pool)
    _, again = finish(tmp_path / "back.jsonl", pool)
    assert back.open == 12 and again == old


def test_what_is_turned_tells_how_it_was_shown(tmp_path):
    """And who was shown one order only might have said something else in the other."""
    pool = answers(3)
    orders = {"name": "gpt", "orders": ["candidate first", "baseline first"]}
    with AnnotationLog(tmp_path / "old.jsonl", pool) as log:
        log.record("q0", {"a": 1}, by="me", order="baseline first")
        log.begin_judge(orders)
        said = {"verdicts": ["A", "tie"], "scores": [3, 2], "context": "abc", "why": "of one"}
        log.record("q1", {"a": 0}, by="gpt", order="both", detail=said)
        log.begin_judge({"name": "panel", "members": [{"orders": ["candidate first"]}]})
        log.record("q2", {"a": 1}, by="gpt", order="candidate first", detail={"verdicts": ["A"]})
    now = pool.replace(baseline="a")
    found = carry(tmp_path / "old.jsonl", tmp_path / "new.jsonl", now)
    assert (found.kept, found.turned) == (2, 2)
    first, second = read_log(tmp_path / "new.jsonl", now).bank.values()
    assert (first["outcome"], first["order"]) == (-1, "candidate first")
    assert (second["outcome"], second["order"]) == (0, "both")
    turned = {"turned": True, "context": "abc", "verdicts": ["tie", "A"], "scores": [2, 3]}
    assert second["detail"] == turned


def test_a_race_takes_carried_verdicts_only_as_it_asks(tmp_path):
    pool, judge = graded(pools.simulated(n=60, m=4, seed=3))
    pool = pool.replace(outcomes=None)
    part = pool.subset(pool.queries[:40])
    with AnnotationLog(tmp_path / "old.jsonl", part) as log:
        annotate(log, judge)
    carry(tmp_path / "old.jsonl", tmp_path / "new.jsonl", pool)
    with AnnotationLog(tmp_path / "new.jsonl", pool) as log:
        assert not log.given and log.contents.bank
        said = judge_race(log, judge, race=Race(pool, delta=0.02))
        assert said.certified and log.contents.before_race == 0
        used = [e for e in log.given if "carried" in e.detail]
        assert used and len(used) < len(log.given)
        assert {e.query for e in log.given if "carried" not in e.detail} <= set(pool.queries[40:])
        seed = log.race["seed"]
    # bit for bit the race that a judge who knows all would have run with this seed
    with AnnotationLog(tmp_path / "fresh.jsonl", pool) as log:
        race = Race(pool, delta=0.02, seed=seed, seed_drawn=True)
        fresh = judge_race(log, judge, race=race)
    assert (fresh.winners, fresh.calls, fresh.dropped) == (said.winners, said.calls, said.dropped)
    again = verdict_of(read_log(tmp_path / "new.jsonl", pool))
    assert again.statement == said.statement
    remarks = " ".join(again.remarks)
    assert f"{len(used)} of" in remarks and "60 queries, 4 candidates against" in remarks


@pytest.mark.parametrize("drawn", [True, False])
def test_a_seed_chosen_when_carried_verdicts_are_known_certifies_nothing(drawn, tmp_path):
    """One that suits could be found in them."""
    pool, judge = graded(pools.simulated(n=30, m=3, seed=1))
    old, path = tmp_path / "old.jsonl", tmp_path / "new.jsonl"
    with AnnotationLog(old, pool := pool.replace(outcomes=None)) as log:
        assert judge_race(log, judge, race=Race(pool, seed=0)).certified  # nothing known to llmsel
    carry(old, path, now := pool.subset(pool.queries[1:]))
    with AnnotationLog(path, now) as log:
        said = judge_race(log, judge, race=Race(now, seed=None if drawn else 5))
    assert said.stop and said.certified == drawn
    why = "carried verdicts were known"
    assert (why in said.statement) == (why in " ".join(warnings_of(read_log(path, now)))) != drawn


def test_a_second_race_on_the_same_verdicts_is_said_to_be_one(tmp_path):
    pool, judge = graded(pools.simulated(n=30, m=3, seed=1))
    pool = pool.replace(outcomes=None)
    path = tmp_path / "0.jsonl"
    for turn in range(3):
        now = pool.subset(pool.queries[turn:])
        if turn:
            carry(path, path := tmp_path / f"{turn}.jsonl", now)
        with AnnotationLog(path, now) as log:
            said = judge_race(log, judge, race=Race(now, delta=0.05))
        assert (f"it is race {turn + 1} on these verdicts" in " ".join(said.remarks)) == bool(turn)


def test_carried_twice_keeps_what_was_not_asked_for(judged, tmp_path):
    path, pool = judged
    carry(path, tmp_path / "1.jsonl", pool.subset(pool.queries[:10]))
    found = carry(tmp_path / "1.jsonl", tmp_path / "2.jsonl", pool.subset(pool.queries[:9]))
    assert found.open == 0


def test_the_verdicts_of_another_judge_are_not_used(judged, tmp_path):
    path, pool = judged
    pool = pool.subset(pool.queries[:10])
    carry(path, tmp_path / "new.jsonl", pool)
    other, _ = finish(tmp_path / "new.jsonl", pool, Longest("another"))
    assert len(set(other.asked)) > 10
    log = read_log(tmp_path / "new.jsonl", pool)
    assert not any("carried" in e.detail for e in log.given)


def test_failed_skipped_and_undone_verdicts_are_not_carried(tmp_path):
    pool = edited(answers(4), r0_0="aa", r1_0="aaa")
    with AnnotationLog(tmp_path / "old.jsonl", pool) as log:
        log.record("q0", {"a": MISSING}, by="me")
        log.record("q1", {"a": 1}, by="me", order="baseline first")
        log.record("q2", {"a": 1}, by="me")
        log.undo()
    less = pool.subset(pool.queries[:3])
    assert carry(tmp_path / "old.jsonl", tmp_path / "new.jsonl", less).kept == 1
    with AnnotationLog(tmp_path / "new.jsonl", less) as log:
        assert log.take_carried([(q, ("a", "b")) for q in less.queries]) == 1
        (entry,) = log.given
        assert (entry.query, entry.outcome, entry.order, entry.by) == (
            "q1",
            1,
            "baseline first",
            "me",
        )


def test_a_person_sees_only_what_is_new_and_undo_takes_back_what_was_shown(tmp_path):
    pool = answers(6)
    path = tmp_path / "old.jsonl"
    with AnnotationLog(path, pool) as log:
        view = AnnotationView(log, "me", race=False)
        while view.query is not None:
            view.press("1")
    changed = edited(pool, r0_0="another answer", r3_1="and another")
    carry(path, tmp_path / "new.jsonl", changed)
    with AnnotationLog(tmp_path / "new.jsonl", changed) as log:
        view = AnnotationView(log, "me", race=False)
        shown = []
        while view.query is not None:
            shown.append(view.query)
            view.press("1")
            if len(shown) == 1:
                view.press("u")
        assert sorted(set(shown)) == ["q0", "q3"] and len(shown) == 3
        assert len(log.given) == 12


def test_who_gave_no_answer_loses_unjudged(tmp_path):
    pool = edited(answers(3), r0_0=NO_ANSWER, r1_2=NO_ANSWER, r2_0=NO_ANSWER, r2_2=NO_ANSWER)
    judge, given = finish(tmp_path / "log.jsonl", pool)
    assert [given[q, "a"] for q in ("q0", "q1", "q2")] == [-1, 1, 0]
    assert not any(NO_ANSWER in asked for asked in judge.asked)


def test_logs_without_keys_need_the_pool_that_was_judged(judged, tmp_path):
    path, pool = judged
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    del lines[0]["format"]
    for line in lines:
        line.pop("key", None), line.pop("crc")
    bare = tmp_path / "bare.jsonl"
    bare.write_text("".join(json.dumps(line) + "\n" for line in lines))
    changed = pool.subset(pool.queries[1:])
    with pytest.raises(InputError, match=r"give the pool that was judged as well \(judged="):
        carry(bare, tmp_path / "new.jsonl", changed)
    assert carry(bare, tmp_path / "new.jsonl", changed, judged=pool).open == 0


def test_mistakes(judged, tmp_path):
    path, pool = judged
    with pytest.raises(InputError, match="a log of this very pool"):
        carry(path, tmp_path / "new.jsonl", pool)
    with pytest.raises(InputError, match="is there already"):
        carry(path, path, pool.subset(pool.queries[1:]))
    with pytest.raises(InputError, match="no log"):
        carry(tmp_path / "none.jsonl", tmp_path / "new.jsonl", pool)
    with AnnotationLog(path, pool) as log, pytest.raises(InputError, match="begun already"):
        log.begin_with([], "x", races=0)


def test_a_damaged_line_is_not_carried(judged, tmp_path):
    path, pool = judged
    lines = path.read_text().splitlines()
    del (header := json.loads(lines[0]))["format"]  # of a log whose lines have no checksum yet
    broken = {**json.loads(lines[3]), "outcome": "a win"}
    broken.pop("crc"), header.pop("crc")
    path.write_text("\n".join([json.dumps(header), *lines[1:3], json.dumps(broken), ""]))
    with pytest.raises(InputError, match=r"line 4, is damaged: its 'outcome' is 'a win'"):
        carry(path, tmp_path / "new.jsonl", pool.subset(pool.queries[1:]))
    assert not (tmp_path / "new.jsonl").exists()


def test_a_log_with_carried_verdicts_is_checked_like_any(judged, tmp_path):
    path, pool = judged
    new = tmp_path / "new.jsonl"
    carry(path, new, pool.subset(pool.queries[1:]))
    assert not check_log(new).damaged
    data = new.read_bytes()
    new.write_bytes(data.replace(b'"carried"', b'"carriee"', 1))
    assert len(check_log(new).damaged) == 1


def test_the_command_and_the_cache(judged, tmp_path):
    path, pool = judged
    (tmp_path / "old.jsonl.cache").write_text('{"key": "k", "verdict": "A"}\n')
    file = pool.subset(pool.queries[2:]).save(tmp_path / "changed.npz")
    assert "session carry old.jsonl NEW" in mistake("session", "status", path, "--pool", file)
    new = tmp_path / "new.jsonl"
    said = ok("session", "carry", path, new, "--pool", file)
    assert "settle 20 comparisons of the new pool; 0 are open" in said
    assert (tmp_path / "new.jsonl.cache").read_text().startswith('{"key"')
    assert "is there already" in mistake("session", "carry", path, new, "--pool", file)
