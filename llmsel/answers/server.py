"""Endpoints: one request to an OpenAI-compatible server, with retries, prices and plain errors."""

from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Iterable, Mapping
from typing import Any

import openai
import stamina

from llmsel._base.errors import InputError


class ServerError(InputError):
    """A server that cannot be used, after retries; the message says what to do."""


@dataclasses.dataclass(frozen=True)
class Prices:
    """Price per million tokens, in any currency: of what is sent and of what is answered."""

    tokens_in: float
    tokens_out: float

    def cost(self, tokens_in: float, tokens_out: float) -> float:
        """Price of so many tokens."""
        return (tokens_in * self.tokens_in + tokens_out * self.tokens_out) / 1e6


def estimate_tokens(messages: Iterable[Mapping[str, str]]) -> int:
    """Estimate the tokens of a chat without its tokenizer: 3 characters each, and 5 a message.

    English has 4 to 5 characters a token, other languages fewer: for English this errs high.
    """
    return sum(len(message["content"]) // 3 + 5 for message in messages)


@dataclasses.dataclass(frozen=True)
class Reply:
    """What a model answered, why it stopped, and the tokens it took."""

    text: str
    finish: str | None
    tokens_in: int
    tokens_out: int


class Server:
    """An OpenAI-compatible server.

    Args:
        base_url: e.g. ``http://localhost:8080/v1``; None is OpenAI's own.
        key: name of the environment variable that holds the key; never the key itself. A server on
            this machine needs none.
        timeout: of one request, in seconds.
        tries: of one request, with growing pauses: after 408, 409, 429, 5xx, timeouts, broken
            connections and replies that are no JSON.
        prices: None if it costs nothing.
    """

    def __init__(
        self,
        base_url: str | None = None,
        key: str = "OPENAI_API_KEY",
        timeout: float = 60.0,
        tries: int = 5,
        prices: Prices | None = None,
    ):
        """Keep the settings; nothing is sent yet."""
        self.base_url = base_url
        self.prices = prices
        self._key = key
        self._timeout = timeout
        self._tries = tries
        self._lock = threading.Lock()
        self._client: openai.OpenAI | None = None
        self._counts = {"calls": 0, "tokens_in": 0, "tokens_out": 0}

    @property
    def spent(self) -> dict[str, float]:
        """Calls, tokens and cost so far."""
        cost = 0.0
        if self.prices:
            cost = self.prices.cost(self._counts["tokens_in"], self._counts["tokens_out"])
        return {**self._counts, "cost": cost}

    def chat(
        self, model: str, messages: list[dict[str, str]], parameters: Mapping[str, Any]
    ) -> Reply:
        """Send one chat and return the answer.

        Raises:
            ServerError: no answer after all tries, or a request that the server refuses.
            InputError: no key in the environment for a server that needs one.
        """
        client = self._connect()
        try:
            for attempt in stamina.retry_context(
                on=_passing, attempts=self._tries, timeout=None, wait_initial=0.2, wait_max=30.0
            ):
                with attempt:
                    return self._once(client, model, messages, parameters)
        except openai.APIStatusError as error:
            hint = {
                401: f"check the key in {self._key}",
                403: f"check the key in {self._key}",
                404: "check base_url and the model's name",
                429: "wait, or ask fewer at a time",
            }.get(error.status_code, "check the request")
            raise ServerError(
                f"{self._where} answered {error.status_code} for model '{model}' "
                f"({error.message[:160]}); {hint}, then run it again: nothing is lost."
            ) from error
        except (openai.OpenAIError, ValueError) as error:
            raise ServerError(
                f"{self._where} gave no answer for model '{model}' in {self._tries} tries "
                f"({error}); see that it runs, then run it again: nothing is lost."
            ) from error
        raise AssertionError("stamina either returns or raises")

    @property
    def _where(self) -> str:
        return self.base_url or "the OpenAI server"

    def _connect(self) -> openai.OpenAI:
        with self._lock:
            if self._client is None:
                key = os.environ.get(self._key)
                if not key and self.base_url is None:
                    raise InputError(
                        f"no key for the OpenAI server; set {self._key} in the environment, or "
                        "give base_url for another server."
                    )
                self._client = openai.OpenAI(
                    base_url=self.base_url,
                    api_key=key or "none",
                    max_retries=0,
                    timeout=self._timeout,
                )
            return self._client

    def _once(
        self,
        client: openai.OpenAI,
        model: str,
        messages: list[dict[str, str]],
        parameters: Mapping[str, Any],
    ) -> Reply:
        # extra_body passes what only some servers know, such as top_k
        reply = client.chat.completions.create(
            model=model,
            messages=messages,  # type: ignore[arg-type]
            extra_body=dict(parameters),
        )
        if not getattr(reply, "choices", None):
            raise ValueError("a reply without choices")
        choice = reply.choices[0]
        text = choice.message.content or ""
        usage = reply.usage
        taken = (
            usage.prompt_tokens if usage else estimate_tokens(messages),
            usage.completion_tokens if usage else estimate_tokens([{"content": text}]),
        )
        with self._lock:
            self._counts["calls"] += 1
            self._counts["tokens_in"] += taken[0]
            self._counts["tokens_out"] += taken[1]
        return Reply(text, choice.finish_reason, *taken)


def _passing(error: Exception) -> bool:
    """Tell whether trying again can help."""
    if isinstance(error, openai.APIStatusError):
        return error.status_code in (408, 409, 429) or error.status_code >= 500
    if isinstance(error, openai.APIConnectionError | openai.APIResponseValidationError):
        return True
    return isinstance(error, ValueError) and not isinstance(error, InputError)
