"""Servers that do what no server should: raw sockets, one mode each."""

import json
import socket
import threading
import time
import zlib
from contextlib import contextmanager

KEY = "sk-secret-0123456789abcdef"


def completion(content="fine", finish="stop", usage=None, **message):
    usage = {"prompt_tokens": 100, "completion_tokens": 10} if usage is None else usage
    choice = {"message": {"role": "assistant", "content": content, **message}}
    return json.dumps({"choices": [{**choice, "finish_reason": finish}], "usage": usage}).encode()


def http(body=b"", status="200 OK", *headers):
    length = [] if any("Encoding: chunked" in h for h in headers) else [len(body)]
    lines = [f"HTTP/1.1 {status}", *headers, *(f"Content-Length: {n}" for n in length)]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + body


def error(status, message="no", code=None, *headers):
    return http(
        json.dumps({"error": {"message": message, "code": code}}).encode(), status, *headers
    )


def drip(data, pause=0.05):
    for k in range(len(data)):
        yield data[k : k + 1]
        time.sleep(pause)


def endless(start, more):
    yield start
    while True:
        yield more


def bomb():
    packer = zlib.compressobj(9, wbits=31)
    packed = b"".join(packer.compress(b" " * 2**20) for _ in range(300)) + packer.flush()
    return http(packed, "200 OK", "Content-Encoding: gzip")


def chunked(chunk):
    return f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n"


CHUNKED = http(b"", "200 OK", "Transfer-Encoding: chunked")
DOWN, REFUSED, FINE = "the server is given up", "the query is left out", "there is an answer"

# name -> what the client makes of it, and what the server sends: bytes, pieces, or a callable
MODES = {
    "closes at once": (DOWN, b""),
    "never answers": (DOWN, lambda: iter([time.sleep(3) or b""])),
    "speaks another protocol": (DOWN, b"SSH-2.0-OpenSSH_9.6\r\n"),
    "wrong key": (DOWN, error("401 Unauthorized", f"bad key {KEY}")),
    "forbidden": (DOWN, error("403 Forbidden")),
    "unknown model": (DOWN, error("404 Not Found")),
    "no credit": (DOWN, error("429 Too Many Requests", "pay", "insufficient_quota")),
    "busy for ever": (DOWN, error("429 Too Many Requests")),
    "busy until next year": (DOWN, error("429 X", "no", None, "Retry-After: 31536000")),
    "broken inside": (DOWN, error("500 Internal Server Error")),
    "redirects to itself": (DOWN, http(b"", "307 X", "Location: /v1/chat/completions")),
    "HTML": (DOWN, http(b"<html>\n<b>welcome</b>\n</html>")),
    "empty body": (DOWN, http()),
    "half a body": (DOWN, http(completion())[:-20]),
    "half a document": (DOWN, http(completion()[:-20])),
    "no choices": (DOWN, http(b'{"choices": []}')),
    "nested without end": (DOWN, http(b"[" * 200_000)),
    "a list as content": (DOWN, http(completion(["fine"]))),
    "a dict as content": (DOWN, http(completion({"text": "fine"}))),
    "a number as content": (DOWN, http(completion(4))),
    "endless body": (DOWN, lambda: endless(CHUNKED, chunked(b" " * 2**16))),
    "endless headers": (
        DOWN,
        lambda: endless(b"HTTP/1.1 200 OK\r\n", b"X: " + b"x" * 999 + b"\r\n"),
    ),
    "gzip bomb": (DOWN, bomb),
    "unknown packing": (DOWN, http(completion(), "200 OK", "Content-Encoding: br")),
    "broken packing": (DOWN, http(completion(), "200 OK", "Content-Encoding: gzip")),
    "a byte at a time": (DOWN, lambda: drip(http(completion(" " * 500)))),
    "headers a byte at a time": (DOWN, lambda: drip(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 500)),
    "escape sequences": (DOWN, error("400 X", "\x1b]52;c;aGk=\x07\x1b[31mred\r\n\nnext line")),
    "content filter": (REFUSED, http(completion("", "content_filter"))),
    "a refusal": (REFUSED, http(completion(None, refusal="I cannot."))),
    "too large": (REFUSED, error("413 Payload Too Large")),
    "too large for the limit": (REFUSED, error("429 X", "Request too large for m")),
    "half an emoji": (FINE, http(completion("fine \ud83d"))),
    "negative usage": (
        FINE,
        http(completion(usage={"prompt_tokens": -5e9, "completion_tokens": -1})),
    ),
    "usage that is no number": (
        FINE,
        http(completion(usage={"prompt_tokens": float("nan"), "completion_tokens": 1e999})),
    ),
    "echoes the key": (FINE, http(completion(f"fine {KEY} \x1b[31m"))),
    "packed though not asked": (
        FINE,
        http(zlib.compress(completion(), wbits=31), "200 OK", "Content-Encoding: gzip"),
    ),
}


@contextmanager
def hostile(mode, good=None):
    """Run a server on this machine in a mode.

    `good(number)` gives bytes for requests that are answered well, or None for the mode.
    Yields an object with `url`, `requests` (heads and bodies so far).
    """
    what = MODES[mode][1]
    listener = socket.create_server(("127.0.0.1", 0))
    server = type("Server", (), {})()
    server.url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    server.requests, lock = [], threading.Lock()

    def answer(line):
        with line:
            try:
                request = _request(line)
                with lock:
                    server.requests.append(request)
                    number = len(server.requests)
                said = good(number) if good is not None else None
                said = what if said is None else said
                said = said() if callable(said) else said
                for piece in [said] if isinstance(said, bytes) else said:
                    line.sendall(piece)
                line.shutdown(socket.SHUT_WR)
                line.settimeout(1)
                while line.recv(2**16):
                    pass
            except OSError:
                pass  # the client has gone

    def listen():
        while True:
            try:
                line, _ = listener.accept()
            except OSError:
                return
            line.settimeout(10)
            threading.Thread(target=answer, args=(line,), daemon=True).start()

    threading.Thread(target=listen, daemon=True).start()
    try:
        yield server
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _request(line):
    data = b""
    while b"\r\n\r\n" not in data:
        more = line.recv(2**16)
        if not more or more[0] == 0x16:
            raise OSError("the client has gone, or speaks TLS")
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        (int(h.split(b":")[1]) for h in head.split(b"\r\n") if h.lower().startswith(b"content-le")),
        0,
    )
    while len(body) < length:
        body += line.recv(2**16)
    return head.decode(), body
