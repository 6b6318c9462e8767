"""Importers: the same six answers in every format; errors that name file and line."""

import json
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest

from llmsel._base.errors import InputError
from llmsel.answers.formats import FORMATS
from llmsel.answers.inspect_log import zipfile_with_zstandard
from llmsel.answers.read import read_answers
from llmsel.pool import NO_ANSWER, Pool

ANSWERS = Path(__file__).parents[1] / "fixtures" / "answers"
EXPECTED = {
    "alpha": ["Red.", "4"],
    "beta": ["Blue, I think.", ""],
    "gamma": ["Grün — «naïve»", "four"],
}
QUERIES = ("Name a primary colour.", "What is 2 + 2?\nAnswer briefly.")
SOURCES = (
    "long.jsonl",
    "long.csv",
    # written by the tools themselves, which asked a server that gives these six answers:
    "alpacaeval",  # alpaca_eval 0.6.6, evaluate_from_model
    "fastchat",  # fschat 0.2.36, gen_api_answer
    "lm_eval",  # lm_eval 0.4.13: alpha by completions, the others by chat; two filters
    "inspect",  # Inspect 0.3 with its mock model: two .eval and one .json
    # by the schema of the tool's gen_answer.py and of its published files:
    "arena_hard",  # v2.0
    "arena_hard_v01",
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


def test_a_frame_parquet_and_a_mapping(tmp_path, monkeypatch):
    frame = read_answers(ANSWERS / "long.jsonl")
    assert read_answers(frame).equals(frame)
    frame.to_parquet(tmp_path / "long.parquet")
    assert read_answers(tmp_path / "long.parquet").equals(frame)
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "pyarrow", None)
        with pytest.raises(InputError, match="pip install pyarrow"):
            read_answers(tmp_path / "long.parquet")
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
        ("a.jsonl", [{"a": 1}], "query, response; its first line has a."),
        ("a.jsonl", "", "is of no known format: it is empty."),
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
            [{"question_id": 1, "model_id": "m", "choices": [{"turns": ["$ERROR$"]}]}],
            "line 1: the model failed here",
        ),
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


def test_a_chat_of_several_turns_is_what_the_user_said(tmp_path):
    chat = [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "1 + 1?"},
        {"role": "assistant", "content": "2"},
        {"role": "user", "content": "2 + 2?"},
    ]
    row = {**LM, "arguments": {"gen_args_0": {"arg_0": [json.dumps(chat)], "arg_1": {}}}}
    path = written(tmp_path, "samples_t_2026-01-01.jsonl", [row])
    assert list(read_answers(path)["query"]) == ["1 + 1?\n\n2 + 2?"]
    path = written(tmp_path, "samples_t_2026-01-02.jsonl", [{**LM, "arguments": [["[no chat"]]}])
    assert list(read_answers(path)["query"]) == ["[no chat"]


def test_the_same_answer_in_two_files_is_one_and_another_is_refused(tmp_path):
    one = written(tmp_path, "one.jsonl", [LONG])
    assert len(read_answers([one, written(tmp_path, "two.jsonl", [LONG])])) == 1
    with pytest.raises(InputError, match=r"two.jsonl', line 1: model 'a' answers query id 'q' ag"):
        read_answers([one, written(tmp_path, "two.jsonl", [{**LONG, "response": "y"}])])


@pytest.mark.parametrize(
    ("folder", "models", "queries"),
    [
        (
            "geronimi73/FastChat/945194bb18cbbc2ef3630fc30087114da32085f0/fastchat/llm_judge/data"
            "/mt_bench",
            ("gpt-4", "llama-13b"),
            80,
        ),
        (
            "danielwetzel/arena-hard-auto/67a821c9ee2776edbd996a1dd52b6f5ca8773088/data"
            "/arena-hard-v0.1",
            ("gpt-4-0314", "gpt-4o"),
            500,
        ),
    ],
)
def test_published_files(mirror, folder, models, queries):
    files = [mirror / folder / "model_answer" / f"{model}.jsonl" for model in models]
    frame = read_answers(files)
    assert tuple(frame["model"].unique()) == models and len(frame) == 2 * queries
    assert Pool.from_frame(frame, models[0]).texts is not None


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
    zipfile, _ = zipfile_with_zstandard()
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(stopped, "w") as new:
        for name in old.namelist():
            if name != "header.json":
                new.writestr(name, old.read(name))
    assert list(read_answers(stopped)["response"]) == EXPECTED["alpha"]
    torn = tmp_path / "torn.eval"
    shutil.copy(whole, torn)
    torn.write_bytes(torn.read_bytes()[:-30])
    with pytest.raises(InputError, match="is not a whole Inspect log"):
        read_answers(torn)


@pytest.mark.parametrize("place", [60, 400], ids=["a frame's header", "its content"])
def test_a_damaged_inspect_log_is_no_answer(tmp_path, place):
    damaged = tmp_path / "damaged.eval"
    content = bytearray((ANSWERS / "inspect" / "alpha.eval").read_bytes())
    start = content.index(b"header.json") - 30  # the local header of a member that is read
    content[start + place] ^= 0xFF
    damaged.write_bytes(content)
    with pytest.raises(InputError, match="is not a whole Inspect log"):
        read_answers(damaged)


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="the library reads Zstandard itself")
def test_without_the_backport_a_reader_is_told_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "backports.zstd", None)
    with pytest.raises(InputError, match=r"pip install 'llmsel\[formats\]'"):
        read_answers(ANSWERS / "inspect" / "alpha.eval")


def test_alpacaeval_asks_some_instructions_twice(tmp_path):
    rows = [{"instruction": "i", "output": str(k), "generator": "m"} for k in range(2)]
    path = written(tmp_path, "outputs.json", json.dumps(rows))
    frame = read_answers(path)
    assert frame["query_id"].nunique() == 2 and list(frame["response"]) == ["0", "1"]
    assert pd.api.types.is_object_dtype(frame["response"])


def failing_arena(tmp_path):
    """Two models of Arena-Hard v0.1, two turns; each has failed at one of three queries."""
    questions = [
        {
            "question_id": f"u{i}",
            "cluster": "Maths",
            "turns": [{"content": f"{i}?"}, {"content": "+1?"}],
        }
        for i in range(3)
    ]
    written(tmp_path, "question.jsonl", questions)
    for model, fails in (("a", 0), ("b", 1)):
        rows = []
        for i in range(3):
            second = "$ERROR$" if i == fails else f"{i + 1}"
            turns = [{"content": f"{i}"}, {"content": second}]
            choices = [{"index": 0, "turns": turns}]
            rows.append({"question_id": f"u{i}", "model_id": model, "choices": choices})
        written(tmp_path, f"model_answer/{model}.jsonl", rows)
    return tmp_path


def test_all_that_is_missing_is_told_at_once(tmp_path):
    folder = failing_arena(tmp_path)
    with pytest.raises(InputError) as told:
        read_answers(folder)
    said = str(told.value)
    assert said.startswith("2 answers missing: ") and "missing=drop" in said
    assert "a.jsonl', line 1: the model failed" in said and "b.jsonl', line 2: the mod" in said
    with pytest.raises(InputError, match=r"unknown rule for what is missing 'los'.*'loss'"):
        read_answers(folder, missing="los")


def test_queries_with_a_missing_answer_can_be_left_out(tmp_path):
    frame = read_answers(failing_arena(tmp_path), missing="drop")
    assert list(frame["query_id"]) == ["u2", "u2"]
    (tmp_path / "model_answer" / "c.jsonl").write_text("")
    rows = [{"question_id": "u9", "model_id": "c", "choices": [{"index": 0, "turns": ["x"]}]}]
    written(tmp_path, "model_answer/c.jsonl", rows)
    with pytest.raises(InputError, match="no query has the answers of all models"):
        read_answers(tmp_path, missing="drop")


def test_a_missing_answer_can_count_as_lost(tmp_path):
    frame = read_answers(failing_arena(tmp_path), missing="loss")
    table = frame.set_index(["model", "query_id"])["response"]
    assert table["a", "u0"] == table["b", "u1"] == NO_ANSWER
    assert Pool.from_frame(frame, "a").n_queries == 3
    frame = frame[frame["response"] != NO_ANSWER]  # never asked at all: the same
    assert len(read_answers(frame)) == 4
    again = read_answers(frame, missing="loss").set_index(["model", "query_id"])["response"]
    assert again.sort_index().equals(table.sort_index())


def test_all_turns_are_shown_and_categories_kept(tmp_path):
    frame = read_answers(failing_arena(tmp_path), missing="drop")
    assert list(frame["query"]) == ["[Turn 1]\n2?\n\n[Turn 2]\n+1?"] * 2
    assert list(frame["response"]) == ["[Turn 1]\n2\n\n[Turn 2]\n3"] * 2
    assert list(frame["category"]) == ["Maths"] * 2


def test_a_failure_that_was_generated_again_is_none(tmp_path):
    failed = {"question_id": "q", "model_id": "m", "choices": [{"turns": ["$ERROR$"]}]}
    mended = {"question_id": "q", "model_id": "m", "choices": [{"turns": ["yes"]}]}
    path = written(tmp_path, "m.jsonl", [failed, mended])
    assert list(read_answers(path)["response"]) == ["yes"]
