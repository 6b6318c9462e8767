"""The command line: data, reproduce, sessions, judges, reports.

Commands say what they do in `--help`; `llmsel.cli.guard` says how they end.
"""

from __future__ import annotations

import logging
import signal
from typing import Annotated

import typer

from llmsel._base.files import VERSION
from llmsel.cli import (
    annotate,
    answers,
    calibrate,
    categories,
    compare,
    data,
    export,
    judge,
    recorded,
    reproduce,
    session,
)
from llmsel.cli.guard import EXIT_CODES, Commands, say

app = typer.Typer(
    cls=Commands,
    help="Find the best LLM for your queries with as few judgements as possible.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # [[model]] in a help text is no markup
)
app.add_typer(data.app, name="data")
app.command("reproduce")(reproduce.reproduce_command)
app.add_typer(session.app, name="session")
app.command("report", epilog=EXIT_CODES)(session.report_command)
app.command("generate", epilog=EXIT_CODES)(answers.generate_command)
app.command("judge", epilog=EXIT_CODES)(judge.judge_command)
app.command("annotate", epilog=EXIT_CODES)(annotate.annotate_command)
app.command("calibrate", epilog=EXIT_CODES)(calibrate.calibrate_command)
app.command("categories", epilog=EXIT_CODES)(categories.categories_command)
app.command("cheapest", epilog=EXIT_CODES)(categories.cheapest_command)
app.command("export", epilog=EXIT_CODES)(export.export_command)
app.command("import", epilog=EXIT_CODES)(recorded.import_command)
app.command("compare", epilog=EXIT_CODES)(compare.compare_command)


def _tell_version(asked: bool) -> None:
    if asked:
        say(f"llmsel {VERSION}")
        raise typer.Exit


@app.callback()
def _before_any_command(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_tell_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Take the options that stand before a command."""


def main() -> None:
    """Run the command line; the user's mistakes are one sentence on stderr and exit code 2."""
    # a retry is no news; when all tries fail, the error says so
    logging.getLogger("stamina").setLevel(logging.ERROR)
    # to be ended is to be stopped: what is under way is kept, and no process stays behind
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    app()
