"""An OpenAI-compatible server: retries, prices, and one plain sentence for whatever goes wrong."""

from __future__ import annotations

import dataclasses
import json
import math
import threading
import time
from collections.abc import Mapping
from concurrent.futures import CancelledError, Future
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pydantic
import stamina

from llmsel._base.errors import InputError
from llmsel._base.terminal import encodable, short
from llmsel.answers.address import Address
from llmsel.answers.prices import Prices, Purse, estimate_tokens, most_tokens
from llmsel.answers.wire import Wire, WireError, submit

SHORTEST_WAIT = 0.5  # seconds, doubled each time a server says that it is busy, up to LONGEST_WAIT
LONGEST_WAIT = 30.0  # but never less than its Retry-After asks
GRACE = 3.0  # seconds that a stop leaves to what is under way: it is being paid for
PROBE = [{"role": "user", "content": "Reply with the word OK."}]
LASTING = {  # no query is at fault, and waiting does not help
    401: "check the key{}",
    402: "the account cannot pay for it",
    404: "check base_url and the model's name",
    407: "check the proxy",
}
HINTS = {403: "check the key{}", 429: "wait, or ask fewer at a time"}
QUOTA = ("insufficient_quota", "billing_hard_limit_reached")  # 429 too, but no wait helps


class ServerError(InputError):
    """A server that cannot be used, after retries; the message says what to do.

    Attributes:
        status: of its last reply, None if there was none.
        said: the message without what to do.
    """

    def __init__(self, message: str, status: int | None = None, said: str | None = None):
        """Keep the status."""
        super().__init__(message)
        self.status, self.said = status, message if said is None else said


class QueryRefused(ServerError):
    """A server that works, but not for this query: too long, filtered, or a fault it sets off.

    Attributes:
        passing: the server does not say that it never will, so another day may bring an answer.
    """

    def __init__(self, message: str, status: int | None = None, *, passing: bool = False):
        """Keep whether it may pass."""
        super().__init__(message, status)
        self.passing = passing


@dataclasses.dataclass(frozen=True)
class Reply:
    """What a model answered, why it stopped, the tokens it took and the seconds (last try)."""

    text: str
    finish: str | None
    tokens_in: int
    tokens_out: int
    seconds: float = 0.0


class _Message(pydantic.BaseModel, strict=True):
    content: str | None = None
    refusal: str | None = None


class _Choice(pydantic.BaseModel, strict=True):
    message: _Message
    finish_reason: str | None = None


class _Completion(pydantic.BaseModel, strict=True):
    choices: list[_Choice] = pydantic.Field(min_length=1)
    usage: Any = None


class _Usage(pydantic.BaseModel, strict=True):
    prompt_tokens: int = pydantic.Field(ge=0, le=10**9)
    completion_tokens: int = pydantic.Field(ge=0, le=10**9)


class _Trouble(Exception):
    """One try that failed.

    Args:
        said: what happened, to follow the server's name.
        status: of the reply, None without one.
        passing: trying again can help.
        lasting: no query is at fault, and trying again does not help.
        wait: seconds the server asks to wait; None if it does not say that it is busy.
        refused: this query is at fault, the server says so itself.
    """

    def __init__(
        self,
        said: str,
        status: int | None = None,
        *,
        passing: bool = False,
        lasting: bool = False,
        wait: float | None = None,
        refused: bool = False,
    ):
        super().__init__(said)
        self.status, self.passing, self.lasting = status, passing, lasting
        self.wait, self.refused = wait, refused


class _Tries:
    """Decide, for one request, whether and when to try again."""

    def __init__(self, tries: int, patience: float):
        self.left = tries - 1
        self.busy = 0
        self.until = time.monotonic() + patience
        self.stopped = False

    def __call__(self, error: Exception) -> bool | float:
        if self.stopped or not isinstance(error, _Trouble) or not error.passing:
            return False
        if error.wait is None:
            self.left -= 1
            return self.left >= 0
        self.busy += 1
        wait = max(error.wait, min(LONGEST_WAIT, SHORTEST_WAIT * 2.0 ** (self.busy - 1)))
        return wait if time.monotonic() + wait <= self.until else False


class Server:
    """An OpenAI-compatible server.

    Args:
        base_url: e.g. ``http://localhost:8080/v1``; None is OpenAI's own.
        key: name of the environment variable that holds the key; never the key itself. None for
            none, except that OpenAI's own address gets ``OPENAI_API_KEY``.
        timeout: of one request, in seconds, from the first step to the last byte.
        tries: of one request, with growing pauses: after 408, 409, 425, 5xx, timeouts, broken
            connections and replies that are not as they should be.
        patience: seconds to wait in all while the server says that it is busy (429, 503), as
            long as its ``Retry-After`` asks.
        prices: None if it costs nothing.

    Raises:
        InputError: `base_url` is no address.
    """

    def __init__(
        self,
        base_url: str | None = None,
        key: str | None = None,
        *,
        timeout: float = 60.0,
        tries: int = 5,
        patience: float = 3600.0,
        prices: Prices | None = None,
    ):
        """Keep the settings; nothing is sent and no secret is read yet."""
        self.base_url = base_url
        self.prices = prices
        self._address = Address(base_url, key)
        self._timeout = timeout
        self._tries = tries
        self._patience = patience
        self._lock = threading.Lock()
        self._wire: Wire | None = None
        self._counts = {"requests": 0, "tokens_in": 0, "tokens_out": 0}
        self._running: dict[Future[Reply], _Tries] = {}
        self._purse: Purse | None = None

    def limit(self, purse: Purse | None) -> None:
        """Spend no more than a purse has; None for no limit. Without prices nothing is counted."""
        self._purse = purse

    def check_key(self) -> None:
        """See that the server's key is there before anything is paid for.

        Raises:
            InputError: it is not in the environment, is no key, or would go over an open line.
        """
        self._address.headers()

    @property
    def spent(self) -> dict[str, float]:
        """Requests answered, tokens and cost so far."""
        cost = 0.0
        if self.prices:
            cost = self.prices.cost(self._counts["tokens_in"], self._counts["tokens_out"])
        return {**self._counts, "cost": cost}

    @property
    def shown(self) -> str:
        """How messages and logs name it: its address without user and password."""
        return self._address.shown

    def chat(
        self, model: str, messages: list[dict[str, str]], parameters: Mapping[str, Any]
    ) -> Reply:
        """Send one chat and return the answer.

        Raises:
            QueryRefused: the server works, but has no answer to this chat.
            ServerError: no answer after all tries, or a server that cannot be used.
            BudgetSpent: there is a limit, and not enough left of it.
            InputError: no key in the environment for a server that needs one, or a limit and no
                ``max_tokens``.
        """
        if self._purse is None or self.prices is None:
            return self._send(model, messages, parameters)
        with self._purse.holding(self.prices.cost(*most_tokens(messages, parameters))):
            return self._send(model, messages, parameters)

    def _send(
        self, model: str, messages: list[dict[str, str]], parameters: Mapping[str, Any]
    ) -> Reply:
        wire = self._connect()
        body = {**parameters, "model": model, "messages": messages}
        tries = _Tries(self._tries, self._patience)
        with self._lock:
            job = submit(self._ask(wire, body, tries))
            self._running[job] = tries
        try:
            return job.result()
        except CancelledError as error:
            raise ServerError(f"{self._address.shown} was not waited for any longer.") from error
        finally:
            job.cancel()  # after Ctrl-C; else it has ended
            with self._lock:
                del self._running[job]

    def stop(self, grace: float = GRACE) -> None:
        """Start no further try, and break off in `grace` seconds what has not ended by itself."""
        if self._purse is not None:
            self._purse.stop()
        with self._lock:
            running = dict(self._running)
        for job, tries in running.items():
            tries.stopped = True
            timer = threading.Timer(grace, job.cancel)
            timer.daemon = True
            timer.start()

    def _connect(self) -> Wire:
        with self._lock:
            if self._wire is None:
                # a proxy of the environment has no business with this machine, nor with its keys
                self._wire = Wire(
                    self._address.headers(), self._timeout, proxies=not self._address.local
                )
            return self._wire

    async def _ask(self, wire: Wire, body: dict[str, Any], tries: _Tries) -> Reply:
        retrying = stamina.AsyncRetryingCaller(
            attempts=None, timeout=None, wait_initial=0.2, wait_max=30.0
        )
        try:
            return await retrying.on(tries)(self._once, wire, body)
        except _Trouble as trouble:
            if trouble.lasting or trouble.wait is not None or tries.stopped:
                raise self._error(trouble, body["model"]) from trouble
            if trouble.refused or await self._answers(wire, body):
                said = self._say(trouble, body["model"])
                raise QueryRefused(
                    f"{said}, and only for this query.", trouble.status, passing=trouble.passing
                ) from trouble
            raise self._error(trouble, body["model"]) from trouble

    async def _answers(self, wire: Wire, body: dict[str, Any]) -> bool:
        """Tell whether the server answers another query: then the one that failed is at fault."""
        try:
            await self._once(wire, {**body, "messages": PROBE})
        except _Trouble as trouble:
            return trouble.refused
        return True

    async def _once(self, wire: Wire, body: dict[str, Any]) -> Reply:
        began = time.monotonic()
        try:
            status, headers, raw = await wire.post(f"{self._address.url}/chat/completions", body)
        except WireError as error:
            raise _Trouble(
                f"gave no answer ({error})", passing=not error.lasting, lasting=error.lasting
            ) from error
        if status != 200:
            raise _refusal(status, headers, raw)
        took = time.monotonic() - began
        reply = dataclasses.replace(self._read(raw, body["messages"]), seconds=took)
        if not reply.text and reply.finish not in ("stop", "length"):
            raise _Trouble(f"gave no text (finish: {reply.finish})", status, refused=True)
        return reply

    def _read(self, raw: bytes, messages: list[dict[str, str]]) -> Reply:
        try:
            content = json.loads(raw)
            found = _Completion.model_validate(content)
        except (ValueError, RecursionError) as error:
            raise _Trouble("gave a reply that is no chat completion", 200, passing=True) from error
        choice = found.choices[0]
        said = choice.message.content or ""
        taken = _usage(found.usage) or (
            estimate_tokens(messages),
            estimate_tokens([{"content": said}]),
        )
        with self._lock:
            self._counts["requests"] += 1
            self._counts["tokens_in"] += taken[0]
            self._counts["tokens_out"] += taken[1]
        if self._purse is not None and self.prices is not None:
            self._purse.pay(self.prices.cost(*taken))
        if not said and choice.message.refusal:
            raise _Trouble(f"refused: {choice.message.refusal[:160]}", 200, refused=True)
        return Reply(self._address.mask(encodable(said)), choice.finish_reason, *taken)

    def _error(self, trouble: _Trouble, model: str) -> ServerError:
        status = trouble.status
        hint = "see that it runs"
        if status is not None and status != 200:
            hint = (LASTING | HINTS).get(status, "check the request")
            name = self._address.key_name
            hint = hint.format(f" in {name}" if name else ", and name it by 'key'")
        said = self._say(trouble, model)
        return ServerError(f"{said}; {hint}, then run it again: nothing is lost.", status, said)

    def _say(self, trouble: _Trouble, model: str) -> str:
        said = f"{self._address.shown} {trouble} for model '{model}'"
        if trouble.passing and trouble.wait is None:
            said += f" in {self._tries} tries"
        return short(self._address.mask(said), 400)


def _refusal(status: int, headers: httpx.Headers, raw: bytes) -> _Trouble:
    """Read a reply that is none."""
    if 300 <= status < 400:
        place = headers.get("Location", "nowhere")[:120]
        return _Trouble(
            f"answered {status}, a redirect to '{place}', which is not followed: give the server's "
            "own address as base_url",
            status,
            lasting=True,
        )
    code, message = _complaint(raw)
    said = f"answered {status} ({message[:160]})"
    if status == 413 or "request too large" in message.lower():
        return _Trouble(said, status, refused=True)
    if status == 429 and code in QUOTA:
        return _Trouble(said, status, lasting=True)
    told = retry_after(headers)
    busy = status == 429 or (status == 503 and told is not None)
    return _Trouble(
        said,
        status,
        passing=busy or status in (408, 409, 425) or status >= 500,
        lasting=status in LASTING,
        wait=(told or 0.0) if busy else None,
    )


def _complaint(raw: bytes) -> tuple[str, str]:
    """Find code and message in the body of a refusal, whatever its form."""
    text = raw[:4096].decode("utf-8", "replace")
    try:
        content = json.loads(raw)
    except (ValueError, RecursionError):
        return "", text
    error = content.get("error", content) if isinstance(content, dict) else content
    if isinstance(error, dict):
        return str(error.get("code", "")), str(error.get("message", text))
    return "", str(error)[:4096]


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Read ``Retry-After``, seconds or an HTTP date, or OpenAI's ``Retry-After-Ms``.

    Returns:
        Seconds from now, at least 0; None where there is none or none that makes sense.
    """
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) * unit
        except ValueError:
            continue
        if math.isfinite(seconds):
            return max(0.0, seconds)
    try:
        when = parsedate_to_datetime(headers.get("retry-after", ""))
    except (ValueError, TypeError, OverflowError):
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())


def _usage(given: Any) -> tuple[int, int] | None:
    """Read the tokens that a reply took; None if what the server says cannot be."""
    try:
        found = _Usage.model_validate(given)
    except pydantic.ValidationError:
        return None
    return found.prompt_tokens, found.completion_tokens
