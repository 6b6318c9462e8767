"""What quality costs: noted by generate, read back, drawn, and decided by."""

import json

import numpy as np
import pytest
from helpers.commands import ok
from helpers.loopback import serve
from helpers.servers import files

from llmsel._base.errors import InputError
from llmsel.judging.log import AnnotationLog
from llmsel.judging.replay import read_log
from llmsel.pool import Pool
from llmsel.racing.race import Race
from llmsel.reporting.page import write_report
from llmsel.reporting.value import cheapest_within, read_costs, value_table


def costs(path, prices, seconds=1.0):
    rows = [
        {"model": m, "query_id": f"q{i}", "response": "x", "seconds": seconds, "tokens_out": 9}
        | ({} if price is None else {"cost": price / 1000})
        for m, price in prices.items()
        for i in range(4)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read_costs(path)


def judged(chances, n=600, seed=0):
    draws = np.random.default_rng(seed).random((n, len(chances))) < list(chances.values())
    table = np.column_stack([np.where(draws, 1, -1), np.zeros(n)]).astype(int)
    models = (*chances, "base")
    return Pool([f"q{i}" for i in range(n)], models, "base", outcomes=table)


def test_generate_notes_what_each_answer_took(tmp_path):
    with serve(lambda body, number: "yes") as server:
        models, queries, out = files(tmp_path, server.url)
        ok("generate", models, queries, "-o", out, "--yes")
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert all(row["seconds"] >= 0 and row["tokens_out"] == 10 for row in rows)
    assert {row["model"] for row in rows if "cost" in row} == {"small"}  # the other has no prices
    found = read_costs(out).set_index("model")
    assert found.loc["small", "price"] == pytest.approx(1000 * (100 * 1 + 10 * 2) / 1e6)
    assert np.isnan(found.loc["large", "price"]) and found.loc["large", "answers"] == 5


def test_answers_without_costs_have_none(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"model": "a", "query_id": "q", "response": "x"}\n')
    assert read_costs(path).empty and read_costs(tmp_path / "a.csv").empty


def test_the_cheapest_that_is_good_enough_is_named(tmp_path):
    pool = judged({"dear": 0.9, "fair": 0.89, "cheap": 0.3})
    prices = costs(tmp_path / "c.jsonl", {"dear": 10, "fair": 2, "cheap": 0.1, "base": 1})
    model, said = cheapest_within(pool, prices, delta=0.1)
    assert model == "fair" and "within 10.0% of the best win rate, at 2 per 1000" in said
    assert cheapest_within(pool, prices, delta=0.9)[0] == "cheap"
    none, said = cheapest_within(pool, prices, delta=0.0001)
    assert none is None and "no model is shown" in said
    where = pool.save(tmp_path / "pool.npz")
    asked = ("cheapest", "--pool", where, "--costs", tmp_path / "c.jsonl", "--delta")
    assert ok(*asked, "0.1").startswith("'fair' is the cheapest")
    assert "no model is shown" in ok(*asked, "0.0001", code=1)
    table = value_table(pool, prices)
    assert table["model"].tolist() == ["cheap", "base", "fair", "dear"]
    assert ((table["low"] <= table["win_rate"]) & (table["win_rate"] <= table["high"])).all()


def test_none_is_named_that_is_too_far_from_the_best(tmp_path):
    """A cheap model that is worse by just more than delta passes no more often than alpha."""
    prices = costs(tmp_path / "c.jsonl", {"dear": 2, "cheap": 1, "base": 3})
    named = [
        cheapest_within(
            judged({"dear": 0.75, "cheap": 0.62}, 150, seed), prices, delta=0.12, alpha=0.2
        )[0]
        for seed in range(100)
    ]
    assert named.count("cheap") / 100 <= 0.2


def test_without_prices_and_of_a_race_nothing_is_claimed(tmp_path):
    pool = judged({"a": 0.6}, 10)
    nothing = costs(tmp_path / "c.jsonl", {"a": None})
    with pytest.raises(InputError, match="no model of the pool has a price"):
        cheapest_within(pool, nothing, delta=0.1)
    with AnnotationLog(tmp_path / "race.jsonl", pool.hide_outcomes()) as log:
        log.begin_race(Race(pool).settings)
        with pytest.raises(InputError, match="holds a race"):
            cheapest_within(log.contents, nothing, delta=0.1)


@pytest.mark.parametrize("prices", [{"a": 1, "b": 40, "base": 3}, {"a": None, "base": 3}])
def test_the_report_shows_categories_and_prices(tmp_path, prices):
    pool = judged({"a": 0.9, "b": 0.2}, 60).hide_outcomes()
    pool = pool.replace(categories=["even", "odd"] * 30)
    known = judged({"a": 0.9, "b": 0.2}, 60)
    with AnnotationLog(tmp_path / "log.jsonl", pool) as log:
        for query in pool.queries[:40]:
            log.record(query, known.row(query), by="me")
    costs(tmp_path / "answers.jsonl", prices)
    page = tmp_path / "r.html"
    write_report(tmp_path / "log.jsonl", pool, page, answers=tmp_path / "answers.jsonl")
    text = page.read_text()
    assert "By category" in text and "even (20 queries): &#39;a&#39; is the best" in text
    assert "What quality costs" in text and ">median seconds<" in text
    write_report(tmp_path / "log.jsonl", pool, page)
    assert "What quality costs" not in page.read_text()
    assert len(read_log(tmp_path / "log.jsonl", pool).given) == 80
