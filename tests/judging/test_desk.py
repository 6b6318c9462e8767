"""Several people at one log: leases, undo, second opinions, adjudication."""

import dataclasses
import itertools
import json
import threading

import pytest
from helpers.commands import ok

import llmsel
from llmsel._base.errors import InputError
from llmsel.judging.carry import carry
from llmsel.judging.collect import verdict_of
from llmsel.judging.lines import seal
from llmsel.judging.log import AnnotationLog
from llmsel.judging.overlaps import judged_twice, overlap
from llmsel.judging.people.desk import LATE, Desk
from llmsel.judging.people.turns import Turns
from llmsel.judging.provenance import remarks_of, warnings_of
from llmsel.judging.repair import check_log
from llmsel.judging.replay import checked, read_log
from llmsel.pool import Pool

QUALITY = {"secret-a": 1, "secret-b": -1, "secret-c": 0}


def pool_of(n=40, models=tuple(QUALITY)):
    """Answers that say how good they are against the baseline's; simulated."""
    models = [*models, "secret-base"]
    rows = [[f"{QUALITY.get(m, 0)} {m[-1]} {i}" for m in models] for i in range(n)]
    texts = [f"question {i}" for i in range(n)]
    return Pool([f"q{i}" for i in range(n)], models, models[-1], texts=texts, responses=rows)


@pytest.fixture
def opened(tmp_path):
    """Open a desk at a log of its own, or again at the same."""
    logs = []

    def open_desk(pool, *, path="log.jsonl", seed=1, race=True, batch=4, **options):
        log = AnnotationLog(tmp_path / path, pool)
        logs.append(log)
        if race and log.race is None:
            log.begin_race(llmsel.Race(pool, delta=0.05, seed=seed, batch=batch).settings)
        own = {name: options.pop(name) for name in ("lease", "clock") if name in options}
        desk = Desk(Turns(log, **options), **own)
        desk.log = log
        return desk

    yield open_desk
    for log in logs:
        log.close()


def says(pair, wrong=False):
    """The key of somebody who sees how good an answer is; or who errs on purpose."""
    left, right = (
        int(pair[side]["raw"].removeprefix("<pre>").split()[0]) for side in ("left", "right")
    )
    better = (left > right) - (left < right)
    if wrong:
        better = -better if better else 1
    return {1: "1", 0: "2", -1: "3"}[better]


def work(desk, people, wrong=lambda who, pair: False):
    """Let people judge in turn until nobody has anything; count what each judged."""
    counts = dict.fromkeys(people, 0)
    idle = 0
    for who in itertools.cycle(people):
        now = desk.next(who)
        if now["pair"] is None:
            idle += 1
            if idle > len(people):
                return counts
            continue
        idle = 0
        desk.give(who, now["pair"]["name"], says(now["pair"], wrong(who, now["pair"])))
        counts[who] += 1
    return counts


def same(desk, pool):
    """The log says on disk what it says in memory."""
    read = read_log(desk.log.path, pool)
    assert (
        read.given == desk.log.given and read.opinions.seconds == desk.log.contents.opinions.seconds
    )
    return read


def test_two_people_never_hold_the_same_pair_and_finish_one_race(opened):
    pool = pool_of()
    desk = opened(pool)
    seen = []
    while True:
        states = {who: desk.next(who) for who in ("ann", "bob")}
        names = [s["pair"]["name"] for s in states.values() if s["pair"]]
        assert len(names) == len(set(names))
        if not names:
            break
        for who, state in states.items():
            if state["pair"]:
                assert desk.next(who)["pair"] == state["pair"]  # the same until it is answered
                seen.append(state["pair"]["name"])
                desk.give(who, state["pair"]["name"], says(state["pair"]))
    assert len(seen) > 20 and len(seen) == len(set(seen))
    held = verdict_of(same(desk, pool))
    assert held.certified and held.winners == ("secret-a",)
    assert {entry.by for entry in desk.log.given} == {"ann", "bob"}
    assert desk.over and "The race is over" in desk.next("ann")["end"]


def test_the_race_is_that_of_one_person_alone(opened):
    """Who judges does not change what is asked for: the log of two is a race as any other."""
    pool = pool_of()
    alone, two = opened(pool), opened(pool, path="two.jsonl")
    work(alone, ["ann"])
    work(two, ["ann", "bob", "cleo"])
    cells = [{(e.query, e.model): e.outcome for e in desk.log.given} for desk in (alone, two)]
    assert cells[0] == cells[1]
    verdicts = [dataclasses.replace(verdict_of(d.log), remarks=()) for d in (alone, two)]
    assert verdicts[0] == verdicts[1]


def test_nothing_that_is_sent_names_a_model_a_leader_or_the_baseline(opened):
    desk = opened(pool_of(), overlap=0.5)
    sent = []
    for who in itertools.islice(itertools.cycle(["ann", "bob"]), 200):
        now = desk.next(who)
        sent.append(json.dumps(now))
        if now["pair"] is not None:
            sent.append(json.dumps(desk.give(who, now["pair"]["name"], says(now["pair"]))))
    text = "".join(sent)
    assert "secret" not in text and "lead" not in text and "win rate" not in text
    assert "calls of likely" in text and "4 of 4 models can still win" in text


def test_a_lease_ends_and_a_late_answer_is_told(opened):
    now = [0.0]
    desk = opened(pool_of(models=["secret-a"]), lease=60, clock=lambda: now[0], batch=1)
    first = desk.next("ann")["pair"]
    state = desk.next("bob")
    assert state["pair"] is None and state["wait"] and "The others hold" in state["end"]
    now[0] = 59
    assert desk.next("bob")["pair"] is None
    desk.alive("ann")  # who reads keeps it
    now[0] = 100
    assert desk.next("bob")["pair"] is None
    now[0] = 120
    assert desk.next("bob")["pair"]["name"] == first["name"]
    late = desk.give("ann", first["name"], "1")
    assert late["note"] == LATE and not desk.log.given
    desk.give("bob", first["name"], "2")
    late = desk.give("ann", first["name"], "1")
    assert late["note"] == LATE and [e.by for e in desk.log.given] == ["bob"]
    again = desk.give("bob", first["name"], "1")  # a double click
    assert again["note"] == LATE and len(desk.log.given) == 1


def test_a_late_answer_counts_while_nobody_else_has_the_pair(opened):
    now = [0.0]
    desk = opened(pool_of(), lease=60, clock=lambda: now[0])
    pair = desk.next("ann")["pair"]
    now[0] = 1000
    assert not desk.give("ann", pair["name"], "2")["note"] and len(desk.log.given) == 1


def test_a_page_that_closes_gives_its_pair_back(opened):
    desk = opened(pool_of(), batch=1)
    pair = desk.next("ann")["pair"]
    desk.leave("ann")
    assert desk.next("bob")["pair"]["name"] == pair["name"]


def test_undo_takes_back_ones_own_last_verdict_and_no_other(opened):
    pool = pool_of()
    desk = opened(pool)
    mine = desk.next("ann")["pair"]
    desk.give("ann", mine["name"], "1")
    other = desk.next("bob")["pair"]
    desk.give("bob", other["name"], "3")
    state = desk.undo("ann")
    assert [e.by for e in desk.log.given] == ["bob"] and "taken back" in state["note"]
    assert desk.next("ann")["pair"]["name"] == mine["name"]
    with pytest.raises(InputError, match="nothing to undo: 'ann'"):
        desk.undo("ann")
    with pytest.raises(InputError, match="nothing to undo: 'cleo'"):
        desk.undo("cleo")
    assert [e.by for e in same(desk, pool).given] == ["bob"]
    desk.give("ann", mine["name"], "2")
    desk.log.close()
    again = opened(pool)  # after a restart the log still knows whose is whose
    again.undo("bob")
    assert [e.by for e in again.log.given] == ["ann"]


def test_an_undone_answer_that_was_copied_is_asked_for_again(opened):
    rows = [["same", "same", "base"] for _ in range(12)]
    pool = Pool([f"q{i}" for i in range(12)], ["a", "b", "base"], "base", responses=rows)
    desk = opened(pool, batch=1)
    pair = desk.next("ann")["pair"]
    desk.give("ann", pair["name"], "1")
    desk.next("ann")  # fills in what the other model answered too
    desk.undo("ann")
    assert not desk.log.given and desk.next("ann")["pair"]["name"] == pair["name"]


def test_names_and_keys_that_cannot_be(opened):
    desk = opened(pool_of())
    for name in ("", "  ", "x" * 61, None, 7, "\x1b\u202e"):
        with pytest.raises(InputError, match="give a name of 1 to 60"):
            desk.next(name)
    pair = desk.next("ann")["pair"]
    with pytest.raises(InputError, match="no key 'x'; the keys are 1, 2, 3, 4"):
        desk.give("ann", pair["name"], "x")
    with pytest.raises(InputError, match=r"overlap=1\.5 must be a share"):
        Turns(desk.log, overlap=1.5)
    assert desk.give("ann", "no such pair", "1")["note"] == LATE and not desk.log.given


def test_many_at_once_record_each_pair_once(opened):
    pool = pool_of(60)
    desk = opened(pool, overlap=0.3, batch=8)
    failed = []

    def judge(who):
        try:
            for _ in range(400):
                now = desk.next(who)
                if now["pair"] is None and not now["wait"]:
                    return
                if now["pair"] is not None:
                    desk.give(who, now["pair"]["name"], says(now["pair"]))
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=judge, args=(f"p{i}",)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    work(desk, ["p0", "p1"])
    read = same(desk, pool)
    cells = [(e.query, e.model) for e in read.given]
    assert len(cells) == len(set(cells)) and verdict_of(read).certified
    twice = judged_twice(read)
    assert len(twice) > 5 and all(len(each.people) == 2 for each in twice)


def test_empty_answers_are_named_and_too_many_skips_are_told(opened):
    rows = [["", f"base {i}"] for i in range(20)]
    desk = opened(Pool([f"q{i}" for i in range(20)], ["a", "base"], "base", responses=rows))
    pair = desk.next("ann")["pair"]
    faces = [[pair[side][face] for side in ("left", "right")] for face in pair["left"]]
    assert all(sum("(an empty answer)" in shown for shown in sides) == 1 for sides in faces)
    while (now := desk.next("ann"))["pair"]:
        desk.give("ann", now["pair"]["name"], "4")
    assert "Too many pairs were skipped" in now["end"] and desk.over
    desk.undo("ann")
    assert desk.next("ann")["pair"]


def test_a_race_without_a_baseline(opened):
    pool = llmsel.all_pairs(pool_of(20))
    desk = opened(pool, race=False, overlap=0.3)
    desk.log.begin_race(llmsel.Race(pool, llmsel.Condorcet(), seed=1, batch=4).settings)
    desk._turns.resume()
    assert "4 of 4 models can still win" in desk.next("ann")["progress"]["text"]
    work(desk, ["ann", "bob"])
    read = same(desk, pool)
    held = verdict_of(read)
    assert held.winners == ("secret-a",) and held.certified and judged_twice(read)
    assert overlap(read).differ == 0 and {e.by for e in read.given} == {"ann", "bob"}


def test_whole_queries_without_a_race(opened):
    pool = pool_of(4)
    desk = opened(pool, race=False)
    desk.log.record("q0", {"secret-a": 1}, by="ann")
    work(desk, ["ann", "bob"])
    assert not same(desk, pool).session.remaining and desk.over
    assert "4 of 4 queries" in desk.next("ann")["progress"]["text"]
    assert "Every query is annotated" in desk.next("ann")["end"]


# -- second opinions ----------------------------------------------------------------------------


def errs(who, pair):
    """The second person errs on every third pair or so, by its name."""
    return who == "bob" and int(pair["name"], 16) % 3 == 0


def doubled(opened, pool, share=0.5, **options):
    desk = opened(pool, overlap=share, **options)
    work(desk, ["ann", "bob"], errs)
    return desk


def test_overlap_gives_its_share_to_another_and_the_race_does_not_see_it(opened):
    pool = pool_of(60)
    desk, plain = doubled(opened, pool), opened(pool, path="plain.jsonl")
    firsts = {(e.query, e.model): e for e in desk.log.given}
    said = desk.log.contents.opinions.seconds
    assert 0.3 < len(said) / len(firsts) < 0.7
    for pair, by in said.items():
        (second,) = by
        assert second != firsts[pair].by
    while (now := plain.next("ann"))["pair"]:  # the same first verdicts, by one alone
        query, group = plain._last["ann"].query, plain._last["ann"].group
        outcome = firsts[query, group.models[0]].outcome
        key = {1: "1", 0: "2", -1: "3"}[-outcome if plain._last["ann"].flipped else outcome]
        plain.give("ann", now["pair"]["name"], key)
    assert verdict_of(plain.log).winners == verdict_of(desk.log).winners
    assert verdict_of(plain.log).calls == verdict_of(desk.log).calls


def test_the_share_is_drawn_by_hash_and_grows_by_adding(opened):
    pool = pool_of(60)
    sets = []
    for number, share in enumerate((0.1, 0.4, 1.0)):
        desk = opened(pool, path=f"{number}.jsonl", overlap=share)
        work(desk, ["ann", "bob"])
        sets.append(set(desk.log.contents.opinions.seconds))
        judged = len(desk.log.given)
    assert sets[0] < sets[1] < sets[2] and len(sets[2]) == judged
    assert not opened(pool, path="none.jsonl").log.contents.opinions.seconds


def test_the_sides_of_a_second_look_are_drawn_anew(opened):
    pool = pool_of(60)
    desk = doubled(opened, pool, 1.0)
    read = same(desk, pool)
    orders = {(each.first.order, each.others[0].order) for each in judged_twice(read)}
    assert len(orders) == 4


def test_agreement_is_cohens_kappa_of_what_was_said_first(opened, tmp_path):
    pool = pool_of(60)
    desk = doubled(opened, pool)
    found = overlap(read_log(desk.log.path, pool))
    pairs = judged_twice(desk.log.contents)
    alike = sum(not each.differs for each in pairs)
    assert 0 < alike < len(pairs) == found.twice == found.overall.cells
    assert found.differ == len(pairs) - alike and found.decided == 0
    assert found.overall.share == pytest.approx(alike / len(pairs))
    by_hand = [(each.first.outcome, each.others[0].outcome) for each in pairs]
    expected = (
        sum(
            sum(a == code for a, _ in by_hand) * sum(b == code for _, b in by_hand)
            for code in (-1, 0, 1)
        )
        / len(pairs) ** 2
    )
    kappa = (alike / len(pairs) - expected) / (1 - expected)
    assert found.overall.kappa == pytest.approx(kappa)
    low, high = found.overall.kappa_interval
    assert low <= kappa <= high
    (only,) = found.by_pair
    assert (only.first, only.second, only.cells) == ("ann", "bob", len(pairs))
    assert "--adjudicate` shows the other" in found.statement
    pool.save(tmp_path / "pool.npz")
    desk.log.close()
    source = ("--pool", tmp_path / "pool.npz")
    assert ok("session", "agreement", desk.log.path, *source).strip() == found.statement
    told = json.loads(ok("session", "agreement", desk.log.path, *source, "--json"))
    assert told["overall"]["kappa"] == found.overall.kappa


def test_agreement_of_a_log_that_one_person_filled(opened):
    desk = opened(pool_of(8))
    work(desk, ["ann"])
    said = overlap(desk.log.contents)
    assert said.overall.kappa is None and "none of them by two people" in said.statement


def test_a_skip_is_no_second_verdict_and_undo_takes_a_second_back(opened):
    pool = pool_of()
    desk = opened(pool, overlap=1.0)
    first = desk.next("ann")["pair"]
    desk.give("ann", first["name"], "1")
    pair = desk.next("bob")["pair"]
    assert pair["again"]
    desk.give("bob", pair["name"], "4")
    assert not judged_twice(desk.log.contents) and not desk.next("bob")["pair"]["again"]
    desk.undo("bob")
    assert desk.next("bob")["pair"]["name"] == pair["name"]
    desk.give("bob", pair["name"], "3")
    (each,) = judged_twice(desk.log.contents)
    assert each.people == {"ann", "bob"}
    desk.undo("bob")
    assert not judged_twice(same(desk, pool)) and len(desk.log.given) == 1
    assert desk.log.contents.undone == 0


# -- adjudication -------------------------------------------------------------------------------


def adjudicated(opened, pool, **options):
    doubled(opened, pool).log.close()
    return opened(pool, adjudicate=True, **options)


def test_a_third_person_decides_and_the_race_is_played_again(opened):
    pool = pool_of(60)
    desk = adjudicated(opened, pool)
    before = {(e.query, e.model): e for e in desk.log.given}
    differ = [each for each in judged_twice(desk.log.contents) if each.differs]
    for one in ("ann", "bob"):  # neither decides alone
        assert desk.next(one)["pair"] is None and not desk.next(one)["wait"]
    assert f"0 of {len(differ)} disagreements" in desk.next("cleo")["progress"]["text"]
    work(desk, ["cleo"], lambda who, pair: True)  # always against what the answers say
    read = same(desk, pool)
    decided = {(each.first.query, each.first.model) for each in judged_twice(read) if each.decided}
    assert decided == {(each.first.query, each.first.model) for each in differ}
    for entry in read.given:
        cell = entry.query, entry.model
        if cell in decided:
            assert entry.by == "cleo" and entry.detail["first"]["by"] == before[cell].by
            assert read.firsts[cell] == before[cell]
        else:
            assert entry == before[cell]
    rows = {q: {m: e.outcome for m, e in row.items()} for q, row in read.rows.items()}
    race = llmsel.Race.of_settings(pool, read.race)
    while tasks := race.ask():  # by hand, on the outcomes that count now
        left = False
        for task in tasks:
            known = {m: rows.get(task.query, {}).get(m) for m in task.models}
            left |= None in known.values()
            race.tell(task.query, {m: o for m, o in known.items() if o is not None})
        if left:
            break
    held = verdict_of(read)
    assert (held.winners, held.calls) == (race.verdict().winners, race.verdict().calls)
    assert any("decided afterwards" in remark for remark in remarks_of(read))
    agreed = overlap(read)  # what was said at first is still what is compared
    assert agreed.differ == agreed.decided == len(differ)
    assert (
        "decided" in desk.next("cleo")["progress"]["text"]
        and "no disagreement" in (desk.next("cleo")["end"])
    )


def test_some_decided_and_others_not_is_no_certificate(opened):
    pool = pool_of(60)
    desk = adjudicated(opened, pool)
    assert verdict_of(desk.log).certified and not warnings_of(desk.log.contents)
    assert any("the first verdict counts" in r for r in remarks_of(desk.log.contents))
    pair = desk.next("cleo")["pair"]
    desk.give("cleo", pair["name"], says(pair))
    held = verdict_of(desk.log)
    assert not held.certified and held.statement.startswith("No certificate: 1 of ")
    assert "all or none" in warnings_of(desk.log.contents)[0]
    desk.undo("cleo")
    assert verdict_of(same(desk, pool)).certified
    assert not desk.log.contents.firsts and not desk.log.contents.opinions.decided


def test_a_skipped_disagreement_stays_open_for_others(opened):
    desk = adjudicated(opened, pool_of(60))
    first = desk.next("cleo")["pair"]
    desk.give("cleo", first["name"], "4")
    assert desk.next("cleo")["pair"]["name"] != first["name"]
    assert desk.next("dave")["pair"]["name"] == first["name"]
    assert not desk.log.contents.opinions.decided


def test_an_adjudication_in_whole_queries_is_learned_again(opened):
    pool = pool_of(12)
    desk = opened(pool, race=False, overlap=1.0)
    desk.log.record("q0", {"secret-a": 1}, by="ann")
    work(desk, ["ann", "bob"], errs)
    desk.log.session.best()
    order = [query for query, _ in desk.log.session.history]
    desk.log.close()
    desk = opened(pool, race=False, adjudicate=True)
    desk.log.session.best()  # has learned the first verdicts
    work(desk, ["cleo"], lambda who, pair: True)
    session = desk.log.session
    assert [query for query, _ in session.history] == order
    read = same(desk, pool)
    assert session.best() == read.session.best() and read.opinions.decided
    for query, row in session.history:
        for model, entry in desk.log.rows[query].items():
            assert row[pool.column(model)] == entry.outcome


def test_what_was_decided_is_carried(opened, tmp_path):
    pool = pool_of(60)
    desk = adjudicated(opened, pool)
    work(desk, ["cleo"], lambda who, pair: True)
    path = desk.log.path
    desk.log.close()
    assert not check_log(path).damaged
    read = read_log(path, pool)
    changed = pool.replace(texts=["another question", *pool.texts[1:]])
    assert "verdicts" in carry(path, tmp_path / "next.jsonl", changed).statement
    bank = read_log(tmp_path / "next.jsonl", changed).bank
    assert {key: entry["outcome"] for key, entry in bank.items()} == {
        e.key: e.outcome for e in read.given if e.query != "q0"
    }
    assert any("first" in entry["detail"] for entry in bank.values())


def test_damaged_opinions_are_told_and_the_rest_is_saved(opened, tmp_path):
    pool = pool_of(60)
    desk = adjudicated(opened, pool)
    work(desk, ["cleo"])
    desk.undo("cleo")
    desk.log.close()
    lines = desk.log.path.read_bytes().splitlines(keepends=True)
    sorts = {}
    for number, line in enumerate(lines):
        sorts.setdefault(next(iter(json.loads(line))), number)
    assert {"second", "adjudicated", "withdrawn"} <= set(sorts)
    for sort in ("second", "adjudicated", "withdrawn", "query"):
        broken = tmp_path / f"{sort}.jsonl"
        cut = list(lines)
        cut[sorts[sort]] = b"{" + cut[sorts[sort]]
        broken.write_bytes(b"".join(cut))
        with pytest.raises(InputError, match=f"line {sorts[sort] + 1}, is damaged"):
            read_log(broken, pool)
        assert len(check_log(broken, repair=True).damaged) == 1
        read_log(broken, pool).session.best()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"outcome": 5}, "its outcome is 5"),
        ({"order": "sideways"}, "its order is 'sideways'"),
        ({"models": []}, "it names no model"),
        ({"models": ["nobody"]}, "no candidate 'nobody'"),
        ({"second": "q999"}, "no query 'q999'"),
        ({"models": [7]}, "7 is no name"),
        ({"more": 1}, "unknown entry 'more'"),
    ],
)
def test_an_opinion_that_cannot_be_is_told(opened, tmp_path, change, why):
    pool = pool_of(4)
    desk = opened(pool)
    desk.log.close()
    line = {"second": "q0", "models": ["secret-a"], "outcome": 1, "order": "candidate first"}
    line |= {"by": "bob", "time": "now"} | change
    path = tmp_path / "log.jsonl"
    path.write_bytes(path.read_bytes() + seal(line))
    with pytest.raises(InputError, match=why):
        read_log(path, pool)
    line = {"adjudicated": "q0", "models": ["secret-a"], "outcome": None, "order": "both"}
    with pytest.raises(ValueError, match="it decides nothing"):
        checked({**line, "by": "cleo", "time": "now"})
    with pytest.raises(ValueError, match="it takes back 'all'"):
        checked({"withdrawn": "all", "query": "q0", "models": ["secret-a"], "by": "b"})
