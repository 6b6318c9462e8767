"""`llmsel judge`: an LLM or a program fills an annotation log, in four steps.

Plan (mistakes are told), ask (what it costs), run, and tell.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from tqdm import tqdm

from llmsel._base.errors import InputError
from llmsel.answers.prices import BudgetSpent, Purse
from llmsel.cli.cheap import CheapOptions, worth
from llmsel.cli.guard import DOUBT, consent, keeps, say
from llmsel.cli.judges import JudgeOptions
from llmsel.cli.options import (
    WORLDS,
    AsJson,
    Log,
    RaceOptions,
    Source,
    Yes,
    facts,
    grouped,
    read_begun,
)
from llmsel.cli.verdicts import failed_in, finish, tell, warned
from llmsel.judging.collect import annotate, decided, judge_race, outlook
from llmsel.judging.judges import Judge
from llmsel.judging.log import AnnotationLog
from llmsel.judging.provenance import bias, judges_of
from llmsel.judging.replay import Annotation, Contents, read_log
from llmsel.pool import Pool
from llmsel.racing.audit import Audit
from llmsel.racing.pairs import comparisons, has_pairs
from llmsel.racing.race import Race, RaceVerdict
from llmsel.session import Answer

SHOWN = 5  # failed judgements that are told one by one


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
        typer.Option(
            min=0,
            help="Stop after so many calls (a call compares a candidate's answer with the "
            "baseline's on one query); go on another day.",
        ),
    ] = None,
    budget: Annotated[
        float | None,
        typer.Option(
            help="Stop before LOG has cost more than this, in the currency of the prices; what "
            "runs before spent is what LOG says."
        ),
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Judge again all that failed before.")
    ] = False,
    workers: Annotated[int, typer.Option(min=1, help="Calls at a time.")] = 4,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Let an LLM or a program judge: a race by default, up to its certificate.

    Every verdict goes to LOG as it arrives; run it again to go on. LOG keeps
    the settings of its race, and LOG.cache what the LLM said. A program runs in
    processes of its own, with a time limit; what fails is a failed judgement.

    A call is one comparison; an LLM takes two requests for it, one in each
    order, and more where a reply holds no verdict.

    A cheap judge beside it saves calls where it is worth its price: the race
    buys its verdicts only where they are likely to pay, says what they brought,
    and its certificate does not depend on them.

    Examples:
    llmsel judge race.jsonl --pool answers.jsonl --baseline gpt-4 --model gpt-4o-mini

    llmsel judge race.jsonl --pool answers.jsonl --baseline a --program grade.py:score

    llmsel judge race.jsonl --pool answers.jsonl --baseline a --panel judges.toml --budget 5

    llmsel judge race.jsonl --pool answers.jsonl --pairs --model gpt-4o-mini
    """
    pool = source.read(pairs=True)
    told = judge.told(pool)
    with judge.judge(log, told) as who:
        plan = _plan(log, pool, race, queries=queries)
        plan = _with_cheap(plan, who, cheap, told)
        # mistakes are told before anything is asked
        begun = None if plan.race is None else plan.begin(plan.held, workers=workers)
        _check_budget(budget, who, plan.cheap)
        _say_width(begun, workers)
        if plan.held is not None and decided(plan.held, retry_failed=retry_failed):
            say("this race is decided: nothing more is asked.", err=True)
        else:
            _ask(plan, who, begun, budget=budget, yes=yes)
        keeps(f"every verdict until now is in '{log}'; the same command goes on from there")
        limits: dict[str, Any] = {
            "workers": workers,
            "retry_failed": retry_failed,
            "budget": budget,
        }
        said, cut = _run(plan, who, calls=calls, **limits)
    _tell(said, read_log(log, plan.pool), who, as_json=as_json)
    if cut:
        raise typer.Exit(DOUBT)


def _plan(log: Path, pool: Pool, race: RaceOptions, *, queries: int | None) -> Plan:
    """Settle what is to be done.

    Raises:
        InputError: a log that cannot be gone on with in this way, or a setting out of range.
    """
    held = read_begun(log, pool)
    if queries is None:
        return Plan(log, pool, held, race, None)
    if has_pairs(pool):
        raise InputError("--pairs is for a race: leave --queries out.")
    if held is not None and held.race is not None:
        raise InputError(f"'{log}' holds a race; leave --queries out, or begin a new log.")
    return Plan(log, pool, held, None, queries)


def _say_width(race: Race | None, workers: int) -> None:
    """Say so where a race, as it was begun, cannot keep all workers busy."""
    if race is None or not isinstance(race.rule, Audit):
        return
    width = max(race.settings["batch"], len(race.live) - 1)
    if width < workers:
        say(
            f"this race asks for {width} answers at a time, so no more of the {workers} workers "
            "are busy; a new log whose --batch is left out follows the workers.",
            err=True,
        )


def _check_budget(budget: float | None, *judges: Judge | None) -> None:
    """Tell before anything is asked that a budget cannot be kept.

    Raises:
        InputError: it is no sum of money, or a judge has no prices or no longest reply.
    """
    purse = None if budget is None else Purse(budget)
    for judge in judges:
        if judge is not None:
            judge.limit(purse)


def _with_cheap(plan: Plan, judge: Judge, options: CheapOptions, told: Mapping[str, Any]) -> Plan:
    """Add the cheap judge, if there is one, and what its verdicts cost.

    Raises:
        InputError: no race that could use it, or a price that is not known.
    """
    cheap = options.judge(plan.log, **told)
    if cheap is None:
        return plan
    if has_pairs(plan.pool):
        raise InputError("a race over all pairs asks no cheap judge; leave it or --pairs out.")
    if plan.race is None:
        raise InputError("only a race can use a cheap judge; leave --cheap-model or --queries out.")
    begun = plan.held is not None and plan.held.race is not None
    price = None if begun else options.price(plan.pool, judge, cheap)  # a log keeps its price
    return dataclasses.replace(plan, cheap=cheap, cheap_price=price)


def _ask(plan: Plan, judge: Judge, race: Race | None, *, budget: float | None, yes: bool) -> None:
    """Say what it would cost, and wait for consent; a judge that costs nothing just starts."""
    bill = judge.estimate(plan.pool)
    if bill is None:
        return
    rest = f"{plan.queries} queries are asked for."
    calls = comparisons(plan.pool)
    if race is not None and has_pairs(plan.pool):
        rest = "a race stops earlier, which is not forecast without a baseline."
    elif race is not None:
        delta, batch = race.settings["delta"], race.settings["batch"]
        options = {"rule": race.rule, "batch": batch, "worlds": WORLDS}
        (likely,) = outlook(plan.pool, plan.held, [delta], **options)
        rest = f"a race stops earlier; {likely.statement}"
    price = f", cost {bill['cost']:.4g}" if bill["cost"] else ""
    spent = 0.0 if plan.held is None else plan.held.cost
    limit = "" if budget is None else f" It stops at {budget:g}; {spent:.4g} of it is spent."
    say(
        f"judging every answer takes {bill['requests']:.0f} requests for {calls} calls, about "
        f"{bill['tokens_in']:.0f} tokens in and {bill['tokens_out']:.0f} out{price}; {rest}{limit}",
        err=True,
    )
    consent(yes=yes)


def _run(
    plan: Plan,
    judge: Judge,
    *,
    calls: int | None,
    budget: float | None,
    workers: int,
    retry_failed: bool,
) -> tuple[Answer | RaceVerdict, bool]:
    """Fill the log; return what can be said then, and whether queries are left for want of money.

    Args:
        plan: what is to be done.
        judge: who judges.
        calls: of a race, at most.
        budget: that the log may cost in all.
        workers: calls at a time.
        retry_failed: judge those first that failed.
    """
    strategy = None if plan.race is not None or plan.held is not None else "LLM Selector"
    with (
        AnnotationLog(plan.log, plan.pool, strategy=strategy) as opened,
        tqdm(unit=" calls", desc="judge", initial=len(opened.given), disable=None) as bar,
    ):

        def kept() -> None:
            bar.update(len(opened.given) - bar.n)

        options: dict[str, Any] = {"workers": workers, "retry_failed": retry_failed}
        options |= {"budget": budget, "kept": kept}
        if plan.race is not None:
            return _race(plan, judge, opened, bar, calls=calls, **options), False
        try:
            annotate(opened, judge, queries=plan.queries, **options)
        except BudgetSpent as error:
            say(f"llmsel: {error}", err=True)
            if not opened.session.history:
                raise typer.Exit(DOUBT) from error  # no query is finished: nothing to tell
            return opened.session.best(), True
        return opened.session.best(), False


def _race(
    plan: Plan, judge: Judge, log: AnnotationLog, bar: tqdm[Any], **options: Any
) -> RaceVerdict:
    """Run the race, and show beside the calls how far it is."""
    race, beside = plan.begin(log.contents, workers=options["workers"]), [""]

    def watch(now: RaceVerdict) -> None:
        bar.set_postfix_str(f"{now.queries} queries, {len(now.live)} models left{beside[0]}")

    def gauge(cheap: Mapping[str, Any]) -> None:
        beside[0] = f"; {cheap['words']}"

    return judge_race(log, judge, race=race, cheap=plan.cheap, watch=watch, gauge=gauge, **options)


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
        lines.append(_spent(judge.spent, contents.cost))
    if (cheap := worth(contents)) is not None:
        lines.append(f"{cheap['words']}; {cheap['verdicts']} of its verdicts were bought")
    measured = {name: bias(contents.given, name) for name in judges_of(contents.given)}
    measured = {name: both for name, both in measured.items() if both["pairs"]}
    for name, both in measured.items():
        who = f"{name}: " if len(measured) > 1 else ""
        lines.append(
            f"{who}both orders agree on {both['agreement']:.0%} of {both['pairs']:.0f} pairs; the "
            f"order alone decides {both['position_bias']:.0%}"
        )
    return lines


def _spent(now: Mapping[str, float], before: float) -> str:
    """Say what was spent; in tokens where no price says what they cost."""
    requests, cost = now["requests"], now["cost"]
    if not (cost or before):
        tokens = f"{now['tokens_in']:.0f} tokens in, {now['tokens_out']:.0f} out"
        return f"spent now: {requests:.0f} requests, {tokens}"
    log = f"; {before:.4g} on this log in all" if before else ""
    return f"spent now: {requests:.0f} requests, cost {cost:.4g}{log}"


def _bias(given: Sequence[Annotation]) -> dict[str, float] | None:
    found = bias(given)
    return found if found["pairs"] else None
