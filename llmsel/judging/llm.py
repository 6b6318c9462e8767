"""An LLM as judge, behind any OpenAI-compatible server.

It sees both orders by default; a disagreement is a draw, a verdict that cannot be read is
`Outcome.MISSING`, never a draw. Needs ``pip install 'llmsel[judge]'``.
"""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from llmsel._base.errors import InputError
from llmsel._base.terminal import short
from llmsel.answers.prices import Prices, Purse, estimate_tokens, most_tokens
from llmsel.answers.server import QueryRefused, Reply, Server, ServerError
from llmsel.judging.cache import Said, VerdictCache
from llmsel.judging.instruction import Brief, Chat
from llmsel.judging.judges import Judge, Verdict
from llmsel.judging.reading import THOUGHT, form, parse, reason_in
from llmsel.pool import MISSING, Pool

AGAIN = 'That was no verdict. Reply with {"verdict": "A"}, {"verdict": "B"} or {"verdict": "tie"}.'
AGAIN_REASONED = (
    'That was no verdict. Reply with {"reason": "...", "verdict": "A"}, or with B or tie in it.'
)
POINTS = {"A": 1, "B": -1, "tie": 0}  # for the answer shown first
WITHOUT = (400, 404, 415, 422, 500, 501)  # how servers refuse a response_format
REFUSED = (400, 422)  # and how they refuse a parameter
CUT_OFF = "cut off by max_tokens (-p max_tokens=4000 allows longer replies, =null any length)"
# tokens of a reply, usually and at most, without a reason and with one
LENGTHS = {False: (20, 200), True: (100, 500)}
COMPLAINT = re.compile(r"answered \d+ \((.*)\) for model", re.DOTALL)


class LLMJudge(Judge):
    """An LLM behind any OpenAI-compatible server as judge.

    Args:
        model: its name on the server.
        base_url, key, timeout, tries, patience: see `llmsel.answers.server.Server`; or such a
            server in place of its address.
        orders: "both", or one of "candidate first" and "baseline first" (half the price, and a
            position bias you cannot see).
        prices: per million tokens; None if it costs nothing.
        retries: further tries at a reply that holds no verdict.
        cache: JSON Lines file of verdicts by content, None keeps them in memory. Failures are never
            cached. Several judges may share a `llmsel.judging.cache.VerdictCache`.
        instruction: what the judge is told; None for llmsel's own. One of your own says itself what
            to make of a reference and how to reply: text around a verdict makes it none.
        rubric: what counts, as text; put into the instruction.
        references: the right answer by query (its text; its id in a pool without texts), shown
            beside the two, see `llmsel.judging.instruction.read_references`.
        reasons: have the judge say why ahead of its verdict, as in ``{"reason": "...", "verdict":
            "A"}``, and keep it in ``detail["reasons"]``. Some five times the tokens answered.
        parameters: sent with every request, e.g. ``max_tokens`` or ``seed``; ``temperature`` 0 and
            ``max_tokens`` 200 (500 with reasons) unless given. One that is None is not sent, for
            servers that refuse it and for judges that think before they answer.
        structured: ask the server to force the verdict into its JSON schema (``response_format``),
            which small models need. None asks once and goes on without where it is refused; False
            does not ask, True insists.
    """

    def __init__(
        self,
        model: str,
        base_url: str | Server | None = None,
        *,
        key: str | None = None,
        orders: Literal["both", "candidate first", "baseline first"] = "both",
        prices: Prices | None = None,
        retries: int = 2,
        cache: str | Path | VerdictCache | None = None,
        instruction: str | None = None,
        rubric: str | None = None,
        references: Mapping[str, str] | None = None,
        reasons: bool = False,
        timeout: float = 60.0,
        tries: int = 5,
        patience: float = 3600.0,
        parameters: Mapping[str, Any] | None = None,
        structured: bool | None = None,
    ):
        """Read the cache; the server is not asked yet."""
        self.name = model
        self.orders = ("candidate first", "baseline first") if orders == "both" else (orders,)
        usual = {"temperature": 0.0, "max_tokens": LENGTHS[reasons][1]}
        given = {**usual, **(parameters or {})}
        self.parameters = {name: value for name, value in given.items() if value is not None}
        self._form = form(reasons=reasons)
        asked = "response_format" in self.parameters
        # None: not known yet
        self._structured: bool | None = False if asked else structured
        if structured:
            self.parameters["response_format"] = self._form
        if isinstance(base_url, Server):
            self.server = base_url
        else:
            self.server = Server(
                base_url, key, timeout=timeout, tries=tries, patience=patience, prices=prices
            )
        self.brief = Brief(instruction, rubric, references, reasons)
        self._retries = retries
        self._cache = cache if isinstance(cache, VerdictCache) else VerdictCache(cache)

    @property
    def settings(self) -> dict[str, Any]:
        """All that its verdicts depend on; stands in the log."""
        return {
            "name": self.name,
            "base_url": self.server.shown,
            "orders": list(self.orders),
            **self.brief.settings,
            "parameters": self.parameters,
            "retries": self._retries,
        }

    def context(self, query: str) -> str | None:
        """Hash of the reference that is shown with a query; None without references."""
        return self.brief.context(query)

    def limit(self, purse: Purse | None) -> None:
        """Spend no more than a purse has.

        Raises:
            InputError: a purse, but no prices, or no parameter that bounds a reply.
        """
        if purse is not None and self.server.prices is None:
            raise InputError(
                f"a budget needs the prices of '{self.name}': give them per million tokens "
                "(prices, or --price-in and --price-out)."
            )
        self.server.limit(purse)
        if purse is not None:
            most_tokens((), self.parameters)

    def check(self, pool: Pool) -> None:
        """Warn if the judge is one of the models; refuse a pool without all references."""
        for query in pool.queries if self.brief.references is not None else ():
            self.brief.reference(pool.text_of(query))
        twins = [m for m in pool.models if m.rsplit("/")[-1] == self.name.rsplit("/")[-1]]
        if twins:
            warnings.warn(
                f"the judge '{self.name}' is also a model of the pool: judges favour their own "
                "answers; take another judge or leave that model out.",
                stacklevel=3,
            )

    def messages(self, query: str, first: str, second: str) -> Chat:
        """Build the chat that asks for a verdict on two answers, see `Brief.messages`."""
        return self.brief.messages(query, first, second)

    def judge(self, query: str, response: str, baseline_response: str) -> Verdict:
        """Ask for the verdict in each order.

        Where one order brings none, the judgement is missing and ``detail["failed"]`` says why;
        ``detail["passing"]`` is True where another day may bring one.

        Raises:
            ServerError: the server cannot be used, after retries.
        """
        said: list[Said] = []
        replies: list[Reply] = []
        order = "both" if len(self.orders) > 1 else self.orders[0]
        points: list[int] = []
        for shown in self.orders:
            ahead = shown == "candidate first"
            pair = (response, baseline_response) if ahead else (baseline_response, response)
            try:
                said.append(self._ask(query, *pair, replies))
            except _NoVerdict as error:
                failed = {"failed": str(error), **({"passing": True} if error.passing else {})}
                return Verdict(MISSING, order, self._detail([*said, (None, None)], replies, failed))
            verdict = POINTS[said[-1][0]]
            points.append(verdict if ahead else -verdict)
        outcome = points[0] if len(set(points)) == 1 else 0
        return Verdict(outcome, order, self._detail(said, replies, {}))

    def _detail(
        self,
        said: Sequence[tuple[str | None, str | None]],
        replies: Sequence[Reply],
        more: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Say what a judgement came from: verdicts, reasons where asked for, and what it cost."""
        found: dict[str, Any] = {"verdicts": [verdict for verdict, _ in said]}
        if self.brief.reasons:
            found["reasons"] = [reason for _, reason in said]
        if self.server.prices and replies:
            costs = [self.server.prices.cost(r.tokens_in, r.tokens_out) for r in replies]
            found["cost"] = sum(costs)
        return {**found, **more}

    def estimate(self, pool: Pool, models: Sequence[str] | None = None) -> dict[str, float]:
        """Say what judging the whole pool would take at most, before any request.

        Returns:
            ``requests``, ``tokens_in``, ``tokens_out`` (errs high for English) and ``cost``, for
            all candidates (or `models`) on all queries; what the cache saves is left out.
        """
        requests = tokens = 0
        for chat in self._chats(pool, models or pool.candidates):
            if self._key(chat) not in self._cache:
                requests += 1
                tokens += estimate_tokens(chat)
        out = requests * LENGTHS[self.brief.reasons][0]  # a judge that thinks costs more
        prices = self.server.prices
        return {
            "requests": requests,
            "tokens_in": tokens,
            "tokens_out": out,
            "cost": prices.cost(tokens, out) if prices else 0.0,
        }

    def stop(self) -> None:
        """Begin nothing more, and break off in seconds what is under way."""
        self.server.stop()

    @property
    def spent(self) -> dict[str, float]:
        """Requests, tokens and cost so far, failed replies included."""
        return self.server.spent

    def _chats(self, pool: Pool, models: Sequence[str]) -> Iterator[Chat]:
        """Build what is asked about a pool, identical responses once."""
        columns = [pool.column(model) for model in models]
        texts = pool.queries if pool.texts is None else pool.texts
        for text, row in zip(texts, pool.need("responses"), strict=True):
            baseline = row[pool.baseline_index]
            for response in dict.fromkeys(row[columns]):
                for order in self.orders if response != baseline else ():
                    pair = (response, baseline)
                    yield self.messages(text, *(pair if order == "candidate first" else pair[::-1]))

    def _key(self, messages: Chat) -> str:
        content = [self.name, str(self.server.base_url), messages, self.parameters]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def _ask(self, query: str, first: str, second: str, replies: list[Reply]) -> Said:
        chat = self.messages(query, first, second)
        key = self._key(chat)
        if (known := self._cache.get(key)) is not None:
            return known, self._cache.reason(key)
        quotable = any(THOUGHT in message["content"] for message in chat)
        why = ""
        for _ in range(1 + self._retries):
            reply = self._chat(chat)
            replies.append(reply)
            verdict = parse(reply.text, reply.finish, quotable=quotable)
            if verdict is not None:
                reason = reason_in(reply.text) if self.brief.reasons else None
                self._cache.keep(key, verdict, reason)
                return verdict, reason
            why = "no clear verdict" if reply.finish != "length" else CUT_OFF
            why += f" in {1 + self._retries} replies; the last was '{short(reply.text)}'"
            # the same request would get the same reply
            chat = [*chat[:2], {"role": "assistant", "content": reply.text[:2000] or "..."}]
            again = AGAIN_REASONED if self.brief.reasons else AGAIN
            chat.append({"role": "user", "content": again})
        raise _NoVerdict(why)

    def _chat(self, chat: Chat) -> Reply:
        """Ask the server, for structured output if it offers that.

        Raises:
            ServerError: it cannot be used, or refuses a parameter.
            _NoVerdict: it refuses this query.
        """
        try:
            if self._structured is False:
                return self.server.chat(self.name, chat, self.parameters)
            return self._structured_chat(chat)
        except QueryRefused as error:
            raise _NoVerdict(str(error), passing=error.passing) from error
        except ServerError as error:
            mend = _mend(error.said, self.parameters) if error.status in REFUSED else ""
            if not mend:
                raise
            raise ServerError(f"{error.said}: {mend}", error.status, error.said) from error

    def _structured_chat(self, chat: Chat) -> Reply:
        wanted = {**self.parameters, "response_format": self._form}
        try:
            reply = self.server.chat(self.name, chat, wanted)
        except QueryRefused:
            raise
        except ServerError as error:
            if self._structured or error.status not in WITHOUT:
                raise
            reply = self.server.chat(self.name, chat, self.parameters)
            self._structured = False
        else:
            self._structured = True
        return reply


def _mend(said: str, parameters: Mapping[str, Any]) -> str:
    """Say which -p mends a refusal that names a parameter; empty if it names none."""
    found = COMPLAINT.search(said)
    complaint = found[1] if found else ""
    named = [name for name in parameters if re.search(rf"\b{re.escape(name)}\b", complaint)]
    if not named:
        return ""
    pairs = [f"-p {name}=null" for name in named]
    if "max_tokens" in named and "max_completion_tokens" in complaint:
        pairs.append("-p max_completion_tokens=4000")
    return (
        f"give {' '.join(pairs)} (in Python parameters={{'{named[0]}': None}}) to leave it out; "
        "nothing is lost."
    )


class _NoVerdict(Exception):
    """One order brought no verdict; `passing` if another day may bring one."""

    def __init__(self, why: str, *, passing: bool = False):
        super().__init__(why)
        self.passing = passing
