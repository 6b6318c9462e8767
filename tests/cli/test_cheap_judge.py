"""`llmsel judge` with a cheap judge beside it, on loopback servers."""

import json

import numpy as np
import pytest
from helpers.commands import mistake, ok
from helpers.loopback import serve
from helpers.servers import longer

PRICES = ("--price-in", "10", "--price-out", "10")


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """Twelve models on eighty queries: the longer answer wins, and the models differ in length."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("pool") / "answers.jsonl"
    rows = [
        {"model": f"m{j}", "query_id": f"q{i}", "query": f"q{i}?", "response": "x" * length}
        for i in range(80)
        for j, length in enumerate(
            np.maximum(1, rng.normal(40 + 1.5 * np.arange(12), 12)).astype(int)
        )
    ]
    path.write_text("\n".join(map(json.dumps, rows)) + "\n")
    return path


def command(log, answers, judge, cheap, *more):
    pool = ("--pool", answers, "--baseline", "m5")
    sides = ("--model", "dear", "--base-url", judge, "--cheap-model", "small")
    return ("judge", log, *pool, *sides, "--cheap-base-url", cheap, "--seed", "2", "--yes", *more)


def test_a_cheap_judge_is_asked_gauged_and_replayed(tmp_path, answers):
    log = tmp_path / "log.jsonl"
    with serve(longer) as dear, serve(longer) as cheap:
        again = command(log, answers, dear.url, cheap.url, "--cheap-ratio", "0")
        said = json.loads(ok(*again, "--json"))
        asked = len(cheap.bodies), len(dear.bodies)
        assert said["certified"] and asked[0] > 0
        assert said["cheap"]["verdicts"] > 0 and said["cheap"]["words"].startswith("cheap judge: ")
        told = ok(*again)
        assert (len(cheap.bodies), len(dear.bodies)) == asked
        assert said["cheap"]["words"] in told
        assert f"{said['cheap']['verdicts']} of its verdicts were bought" in told
    held = [json.loads(line) for line in log.read_text().splitlines()]
    assert sum("cheap" in line for line in held) == said["cheap"]["verdicts"]


def test_a_cheap_judge_that_is_gone_stops_nothing(tmp_path, answers):
    with serve(longer) as dear:
        gone = command(tmp_path / "log.jsonl", answers, dear.url, "http://localhost:1/v1")
        said = json.loads(ok(*gone, "--cheap-ratio", "0", "--json"))
    assert said["certified"] and said["cheap"]["verdicts"] > 0


def test_its_price_follows_from_the_prices_of_both(tmp_path, answers):
    log = tmp_path / "log.jsonl"
    with serve(longer) as dear, serve(longer) as cheap:
        priced = command(log, answers, dear.url, cheap.url, *PRICES)
        ok(*priced, "--cheap-price-in", "1", "--cheap-price-out", "1", "--calls", "1", code=1)
    races = [
        line["race"] for line in map(json.loads, log.read_text().splitlines()) if "race" in line
    ]
    assert races[0]["cheap_price"] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ((), "what is a cheap verdict worth to you?"),
        (("--cheap-price-in", "1"), "give both --cheap-price-in and --cheap-price-out"),
        (
            ("--cheap-price-in", "1", "--cheap-price-out", "1", "--cheap-ratio", "0"),
            "not both",
        ),
        (("--cheap-ratio", "0", "--queries", "1"), "only a race can use a cheap judge"),
        (("--cheap-ratio", "0", "--plain"), "only a race by audit can use a cheap judge"),
    ],
)
def test_mistakes_are_told_before_anything_is_asked(tmp_path, answers, more, why):
    log = tmp_path / "log.jsonl"
    nowhere = "http://localhost:1/v1"
    assert why in " ".join(mistake(*command(log, answers, nowhere, nowhere, *more)).split())
    assert not log.exists()


def test_its_options_need_its_name(tmp_path, answers):
    pool = ("--pool", answers, "--baseline", "m5", "--model", "dear")
    assert "--cheap-ratio needs --cheap-model" in mistake(
        "judge", tmp_path / "log.jsonl", *pool, "--cheap-ratio", "0"
    )
