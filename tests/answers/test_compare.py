"""Scores of other tools, and the paired test on them."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.commands import mistake, ok

from llmsel._base.errors import InputError
from llmsel.answers.compare import compare_models
from llmsel.answers.scores import read_scores
from llmsel.pool import MISSING, Pool

ANSWERS = Path(__file__).parents[1] / "fixtures" / "answers"


def lines(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def table(first, second, **columns):
    n = len(first)
    return pd.DataFrame(
        {
            "model": ["a"] * n + ["b"] * n,
            "query_id": [f"q{i}" for i in range(n)] * 2,
            "score": [*first, *second],
            **columns,
        }
    )


@pytest.mark.parametrize(("folder", "prefix"), [("lm_eval", "org/"), ("inspect", "mockllm/")])
def test_logs_that_the_tools_wrote(folder, prefix):
    frame = read_scores(ANSWERS / folder)
    frame["model"] = frame["model"].str.removeprefix(prefix)
    found = frame.pivot(index="query_id", columns="model", values="score")
    assert found.to_dict("list") == {"alpha": [1, 1], "beta": [0, 0], "gamma": [0, 0]}
    said = compare_models(ANSWERS / folder, f"{prefix}alpha", f"{prefix}beta")
    assert (said.queries, said.wins, said.losses, said.p_value) == (2, 2, 0, 0.5)
    assert said.better is None and "no difference" in said.statement


def test_a_filter_of_lm_eval_can_be_chosen():
    assert len(read_scores(ANSWERS / "lm_eval", filter="flexible-extract")) == 6
    with pytest.raises(InputError, match=r"unknown filter .* did you mean 'strict-match'"):
        read_scores(ANSWERS / "lm_eval", filter="strict")


def test_several_metrics_must_be_told_apart(tmp_path):
    row = {"doc_id": 0, "metrics": ["acc", "f1"], "acc": 1.0, "f1": 0.5, "filter": "none"}
    path = lines(tmp_path / "m" / "samples_t_2026.jsonl", [row, {**row, "doc_id": 1}])
    with pytest.raises(InputError, match=r"several metrics \(acc, f1\); name one, e.g. metric=acc"):
        read_scores(path)
    assert list(read_scores(path, metric="f1")["score"]) == [0.5, 0.5]
    with pytest.raises(InputError, match="unknown metric 'f2'"):
        read_scores(path, metric="f2")
    table = lines(tmp_path / "t.jsonl", [{"model": "m", "query_id": "q", "score": 1.0}])
    with pytest.raises(InputError, match="name no metric: leave 'f2' out"):
        read_scores(table, metric="f2")


def inspect_log(path, samples):
    log = {"eval": {"model": path.stem, "task": "t"}, "samples": samples}
    path.write_text(json.dumps(log))


def sample(number, epoch, value, **more):
    return {"id": number, "epoch": epoch, "scores": {"match": {"value": value}}, **more}


def test_all_epochs_of_inspect_count_and_a_query_counts_once(tmp_path):
    a = [sample(1, 1, "C"), sample(1, 2, "P"), sample(2, 1, "C"), sample(2, 2, "C")]
    b = [sample(1, 1, "I"), sample(1, 2, "C"), sample(2, 1, "I"), sample(2, 2, "N")]
    inspect_log(tmp_path / "a.json", a)
    inspect_log(tmp_path / "b.json", b)
    found = compare_models(tmp_path, "a", "b")
    assert (found.queries, found.wins) == (2, 2)
    assert found.difference == pytest.approx((0.25 + 1) / 2)
    inspect_log(tmp_path / "b.json", [*b[:3], {"id": 2, "epoch": 2, "error": {"message": "x"}}])
    with pytest.raises(InputError, match="1 score missing: 'b' has no score on 't:2', epoch 2"):
        compare_models(tmp_path, "a", "b")
    assert compare_models(tmp_path, "a", "b", missing="loss").mean_second == 0.25
    left = compare_models(tmp_path, "a", "b", missing="drop")
    assert (left.queries, left.dropped) == (1, 1) and "1 left out" in left.statement


def test_a_scorer_with_several_values(tmp_path):
    values = {"right": True, "short": 0.5}
    inspect_log(tmp_path / "a.json", [sample(1, 1, values)])
    assert list(read_scores(tmp_path, metric="match/right")["score"]) == [1.0]


def test_grades_of_mt_bench_fail_at_minus_one(tmp_path):
    grade = {"judge": ["gpt-4", "single-v1"], "question_id": 81, "user_prompt": "", "judgment": ""}
    rows = [
        {**grade, "model": m, "turn": t, "score": s}
        for m, t, s in (("a", 1, 9), ("a", 2, 7), ("b", 1, 4), ("b", 2, -1))
    ]
    path = lines(tmp_path / "gpt-4_single.jsonl", rows)
    with pytest.raises(InputError, match="'b' has no score on '81', epoch 2"):
        compare_models(path, "a", "b", scale=(1, 10))
    found = compare_models(path, "a", "b", scale=(1, 10), missing="loss")
    assert (found.mean_first, found.mean_second) == (8, 2.5)
    with pytest.raises(InputError, match=r"beyond the scale 0 to 1: .* scale=\(1, 10\)"):
        compare_models(path, "a", "b", missing="loss")


def test_a_table_may_say_pass_and_fail(tmp_path):
    csv = tmp_path / "t.csv"
    csv.write_text("model,query_id,score\na,q,pass\nb,q,FAIL\na,r,0.5\nb,r,\n")
    assert read_scores(csv)["score"].tolist()[:3] == [1, 0, 0.5]
    assert np.isnan(read_scores(csv)["score"].iloc[3])
    csv.write_text("model,query_id,score\na,q,good\n")
    with pytest.raises(InputError, match=r"t.csv', row 1: the score is 'good', not a number"):
        read_scores(csv)
    csv.write_text("model,query_id,score\na,q,1\na,q,1\n")
    with pytest.raises(InputError, match=r"row 2: model 'a' has a second score on query 'q'"):
        read_scores(csv)
    csv.write_text("model,query_id\na,q\n")
    with pytest.raises(InputError, match=r"t.csv' is no table of scores: no column 'score'"):
        read_scores(csv)


def test_the_better_model_is_found_whichever_is_named_first():
    rng = np.random.default_rng(3)
    first, second = (rng.random((2, 400)) < [[0.7], [0.5]]).astype(float)
    found = compare_models(table(first, second), "a", "b")
    turned = compare_models(table(first, second), "b", "a")
    assert found.better == turned.better == "a"
    assert (found.wins, found.losses) == (turned.losses, turned.wins)
    assert found.p_value == turned.p_value < 0.001
    assert turned.low == pytest.approx(-found.high, abs=1e-3)
    assert found.statement.startswith("'a' is better than 'b'")


def test_rows_may_come_in_any_order():
    frame = table([1.0, 0, 1, 0.5] * 9, [0.0, 0, 1, 1] * 9)
    assert compare_models(frame, "a", "b") == compare_models(frame.sample(frac=1), "a", "b")


def test_outcomes_of_a_pool_are_scores():
    outcomes = np.array([[1, 0, 0], [1, -1, 0], [MISSING, 0, 0]])
    pool = Pool(queries=("q", "r", "s"), models=("a", "b", "c"), baseline="c", outcomes=outcomes)
    found = compare_models(pool, "a", "b", missing="drop")
    assert (found.wins, found.queries, found.mean_first, found.mean_second) == (2, 2, 1, 0.25)
    assert compare_models(pool, "a", "c", missing="drop").wins == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"second": "c"}, "unknown model 'c'"),
        ({"second": "a"}, "cannot be compared with itself"),
        ({"alpha": 1.0}, "between 0 and 1"),
        ({"scale": (1, 1)}, "lower end first"),
        ({"scale": (0, 0.5)}, "beyond the scale"),
        ({"missing": "skip"}, "unknown rule"),
    ],
)
def test_mistakes(options, message):
    with pytest.raises(InputError, match=message):
        compare_models(table([1.0], [0.0]), "a", options.pop("second", "b"), **options)


def test_no_query_in_common():
    frame = pd.DataFrame({"model": ["a", "b"], "query_id": ["q", "r"], "score": [1.0, 0.0]})
    with pytest.raises(InputError, match="no query was scored for both"):
        compare_models(frame, "a", "b", missing="drop")


def test_the_command(tmp_path):
    frame = table([1.0] * 20, [0.0] * 20)
    frame.to_csv(tmp_path / "t.csv", index=False)
    assert ok("compare", "a", "b", tmp_path / "t.csv").startswith("'a' is better than 'b': 1 and 0")
    found = json.loads(ok("compare", "a", "b", tmp_path / "t.csv", "--json"))
    assert found["better"] == "a" and found["p_value"] == 2.0**-19
    assert "no file" in mistake("compare", "a", "b", tmp_path / "none.csv")
    assert "beyond" in mistake("compare", "a", "b", tmp_path / "t.csv", "--scale", "0.5", "1")
