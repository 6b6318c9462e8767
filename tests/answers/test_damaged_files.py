"""Readers of answers: a damaged file is read or refused in one sentence, never a traceback."""

import json
from random import Random

import pandas as pd
import pytest
from helpers.readers import FILES, FIXTURES, reads_or_tells, spoil
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmsel._base.errors import InputError
from llmsel.answers.inspect_log import zipfile_with_zstandard
from llmsel.answers.read import read_answers
from llmsel.judging.llm import LLMJudge
from llmsel.pool import Pool

# each of these once ended in a traceback, or spoiled what was read
CORPUS = [
    path
    for name in FILES
    for path in sorted((FIXTURES / "mutated" / name.replace("/", "~")).glob("*"))
]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
KEYS = (
    *("model", "query_id", "query", "response", "category", "doc_id", "resps", "arguments"),
    *("question_id", "model_id", "choices", "turns", "uid", "messages", "prompt"),
    *("generator", "instruction", "output", "eval", "samples", "content", "role", "text"),
)


@pytest.mark.parametrize("path", CORPUS, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_what_once_ended_in_a_traceback_is_read_or_told(path, tmp_path):
    reads_or_tells(path.parent.name.replace("~", "/"), path.read_bytes(), tmp_path)


@pytest.mark.parametrize("name", FILES)
def test_mutated_files_are_read_or_told(name, tmp_path):
    whole = FILES[name][1]
    assert reads_or_tells(name, whole, tmp_path)
    told = [reads_or_tells(name, spoil(name, Random(seed)), tmp_path) for seed in range(60)]
    assert any(told), "no damaged file was read: something else than the damage is told"
    assert not all(told) or name == "cache"  # which leaves out what it cannot read


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".csv", ".eval"])
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_whatever_json_holds_is_read_or_told(suffix, data, tmp_path):
    rows = data.draw(st.lists(st.dictionaries(st.sampled_from(KEYS), VALUES), max_size=3))
    text = "\n".join(map(json.dumps, rows)) if suffix == ".jsonl" else json.dumps(rows)
    path = tmp_path / f"a{suffix}"
    path.write_text(text)
    told, texts = "", []
    try:
        texts = list(read_answers(path)["response"])
    except InputError as error:
        told = str(error)
    assert "\n" not in told and all(isinstance(text, str) for text in texts)


def test_an_answer_in_csv_may_be_long(tmp_path):
    path = tmp_path / "a.csv"
    pd.DataFrame({"model": ["a"], "query_id": ["q"], "response": ["x" * 500_000]}).to_csv(path)
    assert len(read_answers(path)["response"][0]) == 500_000


def test_half_an_emoji_is_read_as_such_and_can_be_kept(tmp_path):
    row = {"model": "a", "query_id": "q", "query": "\ud83d?", "response": "half \ud83d"}
    other = {**row, "model": "b", "response": "whole \ud83d\ude00"}
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(row) + "\n" + json.dumps(other))
    frame = read_answers(path)
    assert list(frame["response"]) == ["half \ufffd", "whole \U0001f600"]
    Pool.from_frame(frame, "a").save(tmp_path / "pool.npz")
    assert read_answers(pd.DataFrame([row], dtype=object))["query"][0] == "\ufffd?"


@pytest.mark.parametrize("content", [["x"], {"text": "x"}, 4, True])
def test_a_response_that_is_no_text_is_told(content, tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"model": "a", "query_id": "q", "response": content}))
    with pytest.raises(InputError, match=r"line 1: the text is \w+, not a string"):
        read_answers(path)


def test_an_id_stays_as_it_is_written_beside_one_that_is_empty(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(
        '{"model": "a", "query_id": 1, "response": "x", "category": 3}\n'
        '{"model": "a", "query_id": 2, "response": "y", "category": null}\n'
    )
    assert list(read_answers(path)["query_id"]) == ["1", "2"]


def test_a_log_that_unpacks_to_more_than_any_holds_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("llmsel.answers.inspect_log.LIMIT", 1000)
    zipfile, _ = zipfile_with_zstandard()
    with zipfile.ZipFile(tmp_path / "a.eval", "w") as log:
        log.writestr("header.json", "{" + " " * 2000 + "}")
    with pytest.raises(InputError, match="unpacks to more than"):
        read_answers(tmp_path / "a.eval")


@pytest.mark.parametrize(
    "damage",
    [
        b'{"key": "KEY", "verdict": "C"}\n',
        b'{"key": "KEY", "verdict": ["A"]}\n',
        b'{"key": ["KEY"], "verdict": "A"}\n',
        b'["KEY", "A"]\n',
        b"\xff\xfe\n",
        b'{"key": "KEY", "verd',
        b"[" * 100_000,
    ],
)
def test_a_damaged_line_of_a_verdict_cache_costs_that_verdict(damage, tmp_path):
    path = tmp_path / "cache.jsonl"
    plain = LLMJudge("m", "http://127.0.0.1:1/v1")
    key = plain._key(plain.messages("?", "a", "b"))
    path.write_bytes(b'{"key": "other", "verdict": "B"}\n' + damage.replace(b"KEY", key.encode()))
    judge = LLMJudge("m", "http://127.0.0.1:1/v1", cache=path)
    assert key not in judge._cache and judge._cache.get("other") == "B"
    judge._cache.keep(key, "tie")
    again = LLMJudge("m", "http://127.0.0.1:1/v1", cache=path)
    assert again._cache.get(key) == "tie" and again._cache.get("other") == "B"


def test_a_cache_is_made_where_there_is_none_and_no_other_file_is_touched(tmp_path):
    (tmp_path / "empty").touch()
    LLMJudge("m", cache=tmp_path / "empty")
    other = tmp_path / "answers.jsonl"
    other.write_text('{"model": "a"}')
    with pytest.raises(InputError, match="is no cache of verdicts and is left as it is"):
        LLMJudge("m", cache=other)
    for place in (tmp_path, other / "inside"):
        with pytest.raises(InputError, match="cannot be read"):
            LLMJudge("m", cache=place)


def test_a_verdict_that_cannot_be_written_is_kept_in_memory_with_a_warning(tmp_path):
    judge = LLMJudge("m", cache=tmp_path / "folder" / "cache")
    (tmp_path / "folder").touch()
    with pytest.warns(UserWarning, match="no verdict is kept in '.*cache' any more"):
        judge._cache.keep("k", "A")
    judge._cache.keep("l", "B")
    assert judge._cache.get("k") == "A" and judge._cache.get("l") == "B"
