"""One real decision by the audit: the cells of the experiments, told in any order, cut anywhere."""

import json

import numpy as np
import pytest
from helpers.audits import bound
from helpers.pools import simulated

from llmsel._base.errors import InputError
from llmsel.judging.collect import judge_race, resume, verdict_of
from llmsel.judging.judges import Judge, Verdict
from llmsel.judging.log import AnnotationLog
from llmsel.judging.replay import read_log
from llmsel.pool import MISSING, draw_orders
from llmsel.racing.audit import CHALLENGE, CHAMPION, Audit
from llmsel.racing.elimination import Certified
from llmsel.racing.forecast import forecast
from llmsel.racing.race import Budget, Race

EARLY = Audit(alpha=0.2, switch="early", start=0.0)


def pool_of_many(seed=3):
    return simulated(n=60, m=14, spread=0.4, seed=seed)


def cells_of(race, pool, rng=None):
    """Play a race from the pool's outcomes, cells in random order with ``rng``; list the cells."""
    asked = []
    while tasks := race.ask():
        cells = [(task.query, model) for task in tasks for model in task.models]
        if rng is not None:
            rng.shuffle(cells)
            cells = cells[: rng.integers(1, len(cells) + 1)]
        for query, model in cells:
            outcome = int(pool.outcomes[pool.place(query), pool.column(model)])
            race.tell(query, {model: outcome})
        asked += cells
    return asked


@pytest.mark.parametrize("width", [1, 5, 64])
def test_a_decision_judges_the_cells_of_the_experiments(width):
    pool = pool_of_many()
    race = Race(pool, EARLY, seed=7, batch=width)
    asked = cells_of(race, pool)
    order = draw_orders(60, 60, realizations=1, seed=7)[0]
    course = EARLY.begin(60, 15, baseline=pool.baseline_index, seed=7, width=width)
    wanted, phases = [], set()
    while cells := course.ask():
        phases.add(course.phase)
        for place, j in cells:
            wanted.append((pool.queries[order[place]], pool.models[j]))
            course.tell((place, j), int(pool.outcomes[order[place], j]))
    assert {CHAMPION, CHALLENGE} <= phases
    assert sorted(asked) == sorted(wanted) and len(asked) < 60 * 14
    verdict = race.verdict()
    assert verdict.certified and verdict.calls == len(asked)
    assert verdict.winners == tuple(np.array(pool.models)[course.winners])
    assert set(verdict.dropped) == set(pool.models) - set(verdict.live)
    for model, judged in verdict.dropped.items():
        own = sum(m == model for _, m in asked)
        assert judged == (own if model != pool.baseline else judged) and judged >= 0


@pytest.mark.parametrize("width", [1, 16])
def test_the_order_of_telling_changes_nothing(width):
    pool = pool_of_many()
    whole, parts = (Race(pool, EARLY, seed=1, batch=width) for _ in range(2))
    asked = cells_of(whole, pool)
    again = cells_of(parts, pool, np.random.default_rng(0))
    assert sorted(asked) == sorted(again) and whole.verdict() == parts.verdict()


def test_the_rule_of_a_race_that_names_none_is_the_audit_and_its_settings_make_it_anew():
    pool = pool_of_many()
    race = Race(pool, delta=0.02, batch=4)
    assert race.rule == Audit()
    kept = json.loads(json.dumps(race.settings))
    again = Race.of_settings(pool, kept)
    assert again.settings == race.settings
    assert cells_of(again, pool) == cells_of(race, pool)


class Knows(Judge):
    """A judge that reads the outcomes of a pool, and fails where they are missing."""

    name = "knows"

    def __init__(self, pool):
        self.outcome = {
            (text, answer): int(outcome)
            for text, row, outcomes in zip(pool.texts, pool.responses, pool.outcomes, strict=True)
            for answer, outcome in zip(row, outcomes, strict=True)
        }
        self.judged = 0

    def judge(self, query, response, baseline):
        self.judged += 1
        return Verdict(self.outcome[query, response])


def judged_pool(seed=3):
    pool = pool_of_many(seed)
    answers = np.array([[f"{q} by {m}" for m in pool.models] for q in pool.queries], dtype=object)
    return pool.replace(responses=answers, texts=[f"text {q}" for q in pool.queries], votes=None)


@pytest.mark.parametrize("step", [1, 37, 200])
@pytest.mark.parametrize("batch", [1, 8])
def test_a_race_cut_anywhere_goes_on_as_if_it_were_not(step, batch, tmp_path):
    pool = judged_pool()
    with AnnotationLog(tmp_path / "whole.jsonl", pool) as log:
        race = Race(pool, EARLY, seed=2, batch=batch)
        whole = judge_race(log, Knows(pool), race=race, workers=3)
        cells = {(each.query, each.model): each.outcome for each in log.given}
    judge = Knows(pool)
    for _ in range(2000):
        with AnnotationLog(tmp_path / "cut.jsonl", pool) as log:
            race = Race(pool, EARLY, seed=2, batch=batch)
            if judge_race(log, judge, race=race, calls=step, workers=2).stop:
                break
        if step == 1 and judge.judged > 150:
            step = 100
    held = read_log(tmp_path / "cut.jsonl", pool)
    assert {(each.query, each.model): each.outcome for each in held.given} == cells
    assert judge.judged == len(cells)  # nothing twice
    said = verdict_of(held)
    assert said.certified and said.winners == whole.winners and said.calls == whole.calls
    assert resume(held).rule == EARLY


def test_an_older_log_goes_on_with_the_rule_it_was_begun_with(tmp_path):
    pool = judged_pool()
    with AnnotationLog(tmp_path / "log.jsonl", pool) as log:
        judge_race(log, Knows(pool), race=Race(pool, Certified(), seed=4), calls=20)
    with AnnotationLog(tmp_path / "log.jsonl", pool) as log:
        judge_race(log, Knows(pool), race=Race(pool), calls=20)
        assert log.race["rule"]["name"] == "Certified" and len(log.given) == 40
        with pytest.raises(InputError, match="holds a race with rule"):
            judge_race(log, Knows(pool), race=Race(pool, Audit()), calls=20)


@pytest.mark.parametrize("calls", [0, 1, 13, 50, 120, 160])
def test_a_budget_is_kept_to_the_call_and_the_champion_is_named(calls):
    pool = pool_of_many()
    race = Race(pool, EARLY, seed=3, budget=Budget(calls=calls))
    assert len(cells_of(race, pool)) == calls
    said = race.verdict()
    assert said.stop == "budget" and not said.certified and said.calls == calls
    assert said.statement.endswith("The budget is spent.")
    assert len(said.winners) >= 1


def test_a_budget_of_queries_stops_before_the_champion_is_judged_on_more():
    pool = pool_of_many()
    race = Race(pool, EARLY, seed=3, budget=Budget(queries=10))
    cells_of(race, pool)
    assert race.verdict().stop == "budget" and race.verdict().queries <= 10


@pytest.mark.parametrize("how", ["gives up", "fails"])
def test_missing_outcomes_never_freeze_an_audit(how):
    pool = pool_of_many()
    rng = np.random.default_rng(5)
    race = Race(pool, EARLY, seed=3, most_failed=1.0, batch=6)
    steps = 0
    while tasks := race.ask():
        steps += 1
        assert steps < 5000
        for task in tasks:
            if rng.random() < (0.1 if how == "gives up" else 0.5):
                if how == "gives up":
                    race.give_up(task.query)
                else:
                    race.tell(task.query, dict.fromkeys(task.models))
                continue
            row = pool.outcomes[pool.place(task.query)]
            race.tell(task.query, {m: int(row[pool.column(m)]) for m in task.models})
    said = race.verdict()
    assert said.stop and sum(said.failed.values()) > 0
    assert said.calls + sum(said.failed.values()) == race._paid


def test_too_many_failures_stop_the_asking():
    pool = pool_of_many()
    race = Race(pool, EARLY, seed=3)
    while tasks := race.ask():
        for task in tasks:
            race.give_up(task.query)
    assert race.failing and race.verdict().stop == "too many failed"
    assert not race.verdict().certified


def test_what_was_not_asked_for_is_told_in_one_sentence():
    pool = pool_of_many()
    race = Race(pool, EARLY, seed=3)
    (task,) = race.ask()
    other = next(q for q in pool.queries if q != task.query)
    model = task.models[0]
    race.tell(task.query, {model: 0})
    for query, outcomes, said in (
        (other, {model: 1}, f"query '{other}' was not asked for; open now: '{task.query}'."),
        (task.query, {model: 1}, "it was told before"),
        (task.query, {pool.baseline: 1}, "it is the baseline"),
        (task.query, {"nobody": 1}, "nobody"),
        ("no query", {model: 1}, "no query"),
        (task.query, {task.models[1]: 3}, "3"),
    ):
        before = race.verdict()
        with pytest.raises(InputError, match=said.replace("(", r"\(")):
            race.tell(query, outcomes)
        assert race.verdict() == before
    while tasks := race.ask():
        asked = tasks
        for each in tasks:
            race.give_up(each.query)
        if race.failing:
            race.most_failed = 1.0
    with pytest.raises(InputError, match="the race is over"):
        race.tell(asked[0].query, {asked[0].models[0]: 0})


def test_wrong_certificates_are_within_alpha_when_judgements_fail_by_their_outcome():
    wrong = races = 0
    for seed in range(120):
        pool = simulated(n=40, m=5, spread=0.3, seed=seed)
        total = pool.outcomes.sum(axis=0)
        best = set(np.array(pool.models)[total == total.max()])
        race = Race(pool, EARLY, seed=seed, most_failed=1.0)
        while tasks := race.ask():
            for task in tasks:
                row = pool.outcomes[pool.place(task.query)]
                given = {m: int(row[pool.column(m)]) for m in task.models}
                hidden = {
                    m: MISSING if m in best and a == 1 and seed % 2 else a for m, a in given.items()
                }
                race.tell(task.query, hidden)
        said = race.verdict()
        races += said.certified
        wrong += said.certified and not set(said.winners) <= best
    assert races > 60 and wrong <= bound(races, 0.2)


# -- what it is likely to cost ----------------------------------------------------------------


def test_a_forecast_is_of_the_same_races_and_falls_with_delta_and_ease():
    pool = pool_of_many()
    known = {
        q: {m: int(pool.outcomes[i, j]) for j, m in enumerate(pool.models)}
        for i, q in enumerate(pool.queries)
    }
    whole = forecast(pool.hide_outcomes(), known, worlds=5)  # all is known: every world is the pool
    for said in whole:
        calls = sorted(
            len(cells_of(Race(pool, seed=world, delta=said.delta), pool)) for world in range(5)
        )
        assert (said.low, said.middle, said.high) == (calls[0], calls[2], calls[4])
        assert said.known == pool.n_queries * len(pool.candidates)
    assert whole[2].middle <= whole[0].middle
    blind = forecast(pool, deltas=[0.0], worlds=5)[0]
    assert blind.known == 0 and "a wide guess" in blind.statement
    assert 0 < blind.low <= blind.middle <= blind.high <= blind.everyone == 60 * 14
    with pytest.raises(InputError, match="at least one"):
        forecast(pool, worlds=0)
