"""What a judge is worth by people's standard: never said to be more than it is."""

import json
import math

import numpy as np
import pytest
from helpers.commands import mistake, ok

from llmsel._base.errors import InputError
from llmsel.judging.calibration import Lean, _behind, _by_people, calibrate
from llmsel.judging.collect import annotate, judge_race
from llmsel.judging.judges import ProgramJudge
from llmsel.judging.log import AnnotationLog
from llmsel.judging.replay import read_log
from llmsel.pool import NO_ANSWER, Pool
from llmsel.racing.race import Race

N, MODELS = 80, ("a", "b", "c", "base")
LONG = np.arange(N) % 3 > 0  # queries on which the answer of 'b' is longer than the baseline's


def world(seed=0, n=N):
    """A pool, what people would say of every cell, and what a judge says that loves 'b'."""
    rng = np.random.default_rng(seed)
    people = np.sign(rng.normal([0.9, 0.1, -0.3, 0], 1, (n, 4))).astype(int)
    judge = np.where(rng.random((n, 4)) < 0.2, rng.integers(-1, 2, (n, 4)), people)
    judge[:, 1] = np.maximum(judge[:, 1], np.where(rng.random(n) < 0.8, 1, -1))
    people[:, 3] = judge[:, 3] = 0
    dots = {"a": 3, "b": 3, "c": 3, "base": 0}  # names and dots are as long as one another
    responses = [
        [f"{i}|{m}" + "." * (dots[m] + (i % 3) * (m == "b")) for m in MODELS] for i in range(n)
    ]
    return Pool([f"q{i}" for i in range(n)], MODELS, "base", responses=responses), people, judge


def oracle(table, name):
    def say(query, response, baseline_response):
        place, model = response.rstrip(".").split("|")
        return int(table[int(place), MODELS.index(model)])

    return ProgramJudge(say, compares=True, name=name)


def judged(path, pool, table, name, *, queries=None, seed=1, **options):
    """A log of whole queries, in random order unless a strategy is named."""
    with AnnotationLog(path, pool, seed=seed, **options) as log:
        annotate(log, oracle(table, name), queries=queries)
    return path


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    """Paths of people's log (30 queries) and the judge's (all), and what is in them."""
    folder = tmp_path_factory.mktemp("calibration")
    pool, people, judge = world()
    ours = judged(folder / "people.jsonl", pool, people, "anna", queries=30)
    return ours, judged(folder / "judge.jsonl", pool, judge, "gpt", seed=2), pool, people, judge


def read(path, *others, pool):
    return [read_log(each, pool) for each in (path, *others)]


def rates(table):
    return (table.mean(axis=0) + 1) / 2


def test_estimates_are_the_judge_corrected_by_people(logs):
    ours, theirs, pool, people, judge = logs
    found = calibrate(*read(ours, theirs, pool=pool))
    rows = sorted(pool.place(query) for query in read_log(ours, pool).rows)
    assert len(rows) == 30 and not found.doubts
    for j, each in enumerate(found.models):
        assert (each.common, each.judged) == (30, N)
        assert each.people == pytest.approx(rates(people[rows])[j])
        assert each.judge == pytest.approx(rates(judge[rows])[j])
        correction = (people[rows, j] - judge[rows, j]).mean() / 2
        assert each.estimate == pytest.approx(rates(judge)[j] + correction)
        assert each.low <= rates(people)[j] <= each.high
    seen = found.agreement
    assert (seen.first, seen.second, seen.cells, seen.queries) == ("anna", "gpt", 90, 30)
    same = [people[i, j] == judge[i, j] for i in rows for j in range(3)]
    assert seen.share == pytest.approx(np.mean(same))


def test_a_judge_with_a_favourite_is_found_out(logs):
    ours, theirs, pool, people, _ = logs
    found = calibrate(*read(ours, theirs, pool=pool))
    assert found.named == ("b",) and rates(people).argmax() == 0
    assert found.ahead == ("a",)
    assert "'gpt' puts 'b' first; on the common queries people put 'a' ahead." in found.statement
    shortfall = rates(people).max() - rates(people)[1]
    assert shortfall <= found.behind < 1
    shown = math.ceil(found.behind * 1000) / 10
    assert f"within {shown:.1f}% of the best win rate of this pool (95%; more" in found.statement


def test_with_every_comparison_judged_by_people_it_is_exact(logs, tmp_path):
    _, theirs, pool, people, judge = logs
    ours = judged(tmp_path / "all.jsonl", pool, people, "anna")
    found = calibrate(*read(ours, theirs, pool=pool))
    for j, each in enumerate(found.models):
        exact = pytest.approx(rates(people)[j])
        assert (each.low, each.high, each.estimate) == (exact, exact, exact)
    assert found.behind == pytest.approx(rates(people).max() - rates(people)[1])
    assert "of the best win rate of this pool (exact)" in found.statement
    kinder = judge - people
    assert found.candidates == Lean((kinder > 0).sum(), (kinder < 0).sum())
    # the answers of 'b', whom it loves, are the longest or as long as the others
    assert found.longer == Lean((kinder[:, 1] > 0)[LONG].sum(), (kinder[:, 1] < 0)[LONG].sum())
    assert "'gpt' is kinder to the candidate in" in found.statement
    assert "and to the longer answer in" in found.statement
    same = calibrate(*read(theirs, theirs, pool=pool))
    assert same.behind == 0 and not same.ahead and same.agreement.kappa == 1
    assert "no model of this pool is better than 'b' (95%)" in same.statement
    assert same.agreement.second == "gpt (judge)"


def test_intervals_hold_as_often_as_they_say():
    rng = np.random.default_rng(5)
    _, people, judge = world(seed=3)
    truth, said = (people + 1) / 2, (judge + 1) / 2
    shortfall = (truth.mean(axis=0) - truth[:, 1].mean()).max()
    missed, behind, naive, width = 0, 0, 0, []
    for _ in range(150):
        ours = truth.copy()
        ours[rng.permutation(N)[25:], :3] = np.nan
        each = [_by_people(MODELS[j], ours[:, j], said[:, j], 0.05 / 3) for j in range(3)]
        missed += any(not e.low <= truth[:, j].mean() <= e.high for j, e in enumerate(each))
        naive += said[:, 1].mean() > each[1].high
        behind += _behind(ours, said, [1], 0.05) < shortfall
        width.append(each[0].high - each[0].low)
    assert missed <= 15 and behind <= 15  # 7.5 expected at most; more in 1 of 200 tests
    assert naive > 30 and np.mean(width) < 0.5  # and they say something


@pytest.mark.parametrize("kind", ["race", "strategy", "by hand", "skipped", "rule", "same order"])
def test_a_sample_that_is_not_random_is_called_so(logs, tmp_path, kind):
    _, theirs, pool, people, judge = logs
    path = tmp_path / "ours.jsonl"
    anna = oracle(people, "anna")
    if kind == "race":
        with AnnotationLog(path, pool) as log:
            judge_race(log, anna, race=Race(pool, delta=0.2, seed=3))
    elif kind == "strategy":
        judged(path, pool, people, "anna", queries=10, strategy="LLM Selector")
    elif kind == "rule":
        from llmsel.racing.elimination import Certified

        judged(path, pool, people, "anna", queries=10, rule=Certified())
    elif kind == "same order":
        judged(path, pool, people, "anna", queries=20, seed=7)
        theirs = tmp_path / "raced.jsonl"
        with AnnotationLog(theirs, pool) as log:
            judge_race(log, oracle(judge, "gpt"), race=Race(pool, seed=7))
    else:
        with AnnotationLog(path, pool, seed=1) as log:
            asked = log.session.ask().query
            query = asked if kind == "skipped" else next(q for q in pool.queries if q != asked)
            log.record(query, {"a": 1} if kind == "skipped" else dict.fromkeys("abc", 1), by="anna")
    found = calibrate(*read(path, theirs, pool=pool))
    why = {
        "race": "a race chose",
        "strategy": "'LLM Selector' chose",
        "by hand": "do not follow the random order",
        "skipped": "2 comparisons on people's queries are skipped or open",
        "rule": "a stopping rule",
        "same order": "the judge's race went in the same order",
    }[kind]
    assert why in "; ".join(found.doubts) and found.behind is None
    assert "is a guide only" in found.statement and "within" not in found.statement


def test_a_judge_that_raced_says_nothing_of_the_rest(logs, tmp_path):
    ours, _, pool, _, judge = logs
    theirs = tmp_path / "raced.jsonl"
    with AnnotationLog(theirs, pool) as log:
        verdict = judge_race(log, oracle(judge, "gpt"), race=Race(pool, delta=0.1, seed=9))
    found = calibrate(*read(ours, theirs, pool=pool))
    assert verdict.certified and found.certified and found.named == verdict.winners
    assert found.behind is None and not found.doubts
    assert "with a certificate about its own verdicts" in found.statement
    assert "can be said once 'gpt' has judged every comparison" in found.statement
    assert all(each.common < each.judged <= N for each in found.models)


def test_nothing_in_common(logs, tmp_path):
    pool = logs[2]
    paths = tmp_path / "one.jsonl", tmp_path / "two.jsonl"
    for path, model in zip(paths, "ab", strict=True):
        with AnnotationLog(path, pool) as log:
            log.record("q1", {model: 1}, by=model)
    found = calibrate(*read(*paths, pool=pool))
    assert found.models == () and found.agreement.kappa is None and found.behind is None
    assert found.statement.endswith("nothing is known of their agreement.")
    text = json.dumps(found.position)
    assert "NaN" not in text


def test_what_needs_no_judge_is_no_agreement(tmp_path):
    pool, people, judge = world()
    responses = pool.responses.copy()
    responses[:40, 0] = responses[:40, 3]  # 'a' says what the baseline says
    responses[:10, 2] = NO_ANSWER
    pool = pool.replace(responses=responses)
    ours = judged(tmp_path / "people.jsonl", pool, people, "anna")
    theirs = judged(tmp_path / "judge.jsonl", pool, judge, "gpt")
    found = calibrate(*read(ours, theirs, pool=pool))
    assert found.agreement.cells == 3 * N - 40 - 10
    assert [each.common for each in found.models] == [N, N, N]


def test_logs_that_cannot_be_compared(logs, tmp_path):
    ours, theirs, pool, *_ = logs
    other = pool.subset(pool.queries[:40])
    third = judged(tmp_path / "third.jsonl", other, logs[3], "anna")
    with pytest.raises(InputError, match="different pools"):
        calibrate(read_log(ours, pool), read_log(third, other))
    with pytest.raises(InputError, match=r"alpha is 2; it must be"):
        calibrate(read_log(ours, pool), read_log(theirs, pool), alpha=2)
    empty = tmp_path / "empty.jsonl"
    AnnotationLog(empty, pool).close()
    with pytest.raises(InputError, match="log of the judge has no outcome yet"):
        calibrate(read_log(ours, pool), read_log(empty, pool))


def test_the_command(logs, tmp_path):
    ours, theirs, pool, *_ = logs
    saved = pool.save(tmp_path / "pool.npz")
    said = ok("calibrate", ours, theirs, "--pool", saved)
    found = calibrate(*read(ours, theirs, pool=pool))
    assert said.startswith(found.statement)
    assert "  b: people " in said and f" on {N}\n" in said and "nan" not in said.lower()
    facts = json.loads(ok("calibrate", ours, theirs, "--pool", saved, "--json"))
    assert facts["statement"] == found.statement and facts["behind"] == found.behind
    assert facts["agreement"]["table"] == [list(row) for row in found.agreement.table]
    hand = tmp_path / "hand.jsonl"
    with AnnotationLog(hand, pool, seed=1) as log:
        log.record("q5", dict.fromkeys("abc", 1), by="anna")
    ok("calibrate", hand, theirs, "--pool", saved, code=1)  # a warning stands
    assert "no log" in mistake("calibrate", tmp_path / "none.jsonl", theirs, "--pool", saved)
