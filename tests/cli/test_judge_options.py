"""Who judges, on the command line: files of words, panels, budgets, workers."""

import json
import threading

import pytest
from helpers.commands import ANSWERS, mistake, ok, run
from helpers.loopback import serve
from helpers.servers import longer, reference, shown

from llmsel.cli.options import Source
from llmsel.judging.replay import read_log

POOL = ("--pool", ANSWERS, "--baseline", "alpha")
PRICES = ("--price-in", "0", "--price-out", "100000")  # a reply of the loopback server costs 1


def judge_at(log, server, *more):
    return ("judge", log, *POOL, "--model", "m", "--base-url", server.url, "--yes", *more)


def held_in(log):
    return read_log(log, Source(str(ANSWERS), "alpha").read())


def test_rubric_references_and_reasons_reach_the_judge_and_the_log(tmp_path):
    words = tmp_path / "rubric.md"
    words.write_text("# Rubric\nBe terse.\n")
    right = tmp_path / "queries.jsonl"
    rows = [("q1", "Blue, I think."), ("q2", "")]
    right.write_text("".join(json.dumps({"query_id": q, "reference": r}) + "\n" for q, r in rows))

    def judged(body, number):
        first, second = (text == reference(body) for text in shown(body))
        verdict = "tie" if first == second else "AB"[second]
        return json.dumps({"reason": "as the reference says", "verdict": verdict})

    log = tmp_path / "log.jsonl"
    told = ("--rubric", words, "--references", right, "--reasons", "-p", "temperature=null")
    with serve(judged) as server:
        assert "query 'q2' has none" in mistake(*judge_at(log, server, *told))
        assert not server.bodies and not log.exists()
        right.write_text(right.read_text().replace('""', '"4"'))
        said = json.loads(ok(*judge_at(log, server, *told, "--json")))
        sent = server.bodies[0]
    assert sent["messages"][0]["content"].endswith("Rubric:\n# Rubric\nBe terse.")
    assert "temperature" not in sent and sent["max_tokens"] == 500
    held = held_in(log)
    assert {"rubric", "references"} <= set(held.judges[0][1])
    assert held.given[0].detail["reasons"] == ["as the reference says"] * 2
    assert set(said["winners"]) == {"alpha", "beta"}  # each is right on one query


def test_a_panel_is_a_file_and_a_member_may_think_as_long_as_it_likes(tmp_path):
    path, log = tmp_path / "judges.toml", tmp_path / "log.jsonl"

    def answer(body, number):
        return "A" if body["model"] == "org/odd" else longer(body)

    with serve(answer) as server:
        path.write_text(
            "".join(
                f'[[model]]\nname = "{name}"\nbase_url = "{server.url}"\n{more}\n'
                for name, more in (
                    ("odd", 'model = "org/odd"\nprices = {in = 0, out = 100000}'),
                    ("thinks", 'parameters = {max_tokens = "null", temperature = "null"}'),
                    ("third", ""),
                )
            )
        )
        panel = ("judge", log, *POOL, "--panel", path, "--yes")
        told = ok(*panel, code=1)  # a member that follows the order is a warning
        assert "'gamma' is the best of this pool" in told and "spent now: " in told
        assert "the judge 'org/odd' agrees with itself in 0% of 4 pairs" in told
        assert "thinks: both orders agree on 100% of 4 pairs" in told
        sent = {body["model"]: body for body in server.bodies}
        asked = len(server.bodies)
        ok(*panel, code=1)
        assert len(server.bodies) == asked == 4 * 2 * 3
    assert set(sent) == {"org/odd", "thinks", "third"}
    assert "max_tokens" not in sent["thinks"] and sent["third"]["max_tokens"] == 200
    held = held_in(log)
    assert held.given[0].by == "panel of org/odd, thinks, third"
    assert [member["by"] for member in held.given[0].detail["members"]] == list(sent)
    path.write_text('[[model]]\nname = "a"\nsystem = "Be nice."\n')
    assert "has no system prompt of its own" in mistake(*panel)


def test_a_budget_stops_the_command_as_calls_do(tmp_path):
    log = tmp_path / "log.jsonl"
    with serve(longer) as server:
        part = (*PRICES, "-p", "max_tokens=20", "--workers", "1")
        told = ok(*judge_at(log, server, *part, "--budget", "3.5"), code=1)
        assert "the budget of 3.5 is reached: 2 is spent" in told and len(server.bodies) == 2
        again = ok(*judge_at(log, server, *part, "--budget", "3.5"), code=1)
        assert "2 is spent, 2 of it in runs before" in again and len(server.bodies) == 2
        assert "spent now: 0 requests, cost 0; 2 on this log in all" in again
        ok(*judge_at(log, server, *part, "--budget", "50"))
        for budget, said in (("3.5", ""), ("7.5", "leads with")):
            whole = judge_at(tmp_path / "whole", server, *part, "--queries", "2")
            cut = run(*whole, "--budget", budget)
            assert cut.exit_code == 1 and f"budget of {budget} is reached" in cut.stderr
            assert bool(said) == bool(cut.stdout) and said in cut.stdout
        assert "needs the prices" in mistake(*judge_at(log, server, "--budget", "1"))


@pytest.mark.parametrize("more", [(), ("--plain",)])
def test_every_worker_has_a_request_in_flight(tmp_path, more):
    """The first twelve requests wait for each other."""
    answers, workers = tmp_path / "answers.jsonl", 12
    rows = [
        {"model": f"m{j}", "query_id": f"q{i}", "query": f"q{i}?", "response": "x" * (j + 1)}
        for i in range(12)
        for j in range(6)
    ]
    answers.write_text("".join(json.dumps(row) + "\n" for row in rows))
    together = threading.Event()

    def answer(body, number):
        if number == server.now == workers:
            together.set()
        if number <= workers:
            together.wait(20)
        return longer(body)

    pool = ("--pool", answers, "--baseline", "m0", "--workers", workers, "--yes", "--json")
    with serve(answer) as server:
        judge = ("judge", tmp_path / "log.jsonl", *pool, "--model", "m", "--base-url", server.url)
        said = json.loads(ok(*judge, *more))
        assert together.is_set() and server.most == workers
        assert said["outcomes"] > workers
        narrow = (*judge[:1], tmp_path / "narrow.jsonl", *judge[2:], "--calls", "0")
        told = run(*narrow, "--batch", "4").stderr
    assert "asks for 5 answers at a time, so no more of the 12 workers are busy" in told


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--panel", "j.toml", "--model", "m"), "name one judge"),
        (("--panel", "j.toml"), "no file 'j.toml'"),
        (("--panel", "j.toml", "--base-url", "x"), "--base-url stands in the file of a panel"),
        (("--panel", "j.toml", "-p", "seed=1"), "-p stands in the file of a panel"),
        (("--program", "g.py:f", "--rubric", "r"), "--rubric is for an LLM as judge"),
        (("--program", "g.py:f", "--reasons"), "--reasons is for an LLM as judge"),
        (("--model", "m", "--rubric", "EMPTY"), "is empty; write down what counts"),
        (("--model", "m", "--instruction", "absent.md"), "no file 'absent.md'"),
        (("--model", "m", "--references", "absent.jsonl"), "no file 'absent.jsonl'"),
        (("--model", "m", "--budget", "nan"), "give a sum of money above 0"),
        (("--model", "m", "--time-limit", "-1"), "give seconds above 0"),
    ],
)
def test_mistakes_are_told_before_anything_is_asked(tmp_path, arguments, message):
    empty = tmp_path / "empty.md"
    empty.write_text("\n")
    arguments = [str(empty) if word == "EMPTY" else word for word in arguments]
    log = tmp_path / "log.jsonl"
    assert message in mistake("judge", log, *POOL, *arguments, "--yes")
    assert not log.exists()
