"""The page for annotators over HTTP: who is let in, and what is kept whatever happens."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from urllib.parse import parse_qs, urlsplit

import pytest
from helpers.commands import mistake, ok, run
from helpers.killed import write_answers

import llmsel
from llmsel._base.errors import InputError
from llmsel.judging.log import AnnotationLog
from llmsel.judging.people.desk import Desk
from llmsel.judging.people.server import Server
from llmsel.judging.people.turns import Turns
from llmsel.judging.replay import read_log
from llmsel.pool import Pool

MODELS = ["base", "secret-one", "secret-two"]


class Client:
    """What a page sends, and what a page cannot send."""

    def __init__(self, address):
        self.parts = urlsplit(address)
        self.token = parse_qs(self.parts.query)["token"][0]

    def ask(self, method, path, body=None, **headers):
        link = http.client.HTTPConnection(self.parts.hostname, self.parts.port, timeout=60)
        with contextlib.closing(link):
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            link.request(method, path, body, sent)
            reply = link.getresponse()
            return reply.status, reply.headers, reply.read().decode()

    def post(self, path, said, **headers):
        sent = {"Content_Type": "application/json", "X_Llmsel_Token": self.token} | headers
        body = said if isinstance(said, (str, bytes)) else json.dumps(said)
        return self.ask("POST", path, body, **sent)

    def do(self, path, **said):
        status, _, body = self.post(path, said)
        assert status == 200, body
        return json.loads(body)

    def page(self, token=None, **headers):
        return self.ask("GET", f"/?token={self.token if token is None else token}", **headers)


@pytest.fixture
def served(tmp_path):
    """A server in this process, its pool, and its log's path."""
    rows = [[f"base {i}", f"one {i}", f"two {i}"] for i in range(30)]
    pool = Pool([f"q{i}" for i in range(30)], MODELS, "base", responses=rows)
    with AnnotationLog(tmp_path / "log.jsonl", pool) as log:
        log.begin_race(llmsel.Race(pool, delta=0.05, batch=4).settings)
        server = Server(Desk(Turns(log)), title="Which <is> better?")
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            yield Client(server.address), pool, log
        finally:
            server.stop()
            thread.join()
            server.close()


def test_the_page_is_one_file_that_loads_nothing(served):
    client, _, _ = served
    status, headers, page = client.page()
    assert status == 200 and headers["Content-Type"] == "text/html; charset=utf-8"
    policy = headers["Content-Security-Policy"]
    nonces = set(re.findall(r"nonce-([\w-]+)'", policy))
    assert len(nonces) == 1 and page.count(f'nonce="{nonces.pop()}"') == 2
    for rule in ("default-src 'none'", "frame-ancestors 'none'", "form-action 'none'"):
        assert rule in policy
    assert "unsafe" not in policy and "http" not in policy and "*" not in policy
    assert headers["Referrer-Policy"] == "no-referrer" and headers["Cache-Control"] == "no-store"
    assert "Which &lt;is&gt; better?" in page and "[[" not in page
    assert not re.findall(r"(?:src|href)=\"(?!data:,)", page) and "http" not in page
    assert client.page()[1]["Content-Security-Policy"] != policy  # a nonce is used once
    assert client.token not in page and "secret" not in page


def test_who_has_no_token_gets_nothing(served):
    client, _, log = served
    for token in (
        "",
        "x",
        client.token[:-1],
        client.token + "x",
        "%00",
        "é",
        "\udcff"[:0] or "%ff",
    ):
        assert client.page(token.replace("é", "%C3%A9"))[0] == 403
    assert client.ask("GET", "/")[0] == 403
    assert client.ask("GET", "/favicon.ico")[0] == 403
    for path in ("/next", "/give", "/undo", "/alive", "/leave"):
        for token in ("", "wrong", "é"):
            status, _, body = client.post(path, {"who": "ann"}, X_Llmsel_Token=token)
            assert status == 403 and set(json.loads(body)) == {"error"}
        status, _, _ = client.ask(  # a token in the address alone does nothing
            "POST", f"{path}?token={client.token}", "{}", Content_Type="application/json"
        )
        assert status == 403
    assert not log.given


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},  # a name that was pointed here
        {"Host": "evil.example:80"},
        {"Host": "localhost.evil.example"},
        {"Host": ""},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},  # another server of this machine
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
    ids=str,
)
def test_pages_of_others_are_refused(served, headers):
    client, _, _ = served
    assert client.post("/next", {"who": "ann"}, **headers)[0] == 403
    if "Sec_Fetch_Site" not in headers and "Origin" not in headers:
        assert client.page(**headers)[0] == 403
    else:
        assert client.page(**headers)[0] == 403  # a script, an image, a frame
    if "Host" not in headers:  # a link in a message may lead here
        assert client.page(**headers, Sec_Fetch_Mode="navigate")[0] == 200


def test_this_machine_under_its_names(served):
    client, _, _ = served
    port = client.parts.port
    for host in (f"localhost:{port}", f"127.0.0.1:{port}", "[::1]:8000", socket.gethostname()):
        headers = {"Host": host, "Origin": f"http://{host}", "Sec_Fetch_Site": "same-origin"}
        assert client.post("/next", {"who": "ann"}, **headers)[0] == 200


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        ("{}", {"Content_Type": "text/plain"}, 415),  # what a form of another site can send
        ("{}", {"Content_Type": "application/x-www-form-urlencoded"}, 415),
        ("{", {}, 400),
        ("[" * 4000, {}, 400),
        (b"\xff\xfe", {}, 400),
        ("[]", {}, 400),
        ("x" * 5000, {}, 413),
        ("{}", {"Content_Length": "9" * 50}, 413),
        ("{}", {"Content_Length": "-1"}, 411),
        ("{}", {"Content_Length": "٣"}, 411),
        ("{}", {}, 409),  # no name
        ('{"who": "ann", "pair": "x", "key": "9"}', {}, 409),
        ('{"who": {"a": 1}}', {}, 409),
    ],
    ids=str,
)
def test_what_is_no_request_is_told(served, body, headers, status):
    client, _, log = served
    headers = {name: value.encode() for name, value in headers.items()}
    found, _, said = client.post("/give", body, **headers)
    assert found == status and json.loads(said)["error"].endswith(".")
    assert client.post("/else", {"who": "ann"})[0] == 404
    assert client.ask("GET", f"/else?token={client.token}")[0] == 404
    assert not log.given and client.do("/next", who="ann")["pair"]  # it goes on


def test_two_people_over_http(served):
    client, pool, log = served
    first, other = (client.do("/next", who=who)["pair"]["name"] for who in ("ann", "bob"))
    assert first != other
    client.do("/give", who="ann", pair=first, key="1")
    assert client.do("/give", who="ann", pair=first, key="1")["note"].startswith("this pair has")
    client.do("/give", who="bob", pair=other, key="2")
    assert [e.by for e in read_log(log.path, pool).given] == ["ann", "bob"]
    client.do("/undo", who="ann")
    assert [e.by for e in read_log(log.path, pool).given] == ["bob"]
    status, _, said = client.post("/undo", {"who": "cleo"})
    assert status == 409 and "nothing to undo: 'cleo'" in said
    held = client.do("/next", who="bob")["pair"]["name"]
    client.do("/alive", who="bob")
    client.do("/leave", who="bob")
    taken = {client.do("/next", who=who)["pair"]["name"] for who in ("ann", "cleo", "dave")}
    assert held in taken and len(taken) == 3


def test_a_client_that_hangs_or_goes_away_hinders_nobody(served):
    client, _, _ = served
    place = client.parts.hostname, client.parts.port
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            link = stack.enter_context(socket.create_connection(place))
            link.sendall(b"POST /next HTTP/1.1\r\nHost: localhost\r\n")
        assert client.do("/next", who="ann")["pair"]
    assert client.do("/next", who="ann")["pair"]


def test_a_full_disk_is_told_and_the_pair_stays(served, monkeypatch):
    client, _, log = served
    pair = client.do("/next", who="ann")["pair"]["name"]
    write = os.write

    def full(file, data):
        if file == log._file:
            raise OSError(28, "No space left on device")
        return write(file, data)

    monkeypatch.setattr(os, "write", full)
    status, _, said = client.post("/give", {"who": "ann", "pair": pair, "key": "1"})
    assert status == 409 and "No space left on device" in said
    monkeypatch.undo()
    assert client.do("/next", who="ann")["pair"]["name"] == pair and not log.given
    client.do("/give", who="ann", pair=pair, key="1")
    assert len(log.given) == 1


def test_an_address_that_cannot_be_bound_is_told(served, tmp_path):
    client, _, log = served
    with pytest.raises(InputError, match=r"cannot be served .*; name another --host or --port"):
        Server(Desk(Turns(log)), port=client.parts.port)
    with pytest.raises(InputError, match="cannot be served"):
        Server(Desk(Turns(log)), host="192.0.2.1")


def test_every_network_is_let_in_on_request_alone(served):
    _, _, log = served
    server = Server(Desk(Turns(log)), host="0.0.0.0")
    try:
        assert "//0.0.0.0" not in server.address and server._http.server_address[0] == "0.0.0.0"
        assert server.knows("192.168.1.7:8000") and not server.knows("evil.example")
    finally:
        server._http.server_close()


# -- the command --------------------------------------------------------------------------------


@contextlib.contextmanager
def command(folder, *more):
    """Run `llmsel annotate` in a process of its own; yield it and a client."""
    words = ["annotate", "log.jsonl", "--pool", "answers.jsonl", "--baseline", "base", *more]
    with (folder / "errors.txt").open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "llmsel", *words],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            start_new_session=True,
        )
        try:
            address = process.stdout.readline().removeprefix("open ").strip()
            assert address.startswith("http://127.0.0.1:"), (folder / "errors.txt").read_text()
            yield process, Client(address)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


@pytest.mark.slow
def test_killed_in_the_middle_and_gone_on_with(tmp_path):
    write_answers(tmp_path / "answers.jsonl", 30, MODELS)
    pool = Pool.from_frame(llmsel.read_answers(tmp_path / "answers.jsonl"), "base", name="answers")
    log, acknowledged, stop = tmp_path / "log.jsonl", [], threading.Event()

    def judge(client, who):
        with contextlib.suppress(OSError, http.client.HTTPException):
            while not stop.is_set():
                pair = client.do("/next", who=who)["pair"]
                if pair is not None:
                    client.do("/give", who=who, pair=pair["name"], key="2")
                    acknowledged.append(pair["name"])

    with command(tmp_path) as (process, client):
        people = [threading.Thread(target=judge, args=(client, f"p{i}")) for i in range(2)]
        for person in people:
            person.start()
        end = time.monotonic() + 120
        while len(acknowledged) < 10 and time.monotonic() < end:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        stop.set()
        for person in people:
            person.join()
    shown = [e for e in read_log(log, pool).given if e.order != "not shown"]
    judged = len({(e.query, e.group or e.model) for e in shown})
    assert 10 <= len(acknowledged) <= judged <= len(acknowledged) + 2  # those in flight
    with command(tmp_path) as (process, again):
        assert client.token != again.token
        assert again.page(client.token)[0] == 403  # an old address opens nothing
        pair = again.do("/next", who="p0")["pair"]["name"]
        again.do("/give", who="p0", pair=pair, key="1")
        said = mistake("annotate", log, "--pool", tmp_path / "answers.jsonl", "--baseline", "base")
        assert "another process is writing" in said
        os.kill(process.pid, signal.SIGTERM)  # as by a shell that is closed
        assert process.wait(60) == 130
    told = (tmp_path / "errors.txt").read_text()
    assert "stopped; every verdict is in 'log.jsonl'; the same command goes on" in told
    assert "Traceback" not in told and again.token not in told
    assert len(read_log(log, pool).given) > len(shown)


@pytest.mark.slow
def test_at_the_end_ctrl_c_says_who_won(tmp_path):
    write_answers(tmp_path / "answers.jsonl", 4, MODELS)
    with command(tmp_path, "--plain", "--delta", "0.05") as (process, client):
        while pair := client.do("/next", who="ann")["pair"]:
            state = client.do("/give", who="ann", pair=pair["name"], key="2")
        assert "The race is over" in state["end"] and "secret" not in json.dumps(state)
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(60) in (0, 1)
        assert "on this pool: their win rates are equal" in process.stdout.read()
    assert read_log(tmp_path / "log.jsonl", _pool(tmp_path)).race["rule"]["name"] == "Certified"


def _pool(folder):
    frame = llmsel.read_answers(folder / "answers.jsonl")
    return Pool.from_frame(frame, "base", name="answers")


def test_the_command_begins_one_race_and_goes_on_with_it(tmp_path, monkeypatch):
    """What the two tests above do in processes of their own, here without the network."""
    write_answers(tmp_path / "answers.jsonl", 4, MODELS)
    log, source = tmp_path / "log.jsonl", ("--pool", tmp_path / "answers.jsonl")
    source += ("--baseline", "base")
    steps = [0, 1, 100]

    def some(self):
        for _ in range(steps.pop(0)):
            if (pair := self.desk.next("ann")["pair"]) is not None:
                self.desk.give("ann", pair["name"], "2")
        raise KeyboardInterrupt

    monkeypatch.setattr(Server, "run", some)
    for _ in range(2):
        done = run("annotate", log, *source, "--host", "0.0.0.0")
        assert done.exit_code == 130 and "the same command goes on from there" in done.stderr
        assert "the line is not encrypted" in done.stderr
    race = read_log(log, _pool(tmp_path)).race
    said = ok("annotate", log, *source)
    assert "their win rates are equal" in said and "open http://127.0.0.1:" in said
    assert read_log(log, _pool(tmp_path)).race == race
    assert race["batch"] == 4 and race["seed_drawn"]


def test_mistakes_are_told_before_a_log_is_begun(tmp_path):
    write_answers(tmp_path / "answers.jsonl", 4, MODELS)
    log, source = tmp_path / "log.jsonl", ("--pool", tmp_path / "answers.jsonl")
    source += ("--baseline", "base")
    assert "is not begun" in mistake("annotate", log, *source, "--adjudicate")
    assert "promises no error rate" in mistake(
        "annotate", log, *source, "--heuristic", "--alpha", "0.1"
    )
    assert not log.exists()
    said = mistake("annotate", log, *source, "--host", "192.0.2.1")
    assert "cannot be served" in said
    outcomes = Pool(["q"], ["a", "b"], "b")
    outcomes.save(tmp_path / "bare.npz")
    assert "has no responses" in mistake("annotate", log, "--pool", tmp_path / "bare.npz")
