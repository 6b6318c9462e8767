"""`llmsel annotate`: people compare answers on a page that this machine serves."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from llmsel._base.errors import InputError
from llmsel.cli.guard import keeps, say
from llmsel.cli.options import Log, RaceOptions, Source, grouped, read_begun
from llmsel.cli.verdicts import finish, tell
from llmsel.judging.collect import verdict_of
from llmsel.judging.log import AnnotationLog
from llmsel.judging.people.desk import LEASE, Desk
from llmsel.judging.people.server import Server
from llmsel.judging.people.turns import Turns, to_begin
from llmsel.judging.replay import Contents, read_log
from llmsel.pool import Pool
from llmsel.racing.race import Race

LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclasses.dataclass(frozen=True)
class PageOptions:
    """Where the page is, and how pairs are handed out."""

    host: Annotated[
        str,
        typer.Option(help="Address to bind; 0.0.0.0 lets the network in, which can read along."),
    ] = "127.0.0.1"
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to bind; 0 takes a free one.")
    ] = 0
    people: Annotated[
        int, typer.Option(min=1, help="Of a new race: how many judge at a time, about.")
    ] = 2
    overlap: Annotated[
        float,
        typer.Option(min=0, max=1, help="Share of the pairs that go to a second person; 0 to 1."),
    ] = 0.0
    adjudicate: Annotated[
        bool,
        typer.Option("--adjudicate", help="Show only pairs on which two people differ, to others."),
    ] = False
    lease: Annotated[
        float,
        typer.Option(min=1, help="Seconds without a sign of life until a pair goes to another."),
    ] = LEASE
    title: Annotated[str, typer.Option(help="Of the page.")] = "Which answer is better?"


@grouped
def annotate_command(log: Log, source: Source, page: PageOptions, race: RaceOptions) -> None:
    """Let people compare answers in a browser: a race by default, up to its certificate.

    Prints an address with a secret token; whoever has it gives a name and
    judges, several people at a time. Every verdict is in LOG before the next
    pair shows. Ctrl-C ends it; the same command goes on, with another token.

    Of pairs that two people judged, the first verdict counts until somebody has
    decided (--adjudicate); see also: llmsel session agreement.

    Examples:
    llmsel annotate race.jsonl --pool answers.jsonl --baseline small

    llmsel annotate race.jsonl --pool answers.jsonl --baseline small --overlap 0.1 --host 0.0.0.0

    llmsel annotate race.jsonl --pool answers.jsonl --baseline small --adjudicate
    """
    pool = source.read(pairs=True)
    pool.need("responses")
    held = read_begun(log, pool)
    if page.adjudicate and held is None:
        raise InputError(f"'{log}' is not begun: there is nothing to decide yet.")
    _begin(pool, held, race, page, name=log.name)  # mistakes are told before a log is begun
    with AnnotationLog(log, pool) as opened:
        limits = _begin(pool, opened.contents, race, page, name=log.name)
        if limits is not None:
            opened.begin_race(limits.settings)
        turns = Turns(opened, limits=limits, overlap=page.overlap, adjudicate=page.adjudicate)
        desk = Desk(turns, lease=page.lease)
        server = Server(desk, host=page.host, port=page.port, title=page.title)
        _serve(server, page)
    keeps(f"every verdict is in '{log}'; the same command goes on from there")
    if not desk.over:
        raise KeyboardInterrupt
    contents = read_log(log, pool)
    said = verdict_of(contents) or contents.session.best()
    tell(said, contents)
    finish(said, contents)


def _begin(
    pool: Pool, held: Contents | None, options: RaceOptions, page: PageOptions, *, name: str
) -> Race | None:
    """Make the race, or that of the log; None for a log that is filled query by query."""
    if held is not None and held.race is None and not to_begin(held):
        return None
    return options.race(pool, held, name=name, workers=2 * page.people)


def _serve(server: Server, page: PageOptions) -> None:
    """Print the address and answer until Ctrl-C; the verdict in hand is written then."""
    say(f"open {server.address}")
    if page.host not in LOOPBACK:
        say(
            "llmsel: the line is not encrypted: whoever can read this network can read the answers "
            "and the token; an ssh tunnel to a page on this machine alone is safer.",
            err=True,
        )
    say("Ctrl-C ends it; every verdict is kept.", err=True)
    try:
        server.run()
    except KeyboardInterrupt:
        pass
    finally:
        server.close()
