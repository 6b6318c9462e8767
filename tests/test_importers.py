"""Importers: the same six answers in every format; errors that name file and line."""

import json
import shutil
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from llmsel.errors import InputError
from llmsel.importers import FORMATS, _unzip, read_answers
from llmsel.pool import Pool

ANSWERS = Path(__file__).parent / "fixtures" / "answers"
EXPECTED = {
    "alpha": ["Red.", "4"],
    "beta": ["Blue, I think.", ""],
    "gamma": ["Grün — «naïve»", "four"],
}
QUERIES = ("Name a primary colour.", "What is 2 + 2?\nAnswer briefly.")
SOURCES = (
    "long.jsonl",
    "long.csv",
    "alpacaeval",
    "fastchat",
    "arena_hard",
    "arena_hard_v01",
    "lm_eval",
    "inspect",  # written by Inspect 0.3 itself with its mock model: two .eval and one .json
)


@pytest.mark.parametrize("source", SOURCES)
def test_every_format_gives_the_same_pool(source):
    frame = read_answers(ANSWERS / source)
    short = {m: m.removeprefix("org/").removeprefix("mockllm/") for m in frame["model"]}
    frame["model"] = frame["model"].map(short)
    pool = Pool.from_frame(frame, baseline="alpha")
    assert pool.texts == QUERIES
    found = {m: list(pool.responses[:, j]) for j, m in enumerate(pool.models)}
    assert found == EXPECTED
    assert set(frame.columns) >= {"model", "query_id", "query", "response"}


def test_a_frame_parquet_and_a_mapping(tmp_path):
    frame = read_answers(ANSWERS / "long.jsonl")
    assert read_answers(frame).equals(frame)
    try:
        frame.to_parquet(tmp_path / "long.parquet")
    except ImportError:
        (tmp_path / "long.parquet").write_bytes(b"")
        with pytest.raises(InputError, match="pip install pyarrow"):
            read_answers(tmp_path / "long.parquet")
    else:
        assert read_answers(tmp_path / "long.parquet").equals(frame)
    folder = ANSWERS / "lm_eval"
    renamed = read_answers({"one": folder / "org__alpha", "two": folder / "org__beta"})
    assert list(renamed["model"]) == ["one", "one", "two", "two"]
    several = read_answers(sorted((ANSWERS / "fastchat" / "model_answer").iterdir())[:2])
    assert list(several["model"].unique()) == ["alpha", "beta"]
    assert list(several["query"].unique()) == list(QUERIES)  # found next to the folder
    assert list(several["query_id"].unique()) == ["81", "82"]


def test_the_format_can_be_given(tmp_path):
    odd = tmp_path / "answers.jsonl"
    odd.write_text('{"query_id": 7, "response": "NaN"}\n')
    frame = read_answers({"mine": odd}, format="long")
    assert frame.to_dict("records") == [{"model": "mine", "query_id": "7", "response": "NaN"}]
    with pytest.raises(InputError, match="unknown format 'alpaca'"):
        read_answers(odd, format="alpaca")
    assert list(FORMATS) == ["long", "alpacaeval", "fastchat", "lm-eval", "inspect"]


def written(tmp_path, name, content):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    if isinstance(content, list):
        content = "".join(json.dumps(row) + "\n" for row in content)
    path.write_text(content)
    return path


LONG = {"model": "a", "query_id": "q", "response": "x", "query": "?"}
LM = {"doc_id": 0, "resps": [["x"]], "arguments": []}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.jsonl",
            [LONG, LONG],
            r"a.jsonl', line 2: model 'a' answers query id 'q' again \(first",
        ),
        ("a.jsonl", [LONG, {**LONG, "model": "b", "query": "!"}], "line 2: query id 'q' has anoth"),
        ("a.jsonl", [LONG, {**LONG, "response": None}], "line 2: 'response' is empty"),
        ("a.jsonl", [LONG, {**LONG, "response": 4, "model": "b"}], "line 2: the text is int, not"),
        ("a.jsonl", '{"model": "a"\n', "line 1, is not JSON"),
        (
            "a.jsonl",
            [{"model": "a", "response": "x"}],
            r"a.jsonl' has no column 'query_id'; it has",
        ),
        ("a.jsonl", [{"a": 1}], "is of no known format"),
        ("a.jsonl", "", "is of no known format"),
        ("a.csv", "model,query_id\na,b\n", r"a.csv' has no column 'response'"),
        (
            "a.csv",
            "model,query_id,response\na,b,c,d,e\n",
            "a.csv', line 2, is not CSV: another number",
        ),
        ("a.csv", "", "has no column|holds no answer"),
        ("a.json", "[{]", "is not JSON"),
        ("a.json", '[{"generator": "m", "instruction": "i"}]', "entry 1: no 'output'"),
        ("a.json", '{"model": 1}', "is of no known format"),
        ("a.json", '{"eval": {"model": "m"}}', "holds no answer"),
        ("a.eval", "no zip", "is not a whole Inspect log"),
        ("a.jsonl", [{**LM, "resps": [[[-1.5, False]]]}], "line 1: the response is .* not text"),
        ("a.jsonl", [{**LM, "resps": []}], "line 1: the list of answers is empty"),
        (
            "a.jsonl",
            [{"model_id": "m", "choices": [{"turns": ["x"]}]}],
            "line 1: no 'question_id'; it has model_id, choices",
        ),
        (
            "a.json",
            '{"eval": {"model": "m"}, "samples": [{"id": 1, "error": {"message": "boom"}}]}',
            "sample 1: the model failed here",
        ),
    ],
)
def test_errors_name_file_and_line(tmp_path, name, content, message):
    with pytest.raises(InputError, match=message):
        read_answers(written(tmp_path, name, content))


def test_nothing_to_read(tmp_path):
    with pytest.raises(InputError, match="no file '"):
        read_answers(tmp_path / "absent.jsonl")
    with pytest.raises(InputError, match="no file of answers in the folder"):
        read_answers(tmp_path)
    with pytest.raises(InputError, match="no file of answers"):
        read_answers([])


def test_an_inspect_log_of_a_stopped_or_truncated_evaluation(tmp_path):
    whole = ANSWERS / "inspect" / "alpha.eval"
    stopped = tmp_path / "stopped.eval"
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(stopped, "w") as new:
        for name in old.namelist():
            if name != "header.json":
                new.writestr(name, _unzip(old, name))
    assert list(read_answers(stopped)["response"]) == EXPECTED["alpha"]
    torn = tmp_path / "torn.eval"
    shutil.copy(whole, torn)
    torn.write_bytes(torn.read_bytes()[:-30])
    with pytest.raises(InputError, match="is not a whole Inspect log"):
        read_answers(torn)


def test_alpacaeval_asks_some_instructions_twice(tmp_path):
    rows = [{"instruction": "i", "output": str(k), "generator": "m"} for k in range(2)]
    path = written(tmp_path, "outputs.json", json.dumps(rows))
    frame = read_answers(path)
    assert frame["query_id"].nunique() == 2 and list(frame["response"]) == ["0", "1"]
    assert pd.api.types.is_object_dtype(frame["response"])
