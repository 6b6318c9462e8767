"""The file of answers: one process writes it, and nothing that is not ours is touched."""

import errno
import json
import os
import subprocess
import sys
import time

import pytest
from helpers.commands import run
from helpers.hostile import completion, hostile, http
from helpers.loopback import serve
from helpers.servers import echo, files

from llmsel._base.errors import InputError
from llmsel.answers.generate import ask_all, plan
from llmsel.answers.output import AnswerFile, read_output
from llmsel.answers.read import read_answers

ROW = {"model": "small", "query_id": "0", "query": "question 0 é", "response": "x"}
LINE = json.dumps(ROW, ensure_ascii=False)
FOREIGN = {
    "JSON": "[\n  {}\n]",
    "JSON on one line": '{"a": 1}',
    "text": "my notes",
    "text with an end": "my notes\n",
    "answers and text": LINE + "\nmy notes",
    "answers and JSON": LINE + '\n{"a": 1}\n',
    "another object": '{"model": 4, "query_id": 1, "response": "x"}\n',
    "bytes": "\x00\x01\x02",
}


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
@pytest.mark.parametrize("consent", ["n\n", "y\n"])
def test_a_file_that_is_not_ours_is_left_as_it_is(content, consent, tmp_path):
    with serve(echo) as server:
        models, queries, output = files(tmp_path, server.url)
        output.write_text(content)
        result = run("generate", models, queries, "-o", output, input=consent)
        assert result.exit_code != 0 and not server.bodies
    assert output.read_text() == content
    with pytest.raises(InputError, match=r"is no answer .* left as it is"):
        plan(models, queries, output)


@pytest.mark.parametrize("end", ["", '\n{"model": "small", "query', "\n{"])
def test_nothing_is_written_before_consent_and_a_missing_end_is_mended_after_it(end, tmp_path):
    with serve(echo) as server:
        models, queries, output = files(tmp_path, server.url)
        output.write_text(LINE + end)
        assert run("generate", models, queries, "-o", output, input="n\n").exit_code != 0
        assert output.read_text() == LINE + end and not server.bodies
        assert not output.with_name("answers.jsonl.lock").exists()
        assert run("generate", models, queries, "-o", output, input="y\n").exit_code == 0
    assert len(read_answers(output)) == 10 and output.read_text().startswith(LINE + "\n")


def test_two_runs_on_one_output_pay_once(tmp_path):
    def slow(body, number):
        time.sleep(0.05)
        return echo(body)

    with serve(slow) as server:
        models, queries, output = files(tmp_path, server.url, queries=20)
        code = (
            "import sys; from llmsel.answers.generate import plan, ask_all\n"
            "ask_all(plan(*sys.argv[1:]), sys.argv[3], progress=False)"
        )
        todo = plan(models, queries, output)
        child = subprocess.Popen([sys.executable, "-c", code, models, queries, output])
        end = time.monotonic() + 60
        while not server.bodies and time.monotonic() < end:
            time.sleep(0.01)
        with pytest.raises(InputError, match=r"another process is writing .*wait for it, or name"):
            ask_all(todo, output, progress=False)
        assert child.wait(60) == 0 and len(server.bodies) == 40
        assert ask_all(todo, output, progress=False) == {}  # the plan is old: nothing is asked
        assert len(server.bodies) == 40
    assert len(read_answers(output)) == 40


def test_a_full_disk_leaves_whole_lines(tmp_path, monkeypatch):
    output, write = tmp_path / "answers.jsonl", os.write

    def full(handle, data):
        if len(data) < 10:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(handle, data[: len(data) - 9])

    with AnswerFile(output) as file:
        file.append(ROW)
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", full)
            with pytest.raises(InputError, match=r"cannot be written \(No space left"):
                file.append(ROW)
        file.append({**ROW, "query_id": "1"})
    assert [row["query_id"] for row in read_output(output)[0]] == ["0", "1"]


@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_a_file_that_was_taken_away_is_told(how, tmp_path):
    output = tmp_path / "answers.jsonl"
    with AnswerFile(output) as file:
        file.append(ROW)
        output.rename(tmp_path / "elsewhere")
        if how == "replaced":
            output.write_text("mine\n")
        with pytest.raises(InputError, match="moved, removed or replaced"):
            file.append(ROW)
    assert how == "removed" or output.read_text() == "mine\n"


def test_what_cannot_be_opened_is_told(tmp_path):
    (tmp_path / "file").touch()
    for place in (tmp_path, tmp_path / "file" / "answers.jsonl"):
        with pytest.raises(InputError, match=r"cannot be (read|written)"), AnswerFile(place):
            pass
    with pytest.raises(InputError, match="is closed"):
        AnswerFile(tmp_path / "answers.jsonl").append(ROW)


def test_half_an_emoji_in_an_answer_or_a_query_crashes_no_rerun(tmp_path):
    answer = http(completion("half \ud83d"))
    with hostile("HTML", good=lambda number: answer) as server:
        models, queries, output = files(tmp_path, server.url)
        queries.write_text('{"query_id": "q", "query": "\\ud83d?"}\n')
        assert ask_all(plan(models, queries, output), output, progress=False) == {}
        assert not plan(models, queries, output).todo
    assert list(read_answers(output)["response"]) == ["half \ufffd"] * 2


@pytest.mark.parametrize("content", [["x"], {"text": "x"}, 4])
def test_an_answer_that_is_no_text_is_not_stored(content, tmp_path):
    with hostile("HTML", good=lambda number: http(completion(content))) as server:
        models, queries, output = files(tmp_path, server.url, queries=1)
        models.write_text(f'[[model]]\nname="m"\nbase_url="{server.url}"\n')
        todo = plan(models, queries, output)
        todo.models[0].server._tries = 1
        (why,) = ask_all(todo, output, progress=False).values()
    assert "a reply that is no chat completion" in why and output.read_text() == ""
