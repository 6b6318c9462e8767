"""One POST, bounded in time and size, that can be broken off at any moment.

Requests run on one event loop in a thread of its own, so that a deadline holds for all of a
request (name, connection, TLS, every byte) and a stop reaches those under way.
"""

from __future__ import annotations

import asyncio
import functools
import json
import ssl
import threading
import weakref
import zlib
from collections.abc import Coroutine, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar

import httpx

T = TypeVar("T")
LIMIT = 16 * 2**20  # bytes of a reply, unpacked; an answer has some thousand
CONNECT = 10.0  # seconds to reach a server


class WireError(Exception):
    """No reply; the message says why. `lasting` if trying again cannot help."""

    def __init__(self, message: str, *, lasting: bool = False):
        """Keep whether it passes."""
        super().__init__(message)
        self.lasting = lasting


class Wire:
    """Sends JSON to one address; follows no redirect, so nothing reaches another host.

    Args:
        headers: sent with every request.
        timeout: for all of a request, in seconds.
        proxies: whether the environment's proxies are used.
    """

    def __init__(self, headers: Mapping[str, str], timeout: float, *, proxies: bool):
        """Make the client; nothing is sent yet."""
        self._timeout = timeout
        self._client = httpx.AsyncClient(
            headers={"Accept-Encoding": "identity", "User-Agent": "llmsel", **headers},
            timeout=httpx.Timeout(timeout, connect=min(CONNECT, timeout)),
            limits=httpx.Limits(max_connections=None),  # callers bound what is in flight
            follow_redirects=False,
            trust_env=proxies,
        )
        weakref.finalize(self, _close, self._client).atexit = False

    async def post(self, url: str, content: Any) -> tuple[int, httpx.Headers, bytes]:
        """Send JSON and return status, headers and body.

        Raises:
            WireError: no whole reply in time, or one that is too large.
        """
        data = json.dumps(content).encode()
        try:
            async with asyncio.timeout(self._timeout):
                async with self._client.stream(
                    "POST", url, content=data, headers={"Content-Type": "application/json"}
                ) as reply:
                    return reply.status_code, reply.headers, await _read(reply)
        except (TimeoutError, httpx.TimeoutException) as error:
            raise WireError(f"no whole reply within {self._timeout:g} s") from error
        except (httpx.TransportError, zlib.error, ssl.SSLError) as error:
            raise _plainer(error) from error


async def _read(reply: httpx.Response) -> bytes:
    """Read a body up to the limit, which holds for what it unpacks to as well."""
    packing = reply.headers.get("Content-Encoding", "identity").strip().lower()
    if packing not in ("identity", "", "gzip", "x-gzip", "deflate"):
        raise WireError(f"a reply packed as '{packing[:20]}', which was not asked for")
    unpack = None if packing in ("identity", "") else zlib.decompressobj(zlib.MAX_WBITS | 32)
    body = bytearray()
    async for chunk in reply.aiter_raw():
        body += unpack.decompress(chunk, LIMIT + 1 - len(body)) if unpack else chunk
        if len(body) > LIMIT:
            raise WireError(f"a reply of more than {LIMIT >> 20} MiB")
    return bytes(body)


def _plainer(error: Exception) -> WireError:
    """Say what a failure of the connection means."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return WireError(
                f"its certificate is not trusted: {cause.verify_message}", lasting=True
            )
        if isinstance(cause, ssl.SSLError):
            return WireError(
                f"no TLS connection ({cause.reason or cause}); is it a server of plain http?",
                lasting=True,
            )
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.UnsupportedProtocol | httpx.ProxyError):
        return WireError(str(error), lasting=True)
    return WireError(str(error) or type(error).__name__)


@functools.cache
def _loop(_of: threading.Thread) -> asyncio.AbstractEventLoop:
    """Start the event loop; one for each process, since a fork takes no threads along."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="llmsel requests", daemon=True).start()
    return loop


def submit(job: Coroutine[Any, Any, T]) -> Future[T]:
    """Run a coroutine on the event loop."""
    with _STARTING:
        loop = _loop(threading.main_thread())
    return asyncio.run_coroutine_threadsafe(job, loop)


_STARTING = threading.Lock()


def _close(client: httpx.AsyncClient) -> None:
    submit(client.aclose())  # not waited for: the loop's own thread may collect the garbage
