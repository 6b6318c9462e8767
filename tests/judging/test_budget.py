"""A budget in money is never exceeded, and what it bought is kept."""

import threading

import pytest
from helpers.loopback import serve
from helpers.servers import longer, pool_of

from llmsel._base.errors import InputError
from llmsel.answers.prices import BudgetSpent, Prices, Purse
from llmsel.judging.carry import carry
from llmsel.judging.cheap import Beside
from llmsel.judging.collect import annotate, judge_race
from llmsel.judging.judges import ProgramJudge
from llmsel.judging.llm import LLMJudge
from llmsel.judging.log import AnnotationLog
from llmsel.judging.panel import Panel
from llmsel.judging.replay import read_log
from llmsel.racing.race import Race, Task

ONE = Prices(0, 100_000)  # a reply of the loopback server has 10 tokens: 1; of 20 at most: 2
AT_MOST = {"max_tokens": 20}


def judge_of(server, name="m", **more):
    return LLMJudge(name, server.url, prices=ONE, parameters=AT_MOST, **more)


@pytest.mark.parametrize("workers", [1, 5])
def test_a_race_stops_before_its_budget_and_goes_on_with_a_larger_one(tmp_path, workers):
    pool, path = pool_of("a", "bb", "ccc", queries=40), tmp_path / "log.jsonl"
    race = Race(pool, seed=0, batch=10)
    with serve(longer) as server:
        judge = judge_of(server)
        with AnnotationLog(path, pool) as log:
            found = judge_race(log, judge, race=race, budget=9.5, workers=workers)
        # the request after the eighth might have cost 2, wherever the threads were
        assert len(server.bodies) == judge.spent["cost"] == 8
        assert not found.certified and "budget of 9.5 is reached: 8 is spent" in found.remarks[-1]
        held = read_log(path, pool)
        # a comparison that the stop left half paid is in no line; there is at most one a worker
        assert len(held.given) == held.cost / 2 >= (8 - workers) / 2
        with AnnotationLog(path, pool) as log:
            again = judge_race(log, judge_of(server), race=Race(pool, seed=0, batch=10), budget=9.5)
            assert len(server.bodies) <= 8 + (8 - held.cost)  # only what no line of the log says
            assert "of it in runs before" in again.remarks[-1]
            last = judge_race(log, judge_of(server), race=Race(pool, seed=0, batch=10), budget=1e9)
    assert last.certified and last.winners == ("base",)
    held = read_log(path, pool)
    assert 2 * len(held.given) - 8 <= held.cost <= 2 * len(held.given)
    assert workers > 1 or held.cost == 2 * len(held.given)


def test_whole_queries_end_with_the_reason(tmp_path):
    pool = pool_of("a", "bb", "ccc", queries=9)
    with serve(longer) as server, AnnotationLog(tmp_path / "log", pool) as log:
        with pytest.raises(BudgetSpent, match="give a larger one to go on"):
            annotate(log, judge_of(server), budget=13)
        assert len(server.bodies) == 12 and len(log.given) == 6
        annotate(log, judge_of(server), queries=1)  # no limit any more


def test_a_group_is_paid_once_and_a_carried_verdict_not_again(tmp_path):
    pool = pool_of("same", "same", "longest", "no", queries=2)
    path, new = tmp_path / "log.jsonl", tmp_path / "new.jsonl"
    with serve(longer) as server, AnnotationLog(path, pool, strategy="Random") as log:
        judge = judge_of(server)
        annotate(log, judge)
        log.undo()  # what is taken back was paid all the same
        assert log.contents.cost == judge.spent["cost"] == 8
        assert read_log(path, pool).cost == 8
        annotate(log, judge)
        assert log.contents.cost == judge.spent["cost"] == 8  # from the cache
        renamed = pool.replace(models=("x", "y", "z", "base"))
        carry(path, new, renamed)
        with AnnotationLog(new, renamed, strategy="Random") as taken:
            annotate(taken, judge_of(server))
            assert len(taken.given) == 6 and taken.contents.cost == 0
        assert len(server.bodies) == 8


def test_a_panel_spends_from_one_purse(tmp_path):
    pool = pool_of("a", "bb", queries=20)
    with serve(longer) as server, AnnotationLog(tmp_path / "log", pool) as log:
        panel = Panel([judge_of(server, name) for name in ("m", "n", "o")])
        with pytest.raises(BudgetSpent):
            annotate(log, panel, budget=17)
        assert panel.spent["cost"] == 16 and log.contents.cost == 16 and len(log.given) == 4


def test_a_cheap_judge_spends_of_the_same_budget(tmp_path):
    pool = pool_of(*("x" * k for k in range(1, 13)), queries=30)
    with serve(longer) as server, AnnotationLog(tmp_path / "log", pool) as log:
        dear, cheap = judge_of(server), judge_of(server, "cheap")
        race = Race(pool, seed=2, delta=0.05, cheap_price=0.0)
        found = judge_race(log, dear, race=race, cheap=cheap, budget=171)
        spent = dear.spent["cost"] + cheap.spent["cost"]
        assert found.certified or spent == 170
        assert log.contents.cost == spent
        cheap.limit(Purse(1.0))
        known = dict(log.contents.cheap)
        with pytest.raises(BudgetSpent):  # and what it could not pay for is not noted as unknown
            Beside(cheap).fill(log, [Task(q, None, ("c0",)) for q in pool.queries])
        assert log.contents.cheap == known


@pytest.mark.parametrize(
    ("judge", "why"),
    [
        (ProgramJudge(len), "needs a judge that has prices; 'len' has none"),
        (LLMJudge("m", "http://localhost:1/v1"), "needs the prices of 'm'"),
        (
            LLMJudge("m", prices=ONE, parameters={"max_tokens": None}),
            "needs a longest reply: give -p max_tokens=2000",
        ),
    ],
)
def test_a_budget_that_could_not_be_kept_is_refused(judge, why, tmp_path):
    pool = pool_of("a", "bb")
    with AnnotationLog(tmp_path / "log", pool) as log:
        for panel in (judge, Panel([judge])):
            with pytest.raises(InputError, match=why.replace("(", r"\(")):
                judge_race(log, panel, race=Race(pool), budget=1.0)
        with pytest.raises(InputError, match="budget=-1: give a sum of money above 0"):
            judge_race(log, judge, race=Race(pool), budget=-1.0)


def test_what_waits_for_room_begins_when_there_is_some_and_not_after_a_stop():
    purse, begun = Purse(10.0), []

    def ask():
        try:
            with purse.holding(6.0):
                begun.append(purse.spent)
                purse.pay(1.0)
        except BudgetSpent:
            begun.append("stopped")

    with purse.holding(6.0):
        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        assert not begun  # each waits, and gives up only where nothing is under way
        purse.pay(1.0)
    for thread in threads:
        thread.join()
    assert begun == [1.0, 2.0, 3.0] and purse.spent == 4.0
    with purse.holding(6.0):
        thread = threading.Thread(target=ask)
        thread.start()
        while not purse._change._waiters:
            pass
        purse.stop()
        thread.join()
    assert begun[-1] == "stopped"
