"""Hostile servers: whatever they do, one sentence, in time, with no secret and nothing untrue."""

import json
import signal
import subprocess
import sys
import threading
import time

import pytest
import stamina
from helpers.hostile import DOWN, FINE, KEY, MODES, REFUSED, completion, error, hostile, http
from helpers.loopback import HANG, serve
from helpers.servers import echo, files

from llmsel._base.errors import InputError
from llmsel.answers.generate import ask_all, failures, plan
from llmsel.answers.read import read_answers
from llmsel.answers.server import QueryRefused, Server, ServerError
from llmsel.judging.llm import LLMJudge
from llmsel.pool import MISSING

CHAT = [{"role": "user", "content": "hello"}]
SECONDS = 12.0  # for any mode, tries included


@pytest.fixture(autouse=True)
def impatient():
    with stamina.set_testing(True, attempts=2, cap=True):
        yield


def seconds(mode):
    """Deadline of a request: short where it is to run out, generous where an answer comes."""
    return 0.3 if MODES[mode][0] == DOWN else 9.0


def one_sentence(text):
    assert "\n" not in text and "\x1b" not in text and "\x07" not in text and KEY not in text
    assert len(text) < 500
    text.encode()
    return True


@pytest.mark.parametrize("mode", MODES)
def test_a_judge_says_what_is_wrong_and_invents_nothing(mode, monkeypatch):
    monkeypatch.setenv("MY_KEY", KEY)
    start = time.monotonic()
    with hostile(mode) as server:
        judge = LLMJudge(
            "m", server.url, key="MY_KEY", timeout=seconds(mode), tries=2, patience=0.5, retries=0
        )
        if MODES[mode][0] == DOWN:
            with pytest.raises(ServerError) as told:
                judge.judge("?", "a", "b")
            assert one_sentence(str(told.value)) and "nothing is lost" in str(told.value)
        else:
            verdict = judge.judge("?", "a", "b")  # "fine" is no verdict
            assert verdict.outcome == MISSING and one_sentence(verdict.detail["failed"])
        assert all(value >= 0 for value in judge.spent.values())
    assert time.monotonic() - start < SECONDS


@pytest.mark.parametrize("mode", MODES)
def test_generate_stores_answers_only_and_tells_each_fault_once(mode, tmp_path, monkeypatch):
    monkeypatch.setenv("MY_KEY", KEY)
    start = time.monotonic()
    with hostile(mode) as server:
        models, queries, output = files(tmp_path, server.url, queries=6)
        models.write_text(f'[[model]]\nname="m"\nbase_url="{server.url}"\nkey="MY_KEY"\n')
        todo = plan(models, queries, output)
        for model in todo.models:
            model.server._timeout, model.server._tries = seconds(mode), 2
            model.server._patience = 0.5
        failed = ask_all(todo, output, workers=2, progress=False)
        assert len(server.requests) <= 6 * 2 * 3
    kind = MODES[mode][0]
    if kind == FINE:
        assert not failed
        found = read_answers(output)
        assert len(found) == 6 and all(text.startswith("fine") for text in found["response"])
        assert KEY not in output.read_text()
    else:
        assert len(failed) == 6 and output.read_text() == ""
        assert all(one_sentence(line) for line in failures(failed))
        assert len(failures(failed)) <= (2 if kind == DOWN else 1)
    assert time.monotonic() - start < SECONDS


def test_a_dead_server_is_one_message(tmp_path):
    models, queries, output = files(tmp_path, "http://127.0.0.1:9/v1", queries=50)
    models.write_text('[[model]]\nname="m"\nbase_url="http://127.0.0.1:9/v1"\n')
    failed = ask_all(plan(models, queries, output), output, workers=1, progress=False)
    told = failures(failed)
    assert len(failed) == 50 and len(told) == 2 and "49 more" not in told[1]
    assert sum("gave no answer" in line for line in told) == 1


def test_tls_that_cannot_be_says_so():
    with hostile("closes at once", good=lambda n: http()) as server:
        with pytest.raises(ServerError, match=r"no TLS connection.*plain http"):
            Server(server.url.replace("http:", "https:")).chat("m", CHAT, {})
        assert not server.requests


def test_retry_after_is_waited_for_however_often(monkeypatch):
    """An overnight run survives a limit of tokens a minute: more refusals than there are tries."""
    waits = []
    with stamina.set_testing(False):
        busy = error("429 Too Many Requests", "slow down", None, "Retry-After: 0.01")
        monkeypatch.setattr("llmsel.answers.server.SHORTEST_WAIT", 0.001)
        with hostile("HTML", good=lambda n: busy if n < 9 else http(completion())) as server:
            assert Server(server.url, tries=2).chat("m", CHAT, {}).text == "fine"
            waits.append(len(server.requests))
    assert waits == [9]


def test_one_refused_query_is_named_and_the_others_are_answered(tmp_path):
    def picky(body, number):
        return 400 if "question 2" in body["messages"][-1]["content"] else echo(body)

    with serve(picky) as server:
        models, queries, output = files(tmp_path, server.url)
        failed = ask_all(plan(models, queries, output), output, progress=False)
    assert list(failed) == ["small / 2", "large / 2"] and len(read_answers(output)) == 8
    assert all(
        "answered 400 (no)" in why and "only for this query" in why for why in failed.values()
    )


def test_a_passing_fault_of_one_query_may_pass():
    with hostile("HTML", good=lambda n: http(completion()) if n == 3 else None) as server:
        with pytest.raises(QueryRefused) as told:
            Server(server.url, tries=2).chat("m", CHAT, {})
        assert told.value.passing


def test_prompt_and_headers_follow_no_redirect(monkeypatch):
    monkeypatch.setenv("MY_KEY", KEY)
    monkeypatch.setenv("OPENAI_ORG_ID", "org-secret")
    with hostile("HTML") as elsewhere:
        away = http(b"", "307 X", f"Location: {elsewhere.url}/chat/completions")
        with hostile("HTML", good=lambda n: away) as server:
            with pytest.raises(ServerError, match=r"a redirect to .* not followed"):
                Server(server.url, "MY_KEY").chat("m", CHAT, {})
            assert f"authorization: bearer {KEY}" in server.requests[0][0].lower()
            assert "org-secret" not in server.requests[0][0]
        assert not elsewhere.requests


def test_a_key_goes_only_where_it_was_given_for(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with hostile("HTML", good=lambda n: http(completion())) as server:
        Server(server.url).chat("m", CHAT, {})
        assert (
            KEY not in server.requests[0][0]
            and "authorization" not in server.requests[0][0].lower()
        )
        Server(server.url, "OPENAI_API_KEY").chat("m", CHAT, {})
        assert KEY in server.requests[1][0]
    for almost in ("https://api.openai.com.evil.test/v1", "http://api.openai.com/v1"):
        assert Server(almost)._address.headers() == {}
    assert KEY in str(Server("https://api.openai.com/v1")._address.headers())
    assert KEY in str(Server()._address.headers())


def test_no_key_goes_over_an_open_line(monkeypatch):
    monkeypatch.setenv("MY_KEY", KEY)
    for url in ("http://192.0.2.1:1/v1", "http://localhost.evil.test/v1"):
        with pytest.raises(InputError, match="would be sent unencrypted; use https"):
            Server(url, "MY_KEY").chat("m", CHAT, {})
    with pytest.raises(InputError, match="would be sent unencrypted"):
        Server("http://me:password1@192.0.2.1:1/v1").chat("m", CHAT, {})
    monkeypatch.setenv("MY_KEY", "no\nkey")
    with pytest.raises(InputError, match="MY_KEY holds is no key"):
        Server("https://localhost:1/v1", "MY_KEY").chat("m", CHAT, {})
    monkeypatch.delenv("MY_KEY")
    with pytest.raises(InputError, match="set MY_KEY in the environment"):
        Server("https://localhost:1/v1", "MY_KEY").chat("m", CHAT, {})


def test_a_password_in_an_address_is_sent_and_never_shown():
    with hostile("HTML") as server:
        named = Server(server.url.replace("//", "//me:password1@"), tries=1)
        with pytest.raises(ServerError) as told:
            named.chat("m", CHAT, {})
        assert "password1" not in str(told.value) + named.shown + repr(named)
        assert "authorization: basic" in server.requests[0][0].lower()
    with pytest.raises(InputError) as told:
        Server("ftp://me:password1@host/v1")
    assert "password1" not in str(told.value)


def test_a_proxy_of_the_environment_never_sees_what_goes_to_this_machine(monkeypatch):
    with hostile("HTML") as proxy, hostile("HTML", good=lambda n: http(completion())) as server:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        assert Server(server.url).chat("m", CHAT, {}).text == "fine"
        assert not proxy.requests


def test_workers_are_the_requests_in_flight(tmp_path):
    def slow(body, number):
        time.sleep(0.5)
        return echo(body)

    with serve(slow) as server:
        models, queries, output = files(tmp_path, server.url, queries=240)
        models.write_text(f'[[model]]\nname="m"\nbase_url="{server.url}"\n')
        todo = plan(models, queries, output)
        assert ask_all(todo, output, workers=120, progress=False) == {}
        assert 100 < server.most <= 120


def test_usage_that_cannot_be_is_estimated():
    for usage in (
        {"prompt_tokens": -5, "completion_tokens": 3},
        {"prompt_tokens": 1e400, "completion_tokens": 3},
        {"prompt_tokens": True, "completion_tokens": 3},
        {"prompt_tokens": 10**12, "completion_tokens": 3},
        "much",
        [],
    ):
        with hostile("HTML", good=lambda n, u=usage: http(completion(usage=u))) as server:
            asked = Server(server.url)
            asked.chat("m", CHAT, {})
            assert asked.spent == {"requests": 1, "tokens_in": 6, "tokens_out": 6, "cost": 0.0}


def test_modes_are_many():
    assert len(MODES) >= 20 and {kind for kind, _ in MODES.values()} == {DOWN, REFUSED, FINE}
    assert json.loads(completion())["usage"]["prompt_tokens"] == 100


def test_one_interrupt_ends_it_and_keeps_what_arrived(tmp_path):
    """The child waits for a server that does not answer; one signal ends it."""
    with serve(lambda body, n: HANG if n > 4 else echo(body)) as server:
        models, queries, output = files(tmp_path, server.url, queries=20)
        models.write_text(f'[[model]]\nname="m"\nbase_url="{server.url}"\n')
        code = (
            "import sys; from llmsel.answers.generate import plan, ask_all\n"
            "ask_all(plan(*sys.argv[1:]), sys.argv[3], workers=4, progress=False)"
        )
        run = [sys.executable, "-c", code, models, queries, output]
        child = subprocess.Popen(run, stderr=subprocess.PIPE)
        end = time.monotonic() + 60
        while len(server.bodies) < 8 and time.monotonic() < end:
            time.sleep(0.01)
        start = time.monotonic()
        child.send_signal(signal.SIGINT)
        told = child.communicate(timeout=30)[1].decode()
        assert time.monotonic() - start < 6 and "KeyboardInterrupt" in told
    assert len(read_answers(output)) == 4


def test_a_stop_reaches_a_request_that_waits():
    busy = error("429 Too Many Requests", "slow down", None, "Retry-After: 1000")
    with stamina.set_testing(False), hostile("HTML", good=lambda n: busy) as server:
        asked = Server(server.url)
        threading.Timer(0.3, asked.stop, (0.1,)).start()
        start = time.monotonic()
        with pytest.raises(ServerError, match="not waited for any longer"):
            asked.chat("m", CHAT, {})
        assert time.monotonic() - start < 2
