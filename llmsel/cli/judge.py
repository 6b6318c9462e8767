"""The command line of automatic judges: an LLM or a program fills an annotation log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from tqdm import tqdm

from llmsel._base.errors import InputError
from llmsel.cli.options import (
    AsJson,
    Baseline,
    Log,
    Source,
    facts,
    parameters,
    race_of,
    read_begun,
    read_pool,
)
from llmsel.judging.collect import annotate, bias, judge_race
from llmsel.judging.isolated import SECONDS, Isolated
from llmsel.judging.judges import Judge, ProgramJudge
from llmsel.judging.log import AnnotationLog
from llmsel.judging.replay import Annotation
from llmsel.race import Race, RaceVerdict
from llmsel.session import Answer

ORDERS = ("both", "candidate first", "baseline first")


def judge_command(
    context: typer.Context,
    log: Log,
    pool: Source,
    baseline: Baseline = None,
    model: Annotated[str | None, typer.Option(help="The judge's name on its server.")] = None,
    base_url: Annotated[
        str | None, typer.Option(help="Of an OpenAI-compatible server; OpenAI's own if none.")
    ] = None,
    key: Annotated[
        str, typer.Option(help="Environment variable that holds the key.")
    ] = "OPENAI_API_KEY",
    program: Annotated[
        str | None,
        typer.Option(help="file.py:function instead of an LLM: (query, response) -> score."),
    ] = None,
    seconds: Annotated[
        float, typer.Option("--time-limit", help="Seconds of a program for one answer.")
    ] = SECONDS,
    delta: Annotated[
        float | None,
        typer.Option(help="Stop once within this margin (win rate) of the best; 0.01 if none."),
    ] = None,
    alpha: Annotated[
        float | None, typer.Option(help="Chance of a wrong certificate, at most; 0.05 if none.")
    ] = None,
    heuristic: Annotated[
        bool, typer.Option("--heuristic", help="Fewer calls, no certificate.")
    ] = False,
    queries: Annotated[
        int | None,
        typer.Option(help="No race: judge so many whole queries, in LLM Selector's order."),
    ] = None,
    calls: Annotated[
        int | None, typer.Option(help="Stop after so many judged answers; go on another day.")
    ] = None,
    orders: Annotated[str, typer.Option(help="both, candidate first or baseline first.")] = "both",
    price_in: Annotated[float | None, typer.Option(help="Per million tokens sent.")] = None,
    price_out: Annotated[float | None, typer.Option(help="Per million tokens answered.")] = None,
    structured: Annotated[
        bool, typer.Option("--structured", help="Have the server force the verdict's JSON.")
    ] = False,
    parameter: Annotated[
        list[str] | None, typer.Option("-p", help="Sent with every request: name=value.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Of the race's order of queries; 0 if none.")
    ] = None,
    batch: Annotated[
        int | None, typer.Option(help="Queries a race asks for at a time; 4 if none.")
    ] = None,
    workers: Annotated[int, typer.Option(help="Comparisons at a time.")] = 4,
    yes: Annotated[bool, typer.Option("--yes", help="Start without asking.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let an LLM or a program judge: a race by default, up to its certificate.

    Every verdict goes to LOG as it arrives; run it again to go on. LOG keeps
    the settings of its race, and LOG.cache what the LLM said.

    Examples:
    llmsel judge race.jsonl --pool answers.jsonl --baseline gpt-4 --model gpt-4o-mini

    llmsel judge race.jsonl --pool answers.jsonl --baseline a --program grade.py:score
    """
    if (model is None) == (program is None):
        raise InputError("name one judge: --model of an LLM, or --program file.py:function.")
    answers = read_pool(pool, baseline)
    held = read_begun(log, answers)
    run = None  # mistakes are told before the question below
    if queries is None:
        run = race_of(answers, held, log.name, delta, alpha, heuristic, seed, batch)
    elif held is not None and held.race is not None:
        raise InputError(f"'{log}' holds a race; leave --queries out, or begin a new log.")
    judge: Judge
    if program is not None:
        judge = _program(context, program, seconds)
    else:
        judge = _llm(log, model, base_url, key, orders, price_in, price_out, structured, parameter)
        bill = judge.estimate(answers)  # type: ignore[attr-defined]
        rest = "a race stops earlier" if queries is None else f"{queries} queries are asked for"
        price = f", cost {bill['cost']:.4g}" if price_in is not None else ""
        typer.echo(
            f"judging every answer takes {bill['calls']:.0f} calls, about {bill['tokens_in']:.0f} "
            f"tokens in and {bill['tokens_out']:.0f} out{price}; {rest}.",
            err=True,
        )
        if not yes and not typer.confirm("start?", err=True):
            raise typer.Exit(1)
    strategy = None if held is not None else "LLM Selector" if run is None else "Random"
    said: Answer | RaceVerdict
    with AnnotationLog(log, answers, strategy) as opened:
        if run is not None:
            said = _race(opened, judge, run, calls, workers)
        else:
            annotate(opened, judge, queries, workers)
            said = opened.session.best()
        given = list(opened.given)
    if as_json:
        found = {**facts(said), "outcomes": len(given), "bias": _bias(given)}
        found["failed"] = _failed(given)
        spent = getattr(judge, "spent", None)
        typer.echo(json.dumps(found | ({"spent": spent} if spent else {}), indent=2))
        return
    typer.echo(said.statement)
    for line in _remarks(judge, given):
        typer.echo(line)


def _race(
    log: AnnotationLog, judge: Judge, run: Race, calls: int | None, workers: int
) -> RaceVerdict:
    with tqdm(unit=" calls", desc="race", disable=None) as bar:

        def watch(now: RaceVerdict) -> None:
            bar.update(len(log.given) - bar.n)
            bar.set_postfix_str(f"{now.queries} queries, {len(now.live)} models left")

        return judge_race(log, judge, run, calls, workers, watch)


def _bias(given: list[Annotation]) -> dict[str, float] | None:
    found = bias(given)
    return found if found["pairs"] else None


def _remarks(judge: Judge, given: list[Annotation]) -> list[str]:
    """Say what was spent now, how far the judge can be trusted, and what to do next."""
    failed = _failed(given)
    lines = [f"no judgement of '{f['model']}' on '{f['query']}': {f['why']}" for f in failed[:5]]
    if len(failed) > 5:
        lines.append(f"and {len(failed) - 5} more failed judgements; --json names all")
    if (spent := getattr(judge, "spent", None)) is not None:
        lines.append(f"spent now: {spent['calls']:.0f} calls, cost {spent['cost']:.4g}")
    if (found := _bias(given)) is not None:
        lines.append(
            f"both orders agree on {found['agreement']:.0%} of {found['pairs']:.0f} pairs; the "
            f"order alone decides {found['position_bias']:.0%}"
        )
        if found["agreement"] < 0.5:
            lines.append("the judge mostly follows the order it is shown: take a better one")
    return lines


def _llm(
    log: Path,
    model: str | None,
    base_url: str | None,
    key: str,
    orders: str,
    price_in: float | None,
    price_out: float | None,
    structured: bool,
    parameter: list[str] | None,
) -> Judge:
    try:  # the openai client takes a second to import
        from llmsel.answers.server import Prices
        from llmsel.judging.llm import LLMJudge
    except ImportError as error:
        raise InputError(f"to judge with an LLM, pip install 'llmsel[judge]' ({error}).") from error
    if orders not in ORDERS:
        raise InputError(f"--orders is one of {', '.join(ORDERS)}.")
    if (price_in is None) != (price_out is None):
        raise InputError("give both --price-in and --price-out, per million tokens.")
    prices = None
    if price_in is not None and price_out is not None:
        prices = Prices(price_in, price_out)
    return LLMJudge(
        str(model),
        base_url,
        key,
        orders,  # type: ignore[arg-type]
        prices,
        cache=f"{log}.cache",
        parameters=parameters(parameter),
        structured=structured,
    )


def _program(context: typer.Context, program: str, seconds: float) -> Judge:
    """Isolate ``file.py:function`` until the command ends."""
    function = Isolated(program, seconds=seconds)
    context.call_on_close(function.close)
    return ProgramJudge(function)


def _failed(given: list[Annotation]) -> list[dict[str, str]]:
    """Name the judgements that failed, and why."""
    return [
        {"query": each.query, "model": each.model, "why": each.detail["failed"]}
        for each in given
        if "failed" in each.detail
    ]
