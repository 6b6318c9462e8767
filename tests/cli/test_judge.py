"""The judge command: a race by default, its certificate printed, everything resumable."""

import json
import re

import pytest
from helpers.commands import ANSWERS, mistake, ok, run
from helpers.loopback import serve
from helpers.servers import longer

from llmsel.cli.options import Source
from llmsel.judging.replay import read_log

POOL = ("--pool", ANSWERS, "--baseline", "alpha")
GRADE = """def longer(query, response):
    return len(response)

score = 3
"""


@pytest.fixture
def grade(tmp_path):
    path = tmp_path / "grade.py"
    path.write_text(GRADE)
    return path


def test_an_llm_races_to_a_certificate_and_a_report(tmp_path):
    log = tmp_path / "log.jsonl"
    with serve(longer) as server:
        judge = ("judge", log, *POOL, "--model", "m", "--base-url", server.url)
        refused = run(*judge, input="n\n")
        assert refused.exit_code == 1 and not log.exists() and not server.bodies
        assert "judging every answer takes 8 requests" in refused.output
        first = ok(*judge, "--calls", "1", "--yes", code=1)
        assert re.search(r"spent now: 2 requests, \d+ tokens in, \d+ out\n", first)  # no prices
        assert len(server.bodies) == 2 and "no model is beaten yet" in first
        ends = ok(*judge, "--yes", "--price-in", "1", "--price-out", "2")
        assert "'gamma' is the best of this pool (with probability at least 95%" in ends
        assert "spent now" in ends and "both orders agree on 100%" in ends
        asked = len(server.bodies)
        again = json.loads(ok(*judge, "--yes", "--json"))
        assert again["certified"] and again["winners"] == ["gamma"] and len(server.bodies) == asked
        assert again["bias"]["agreement"] == 1 and again["spent"]["requests"] == 0
        kept = log.read_bytes()
        other = run(*judge[:-3], "another", *judge[-2:])  # decided: no price, no question, no note
        assert other.exit_code == 0 and log.read_bytes() == kept and len(server.bodies) == asked
        assert "this race is decided: nothing more is asked." in other.stderr
        assert "judging every answer" not in other.output and "start?" not in other.output
    assert "'gamma' is the best" in ok("session", "status", log, *POOL)
    assert json.loads(ok("session", "status", log, *POOL, "--json"))["certified"]
    page = tmp_path / "report.html"
    ok("report", log, *POOL, "-o", page)
    assert "is the best of this pool" in page.read_text()


def test_a_judge_that_follows_the_order_is_named_as_such(tmp_path):
    with serve(lambda body, number: "A") as server:
        judge = ("judge", tmp_path / "log.jsonl", *POOL, "--model", "m", "--base-url", server.url)
        more = ("--structured", "-p", "max_tokens=9", "-p", "note=x")
        told = ok(*judge, "--yes", *more, code=1)
        sent = server.bodies[0]
    assert "agrees with itself in 0% of 4 pairs" in told and "cannot be told apart" in told
    assert told.index("mostly follows the order") < told.index("cannot be told apart")
    assert sent["response_format"]["type"] == "json_schema"
    assert sent["max_tokens"] == 9 and sent["note"] == "x"


def test_a_program_judges_and_the_race_keeps_its_settings(tmp_path, grade):
    log = tmp_path / "log.jsonl"
    judge = ("judge", log, *POOL, "--program", f"{grade}:longer")
    part = ok(*judge, "--delta", "0.2", "--seed", "3", "--calls", "1", "--workers", "1", code=1)
    assert "1 call on 1 of 2 queries" in part
    held = read_log(log, Source(str(ANSWERS), "alpha").read())
    assert held.race["delta"] == 0.2 and held.race["seed"] == 3 and held.race["batch"] == 4
    assert "a race with delta 0.2, not 0.1" in mistake(*judge, "--delta", "0.1")
    assert "holds a race; leave --queries out" in mistake(*judge, "--queries", "1")
    assert "with probability at least 95%" in ok(*judge)  # the settings are the log's
    rough = ("judge", tmp_path / "rough.jsonl", *POOL, "--program", f"{grade}:longer")
    assert "by a heuristic rule, without a certificate" in ok(*rough, "--heuristic")


def test_a_program_that_prints_exits_and_hangs_fails_by_name(tmp_path):
    program = tmp_path / "grade.py"
    program.write_text(
        "import sys, time\nprint('loaded')\n"
        "def score(query, response):\n"
        "    print('\\x1b[31mgrading')\n"
        "    if len(response) % 2: sys.exit('no reference')\n"
        "    time.sleep(60)\n"
    )
    judge = ("judge", tmp_path / "log.jsonl", *POOL, "--program", f"{program}:score")
    told = json.loads(
        ok(*judge, "--time-limit", "0.5", "--json", code=1)
    )  # the prints are not in it
    assert len(told["failed"]) == told["outcomes"] > 0
    for each in told["failed"]:
        assert set(each) == {"query", "model", "why"} and each["why"].endswith("printed: grading")
    again = ok(*judge, code=1)
    assert f"no judgement of '{told['failed'][0]['model']}' on '" in again
    assert "took longer than 0.5 s" in again or "called sys.exit('no reference')" in again


def test_what_cannot_be_is_told_before_anything_is_asked(tmp_path, grade):
    log = tmp_path / "log.jsonl"
    log.write_bytes(b"")  # a stop before the header was written
    ok("judge", log, *POOL, "--program", f"{grade}:longer", "--calls", "1", code=1)
    llm = ("judge", log, *POOL, "--model", "m", "--base-url", "http://localhost:1/v1")
    for other in (
        ("--delta", "0.3"),
        ("--delta", "0"),
        ("--queries", "1"),
        ("--alpha", "0.2"),
        ("--heuristic",),
    ):
        assert "holds a race" in mistake(*llm, *other, input="y\n")


def test_whole_queries_in_the_order_of_llm_selector(tmp_path, grade):
    log = tmp_path / "log.jsonl"
    judge = ("judge", log, *POOL, "--program", f"{grade}:longer", "--queries", "1")
    assert "No certificate" in ok(*judge)
    held = read_log(log, Source(str(ANSWERS), "alpha").read())
    assert held.race is None and len(held.session.history) == 1
    assert "LLM Selector" in repr(held.session.strategy.name)
    assert "exact" in ok(*judge)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "name one judge"),
        (("--model", "m", "--program", "x.py:f"), "name one judge"),
        (("--program", "nowhere.py:f"), "no program 'nowhere.py:f'"),
        (("--program", "GRADE:absent"), "has no function 'absent'"),
        (("--program", "GRADE:score"), "has no function 'score'"),
        (("--program", "GRADE:longer", "--heuristic", "--alpha", "0.1"), "promises no error rate"),
        (("--program", "GRADE:longer", "--delta", "2"), "must be a win-rate margin"),
        (("--model", "m", "--orders", "three"), "unknown order in --orders 'three'"),
        (("--program", "GRADE:longer", "--limit", "0"), "give seconds above 0"),
        (("--model", "m", "--price-in", "1"), "give both --price-in and --price-out"),
        (("--model", "m", "-p", "odd"), "not of the form name=value"),
    ],
)
def test_errors_are_one_sentence(tmp_path, grade, arguments, message):
    arguments = [a.replace("GRADE", str(grade)) for a in arguments]
    assert message in mistake("judge", tmp_path / "log.jsonl", *POOL, *arguments, "--yes")


BAD = """import os, sys, time

def bad(query, response):
    print("a word that no script expects")
    if response == "4":
        ACT
    return len(response)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("act", "why"),
    [
        ("sys.exit(3)", "called sys.exit(3)"),
        ("raise KeyError('k')", "KeyError"),
        ("time.sleep(60)", "took longer than 0.5 s"),
        ("os._exit(4)", "exit code 4"),
        ("return 'four'", "return a number"),
    ],
)
def test_whatever_a_program_does_is_a_failed_judgement_that_is_named(tmp_path, act, why):
    (tmp_path / "grade.py").write_text(BAD.replace("ACT", act))
    log = tmp_path / "log.jsonl"
    judge = ("judge", log, *POOL, "--program", f"{tmp_path / 'grade.py'}:bad", "--limit", "0.5")
    found = json.loads(ok(*judge, "--json", code=1))  # its prints are not in the JSON
    assert found["failed"] and "judgements failed" in found["warnings"][0]
    held = read_log(log, Source(str(ANSWERS), "alpha").read())
    reasons = {
        entry.query: entry.detail["failed"]
        for entry in held.given
        if entry.outcome not in (-1, 0, 1)
    }
    assert list(reasons) == ["q2"] and why in reasons["q2"]


def test_what_failed_is_judged_again_on_request(tmp_path):
    program, log = tmp_path / "grade.py", tmp_path / "log.jsonl"
    program.write_text("def score(query, response):\n    raise OSError('no reference yet')\n")
    judge = ("judge", log, *POOL, "--program", f"{program}:score")
    assert "--retry-failed" in ok(*judge, code=1)
    program.write_text("def score(query, response):\n    return len(response)\n")
    assert "judgements failed" in ok(*judge, code=1)  # nothing is asked again by itself
    told = ok(*judge, "--retry-failed")
    assert "had failed were judged again" in told and "'gamma' is the best" in told


def test_a_race_that_bears_more_failures_is_told_the_same_by_every_command(tmp_path):
    rows = [
        {"model": m, "query_id": i, "query": f"question {i}", "response": m * (1 + i % 3)}
        for m in ("a", "bb", "cc c")
        for i in range(60)
    ]
    (tmp_path / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    program = tmp_path / "grade.py"
    program.write_text(
        "def score(query, response):\n    return len(response) / (int(query[9:]) % 4 > 0)\n"
    )
    log, pool = tmp_path / "log.jsonl", ("--pool", tmp_path / "answers.jsonl", "--baseline", "a")
    judge = ("judge", log, *pool, "--program", f"{program}:score", "--json", "--seed", "1")
    first = json.loads(ok(*judge, code=1))
    assert first["stop"] == "too many failed" and not first["certified"]
    status = ("session", "status", log, *pool, "--json")
    assert json.loads(ok(*status, code=1))["stop"] == "too many failed"
    more = json.loads(ok(*judge, "--most-failed", "0.6", code=1))
    assert more["calls"] > first["calls"] and more["stop"] != "too many failed"
    held = json.loads(ok(*status, code=1))
    assert {k: held[k] for k in more if k in held} == {k: more[k] for k in more if k in held}


def test_the_best_few_are_named_and_a_log_keeps_how_many(tmp_path, grade):
    log = tmp_path / "log.jsonl"
    judge = ("judge", log, *POOL, "--program", f"{grade}:longer")
    said = json.loads(ok(*judge, "--best", "2", "--json"))
    assert said["certified"] and "are the best 3" in said["statement"]  # two are tied for the last
    again = json.loads(ok(*judge, "--alpha", "0.05", "--json"))  # the rest stays as in the log
    assert again["winners"] == said["winners"]
    assert "holds a race with rule" in mistake(*judge, "--best", "1")
    assert "leave --plain or --heuristic out" in mistake(*judge, "--best", "2", "--plain")
