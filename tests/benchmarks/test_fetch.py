"""Fetching: against a server on this machine that serves the publishers' paths, and folders."""

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import stamina
from fixtures.published import pin

from llmsel._base.errors import InputError
from llmsel.benchmarks import fetch as module
from llmsel.benchmarks.fetch import fetch, fetch_all, state

FILE = "someone/answers/0123abc/data/a b.json"
BODY = b'{"invented": "answers"}' * 400


class Server(ThreadingHTTPServer):
    """Answers each request with the next of its `plan`; the last answer is repeated."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.plan, self.asked, self.stop = ["whole"], [], threading.Event()

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}/mirror"

    def handle_error(self, *_):
        pass  # a client that gives up is what these tests are about


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        server.asked.append(self.path)
        answer = server.plan.pop(0) if len(server.plan) > 1 else server.plan[0]
        if isinstance(answer, int):
            self.send_error(answer)
            return
        body = {"wrong": b"other bytes"}.get(answer, BODY)
        self.send_response(200)
        if answer != "cut":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if answer in ("half", "stall", "cut") else body)
        self.wfile.flush()
        if answer == "stall":
            server.stop.wait(10)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch, tmp_path):
    monkeypatch.setenv("LLMSEL_CACHE", str(tmp_path))
    pin(monkeypatch, {FILE: BODY})
    server = Server()
    monkeypatch.setenv("LLMSEL_MIRROR", server.address)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    with stamina.set_testing(True, attempts=99, cap=True):  # no waits
        yield server
    server.stop.set()
    server.shutdown()
    server.server_close()


def no_leftovers(cache):
    return not [p for p in cache.rglob("*") if p.is_file()]


def test_a_file_is_fetched_once_and_its_path_is_quoted(server, tmp_path):
    assert state(FILE) == "absent"
    path = fetch(FILE)
    assert path == tmp_path / "files" / FILE and path.read_bytes() == BODY
    assert fetch_all([FILE, FILE]) == [path, path] and state(FILE) == "verified"
    assert server.asked == ["/mirror/someone/answers/0123abc/data/a%20b.json"]


def test_a_damaged_file_in_the_cache_is_fetched_again(server, tmp_path):
    fetch(FILE).write_bytes(b"torn")
    assert state(FILE) == "damaged"
    assert fetch(FILE).read_bytes() == BODY and len(server.asked) == 2


@pytest.mark.parametrize("first", [500, 503, 429, "half", "cut", "wrong"])
def test_a_passing_failure_is_tried_again(server, first):
    server.plan = [first, "whole"]
    assert fetch(FILE).read_bytes() == BODY and len(server.asked) == 2


@pytest.mark.parametrize(
    ("answer", "message", "requests"),
    [
        (404, r"a%20b\.json' cannot be had: the server answers 404", 1),
        (403, "the server answers 403", 1),
        (500, "the server answers 500.*name a mirror with LLMSEL_MIRROR", 3),
        ("half", "cannot be had: the connection was lost half-way", 3),
        ("wrong", "is damaged or has changed: expected sha256:[0-9a-f]{64}, found sha256:", 3),
        ("cut", "expected sha256:.*found sha256:.*complete files are kept", 3),
    ],
)
def test_a_lasting_failure_is_one_clear_sentence(server, tmp_path, answer, message, requests):
    server.plan = [answer]
    with pytest.raises(InputError, match=message) as error:
        fetch(FILE)
    assert FILE.rsplit("/")[0] in str(error.value) and "\n" not in str(error.value)
    assert len(server.asked) == requests
    assert no_leftovers(tmp_path)


def test_a_stalled_connection_ends(server, monkeypatch, tmp_path):
    monkeypatch.setenv("LLMSEL_TIMEOUT", "0.2")
    server.plan = ["stall"]
    with pytest.raises(InputError, match=r"the connection stalled for 0\.2 s \(LLMSEL_TIMEOUT\)"):
        fetch(FILE)
    assert no_leftovers(tmp_path)


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan", "inf"])
def test_a_timeout_is_a_positive_number(server, monkeypatch, text):
    monkeypatch.setenv("LLMSEL_TIMEOUT", text)
    with pytest.raises(InputError, match=f"LLMSEL_TIMEOUT is '{text}'; give seconds"):
        fetch(FILE)


def test_no_network_says_how_to_use_a_mirror(server, monkeypatch):
    with socket.socket() as free:  # a port that nobody listens on
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("LLMSEL_MIRROR", f"http://127.0.0.1:{free.getsockname()[1]}")
        with pytest.raises(InputError, match=r"no connection.*name a mirror with LLMSEL_MIRROR"):
            fetch(FILE)


def test_an_interrupted_fetch_continues(server, monkeypatch):
    other = FILE.replace("a b", "c")
    pin(monkeypatch, {other: BODY})
    server.plan = ["whole", 404]
    with pytest.raises(InputError, match="404"):
        fetch_all([FILE, other])
    server.plan = ["whole"]
    fetch_all([FILE, other])
    names = [path.rsplit("/", 1)[1] for path in server.asked]
    assert names == ["a%20b.json", "c.json", "c.json"]


def test_a_cache_that_cannot_be_written(server, monkeypatch, tmp_path):
    (tmp_path / "occupied").write_text("a file where the cache should be")
    monkeypatch.setenv("LLMSEL_CACHE", str(tmp_path / "occupied"))
    with pytest.raises(InputError, match="cannot be written"):
        fetch(FILE)


@pytest.mark.parametrize("form", [str, lambda path: path.as_uri()])
def test_a_folder_is_read_in_place(server, monkeypatch, tmp_path, form):
    folder = tmp_path / "my mirror"
    monkeypatch.setenv("LLMSEL_MIRROR", form(folder))
    with pytest.raises(InputError, match=r"the mirror '.*my mirror' \(LLMSEL_MIRROR\) has no file"):
        fetch(FILE)
    (folder / FILE).parent.mkdir(parents=True)
    (folder / FILE).write_bytes(BODY)
    assert fetch(FILE) == folder / FILE
    (folder / FILE).write_bytes(BODY[:-1])
    with pytest.raises(InputError, match=r"a b\.json' is damaged.*expected sha256:.*found sha256:"):
        fetch(FILE)
    assert not server.asked and not (tmp_path / "files").exists()


def test_an_unpinned_file_is_refused():
    with pytest.raises(InputError, match=r"'a/b/c' has no pinned hash"):
        fetch("a/b/c")
    assert fetch_all([]) == []


def test_the_registry_pins_every_file_once():
    lines = (module.Path(module.__file__).with_name("registry.txt")).read_text().splitlines()[1:]
    assert len(lines) == len({line.split()[0] for line in lines}) == len(module.registry())
    assert all(len(h) == 71 and h.startswith("sha256:") for h in module.registry().values())
