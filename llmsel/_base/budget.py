"""How much a race may spend."""

from __future__ import annotations

import dataclasses

import numpy as np

from llmsel._base.errors import InputError


@dataclasses.dataclass(frozen=True)
class Budget:
    """How much a race may spend; what is not given is not limited.

    Args:
        calls: judged cells.
        queries: queries touched.
        money: in the currency of ``price``.
        price: of one judge call.

    Raises:
        InputError: a negative limit, or money without a price.
    """

    calls: float | None = None
    queries: int | None = None
    money: float | None = None
    price: float | None = None

    def __post_init__(self) -> None:
        """Check that the limits can be used."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value is not None and not value >= 0:
                raise InputError(f"budget: {field.name}={value} must be at least 0.")
        if self.money is not None and not self.price:
            raise InputError(
                f"budget: money={self.money:g} needs the price of one judge call; give 'price'."
            )

    @property
    def most_calls(self) -> float:
        """The number of calls that calls and money allow; infinite without either."""
        paid = (
            np.inf if self.money is None else np.floor(self.money / float(self.price or 1) + 1e-9)
        )
        return float(min(np.inf if self.calls is None else self.calls, paid))

    @property
    def most_queries(self) -> float:
        """The number of queries allowed; infinite without a limit."""
        return np.inf if self.queries is None else self.queries
