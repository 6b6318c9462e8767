"""How a certificate came about: it stands in the log and under the statement, and what warns."""

import json

import pytest
from helpers import pools

import llmsel
from llmsel._base.errors import InputError
from llmsel.judging.collect import judge_race, verdict_of
from llmsel.judging.isolated import Isolated
from llmsel.judging.judges import Judge, Verdict
from llmsel.judging.log import AnnotationLog
from llmsel.judging.person import AnnotationView
from llmsel.judging.provenance import remarks_of, warnings_of
from llmsel.judging.repair import check_log
from llmsel.judging.replay import read_log
from llmsel.pool import MISSING
from llmsel.racing.elimination import Certified, Heuristic


class Oracle(Judge):
    """A judge by the pool's own outcomes, with settings of its own."""

    def __init__(self, pool, name="oracle", **settings):
        self.name, self.pool, self._settings = name, pool, settings

    @property
    def settings(self):
        return {"name": self.name, **self._settings}

    def judge(self, query, response, baseline_response):
        i, model = response.split("|")
        return Verdict(int(self.pool.outcomes[int(i), self.pool.column(model)]))


@pytest.fixture
def pool():
    plain = pools.simulated(n=100, m=3, spread=2.0, seed=3)
    return plain.replace(responses=[[f"{i}|{m}" for m in plain.models] for i in range(100)])


def test_a_certificate_may_not_begin_after_outcomes_are_known(pool, tmp_path):
    path = tmp_path / "log.jsonl"
    with AnnotationLog(path, pool) as log:
        for query in pool.queries[:75]:
            row = pool.row(query)
            log.record(query, {m: row[m] for m in pool.candidates}, by="ann")
        for race in (llmsel.Race(pool), llmsel.Race(pool, Certified(0.2))):
            with pytest.raises(InputError, match="holds 225 outcomes already, and a race that"):
                judge_race(log, Oracle(pool), race=race)
        with pytest.raises(InputError, match="after outcomes are known"):
            AnnotationView(log, race=llmsel.Race(pool))
        assert AnnotationView(log)._race is None  # whole queries go on
        assert log.race is None
        late = judge_race(log, Oracle(pool), race=llmsel.Race(pool, Heuristic()))
        assert late.stop and not late.certified  # promises nothing in the first place


def test_undone_outcomes_are_known_outcomes(pool, tmp_path):
    with AnnotationLog(tmp_path / "log.jsonl", pool) as log:
        log.record("q0", {pool.candidates[0]: 1}, by="ann")
        log.undo()
        with pytest.raises(InputError, match="holds 1 outcomes already"):
            judge_race(log, Oracle(pool), race=llmsel.Race(pool))


def test_an_old_log_whose_race_began_late_certifies_nothing(pool, tmp_path):
    """As llmsel 0.2 wrote it: known outcomes, then a race."""
    path = tmp_path / "log.jsonl"
    with AnnotationLog(path, pool) as log:
        judge_race(log, Oracle(pool), race=llmsel.Race(pool, delta=0.1))
        assert verdict_of(log).certified and not warnings_of(log.contents)
    lines = path.read_bytes().splitlines(keepends=True)
    race = next(line for line in lines if b'{"race"' in line)
    rest = [line for line in lines[1:] if line != race]
    path.write_bytes(b"".join([lines[0], *rest[:21], race, *rest[21:]]))
    held = read_log(path, pool)
    found = verdict_of(held)
    assert held.before_race == 20 and found.stop and not found.certified
    assert found.statement.startswith("No certificate: the race began when 20 outcomes were known")
    assert "the race began when 20 outcomes were known." in found.remarks
    assert warnings_of(held) == ("the race began when 20 outcomes were known.",)


def test_a_race_is_not_replaced_by_a_second_race_line(pool, tmp_path):
    path = tmp_path / "log.jsonl"
    with AnnotationLog(path, pool) as log:
        log.begin_race(llmsel.Race(pool, seed=1).settings)
        for other in (llmsel.Race(pool, Certified(0.2), seed=1), llmsel.Race(pool, seed=2)):
            with pytest.raises(InputError, match="holds a race with"):
                log.begin_race(other.settings)
        log.begin_race(llmsel.Race(pool, seed=1).settings)
    assert path.read_bytes().count(b'{"race"') == 1
    with AnnotationLog(tmp_path / "other.jsonl", pool) as log:
        log.begin_race(llmsel.Race(pool, Certified(0.2), seed=1).settings)
    second = (tmp_path / "other.jsonl").read_bytes().splitlines(keepends=True)[1]
    path.write_bytes(path.read_bytes() + second)
    with pytest.raises(InputError, match="begins a second race, with other settings"):
        read_log(path, pool)
    assert "second race" in check_log(path, repair=True).damaged[0]
    assert read_log(path, pool).race["rule"]["alpha"] == 0.05  # the first stands


def test_another_judge_or_other_parameters_are_said(pool, tmp_path):
    path = tmp_path / "log.jsonl"
    with AnnotationLog(path, pool) as log:
        race = llmsel.Race(pool, seed=1, delta=0.1)
        judge_race(log, Oracle(pool, temperature=0), race=race, calls=6)
        judge_race(log, Oracle(pool, temperature=0), race=race, calls=3)  # the same: nothing new
        judge_race(log, Oracle(pool, temperature=1), race=race, calls=3)
        found = judge_race(log, Oracle(pool, "other", temperature=1), race=race)
    assert verdict_of(read_log(path, pool)) == found
    assert "the seed 1 was chosen, not drawn." in found.remarks
    assert "the judge was changed after 9 outcomes: temperature 0 to 1." in found.remarks
    assert "the judge was changed after 12 outcomes: name 'oracle' to 'other'." in found.remarks
    assert any(r.startswith("several judged: 'other' ") for r in found.remarks)
    assert not found.certified and found.statement.startswith("No certificate: the judge was")
    assert any("Begin a new log" in warning for warning in warnings_of(read_log(path, pool)))


def test_a_program_whose_source_changed_is_another_judge(pool, tmp_path):
    first, second = tmp_path / "a.py", tmp_path / "b.py"
    first.write_text("def grade(query, response): return len(response)\n")
    second.write_text("def grade(query, response): return -len(response)\n")
    path = tmp_path / "log.jsonl"
    with AnnotationLog(path, pool) as log:
        race = llmsel.Race(pool, seed=1)
        for file, calls in ((first, 5), (first, 5), (second, None)):
            with Isolated(f"{file}:grade") as grade:
                found = judge_race(log, llmsel.ProgramJudge(grade), race=race, calls=calls)
    assert not found.certified and "the judge was changed after 10 outcomes" in found.statement


def test_another_judge_is_said_though_outcomes_were_taken_back_for_it(pool, tmp_path):
    with AnnotationLog(tmp_path / "log.jsonl", pool) as log:
        race = llmsel.Race(pool, seed=1)
        done = judge_race(log, Oracle(pool), race=race)
        log.undo()
        found = judge_race(log, Oracle(pool, "other"), race=race)
        assert log.contents.verdicts == done.calls  # no more than before
    assert done.certified and not found.certified
    assert f"the judge was changed after {done.calls} outcomes" in found.statement


def test_another_judge_after_the_last_outcome_changes_nothing(pool, tmp_path):
    with AnnotationLog(tmp_path / "log.jsonl", pool) as log:
        race = llmsel.Race(pool, seed=1)
        done = judge_race(log, Oracle(pool), race=race)
        found = judge_race(log, Oracle(pool, "other"), race=race)
    assert done.certified and found.certified and found.statement == done.statement


def test_the_seed_of_a_new_log_is_drawn_and_recorded(pool, tmp_path):
    seeds = set()
    for number in range(3):
        with AnnotationLog(tmp_path / f"{number}.jsonl", pool) as log:
            found = judge_race(log, Oracle(pool), race=llmsel.Race(pool), calls=3)
            seeds |= {log.session.seed, log.race["seed"]}
            assert f"the seed {log.race['seed']} was drawn at random." in found.remarks
    assert len(seeds) == 6
    with AnnotationLog(tmp_path / "chosen.jsonl", pool, seed=4) as log:
        assert remarks_of(log.contents) == ("the seed 4 was chosen, not drawn.",)
    header = json.loads((tmp_path / "0.jsonl").read_text().split("\n")[0])
    assert header["seed_chosen"] is False


def test_undos_stand_under_the_statement(pool, tmp_path):
    with AnnotationLog(tmp_path / "log.jsonl", pool) as log:
        race = llmsel.Race(pool)
        judge_race(log, Oracle(pool), race=race, calls=6)
        log.undo()
        log.undo()
        assert "2 outcomes were taken back." in verdict_of(log).remarks


def test_a_judge_that_follows_the_order_is_warned_of(pool, tmp_path):
    with AnnotationLog(tmp_path / "log.jsonl", pool) as log:
        for number, query in enumerate(pool.queries[:25]):
            said = ["A", "B"] if number < 2 else ["A", "A"]
            outcome = 1 if number < 2 else 0
            row = {pool.candidates[0]: outcome}
            log.record(query, row, by="j", order="both", detail={"verdicts": said})
            if number < 3:
                assert not warnings_of(log.contents)  # too few to say
        (warning,) = warnings_of(log.contents)
    assert "agrees with itself in 8% of 25 pairs" in warning and "mostly follows" in warning


def test_a_judge_that_is_a_candidate_and_judgements_that_failed(pool, tmp_path):
    first, second = pool.candidates[:2]
    with AnnotationLog(tmp_path / "log.jsonl", pool) as log:
        log.record("q0", {first: 1}, by=f"org/{second}")
        log.record("q1", {first: MISSING}, by="ann")  # skipped by a person: no failure
        assert [w.split(":")[0] for w in warnings_of(log.contents)] == [
            f"the judge 'org/{second}' is also a model of the pool"
        ]
        log.record("q2", {second: MISSING}, by="j", detail={"failed": "refused"})
        assert warnings_of(log.contents)[1].startswith(
            f"1 of 3 judgements failed ('{second}' 1); ask for them again"
        )


def test_a_person_races_by_default_and_a_log_is_in_random_order(pool, tmp_path):
    with AnnotationLog(tmp_path / "log.jsonl", pool) as log:
        assert log.session.strategy.name == "Random"
        view = AnnotationView(log, "ann")
        assert view._race is not None and log.race["rule"]["name"] == "Audit"
        assert log.race["delta"] == 0.01 and log.race["seed_drawn"]
        view.press("1")
        race = log.race
    with AnnotationLog(tmp_path / "log.jsonl", pool) as log:
        assert AnnotationView(log, "ann")._race is not None and log.race == race
    for number, options in enumerate(({"race": False}, {})):
        strategy = None if options else "Bradley-Terry"
        with AnnotationLog(tmp_path / f"{number}.jsonl", pool, strategy=strategy) as log:
            assert AnnotationView(log, "ann", **options)._race is None and log.race is None
