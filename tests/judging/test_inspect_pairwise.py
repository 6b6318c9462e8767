"""A pairwise scorer in a real Inspect evaluation, with its mock models."""

import json
import sys
from pathlib import Path

import pytest
from helpers.inspect_python import evaluated

from llmsel._base.errors import InputError
from llmsel.judging.inspect_pairwise import _answers, pairwise

SCRIPT = Path(__file__).parents[1] / "helpers" / "inspect_scored.py"


def test_answers_of_the_baseline_are_found_by_sample(tmp_path):
    log = tmp_path / "log.json"
    sample = {"id": 7, "epoch": 1, "input": "7?", "output": {"completion": "seven"}}
    log.write_text(json.dumps({"eval": {"model": "m", "task": "t"}, "samples": [sample]}))
    assert _answers(log, None, "refuse") == {"7": ("7?", "seven")}
    rows = [{"model": m, "query_id": "t:7", "query": "7?", "response": m} for m in ("a", "b")]
    table = tmp_path / "answers.jsonl"
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert _answers(table, "b", "refuse") == {"t:7": ("7?", "b")}
    with pytest.raises(InputError, match="answers of 2 models; name the one: model="):
        _answers(table, None, "refuse")
    with pytest.raises(InputError, match="unknown model 'c'"):
        _answers(table, "c", "refuse")


def test_without_inspect_one_is_told_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "inspect_ai.model", None)
    with pytest.raises(InputError, match="pip install inspect_ai"):
        pairwise({"1": "one"})


@pytest.mark.slow
def test_an_evaluation_is_scored_against_the_baselines_answers(tmp_path):
    found = evaluated(SCRIPT, tmp_path / "logs", cwd=tmp_path)
    # the same words are a draw that nobody is asked about; no clear verdict is none
    assert found["values"] == [1, 1, 0.5, 0, 1, None] and found["name"] == "pairwise"
    assert found["mean"] == pytest.approx(0.7)
    assert found["asked"][2] == "known without a judge" and found["asked"][5] == "Hard to say."
    assert found["asked"][0] == '{"verdict": "A"}\n\n{"verdict": "B"}'  # both orders
    # no grader: never the model that is evaluated
    assert found["alone"][0] == "error" and "grader" in found["alone"][1]
    assert found["wrong"][0] == "error" and "asks something else" in found["wrong"][1]
    # against the same answers two models can be compared: query by query
    assert found["compared"] == [2, 3, 0, 5]
