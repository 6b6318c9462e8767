"""A server on this machine that speaks the OpenAI protocol, as badly as a test wants."""

import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TORN = object()  # half a JSON document
HANG = object()  # longer than any timeout


@contextmanager
def serve(answer):
    """Run a server; ``answer(body, number)`` gives a text, a status code, TORN or HANG.

    Or a pair of status code and complaint, or a dictionary: what else a message has, and finish.

    Yields an object with ``url``, ``bodies`` (requests so far) and ``most`` (most at one time).
    """

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            sent = self.rfile.read(int(self.headers["Content-Length"]))
            if len(sent) < int(self.headers["Content-Length"]):
                return  # the client was killed
            body = json.loads(sent)
            with server.lock:
                server.bodies.append(body)
                number = len(server.bodies)
                server.now += 1
                server.most = max(server.most, server.now)
            try:
                self.reply(answer(body, number))
            finally:
                with server.lock:
                    server.now -= 1

        def reply(self, what):
            if what is HANG:
                server.gate.wait(3)
                return
            status, complaint = what if isinstance(what, tuple) else (what, "no")
            if not isinstance(status, int):
                status = 200
            if status != 200:
                data = json.dumps({"error": {"message": complaint}}).encode()
            else:
                said = what if isinstance(what, dict) else {"content": "" if what is TORN else what}
                choice = {
                    "index": 0,
                    "finish_reason": said.pop("finish", "stop") if said is what else "stop",
                    "message": {"role": "assistant", **said},
                }
                data = json.dumps(
                    {
                        "id": "x",
                        "object": "chat.completion",
                        "created": int(time.time()),
                        "model": "m",
                        "choices": [choice],
                        "usage": {
                            "prompt_tokens": 100,
                            "completion_tokens": 10,
                            "total_tokens": 110,
                        },
                    }
                ).encode()
                data = data[: len(data) // 2] if what is TORN else data
            try:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
            except OSError:
                pass  # the client has gone

        def log_message(self, *_):
            pass

    class Many(ThreadingHTTPServer):
        request_queue_size = 256

    server = Many(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.lock, server.gate = threading.Lock(), threading.Event()
    server.bodies, server.now, server.most = [], 0, 0
    server.url = f"http://127.0.0.1:{server.server_port}/v1"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.gate.set()
        server.shutdown()
        server.server_close()
