"""Options of `llmsel judge` for a cheap judge beside the one that counts."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from llmsel._base.errors import InputError
from llmsel.cli.judges import prices
from llmsel.judging.collect import resume
from llmsel.judging.judges import Judge
from llmsel.judging.replay import Contents
from llmsel.pool import Pool


@dataclasses.dataclass(frozen=True)
class CheapOptions:
    """A cheap LLM whose verdicts only help to choose what the judge is asked."""

    cheap_model: Annotated[
        str | None,
        typer.Option(help="A cheap LLM beside the judge: it saves calls, and decides nothing."),
    ] = None
    cheap_base_url: Annotated[
        str | None, typer.Option(help="Of its OpenAI-compatible server; OpenAI's own if none.")
    ] = None
    cheap_key: Annotated[
        str | None, typer.Option(help="Environment variable with that server's key.")
    ] = None
    cheap_ratio: Annotated[
        float | None,
        typer.Option(min=0, help="Price of its verdict over the judge's; 0 if it costs nothing."),
    ] = None
    cheap_price_in: Annotated[
        float | None, typer.Option(help="Instead of the ratio: per million tokens sent.")
    ] = None
    cheap_price_out: Annotated[float | None, typer.Option(help="Per million tokens answered.")] = (
        None
    )

    def __post_init__(self) -> None:
        """Tell mistakes before anything is read."""
        rest = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)[1:]}
        given = [name for name, value in rest.items() if value is not None]
        if self.cheap_model is None and given:
            raise InputError(f"--{given[0].replace('_', '-')} needs --cheap-model.")
        if (self.cheap_price_in is None) != (self.cheap_price_out is None):
            raise InputError("give both --cheap-price-in and --cheap-price-out.")
        if self.cheap_ratio is not None and self.cheap_price_in is not None:
            raise InputError("give --cheap-ratio or the prices of the cheap judge, not both.")

    def judge(self, log: Path, **settings: Any) -> Judge | None:
        """Make the cheap judge, with a cache of its own; None for none.

        Args:
            log: its cache stands beside it.
            settings: further ones of `llmsel.judging.llm.LLMJudge`.
        """
        if self.cheap_model is None:
            return None
        from llmsel.judging.llm import LLMJudge  # an extra, which the judge needs too

        settings |= {"key": self.cheap_key, "cache": f"{log}.cheap.cache"}
        settings |= {"prices": prices(self.cheap_price_in, self.cheap_price_out)}
        return LLMJudge(self.cheap_model, self.cheap_base_url, **settings)

    def price(self, pool: Pool, judge: Judge, cheap: Judge | None) -> float | None:
        """Return the price of a cheap verdict in calls of the judge; None without a cheap judge.

        Raises:
            InputError: neither a ratio nor prices of both.
        """
        if cheap is None or self.cheap_ratio is not None:
            return self.cheap_ratio
        bills = [each.estimate(pool) or {} for each in (cheap, judge)]
        costs = [bill.get("cost", 0.0) for bill in bills]
        if self.cheap_price_in is None or not costs[1]:
            raise InputError(
                "what is a cheap verdict worth to you? Give --cheap-ratio (0 if it costs nothing), "
                "or the prices of both judges."
            )
        return round(costs[0] / costs[1], 6)


def worth(contents: Contents) -> Mapping[str, Any] | None:
    """Say what the cheap judge of a log's race was worth; None without one."""
    if contents.race is None or contents.race.get("cheap_price") is None:
        return None  # the race is not played again for nothing
    race = resume(contents)
    return None if race is None else race.cheap
