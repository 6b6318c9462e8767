"""Verdicts and scores between any two models: a pool of all pairs, and who wins it."""

import itertools

import numpy as np
import pandas as pd
import pytest
from helpers.commands import mistake, ok
from helpers.pair_tables import circle, table_of, top, with_missing

import llmsel
from llmsel import InputError, Pool, pool_of_scores, pool_of_verdicts
from llmsel.pool import MISSING
from llmsel.racing.pairs import all_pairs, standing_of


def verdicts(table):
    """Rows as `read_verdicts` gives them: points above 0 where model_b is better."""
    rows = [
        {"query_id": f"q{i}", "model_a": f"m{a}", "model_b": f"m{b}", "points": -table[a, b, i]}
        for a, b in itertools.combinations(range(len(table)), 2)
        for i in range(table.shape[2])
        if table[a, b, i] != MISSING
    ]
    return pd.DataFrame(rows)


def turned(frame, rng):
    """The same verdicts, half of them told from the other side, in another order."""
    flip = rng.random(len(frame)) < 0.5
    other = frame.rename(columns={"model_a": "model_b", "model_b": "model_a"})
    other = other.assign(points=-other["points"])[list(frame.columns)]
    return pd.concat([frame[~flip], other[flip]]).sample(frac=1, random_state=1)


def test_verdicts_between_all_models_become_a_pool_of_all_pairs():
    rng = np.random.default_rng(0)
    table = table_of(top(4, 6, 2), 9, 0.2, rng)
    pool = pool_of_verdicts(turned(verdicts(table), rng), None)
    again = dict(zip(pool.queries, pool.outcomes, strict=True))
    for a, b in itertools.permutations(range(4), 2):
        for i in range(9):
            row = again.get(f"q{i} vs m{b}")
            if row is not None and pool.models.index(f"m{a}") < pool.models.index(f"m{b}"):
                assert row[pool.models.index(f"m{a}")] == table[a, b, i]


def brute(table):
    """Models that no other beats, and those of the highest sum, by counting."""
    sums = [[int(each.sum()) for each in row] for row in table]
    n = range(len(table))
    unbeaten = {f"m{w}" for w in n if all(sums[j][w] <= 0 for j in n)}
    most = max(sum(row) for row in sums)
    return unbeaten, {f"m{w}" for w in n if sum(sums[w]) == most}


@pytest.mark.parametrize("gaps", [top(4, 5, 2), circle(3, 3), np.zeros((3, 3), dtype=int)])
def test_who_wins_is_what_counting_says(gaps):
    table = table_of(gaps, 11, 0.2, np.random.default_rng(1))
    unbeaten, most = brute(table)
    named, said = standing_of(pool_of_verdicts(verdicts(table), None))
    assert set(named) == unbeaten
    assert all(f"'{name}'" in said.split(";")[1] for name in most)
    assert "this is exact" in said
    assert ("there is no Condorcet winner" in said) == (not unbeaten)


def test_what_is_missing_is_told_and_never_guessed():
    rng = np.random.default_rng(2)
    table = with_missing(table_of(circle(3, 3), 12, 0.1, rng), rng, share=0.5)
    frame = verdicts(table)
    with pytest.raises(InputError, match=r"'m0' against 'm1' on 'q\d+'"):
        pool_of_verdicts(frame, None)
    with pytest.raises(InputError, match="the loss of neither"):
        pool_of_verdicts(frame, None, missing="loss")
    kept = pool_of_verdicts(frame, None, missing="keep")
    named, said = standing_of(kept)
    assert named == ()
    assert "hangs on what is missing" in said
    whole = (table != MISSING).all(axis=(0, 1)).sum()
    assert pool_of_verdicts(frame, None, missing="drop").n_queries == 2 * whole


def test_scores_make_outcomes_for_any_pair():
    scores = pd.DataFrame(
        {"model": list("abc") * 2, "query_id": ["x"] * 3 + ["y"] * 3, "score": [1, 2, 3, 2, 2, 0]}
    )
    pool = pool_of_scores(scores, None)
    assert pool.row("x vs c") == {"a": -1, "b": -1, "c": 0}
    assert pool.row("y vs b")["a"] == 0
    with pytest.raises(InputError, match="only 'a' is there"):
        pool_of_scores(scores[scores["model"] == "a"], None)


def test_import_without_a_baseline(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = table_of(top(3, 6, 2), 12, 0.0, np.random.default_rng(3))
    frame = verdicts(table)
    words = frame["points"].map({-1: "model_a", 1: "model_b", 0: "tie"})
    frame.drop(columns="points").assign(winner=words).to_csv("battles.csv", index=False)
    told = ok("import", "battles.csv", "--pairs", "--log", "log.jsonl")
    assert "no model beats 'm0' in direct comparison" in told
    assert "12 queries, every pair of 3 models, 36 comparisons: this is exact" in told
    held = ("--pool", "pool.npz", "--pairs")
    assert "holds no race yet" in mistake("session", "status", "log.jsonl", *held)
    assert "has all pairs" in mistake("session", "forecast", "log.jsonl", *held[:2])
    assert "or say --pairs" in mistake("import", "battles.csv")
    saved = Pool.load("pool.npz")
    assert standing_of(saved)[0] == ("m0",)
    race = llmsel.Race(saved, delta=0.05)
    while tasks := race.ask():
        for task in tasks:
            known = saved.row(task.query)
            race.tell(task.query, {model: known[model] for model in task.models})
    assert race.verdict().winners == ("m0",)


def test_a_pool_of_all_pairs_can_hold_gaps():
    table = np.full((3, 3, 2), MISSING, dtype=np.int8)
    plain = Pool(["x", "y"], ["a", "b", "c"], "a")
    assert "hangs on what is missing" in standing_of(all_pairs(plain, table))[1]
