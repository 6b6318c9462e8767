"""Generate: against a server on this machine; resumable, bounded, no failure stored."""

import os
import signal
import subprocess
import sys
import time

import pytest
import stamina
from helpers.commands import mistake
from helpers.loopback import HANG, TORN, serve
from helpers.servers import echo, files

from llmsel._base.errors import InputError
from llmsel.answers.generate import ask_all, failures, plan, spent
from llmsel.answers.models import read_models
from llmsel.answers.read import read_answers
from llmsel.pool import Pool


@pytest.fixture(autouse=True)
def impatient():
    with stamina.set_testing(True, attempts=3, cap=True):
        yield


def test_answers_arrive_and_become_a_pool(tmp_path):
    with serve(echo) as server:
        models, queries, output = files(tmp_path, server.url)
        todo = plan(models, queries, output)
        assert "10 requests to 2 models, 0 answers are here" in todo.summary
        assert "no prices for large" in todo.summary and not server.bodies
        assert todo.cost == pytest.approx(5 * ((9 // 3 + 5 + 12 // 3 + 5) * 1 + 50 * 2) / 1e6)
        assert ask_all(todo, output, workers=3, progress=False) == {}
        assert len(server.bodies) == 10 and server.most <= 3
        sent = next(b for b in server.bodies if b["model"] == "org/small")
        assert sent["messages"][0] == {"role": "system", "content": "Be brief."}
        assert (sent["temperature"], sent["max_tokens"], sent["top_k"]) == (0.5, 50, 3)
        assert spent(todo.models)["requests"] == 10
        assert spent(todo.models)["cost"] == pytest.approx(5 * (100 + 2 * 10) / 1e6)
        again = plan(models, queries, output)
        assert not again.todo and again.summary == "all 10 answers are here; nothing is asked."
    pool = Pool.from_frame(read_answers(output), baseline="large")
    assert pool.n_queries == 5 and "org/small says question 0 é" in pool.responses
    assert pool.categories == ("c",) * 5


def test_a_key_is_missed_before_the_first_answer_is_paid_for(tmp_path, monkeypatch):
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with serve(echo) as server:
        models, queries, output = files(tmp_path, server.url)
        second = f"\n[[model]]\nname = 'last'\nbase_url = '{server.url}'\nkey = 'NO_SUCH_KEY'\n"
        models.write_text(models.read_text() + second)
        assert "set NO_SUCH_KEY" in mistake("generate", models, queries, "-o", output, "--yes")
        assert not server.bodies and not output.exists()


@pytest.mark.parametrize("trouble", [500, TORN, HANG])
def test_failures_are_retried_then_left_out_and_asked_again(tmp_path, trouble):
    def bad(body, number):
        fails = body["model"] == "large" and "question 2" in body["messages"][-1]["content"]
        return trouble if fails else echo(body)

    with serve(bad) as server:
        models, queries, output = files(tmp_path, server.url)
        failed = ask_all(plan(models, queries, output), output, progress=False)
        assert list(failed) == ["large / 2"] and "only for this query" in failed["large / 2"]
        assert len(server.bodies) == 9 + 3 + 1  # the last asks whether the server still works
    with serve(echo) as server:
        models, queries, _ = files(tmp_path, server.url)
        assert ask_all(plan(models, queries, output), output, progress=False) == {}
        assert len(server.bodies) == 1  # only what failed
    assert len(read_answers(output)) == 10


def test_a_model_that_cannot_be_used_is_asked_once_and_told_once(tmp_path):
    with serve(lambda body, n: 404 if body["model"] == "large" else echo(body)) as server:
        models, queries, output = files(tmp_path, server.url, queries=30)
        failed = ask_all(plan(models, queries, output), output, workers=1, progress=False)
        assert len(failed) == 30 and len(read_answers(output)) == 30
        assert sum(b["model"] == "large" for b in server.bodies) == 1
    told = failures(failed)
    assert len(told) == 2 and "large / 1 and 28 more: not asked: model 'large' was" in told[0]
    assert "check base_url and the model's name" in told[1]


def test_a_refusal_without_text_is_no_answer_and_an_empty_answer_is_one(tmp_path):
    with serve(lambda body, n: "") as server:
        models, queries, output = files(tmp_path, server.url, queries=1)
        assert ask_all(plan(models, queries, output), output, progress=False) == {}
    assert list(read_answers(output)["response"]) == ["", ""]


def test_kill_and_resume(tmp_path):
    def slow(body, number):
        time.sleep(0.02)
        return echo(body)

    with serve(slow) as server:
        models, queries, output = files(tmp_path, server.url, queries=30)
        code = (
            "import sys; from llmsel.answers.generate import plan, ask_all\n"
            "ask_all(plan(*sys.argv[1:]), sys.argv[3], workers=2, progress=False)"
        )
        child = subprocess.Popen([sys.executable, "-c", code, models, queries, output])
        end = time.monotonic() + 60
        while len(server.bodies) < 10 and time.monotonic() < end:
            time.sleep(0.01)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        time.sleep(0.1)
        with output.open("a") as file:
            file.write('{"model": "small", "query')  # as a kill can leave it
        asked, kept = len(server.bodies), plan(models, queries, output).answered
        assert asked - 2 <= kept < 60
        assert ask_all(plan(models, queries, output), output, progress=False) == {}
        assert len(server.bodies) == asked + 60 - kept
    assert len(read_answers(output)) == 60


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"has no \[\[model\]\] table"),
        ("[[model]\n", "is not TOML"),
        ("[[model]]\n", "model 1: no 'name'"),
        ("[[model]]\nname='a'\n[[model]]\nname='a'", "model 2: the name 'a' is given twice"),
        ("[[model]]\nname='a'\nbase_ur='x'", "model 1: unknown setting 'base_ur': did you mean"),
        ("[[model]]\nname='a'\napi_key='x'", "put it into the environment"),
        ("[[model]]\nname='a'\nprices={in=1}", "per million tokens"),
        ("[[model]]\nname='a'\nprices={in=-1,out=nan}", "per million tokens"),
        ("[[model]]\nname='a'\ntimeout=0", "model 1: 'timeout': input should be greater than 0"),
        ("[[model]]\nname=1", "model 1: 'name': input should be a valid string"),
        ("[[model]]\nname='a'\nkey='sk-secret'", "model 1: 'key': it names an environment vari"),
        ("[[model]]\nname='a'\nbase_url='localhost:1'", "model 1: base_url is no address"),
        ("[[model]]\nname='a'\nparameters={stream=true}", "'stream' cannot be set here"),
        ("[[model]]\nname='a'\nparameters={t=2020-01-01}", "cannot be sent as JSON"),
        ("model=[1]", "model 1: not a table of settings"),
        ("[[model]]\nnam='a'\n[[model]]\nname=''", r"unknown setting 'nam'[^?]*; model 2: 'name'"),
    ],
)
def test_bad_models(tmp_path, text, message):
    (tmp_path / "models.toml").write_text(text)
    with pytest.raises(InputError, match=message) as told:
        read_models(tmp_path / "models.toml")
    assert "secret" not in str(told.value)


def test_bad_queries_and_another_text(tmp_path):
    models, queries, output = files(tmp_path, "http://127.0.0.1:1/v1")
    output.write_text('{"model": "small", "query_id": "1", "query": "?", "response": "x"}\n')
    with pytest.raises(InputError, match="line 1: query id '1' has another text"):
        plan(models, queries, output)
    queries.write_text('{"query_id": 1}\n')
    with pytest.raises(InputError, match="line 1: no 'query'"):
        plan(models, queries, output)
    queries.write_text('{"query_id": 1, "query": "a"}\n{"query_id": "1", "query": "b"}\n')
    with pytest.raises(InputError, match="line 2: query id '1' is given twice"):
        plan(models, queries, output)
    with pytest.raises(InputError, match="give at least 1"):
        ask_all(None, output, workers=0)
