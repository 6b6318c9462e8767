"""The command line over sessions: from answers to a report, one command at a time."""

import json

import pytest
from helpers.commands import ANSWERS, mistake, ok, run
from helpers.loopback import serve
from helpers.servers import echo, files


def test_from_answers_to_a_report(tmp_path):
    log, pool = tmp_path / "log.jsonl", ("--pool", ANSWERS, "--baseline", "alpha")
    asked = json.loads(ok("session", "ask", log, *pool, "--json"))
    assert asked["query"] in ("q1", "q2") and asked["responses"]["alpha"] in ("Red.", "4")
    assert "--- gamma" in ok("session", "ask", log, *pool)
    assert "still open: gamma" in ok("session", "tell", log, asked["query"], "beta=loss", *pool)
    assert "open again" in ok("session", "undo", log, *pool)
    ok("session", "tell", log, asked["query"], "beta=win", *pool)
    undone = json.loads(ok("session", "undo", log, *pool, "--json"))
    assert undone == {"query": asked["query"], "open": ["beta"]}
    told = ok("session", "tell", log, asked["query"], "beta=loss", "gamma=win", *pool, "--json")
    assert json.loads(told)["finished"]
    status = json.loads(ok("session", "status", log, *pool, "--json"))
    assert status["leaders"] == ["gamma"] and status["annotated"] == 1
    assert "No certificate" in ok("session", "status", log, *pool)
    assert "gamma leads" in ok("session", "replay", log, *pool)
    page = tmp_path / "report.html"
    assert str(page) in ok("report", log, *pool, "-o", page)
    assert "gamma leads" in page.read_text()


def test_a_person_may_stop_with_a_certificate(tmp_path):
    log, pool = tmp_path / "log.jsonl", ("--pool", ANSWERS, "--baseline", "alpha")
    asked = json.loads(ok("session", "ask", log, *pool, "--stop", "certified", "--json"))
    ok("session", "tell", log, asked["query"], "beta=loss", "gamma=win", *pool)
    status = json.loads(ok("session", "status", log, *pool, "--json", code=1))
    assert status["certificate"]["certified"] is False
    assert "No certificate" in status["statement"]
    other = "q1" if asked["query"] == "q2" else "q2"
    ok("session", "tell", log, other, "beta=loss", "gamma=win", *pool)
    held = json.loads(ok("session", "status", log, *pool, "--json"))["certificate"]
    assert held["certified"] and "'gamma' is the best of this pool" in held["statement"]
    assert "exact" in ok("session", "replay", log, *pool)


def test_a_person_may_race(tmp_path):
    log, pool = tmp_path / "log.jsonl", ("--pool", ANSWERS, "--baseline", "alpha")
    ask = ("session", "ask", log, *pool)
    first = json.loads(ok(*ask, "--race", "--delta", "0.05", "--json"))
    assert "3 of 3 models can still be named" in first["reason"]
    assert set(first["responses"]) == {"alpha", "beta", "gamma"}
    ok("session", "tell", log, first["query"], "beta=loss", *pool)
    left = json.loads(ok(*ask, "--json"))  # the log knows that it is a race
    assert left["query"] == first["query"] and set(left["responses"]) == {"alpha", "gamma"}
    for other, message in (
        (("--delta", "0.2"), "a race with delta 0.05, not 0.2"),
        (("--stop", "heuristic"), "holds a race with rule"),
        (("--stop", "certified"), "holds a race with rule"),
        (("--strategy", "Random"), "leave --strategy out"),
    ):
        assert message in mistake(*ask, *other)
    ok("session", "tell", log, first["query"], "gamma=draw", *pool)
    second = json.loads(ok(*ask, "--race", "--json"))
    ok("session", "tell", log, second["query"], "beta=loss", "gamma=win", *pool)
    assert "the race is over: 'gamma' is the best of this pool" in mistake(*ask)
    assert "'gamma' is the best" in ok("session", "status", log, *pool)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("session", "tell", "LOG", "q1", "beta", *("--baseline", "alpha")), "not of the form"),
        (
            ("session", "tell", "LOG", "q1", "beta=wn", *("--baseline", "alpha")),
            "did you mean 'win",
        ),
        (
            ("session", "ask", "LOG", *("--baseline", "alpha", "--stop", "certain")),
            "did you mean 'certified'",
        ),
        (("session", "ask", "LOG"), "name the baseline: --baseline alpha"),
        (("report", "LOG", *("--baseline", "alpha")), "no log"),
    ],
)
def test_errors_are_one_sentence(tmp_path, arguments, message):
    arguments = [tmp_path / "log.jsonl" if a == "LOG" else a for a in arguments]
    assert message in mistake(*arguments, "--pool", ANSWERS)


def test_generate_asks_before_it_starts(tmp_path):
    with serve(echo) as server:
        models, queries, output = files(tmp_path, server.url)
        arguments = ("generate", models, queries, "-o", output)
        result = run(*arguments, input="n\n")
        assert result.exit_code == 1 and "10 requests to 2 models" in result.output
        assert not server.bodies
        assert "10 new answers" in ok(*arguments, "--yes")
        assert "0 new answers" in ok(*arguments)  # nothing to ask, nothing to confirm
        told = json.loads(ok(*arguments, "--json"))
        assert told["answers"] == 10 and told["new"] == 0 and told["failed"] == {}
        assert told["spent"]["requests"] == 0 and len(server.bodies) == 10


def test_a_damaged_log_is_checked_and_repaired(tmp_path):
    log, pool = tmp_path / "log.jsonl", ("--pool", ANSWERS, "--baseline", "alpha")
    asked = json.loads(ok("session", "ask", log, *pool, "--json"))
    ok("session", "tell", log, asked["query"], "beta=loss", "gamma=win", *pool)
    assert ok("session", "check", log) == "3 lines, 0 damaged\n"
    whole = log.read_bytes()
    log.write_bytes(whole.replace(b'"outcome": -1', b'"outcome": +1').replace(b"}\n", b"}\n", 1))
    assert log.read_bytes() != whole
    told = ok("session", "check", log, code=1)
    assert "line 2 is damaged" in told and told.endswith("3 lines, 1 damaged\n")
    assert "line 2" in mistake("session", "status", log, *pool)
    found = json.loads(ok("session", "check", log, "--repair", "--json", code=1))
    assert found["lines"] == 3 and found["backup"].startswith(str(log))
    assert "0 damaged" in ok("session", "check", log)
    assert "no log" in mistake("session", "check", tmp_path / "absent")


def test_the_seed_of_a_race_is_drawn_and_noted_or_said_to_be_chosen(tmp_path):
    pool = ("--pool", ANSWERS, "--baseline", "alpha")
    grade = tmp_path / "grade.py"
    grade.write_text("def longer(query, response):\n    return len(response)\n")
    seeds = set()
    for name in "ab":
        judge = ("judge", tmp_path / name, *pool, "--program", f"{grade}:longer")
        assert "drawn at random" in ok(*judge)
        race = json.loads((tmp_path / name).read_text().split("\n")[1])
        seeds.add(race["race"]["seed"])
    assert len(seeds) == 2
    assert "the seed 7 was chosen, not drawn" in ok(
        *judge[:1], tmp_path / "c", *judge[2:], "--seed", 7
    )
    assert "drawn at random" in ok(*judge)  # gone on with: the log's seed, which was drawn


def test_generate_tells_each_reason_once_and_goes_on_later(tmp_path):
    def refuses(body, number):
        return 404 if body["model"] == "large" else echo(body, number)

    with serve(refuses) as server:
        models, queries, output = files(tmp_path, server.url)
        result = run("generate", models, queries, "-o", output, "--yes")
    assert result.exit_code == 1 and "5 new answers" in result.stdout
    assert "5 failed; run the same command again for them." in result.stderr
    assert result.stderr.count("answered 404") == 1  # the others were not asked: same reason


def test_a_forecast_says_what_each_margin_is_likely_to_cost(tmp_path):
    log, pool = tmp_path / "log.jsonl", ("--pool", ANSWERS, "--baseline", "alpha")
    lines = ok("session", "forecast", log, *pool).splitlines()
    assert len(lines) == 3 and all("no outcome yet: a wide guess" in line for line in lines)
    assert not log.exists()  # looking begins nothing
    first = json.loads(ok("session", "ask", log, *pool, "--race", "--json"))
    ok("session", "tell", log, first["query"], "beta=loss", *pool)
    (found,) = json.loads(ok("session", "forecast", log, *pool, "--delta", "0.1", "--json"))
    assert (found["delta"], found["known"]) == (0.1, 1)
    assert 0 < found["low"] <= found["middle"] <= found["high"] <= found["everyone"]
    assert "margin" in mistake("session", "forecast", log, *pool, "--delta", "2")
