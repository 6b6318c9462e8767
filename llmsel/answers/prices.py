"""What requests cost: prices, estimates, and a budget that is never exceeded."""

from __future__ import annotations

import dataclasses
import math
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from llmsel._base.errors import InputError


@dataclasses.dataclass(frozen=True)
class Prices:
    """Price per million tokens, in any currency: of what is sent and of what is answered."""

    tokens_in: float
    tokens_out: float

    def __post_init__(self) -> None:
        """Refuse what is no price.

        Raises:
            InputError: negative, infinite or not a number.
        """
        if not all(math.isfinite(p) and p >= 0 for p in (self.tokens_in, self.tokens_out)):
            raise InputError(f"{self} is no price: give numbers from 0 up, per million tokens.")

    def cost(self, tokens_in: float, tokens_out: float) -> float:
        """Price of so many tokens."""
        return (tokens_in * self.tokens_in + tokens_out * self.tokens_out) / 1e6


def estimate_tokens(messages: Iterable[Mapping[str, str]]) -> int:
    """Estimate the tokens of a chat without its tokenizer: 3 characters each, and 5 a message.

    English has 4 to 5 characters a token, other languages fewer: for English this errs high.
    """
    return sum(len(message["content"]) // 3 + 5 for message in messages)


def most_tokens(
    messages: Iterable[Mapping[str, str]], parameters: Mapping[str, Any]
) -> tuple[int, int]:
    """Bound the tokens that a chat can take: sent, a byte each and 20 a message; and answered.

    Raises:
        InputError: no parameter bounds the reply.
    """
    sent = sum(len(message["content"].encode()) + 20 for message in messages)
    for name in ("max_completion_tokens", "max_tokens"):
        if isinstance(parameters.get(name), int):
            return sent, parameters[name]
    raise InputError(
        "a budget needs a longest reply: give -p max_tokens=2000, or -p max_completion_tokens=2000 "
        "where a server refuses the former (parameters)."
    )


class BudgetSpent(InputError):
    """The next request could exceed the budget; it was not sent."""


class Purse:
    """What requests may still cost, in the currency of the prices.

    Before a request is sent, the most that it can cost is held back; if that does not fit, it waits
    for those under way, which mostly cost less. So where it ends does not depend on their timing.

    Args:
        budget: in all.
        before: spent of it already.

    Raises:
        InputError: a budget that is no sum of money.
    """

    def __init__(self, budget: float, before: float = 0.0):
        """Nothing is under way."""
        if not (math.isfinite(budget) and budget > 0):
            raise InputError(f"budget={budget:g}: give a sum of money above 0.")
        self.budget, self.before = budget, before
        self._spent = before
        self._held: list[float] = []
        self._stops = 0
        self._change = threading.Condition()

    @property
    def spent(self) -> float:
        """All that is spent, what was before included."""
        return self._spent

    def pay(self, cost: float) -> None:
        """Note what a reply cost."""
        with self._change:
            self._spent += cost

    @contextmanager
    def holding(self, most: float) -> Iterator[None]:
        """Hold back the most that a request can cost while it is under way.

        Raises:
            BudgetSpent: it does not fit, or the rest was stopped while it waited.
        """
        with self._change:
            stops = self._stops
            while self._spent + sum(self._held) + most > self.budget:
                if not self._held or stops != self._stops:
                    raise BudgetSpent(self._words(most))
                self._change.wait()
            self._held.append(most)
        try:
            yield
        finally:
            with self._change:
                self._held.remove(most)
                self._change.notify_all()

    def stop(self) -> None:
        """Let nothing that waits begin."""
        with self._change:
            self._stops += 1
            self._change.notify_all()

    def _words(self, most: float) -> str:
        before = f", {self.before:.4g} of it in runs before" if self.before else ""
        return (
            f"the budget of {self.budget:g} is reached: {self._spent:.4g} is spent{before}, and "
            f"the next request may cost {most:.2g}; give a larger one to go on."
        )
