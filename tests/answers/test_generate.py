"""Generate: against a server on this machine; resumable, bounded, no failure stored."""

import os
import signal
import subprocess
import sys
import time

import pytest
import stamina
from helpers.loopback import HANG, TORN, serve
from helpers.servers import echo, files

from llmsel._base.errors import InputError
from llmsel.answers.generate import plan, read_models, run, spent
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
        assert "10 calls to 2 models, 0 answers are here" in todo.summary
        assert "no prices for large" in todo.summary and not server.bodies
        assert todo.cost == pytest.approx(5 * ((9 // 3 + 5 + 12 // 3 + 5) * 1 + 50 * 2) / 1e6)
        assert run(todo, output, workers=3, progress=False) == {}
        assert len(server.bodies) == 10 and server.most <= 3
        sent = next(b for b in server.bodies if b["model"] == "org/small")
        assert sent["messages"][0] == {"role": "system", "content": "Be brief."}
        assert (sent["temperature"], sent["max_tokens"], sent["top_k"]) == (0.5, 50, 3)
        assert spent(todo.models)["calls"] == 10
        assert spent(todo.models)["cost"] == pytest.approx(5 * (100 + 2 * 10) / 1e6)
        again = plan(models, queries, output)
        assert not again.todo and again.answered == 10
    pool = Pool.from_frame(read_answers(output), baseline="large")
    assert pool.n_queries == 5 and "org/small says question 0 é" in pool.responses
    assert pool.categories == ("c",) * 5


@pytest.mark.parametrize("trouble", [429, 500, TORN, HANG])
def test_failures_are_retried_then_left_out_and_asked_again(tmp_path, trouble):
    def bad(body, number):
        fails = body["model"] == "large" and "question 2" in body["messages"][-1]["content"]
        return trouble if fails else echo(body)

    with serve(bad) as server:
        models, queries, output = files(tmp_path, server.url)
        failed = run(plan(models, queries, output), output, progress=False)
        assert list(failed) == ["large / 2"] and "run it again" in failed["large / 2"]
        assert len(server.bodies) == 9 + 3
    with serve(echo) as server:
        models, queries, _ = files(tmp_path, server.url)
        assert run(plan(models, queries, output), output, progress=False) == {}
        assert len(server.bodies) == 1  # only what failed
    assert len(read_answers(output)) == 10


def test_a_dead_model_is_given_up(tmp_path):
    with serve(lambda body, n: 404 if body["model"] == "large" else echo(body)) as server:
        models, queries, output = files(tmp_path, server.url, queries=30)
        failed = run(plan(models, queries, output), output, workers=1, progress=False, give_up=4)
        assert len(failed) == 30 and len(read_answers(output)) == 30
        assert sum(b["model"] == "large" for b in server.bodies) == 4
        assert list(failed.values())[-1] == "not asked: given up"


def test_a_refusal_without_text_is_no_answer_and_an_empty_answer_is_one(tmp_path):
    with serve(lambda body, n: "") as server:
        models, queries, output = files(tmp_path, server.url, queries=1)
        assert run(plan(models, queries, output), output, progress=False) == {}
    assert list(read_answers(output)["response"]) == ["", ""]


def test_kill_and_resume(tmp_path):
    def slow(body, number):
        time.sleep(0.02)
        return echo(body)

    with serve(slow) as server:
        models, queries, output = files(tmp_path, server.url, queries=30)
        code = (
            "import sys; from llmsel.answers.generate import plan, run\n"
            "run(plan(*sys.argv[1:]), sys.argv[3], workers=2, progress=False)"
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
        assert run(plan(models, queries, output), output, progress=False) == {}
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
    ],
)
def test_bad_models(tmp_path, text, message):
    (tmp_path / "models.toml").write_text(text)
    with pytest.raises(InputError, match=message):
        read_models(tmp_path / "models.toml")


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
        run(None, output, workers=0)
