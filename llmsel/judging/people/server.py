"""The page for annotators, served from this machine: standard library, one page, no cookies.

Whoever has the address, with its token, may judge. Nobody else may: not a page of another site
that the annotator has open (its requests carry its own origin, or the wrong host), and not a
guess. Nothing is loaded from elsewhere, and what models wrote can load nothing either.
"""

from __future__ import annotations

import hmac
import html
import ipaddress
import json
import secrets
import socket
import sys
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from llmsel._base.errors import InputError
from llmsel.judging.people.desk import Desk
from llmsel.judging.people.rendering import STYLE

LARGEST = 4096  # bytes of a request's body
PATIENCE = 30  # seconds that a client may be silent in the middle of a request
TOKEN = "X-Llmsel-Token"
FOLDER = Path(__file__).parent
POLICY = (
    "default-src 'none'; script-src 'nonce-{0}'; style-src 'nonce-{0}'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


class Server:
    """Serve one desk to whoever has the token.

    Args:
        desk: of the log.
        host: to bind; the default is reached from this machine alone.
        port: to bind; 0 takes a free one.
        title: of the page.

    Attributes:
        address: for annotators, the token in it.

    Raises:
        InputError: the address cannot be bound.
    """

    def __init__(
        self, desk: Desk, *, host: str = "127.0.0.1", port: int = 0, title: str = "Which is better?"
    ) -> None:
        """Bind; nothing is answered before `run`."""
        self.desk, self.title, self.token = desk, title, secrets.token_urlsafe(24)
        self._names = {"localhost", host.lower(), socket.gethostname().lower()}
        try:
            self._http = (_V6 if ":" in host else _Quiet)((host, port), _handler(self))
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or error
            raise InputError(
                f"{host}, port {port}, cannot be served ({why}); name another --host or --port."
            ) from error
        name = _own_number() if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
        self.address = f"http://{name}:{self._http.server_address[1]}/?token={self.token}"

    def run(self) -> None:
        """Answer until `stop`, or Ctrl-C."""
        self._http.serve_forever(poll_interval=0.2)

    def stop(self) -> None:
        """End `run` in another thread."""
        self._http.shutdown()

    def close(self) -> None:
        """Take no more requests; the verdict in hand reaches the disk first."""
        self._http.server_close()
        self.desk.close()

    def admits(self, token: str) -> bool:
        """Compare a token in constant time."""
        return hmac.compare_digest(token.encode("utf-8", "replace"), self.token.encode())

    def knows(self, host: str) -> bool:
        """Whether a request was meant for this server: a name that another site chose is refused.

        Numbers are no names; with those, nobody can point a site's name here.
        """
        name = urlsplit(f"//{host}").hostname or ""
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name in self._names
        return True


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a page that was closed while it was answered."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _V6(_Quiet):
    address_family = socket.AF_INET6


def _own_number() -> str:
    """This machine's address in its network; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address for documentation
        except OSError:
            return socket.gethostname()
        return str(probe.getsockname()[0])


class _Refused(Exception):
    """A request that gets no answer but a status."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    server_of: Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = f"llmsel/{version('llmsel')}", ""
    timeout = PATIENCE

    def do_GET(self) -> None:
        """Give the page to whoever has the token."""
        self._answer(self._page)

    def do_POST(self) -> None:
        """Do what the page asks for."""
        self._answer(self._act)

    def _answer(self, make: Callable[[], None]) -> None:
        try:
            make()
        except _Refused as refused:
            self.close_connection = True  # what is left of the request is not read
            self._send(refused.status, {"error": str(refused)})
        except InputError as error:
            self._send(HTTPStatus.CONFLICT, {"error": str(error)})

    def _page(self) -> None:
        asked = urlsplit(self.path)
        given = parse_qs(asked.query).get("token", [""])
        self._check(given[0])
        if asked.path != "/":
            raise _Refused(HTTPStatus.NOT_FOUND, "there is one page, at /.")
        nonce = secrets.token_urlsafe(16)
        self._respond(
            HTTPStatus.OK,
            page(nonce, self.server_of.title),
            "text/html; charset=utf-8",
            {"Content-Security-Policy": POLICY.format(nonce)},
        )

    def _act(self) -> None:
        self._check(self.headers.get(TOKEN, ""))
        asked = self._body()
        desk, who = self.server_of.desk, asked.get("who", "")
        match urlsplit(self.path).path:
            case "/next":
                self._send(HTTPStatus.OK, desk.next(who))
            case "/give":
                said = desk.give(who, str(asked.get("pair")), str(asked.get("key")))
                self._send(HTTPStatus.OK, said)
            case "/undo":
                self._send(HTTPStatus.OK, desk.undo(who))
            case "/alive":
                desk.alive(who)
                self._send(HTTPStatus.OK, {})
            case "/leave":
                desk.leave(who)
                self._send(HTTPStatus.OK, {})
            case _:
                raise _Refused(HTTPStatus.NOT_FOUND, "nothing is done here.")

    def _check(self, token: str) -> None:
        """Refuse strangers.

        Raises:
            _Refused: another host or origin than this server's, or a wrong token.
        """
        host = self.headers.get("Host", "")
        origin = self.headers.get("Origin", f"http://{host}")
        fetched = self.headers.get("Sec-Fetch-Site", "none")
        if not self.server_of.knows(host):
            raise _Refused(HTTPStatus.FORBIDDEN, "this is the page of another host.")
        # a link on another page may lead here; whatever else it does is refused
        led = self.command == "GET" and self.headers.get("Sec-Fetch-Mode") == "navigate"
        ours = urlsplit(origin).netloc == host and fetched in ("same-origin", "none")
        if not (ours or led):
            raise _Refused(HTTPStatus.FORBIDDEN, "this was asked by a page of another origin.")
        if not self.server_of.admits(token):
            raise _Refused(
                HTTPStatus.FORBIDDEN,
                "open the address that `llmsel annotate` printed, token and all.",
            )

    def _body(self) -> dict[str, Any]:
        """Read the JSON object that a page sends.

        Raises:
            _Refused: it is none, or too large.
        """
        if self.headers.get_content_type() != "application/json":
            raise _Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send JSON.")
        length = self.headers.get("Content-Length", "")
        if not length.isascii() or not length.isdigit():
            raise _Refused(HTTPStatus.LENGTH_REQUIRED, "say how long it is.")
        if len(length) > 9 or int(length) > LARGEST:
            raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"send {LARGEST} bytes at most.")
        try:
            found = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError) as error:
            raise _Refused(HTTPStatus.BAD_REQUEST, "that is no JSON.") from error
        if not isinstance(found, dict):
            raise _Refused(HTTPStatus.BAD_REQUEST, "send a JSON object.")
        return found

    def _send(self, status: HTTPStatus, said: object) -> None:
        self._respond(status, json.dumps(said).encode(), "application/json", {})

    def _respond(self, status: HTTPStatus, body: bytes, kind: str, more: dict[str, str]) -> None:
        self.send_response(status)
        sent = {"Content-Type": kind, "Content-Length": str(len(body)), **HEADERS, **more}
        for name, value in sent.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing: addresses hold the token."""


def _handler(server: Server) -> type[_Handler]:
    return type("Handler", (_Handler,), {"server_of": server})


def page(nonce: str, title: str) -> bytes:
    """Make the page: one file, its style and script in it.

    Args:
        nonce: without which no style or script counts.
        title: of the page, plain text.
    """
    text = (FOLDER / "page.html").read_text(encoding="utf-8")
    parts = {
        "NONCE": nonce,
        "TITLE": html.escape(title),
        "STYLE": (FOLDER / "page.css").read_text(encoding="utf-8") + STYLE,
        "SCRIPT": (FOLDER / "page.js").read_text(encoding="utf-8"),
    }
    for name, part in parts.items():
        text = text.replace(f"[[{name}]]", part)
    return text.encode()
