"""`llmsel judge --pairs`: a decision without a baseline, from the answers to the report."""

import json

import pandas as pd
import pytest
from helpers.commands import mistake, ok

from llmsel.racing.pairs import OPPONENT


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [
        {"model": m, "query_id": f"q{i}", "query": f"say {i}", "response": "x" * ((i * k) % 7 + k)}
        for m, k in (("small", 2), ("mid", 4), ("big", 9))
        for i in range(24)
    ]
    (tmp_path / "answers.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "grade.py").write_text("def score(query, response):\n    return len(response)\n")
    return tmp_path


PAIRS = ("--pool", "answers.jsonl", "--pairs")
GRADE = ("--program", "grade.py:score")


def test_a_race_without_a_baseline_from_answers_to_report(folder):
    told = ok("judge", "race.jsonl", *PAIRS, *GRADE)
    assert told.startswith("no model's win rate against 'big' in direct comparison is over 51.0% (")
    assert ok("session", "status", "race.jsonl", *PAIRS) == told
    page = ok("report", "race.jsonl", *PAIRS) and (folder / "report.html").read_text()
    assert "24 queries, every pair of 3 models" in page
    assert "big against each other model" in page
    assert OPPONENT not in page
    ok("export", "race.jsonl", *PAIRS, "-o", "out")
    verdicts = pd.read_csv(folder / "out" / "verdicts.csv")
    assert set(verdicts["query_id"]) <= {f"q{i}" for i in range(24)}
    assert {"big"} <= set(verdicts["baseline"]) <= {"mid", "big"}
    models = pd.read_csv(folder / "out" / "models.csv").set_index("model")
    assert list(models.index) == ["small", "mid", "big"]
    assert models["wins"].sum() == models["losses"].sum() > 0
    found = json.loads((folder / "out" / "decision.json").read_text())
    assert (found["baseline"], found["queries"], found["winners"]) == (None, 24, ["big"])


def test_the_highest_mean_win_rate_is_another_question(folder):
    told = ok("judge", "race.jsonl", *PAIRS, *GRADE, "--winner", "borda", "--delta", "0")
    assert told.startswith("'big' has the highest mean win rate against all others (with prob")
    other = mistake("judge", "race.jsonl", *PAIRS, *GRADE, "--winner", "condorcet")
    assert "the log" in other or "holds a race with rule" in other


def test_what_a_star_has_judged_is_not_judged_again(folder):
    ok("judge", "star.jsonl", "--pool", "answers.jsonl", "--baseline", "mid", *GRADE)
    told = ok("session", "carry", "star.jsonl", "race.jsonl", *PAIRS)
    assert "with their sign turned" in told
    assert "says nothing of others" not in told
    told = ok("judge", "race.jsonl", *PAIRS, *GRADE)
    assert "no model's win rate against 'big' in" in told
    assert "as it is now: 24 queries, every pair of 3 models" in told


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--baseline", "mid"), "leave --baseline out"),
        (("--plain",), "rules of its own: leave --plain, --heuristic and --best out"),
        (("--winner", "codorcet"), "did you mean 'condorcet'?"),
        (("--queries", "3"), "leave --queries out"),
        (("--cheap-model", "m", "--cheap-base-url", "http://127.0.0.1:1"), "asks no cheap judge"),
    ],
)
def test_what_does_not_go_together_is_told(folder, more, words):
    assert words in mistake("judge", "race.jsonl", *PAIRS, *GRADE, *more)
    assert not (folder / "race.jsonl").exists()


def test_commands_about_a_baseline_say_so(folder):
    for command in (("session", "forecast", "race.jsonl"), ("categories", "--log", "race.jsonl")):
        assert "about one baseline: leave --pairs out" in mistake(*command, *PAIRS)
    assert "add --race" in mistake("session", "ask", "race.jsonl", *PAIRS)
    star = ("--pool", "answers.jsonl", "--baseline", "mid")
    assert "add --pairs" in mistake("judge", "r.jsonl", *star, *GRADE, "--winner", "borda")
    assert "or judge all --pairs" in mistake("judge", "r.jsonl", *star[:2], *GRADE)


def test_a_person_can_be_asked_by_command(folder):
    asked = json.loads(ok("session", "ask", "race.jsonl", *PAIRS, "--race", "--json"))
    # whoever is the champion, of as many models as he is judged against on the query
    query, (model, *_, other) = asked["query"], list(asked["responses"])
    assert query.endswith(f" vs {other}")
    assert "3 of 3 models can still be named" in asked["reason"]
    ok("session", "tell", "race.jsonl", query, f"{model}=win", *PAIRS)
    refused = mistake("session", "tell", "race.jsonl", "q5 vs mid", "big=win", *PAIRS)
    assert "'big' is not judged on 'q5 vs mid': 'mid' is judged on 'q5 vs big'." in refused
    assert "not judged on 'q5 vs mid'." in mistake(
        "session", "tell", "race.jsonl", "q5 vs mid", "mid=win", *PAIRS
    )
    status = json.loads(ok("session", "status", "race.jsonl", *PAIRS, "--json", code=1))
    assert status["calls"] == 1
