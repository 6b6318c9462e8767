"""`llmsel judge`: an LLM or a program fills an annotation log, in four steps.

Plan (mistakes are told), ask (what it costs), run, and tell.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from tqdm import tqdm

from llmsel._base.errors import InputError, unknown
from llmsel.cli.cheap import CheapOptions, prices, worth
from llmsel.cli.guard import consent, keeps, say
from llmsel.cli.options import (
    WORLDS,
    AsJson,
    Log,
    RaceOptions,
    Source,
    Yes,
    facts,
    grouped,
    parameters,
    read_begun,
)
from llmsel.cli.verdicts import failed_in, finish, tell, warned
from llmsel.judging.collect import annotate, judge_race, outlook
from llmsel.judging.isolated import SECONDS, Isolated
from llmsel.judging.judges import Judge, ProgramJudge
from llmsel.judging.log import AnnotationLog
from llmsel.judging.provenance import bias
from llmsel.judging.replay import Annotation, Contents, read_log
from llmsel.pool import Pool
from llmsel.racing.race import Race, RaceVerdict
from llmsel.session import Answer

SHOWN = 5  # failed judgements that are told one by one
ORDERS = ("both", "candidate first", "baseline first")


@dataclasses.dataclass(frozen=True)
class JudgeOptions:
    """Who judges: an LLM on its server, or a program."""

    model: Annotated[str | None, typer.Option(help="The judge's name on its server.")] = None
    base_url: Annotated[
        str | None, typer.Option(help="Of an OpenAI-compatible server; OpenAI's own if none.")
    ] = None
    key: Annotated[
        str | None,
        typer.Option(
            help="Environment variable with the server's key; OPENAI_API_KEY for OpenAI's own."
        ),
    ] = None
    program: Annotated[
        str | None,
        typer.Option(help="file.py:function instead of an LLM: (query, response) -> score."),
    ] = None
    seconds: Annotated[
        float, typer.Option("--time-limit", "--limit", help="Seconds of a program for one answer.")
    ] = SECONDS
    orders: Annotated[str, typer.Option(help="both, candidate first or baseline first.")] = "both"
    price_in: Annotated[float | None, typer.Option(help="Per million tokens sent.")] = None
    price_out: Annotated[float | None, typer.Option(help="Per million tokens answered.")] = None
    structured: Annotated[
        bool, typer.Option("--structured", help="Have the server force the verdict's JSON.")
    ] = False
    parameter: Annotated[
        list[str] | None, typer.Option("-p", help="Sent with every request: name=value.")
    ] = None

    def __post_init__(self) -> None:
        """Tell mistakes before anything is read."""
        if (self.model is None) == (self.program is None):
            raise InputError("name one judge: --model of an LLM, or --program file.py:function.")
        if self.orders not in ORDERS:
            raise unknown("order in --orders", self.orders, ORDERS)
        if (self.price_in is None) != (self.price_out is None):
            raise InputError("give both --price-in and --price-out, per million tokens.")


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is to be done: a race, or so many whole queries."""

    log: Path
    pool: Pool
    held: Contents | None
    race: RaceOptions | None
    queries: int | None
    cheap: Judge | None = None
    cheap_price: float | None = None

    def begin(self, held: Contents | None, *, workers: int) -> Race:
        """Make the race, or that of the log; what is given must agree with it."""
        options = self.race or RaceOptions()
        price = self.cheap_price
        return options.race(self.pool, held, name=self.log.name, workers=workers, cheap_price=price)


@grouped
def judge_command(
    log: Log,
    source: Source,
    judge: JudgeOptions,
    race: RaceOptions,
    cheap: CheapOptions,
    queries: Annotated[
        int | None,
        typer.Option(min=1, help="No race: judge so many whole queries, and no certificate."),
    ] = None,
    calls: Annotated[
        int | None,
        typer.Option(min=0, help="Stop after so many judged answers; go on another day."),
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Judge again all that failed before.")
    ] = False,
    workers: Annotated[int, typer.Option(min=1, help="Comparisons at a time.")] = 4,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Let an LLM or a program judge: a race by default, up to its certificate.

    Every verdict goes to LOG as it arrives; run it again to go on. LOG keeps
    the settings of its race, and LOG.cache what the LLM said. A program runs in
    processes of its own, with a time limit; what fails is a failed judgement.

    A cheap judge beside it saves calls where it is worth its price: the race
    buys its verdicts only where they are likely to pay, says what they brought,
    and its certificate does not depend on them.

    Examples:
    llmsel judge race.jsonl --pool answers.jsonl --baseline gpt-4 --model gpt-4o-mini

    llmsel judge race.jsonl --pool answers.jsonl --baseline a --program grade.py:score
    """
    pool = source.read()
    with _judge(judge, log) as who:
        plan = _plan(log, pool, race, queries=queries)
        plan = _with_cheap(plan, who, cheap, orders=judge.orders)
        # mistakes are told before anything is asked
        begun = None if plan.race is None else plan.begin(plan.held, workers=workers)
        _ask(plan, who, begun, priced=judge.price_in is not None, yes=yes)
        keeps(f"every verdict until now is in '{log}'; the same command goes on from there")
        said = _run(plan, who, calls=calls, workers=workers, retry_failed=retry_failed)
    _tell(said, read_log(log, plan.pool), who, as_json=as_json)


def _plan(log: Path, pool: Pool, race: RaceOptions, *, queries: int | None) -> Plan:
    """Settle what is to be done.

    Raises:
        InputError: a log that cannot be gone on with in this way, or a setting out of range.
    """
    held = read_begun(log, pool)
    if queries is None:
        return Plan(log, pool, held, race, None)
    if held is not None and held.race is not None:
        raise InputError(f"'{log}' holds a race; leave --queries out, or begin a new log.")
    return Plan(log, pool, held, None, queries)


def _with_cheap(plan: Plan, judge: Judge, options: CheapOptions, *, orders: str) -> Plan:
    """Add the cheap judge, if there is one, and what its verdicts cost.

    Raises:
        InputError: no race that could use it, or a price that is not known.
    """
    cheap = options.judge(plan.log, orders=orders)
    if cheap is None:
        return plan
    if plan.race is None:
        raise InputError("only a race can use a cheap judge; leave --cheap-model or --queries out.")
    begun = plan.held is not None and plan.held.race is not None
    price = None if begun else options.price(plan.pool, judge, cheap)  # a log keeps its price
    return dataclasses.replace(plan, cheap=cheap, cheap_price=price)


@contextmanager
def _judge(options: JudgeOptions, log: Path) -> Iterator[Judge]:
    """Make the judge; a program's processes end with the block."""
    if options.program is None:
        yield _llm(options, log)
        return
    with Isolated(options.program, seconds=options.seconds) as function:
        yield ProgramJudge(function)


def _llm(options: JudgeOptions, log: Path) -> Judge:
    try:  # an extra
        from llmsel.judging.llm import LLMJudge
    except ImportError as error:
        raise InputError(f"to judge with an LLM, pip install 'llmsel[judge]' ({error}).") from error
    settings: dict[str, Any] = {
        "base_url": options.base_url,
        "key": options.key,
        "orders": options.orders,
        "prices": prices(options.price_in, options.price_out),
        "cache": f"{log}.cache",
        "parameters": parameters(options.parameter),
        "structured": True if options.structured else None,  # None: where the server offers it
    }
    return LLMJudge(str(options.model), **settings)


def _ask(plan: Plan, judge: Judge, race: Race | None, *, priced: bool, yes: bool) -> None:
    """Say what it would cost, and wait for consent; a judge that costs nothing just starts."""
    bill = judge.estimate(plan.pool)
    if bill is None:
        return
    rest = f"{plan.queries} queries are asked for."
    if race is not None:
        delta, batch = race.settings["delta"], race.settings["batch"]
        options = {"rule": race.rule, "batch": batch, "worlds": WORLDS}
        (likely,) = outlook(plan.pool, plan.held, [delta], **options)
        rest = f"a race stops earlier; {likely.statement}"
    price = f", cost {bill['cost']:.4g}" if priced else ""
    say(
        f"judging every answer takes {bill['requests']:.0f} requests, about "
        f"{bill['tokens_in']:.0f} tokens in and {bill['tokens_out']:.0f} out{price}; {rest}",
        err=True,
    )
    consent(yes=yes)


def _run(
    plan: Plan, judge: Judge, *, calls: int | None, workers: int, retry_failed: bool
) -> Answer | RaceVerdict:
    """Fill the log, and return what can be said then.

    Args:
        plan: what is to be done.
        judge: who judges.
        calls: judged answers of a race, at most.
        workers: comparisons at a time.
        retry_failed: judge those first that failed.
    """
    options: dict[str, Any] = {"workers": workers, "retry_failed": retry_failed}
    if plan.race is None:
        strategy = None if plan.held is not None else "LLM Selector"
        with AnnotationLog(plan.log, plan.pool, strategy=strategy) as opened:
            annotate(opened, judge, queries=plan.queries, **options)
            return opened.session.best()
    with (
        AnnotationLog(plan.log, plan.pool) as opened,
        tqdm(unit=" calls", desc="race", disable=None) as bar,
    ):
        race, beside = plan.begin(opened.contents, workers=workers), [""]

        def watch(now: RaceVerdict) -> None:
            bar.update(len(opened.given) - bar.n)
            left = f"{now.queries} queries, {len(now.live)} models left{beside[0]}"
            bar.set_postfix_str(left)

        def gauge(cheap: Mapping[str, Any]) -> None:
            beside[0] = f"; {cheap['words']}"

        options |= {"cheap": plan.cheap, "watch": watch, "gauge": gauge}
        return judge_race(opened, judge, race=race, calls=calls, **options)


def _tell(said: Answer | RaceVerdict, contents: Contents, judge: Judge, *, as_json: bool) -> None:
    """Print the verdict with all that stands beside it; end with its exit code."""
    if as_json:
        found = {**facts(said), **warned(said, contents), "bias": _bias(contents.given)}
        if (cheap := worth(contents)) is not None:
            found["cheap"] = dict(cheap)
        spent = {} if judge.spent is None else {"spent": dict(judge.spent)}
        say(json.dumps(found | spent, indent=2))
    else:
        tell(said, contents)
        for line in _beside(contents, judge):
            say(line)
    finish(said, contents)


def _beside(contents: Contents, judge: Judge) -> list[str]:
    """Lines under the statement: what failed, what was spent, how far the judge follows itself."""
    failed = failed_in(contents.given)
    lines = [
        f"no judgement of '{f['model']}' on '{f['query']}': {f['why']}" for f in failed[:SHOWN]
    ]
    if len(failed) > SHOWN:
        lines.append(f"and {len(failed) - SHOWN} more failed judgements; --json names all")
    if judge.spent is not None:
        requests, cost = judge.spent["requests"], judge.spent["cost"]
        lines.append(f"spent now: {requests:.0f} requests, cost {cost:.4g}")
    if (cheap := worth(contents)) is not None:
        lines.append(f"{cheap['words']}; {cheap['verdicts']} of its verdicts were bought")
    if (both := _bias(contents.given)) is not None:
        lines.append(
            f"both orders agree on {both['agreement']:.0%} of {both['pairs']:.0f} pairs; the "
            f"order alone decides {both['position_bias']:.0%}"
        )
    return lines


def _bias(given: Sequence[Annotation]) -> dict[str, float] | None:
    found = bias(given)
    return found if found["pairs"] else None
