"""Verdicts of other tools, as outcomes against a baseline."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.commands import mistake, ok

import llmsel
from llmsel._base.errors import InputError
from llmsel.answers.outcomes import pool_of_scores, pool_of_verdicts
from llmsel.answers.recorded import read_verdicts
from llmsel.pool import MISSING, Pool

ANSWERS = Path(__file__).parents[1] / "fixtures" / "answers"


def lines(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def outcomes(pool):
    return {m: pool.outcomes[:, j].tolist() for j, m in enumerate(pool.models)}


def alpaca(path, model, preferences):
    rows = [
        {
            "instruction": f"Question {i}?",
            "generator_1": "base",
            "output_1": f"base says {i}",
            "generator_2": model,
            "output_2": f"{model} says {i}",
            "annotator": "gpt-4",
            "dataset": "even" if i % 2 == 0 else "odd",
            "preference": p,
        }
        for i, p in enumerate(preferences)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows))


def test_alpacaeval_brings_answers_texts_and_categories(tmp_path):
    alpaca(tmp_path / "m" / "annotations.json", "m", [1, 2, 1.5, 0, 1.9])
    alpaca(tmp_path / "n" / "annotations.json", "n", [2, 1.1, 2, 2, None])
    table = read_verdicts(tmp_path)
    with pytest.raises(InputError, match=r"1 verdict missing: 'n' on '\w{12}'. Give them, or"):
        pool_of_verdicts(table, "base")
    pool = pool_of_verdicts(table, "base", missing="keep")
    assert outcomes(pool) == {"m": [-1, 1, 0, 0, 1], "n": [1, -1, 1, 1, MISSING], "base": [0] * 5}
    assert pool.texts[1] == "Question 1?" and pool.categories == ("even", "odd") * 2 + ("even",)
    assert pool.responses[2].tolist() == ["m says 2", "n says 2", "base says 2"]
    assert outcomes(pool_of_verdicts(table, "base", missing="loss"))["n"][-1] == -1
    assert pool_of_verdicts(table, "base", missing="drop").n_queries == 4


def test_alpacaeval_may_have_the_model_first_and_judge_the_baseline(tmp_path):
    table = read_verdicts(ANSWERS / "alpacaeval/alpha/weighted_alpaca_eval_gpt4_turbo")
    assert set(table["points"]) == {0.0} and set(table["model_b"]) == {"alpha"}
    frame = pd.DataFrame(
        {
            "query_id": "q",
            "model_a": ["m", "b"],
            "model_b": ["b", "b"],
            "winner": ["model_a", "tie"],
        }
    )
    assert outcomes(pool_of_verdicts(read_verdicts(frame), "b")) == {"m": [1], "b": [0]}


def arena_row(query, model, scores, **more):
    games = [None if s == "gone" else {"score": s, "judgment": "", "prompt": []} for s in scores]
    return {
        "uid": query,
        "judge": "gpt-4.1",
        "model": model,
        "baseline": "o3",
        "games": games,
        **more,
    }


def test_arena_hards_two_games_are_summed(tmp_path):
    rows = [
        arena_row("q1", "m", ["A>>B", "A>B"], category="hard_prompt"),  # -3 and +1
        arena_row("q2", "m", ["B>A", "A>B"], category="hard_prompt"),
        arena_row("q3", "m", ["B>A", "B>A"], category="creative"),
        arena_row("q4", "m", [None, "B>>A"], category="creative"),  # one game decides
        arena_row("q5", "m", ["gone", None], category="creative"),
    ]
    path = lines(tmp_path / "model_judgment" / "gpt-4.1" / "m.jsonl", rows)
    pool = pool_of_verdicts(read_verdicts(path), "o3", missing="keep")
    assert outcomes(pool)["m"] == [-1, 1, 0, -1, MISSING]
    assert pool.categories == ("hard_prompt",) * 2 + ("creative",) * 3
    bad = lines(tmp_path / "bad.jsonl", [arena_row("q1", "m", ["A>C", "A>B"])])
    with pytest.raises(InputError, match=r"bad.jsonl', line 1: the score of a game is 'A>C', not"):
        read_verdicts(bad)


def test_arena_hard_01_does_not_name_its_baseline(tmp_path):
    row = {"question_id": "q", "model": "m", "judge": "gpt-4", "games": [{"score": "B>A"}]}
    pool = pool_of_verdicts(read_verdicts(lines(tmp_path / "m.jsonl", [row])), "gpt-4-0314")
    assert outcomes(pool)["m"] == [1]


def test_fastchats_orders_must_agree(tmp_path):
    row = {"model_1": "a", "model_2": "b", "judge": ["gpt-4", "pair-v2"], "turn": 1}
    rows = [
        {**row, "question_id": 1, "g1_winner": "model_1", "g2_winner": "model_1"},
        {**row, "question_id": 2, "g1_winner": "model_1", "g2_winner": "model_2"},
        {**row, "question_id": 3, "g1_winner": "model_2", "g2_winner": "error"},
        {**row, "question_id": 4, "g1_winner": "tie", "g2_winner": "tie"},
    ]
    table = read_verdicts(lines(tmp_path / "gpt-4_pair.jsonl", rows))
    assert outcomes(pool_of_verdicts(table, "b", missing="keep"))["a"] == [1, 0, MISSING, 0]
    assert outcomes(pool_of_verdicts(table, "a", missing="keep"))["b"] == [-1, 0, MISSING, 0]
    with pytest.raises(InputError, match="the winner is 'me'"):
        read_verdicts(lines(tmp_path / "x.jsonl", [{**rows[0], "g1_winner": "me"}]))


def test_judgearenas_swapped_rows(tmp_path):
    """Its rows of the second order exchange the models; its preferences do not."""
    rows = [("mine", "base", 0), ("mine", "base", 1), ("base", "mine", 0), ("base", "mine", 1)]
    frame = pd.DataFrame(
        {
            "instruction": [f"Q{i}" for _, _, i in rows],
            "completion_A": [f"{a} {i}" for a, _, i in rows],
            "completion_B": [f"{b} {i}" for _, b, i in rows],
            "judge_completion": "",
            "instruction_index": [i for _, _, i in rows],
            "model_A": [a for a, _, _ in rows],
            "model_B": [b for _, b, _ in rows],
            "judge": "j",
        }
    )
    frame.to_csv(tmp_path / "t-annotations.csv", index=False)
    results = {"model_A": "mine", "model_B": "base", "preferences": [0.2, 0.9, 0.5, 0.1]}
    (tmp_path / "results-t.json").write_text(json.dumps(results))
    pool = pool_of_verdicts(read_verdicts(tmp_path), "base")
    assert outcomes(pool)["mine"] == [1, 0]
    assert pool.responses.tolist() == [["mine 0", "base 0"], ["mine 1", "base 1"]]
    results["preferences"].pop()
    (tmp_path / "results-t.json").write_text(json.dumps(results))
    with pytest.raises(InputError, match="does not hold one preference for each of the 4 rows"):
        read_verdicts(tmp_path)


@pytest.mark.parametrize("prompts", ["FastChat's", "its own"])
def test_judgearenas_mt_bench(tmp_path, prompts):
    """A whole result folder: two turns are two games, and a swapped row names its own models."""
    shared = {"category": "math", "judge": "j", "system_prompt": "s", "judge_completion": "[[B]]"}
    said = [(81, 1, 1.0), (81, 2, 0.5), (82, 1, 0.0), (82, 2, 1.0), (83, 1, ""), (83, 2, 0.0)]
    rows = [
        {
            "question_id": q,
            "turn": turn,
            "model_A": "mine",
            "model_B": "base",
            **shared,
            "preference": p,
        }
        for q, turn, p in said
    ]
    if prompts == "FastChat's":
        words = {0.0: "model_A", 0.5: "tie", 1.0: "model_B", "": "error"}
        for row in rows:
            del row["judge_completion"]
            row |= {"g1_winner": words[row["preference"]], "final_winner": words[row["preference"]]}
    else:  # the second order agrees on 81, and on 82 it is for 'mine' in both turns
        swapped = [(81, 1, 0.1), (81, 2, 0.5), (82, 1, 0.9), (82, 2, 0.6), (83, 1, ""), (83, 2, "")]
        rows += [
            {**rows[i], "model_A": "base", "model_B": "mine", "preference": p}
            for i, (_, _, p) in enumerate(swapped)
        ]
    folder = tmp_path / "mt-bench-mine-base-j"
    folder.mkdir()
    pd.DataFrame(rows).to_csv(folder / "mt-bench-mine-base-j-annotations.csv", index=False)
    (folder / "results-mt-bench-mine-base-j.json").write_text('{"preferences": [0.5]}')
    (folder / "run-metadata.v1.json").write_text('{"schema_version": "v1"}')
    pool = pool_of_verdicts(read_verdicts(folder), "base")
    assert pool.queries == ("81", "82", "83") and pool.categories == ("math",) * 3
    second = 0 if prompts == "FastChat's" else 1
    assert outcomes(pool)["mine"] == [-1, second, 1]
    assert outcomes(pool_of_verdicts(read_verdicts(folder), "mine"))["base"] == [1, -second, -1]
    pd.DataFrame([{**rows[0], "preference": 7}]).to_csv(tmp_path / "bad.csv", index=False)
    with pytest.raises(InputError, match=r"bad.csv', row 1: the preference is 7, not between"):
        read_verdicts(tmp_path / "bad.csv")


def test_a_table_of_a_panel_is_decided_by_the_majority(tmp_path):
    csv = tmp_path / "t.csv"
    csv.write_text(
        "query_id,model_a,model_b,winner,judge\n"
        "q,base,m,model_b,x\nq,base,m,model_b,y\nq,m,base,model_b,z\n"
        "r,base,m,tie,x\nr,base,m,model_a,y\nr,base,m,,z\n"
    )
    table = read_verdicts(csv)
    assert outcomes(pool_of_verdicts(table, "base"))["m"] == [1, -1]
    assert outcomes(pool_of_verdicts(read_verdicts(csv, judge="x"), "base"))["m"] == [1, 0]
    with pytest.raises(InputError, match="unknown judge 'w'"):
        read_verdicts(csv, judge="w")
    with pytest.raises(InputError, match=r"unknown baseline 'bas'.*'base'"):
        pool_of_verdicts(table, "bas")
    csv.write_text("query_id,model_a,model_b,winner\nq,a,b,left\n")
    with pytest.raises(InputError, match="row 1: the winner is 'left', not model_a"):
        read_verdicts(csv)
    csv.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="holds no verdicts of a known format"):
        read_verdicts(csv)


def scored(scores):
    rows = [
        {"model": model, "query_id": i, "score": score}
        for model, row in scores.items()
        for i, score in enumerate(row)
    ]
    return llmsel.read_scores(pd.DataFrame(rows))


@pytest.mark.parametrize("baseline", ["a", "b", "c"])
def test_scores_have_any_model_as_baseline(baseline):
    scores = {"a": [9, 3, 5], "b": [7, 3, 6], "c": [1, 9, 5.4]}
    frame = pd.DataFrame(
        [
            {"model": m, "query_id": i, "score": s}
            for m, row in scores.items()
            for i, s in enumerate(row)
        ]
    )
    pool = pool_of_scores(llmsel.read_scores(frame), baseline, margin=0.5)
    for m, row in scores.items():
        gap = np.subtract(row, scores[baseline])
        assert outcomes(pool)[m] == np.where(np.abs(gap) > 0.5, np.sign(gap), 0).tolist()


def test_a_missing_score_loses_on_either_side():
    scores = {"a": [1, None, None, 0], "base": [1, 0, None, None]}
    frame = pd.DataFrame(
        [
            {"model": m, "query_id": i, "score": s}
            for m, row in scores.items()
            for i, s in enumerate(row)
        ]
    )
    table = llmsel.read_scores(frame)
    assert outcomes(pool_of_scores(table, "base", missing="keep"))["a"] == [0] + [MISSING] * 3
    assert outcomes(pool_of_scores(table, "base", missing="drop"))["a"] == [0]
    assert outcomes(pool_of_scores(table, "base", missing="loss"))["a"] == [0, -1, -1, 1]
    with pytest.raises(InputError, match="3 verdicts missing"):
        pool_of_scores(table, "base")


def test_answers_may_stand_in_another_file(tmp_path):
    answers = pd.DataFrame(
        [
            {"model": m, "query_id": q, "query": f"{q}?", "response": f"{m} {q}"}
            for m in ("m", "base", "other")
            for q in ("q2", "q1", "q0")
        ]
    )
    frame = pd.DataFrame(
        {"query_id": ["q1", "q2"], "model_a": "base", "model_b": "m", "winner": ["model_b", "tie"]}
    )
    pool = pool_of_verdicts(read_verdicts(frame), "base", answers=answers)
    assert pool.texts == ("q1?", "q2?") and pool.responses[0].tolist() == ["m q1", "base q1"]
    with pytest.raises(InputError, match="1 answer missing: 'm' on 'q1'"):
        pool_of_verdicts(read_verdicts(frame), "base", answers=answers.drop(index=1))


def test_the_command_decides_and_keeps_pool_and_log(tmp_path):
    alpaca(tmp_path / "in" / "m" / "annotations.json", "m", [1, 2, 2, 0, 2])
    alpaca(tmp_path / "in" / "n" / "annotations.json", "n", [2, 1, 1, 1, 1])
    out, log = tmp_path / "pool.npz", tmp_path / "log.jsonl"
    said = ok("import", tmp_path / "in", "--baseline", "base", "-o", out, "--log", log)
    assert "m leads with a win rate of 70.0% against base; every query is judged" in said
    assert Pool.load(out).n_queries == 5
    assert "m leads" in ok("session", "status", log, "--pool", out)
    page = tmp_path / "r.html"
    ok("report", log, "--pool", out, "-o", page)
    assert "m leads" in page.read_text()
    scores = tmp_path / "scores.csv"
    scores.write_text("model,query_id,score\na,q,pass\nb,q,fail\n")
    found = json.loads(ok("import", scores, "--baseline", "b", "-o", out, "--json"))
    assert found["leaders"] == ["a"] and found["win_rate"] == 1
    assert "unknown baseline" in mistake("import", scores, "--baseline", "x", "-o", out)


def test_published_battles_give_the_benchmark(mirror):
    """The importer and the benchmark's own loader read the same outcomes from the same rows."""
    folder = mirror / "danielwetzel/arena-hard-auto"
    (battles,) = folder.glob("67a821c9*/data/*battles.jsonl")
    found = pool_of_verdicts(read_verdicts(battles), "gpt-4-0314", missing="keep")
    known = llmsel.load("arena-hard", votes=False)
    both = [m for m in found.models if m in known.models]
    assert len(both) > 10
    ours, theirs = (pool.subset(known.queries, both).outcomes for pool in (found, known))
    assert np.array_equal(ours, theirs)
