"""Who judges, as `llmsel judge` is told: an LLM, a panel of them, or a program."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from llmsel._base.errors import InputError, unknown
from llmsel.answers.prices import Prices
from llmsel.cli.options import parameters
from llmsel.judging.cache import VerdictCache
from llmsel.judging.instruction import read_instruction, read_references
from llmsel.judging.isolated import SECONDS, Isolated
from llmsel.judging.judges import Judge, ProgramJudge
from llmsel.pool import Pool

ORDERS = ("both", "candidate first", "baseline first")
PATIENCE = 60.0  # seconds for one reply


@dataclasses.dataclass(frozen=True)
class JudgeOptions:
    """Who judges: an LLM on its server, a panel of them, or a program."""

    model: Annotated[str | None, typer.Option(help="The judge's name on its server.")] = None
    panel: Annotated[
        Path | None,
        typer.Option(
            help="Several LLMs instead, and what more than half say: a file like models.toml, the "
            "cheapest first; a parameter that is 'null' is not sent."
        ),
    ] = None
    program: Annotated[
        str | None,
        typer.Option(help="file.py:function instead of an LLM: (query, response) -> score."),
    ] = None
    base_url: Annotated[
        str | None, typer.Option(help="Of an OpenAI-compatible server; OpenAI's own if none.")
    ] = None
    key: Annotated[
        str | None,
        typer.Option(
            help="Environment variable with the server's key; OPENAI_API_KEY for OpenAI's own."
        ),
    ] = None
    seconds: Annotated[
        float | None,
        typer.Option(
            "--time-limit",
            "--limit",
            help=f"Seconds of a program for one answer ({SECONDS:g}), or of an LLM's server for a "
            f"reply ({PATIENCE:g}).",
        ),
    ] = None
    orders: Annotated[str, typer.Option(help="both, candidate first or baseline first.")] = "both"
    rubric: Annotated[
        Path | None, typer.Option(help="What counts, as text; put into an LLM's instruction.")
    ] = None
    references: Annotated[
        Path | None,
        typer.Option(
            help="Right answers to show an LLM: JSON Lines, CSV or Parquet with query_id and "
            "reference; it may be the file of the queries or of the answers."
        ),
    ] = None
    reasons: Annotated[
        bool,
        typer.Option(
            "--reasons", help="Have an LLM say why, and keep it in LOG; longer replies cost more."
        ),
    ] = False
    instruction: Annotated[
        Path | None, typer.Option(help="All that an LLM is told, in place of llmsel's own text.")
    ] = None
    price_in: Annotated[float | None, typer.Option(help="Per million tokens sent.")] = None
    price_out: Annotated[float | None, typer.Option(help="Per million tokens answered.")] = None
    structured: Annotated[
        bool, typer.Option("--structured", help="Have the server force the verdict's JSON.")
    ] = False
    parameter: Annotated[
        list[str] | None,
        typer.Option("-p", help="Sent with every request: name=value; name=null leaves it out."),
    ] = None

    def __post_init__(self) -> None:
        """Tell mistakes before anything is read."""
        if sum(who is not None for who in (self.model, self.panel, self.program)) != 1:
            raise InputError(
                "name one judge: --model of an LLM, --panel of several, or --program "
                "file.py:function."
            )
        if self.orders not in ORDERS:
            raise unknown("order in --orders", self.orders, ORDERS)
        if (self.price_in is None) != (self.price_out is None):
            raise InputError("give both --price-in and --price-out, per million tokens.")
        if self.seconds is not None and not self.seconds > 0:
            raise InputError(f"--time-limit {self.seconds:g}: give seconds above 0.")
        told = ("rubric", "references", "reasons", "instruction", "structured")
        here = ("base_url", "key", "price_in", "parameter")
        if self.program is not None:
            self._refuse((*told, *here), "is for an LLM as judge: leave it out with --program.")
        if self.panel is not None:
            self._refuse((*here, "seconds"), "stands in the file of a panel, for each judge.")

    def _refuse(self, names: tuple[str, ...], why: str) -> None:
        for name in names:
            if getattr(self, name) not in (None, False):
                flag = {"parameter": "-p", "seconds": "--time-limit"}.get(name)
                raise InputError(f"{flag or '--' + name.replace('_', '-')} {why}")

    def told(self, pool: Pool) -> dict[str, Any]:
        """Read what an LLM is told beside the answers: keywords of `LLMJudge`.

        Args:
            pool: whose queries have references.

        Raises:
            InputError: a file that cannot be read, or references that are missing.
        """
        found: dict[str, Any] = {"orders": self.orders}
        for name in ("rubric", "instruction"):
            path = getattr(self, name)
            found[name] = None if path is None else read_instruction(path, name)
        if self.references is not None:
            found["references"] = read_references(self.references, pool)
        return found

    @contextmanager
    def judge(self, log: Path, told: Mapping[str, Any]) -> Iterator[Judge]:
        """Make the judge; a program's processes end with the block.

        Args:
            log: an LLM's cache stands beside it.
            told: see `told`.

        Raises:
            InputError: a judge that cannot be made.
        """
        if self.program is not None:
            with Isolated(self.program, seconds=self.seconds or SECONDS) as function:
                yield ProgramJudge(function)
            return
        try:  # an extra
            from llmsel.judging.llm import LLMJudge
        except ImportError as error:
            raise InputError(
                f"to judge with an LLM, pip install 'llmsel[judge]' ({error})."
            ) from error
        settings: dict[str, Any] = {
            **told,
            "reasons": self.reasons,
            "cache": VerdictCache(f"{log}.cache"),
            "structured": True if self.structured else None,  # None: where the server offers it
        }
        if self.panel is not None:
            yield _panel(self.panel, settings)
            return
        settings |= {
            "base_url": self.base_url,
            "key": self.key,
            "prices": prices(self.price_in, self.price_out),
            "timeout": self.seconds or PATIENCE,
            "parameters": parameters(self.parameter),
        }
        yield LLMJudge(str(self.model), **settings)


def _panel(path: Path, settings: Mapping[str, Any]) -> Judge:
    """Make a panel of the models of a file."""
    from llmsel.answers.models import read_models
    from llmsel.judging.llm import LLMJudge
    from llmsel.judging.panel import Panel

    judges = []
    for model in read_models(path):
        if model.system is not None:
            raise InputError(
                f"'{path}', '{model.name}': a judge has no system prompt of its own; give "
                "--instruction or --rubric for all."
            )
        sent = {k: None if v == "null" else v for k, v in model.parameters.items()}
        judges.append(LLMJudge(model.model, model.server, parameters=sent, **settings))
    return Panel(judges)


def prices(sent: float | None, answered: float | None) -> Prices | None:
    """Put two prices per million tokens together; None without them."""
    return None if sent is None or answered is None else Prices(sent, answered)
