"""`llmsel data`: the benchmarks, listed, fetched, verified and described."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from llmsel import benchmarks
from llmsel.benchmarks import cards
from llmsel.cli.guard import DOUBT, say
from llmsel.cli.options import AsJson

app = typer.Typer(
    help="Benchmarks: list, fetch, verify, describe.", no_args_is_help=True, rich_markup_mode=None
)
Name = Annotated[str, typer.Argument(help="A benchmark of `llmsel data list`.")]


@app.command("list")
def list_command(as_json: AsJson = False) -> None:
    """List the benchmarks: name, queries x candidates, whether its files are here, what it is.

    Examples: llmsel data list; llmsel data list --json
    """
    rows = [benchmarks.describe(name) for name in benchmarks.names()]
    if as_json:
        say(json.dumps(rows, indent=2))
        return
    for row in rows:
        here = "here" if row["here"] else "to fetch"
        say(f"{row['name']:22s} {row['size']:14s} {here:9s} {row['about']}")


@app.command("fetch")
def fetch_command(name: Name, as_json: AsJson = False) -> None:
    """Fetch a benchmark's files, or check that they are here. An interrupted fetch continues.

    Examples: llmsel data fetch alpacaeval; LLMSEL_MIRROR=/my/folder llmsel data fetch mt-bench
    """
    paths = benchmarks.fetch_files(name)
    if as_json:
        say(json.dumps([str(path) for path in paths], indent=2))
    else:
        say(f"{len(paths)} files of {name} are here, hashes verified")


@app.command("verify")
def verify_command(
    name: Annotated[
        str | None, typer.Argument(help="A benchmark; all of them if left out.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check the hashes of the files that are here; exit code 1 if one is damaged.

    Examples: llmsel data verify; llmsel data verify alpacaeval --json
    """
    found = {each: benchmarks.verify(each) for each in ([name] if name else benchmarks.names())}
    if as_json:
        say(json.dumps(found, indent=2))
    else:
        for each, files in found.items():
            _tell(each, files)
    if any(files["damaged"] for files in found.values()):
        raise typer.Exit(DOUBT)


def _tell(name: str, files: dict[str, list[str]]) -> None:
    """Print what was found of one benchmark."""
    counts = [f"{len(files['verified'])} files verified"]
    counts += [f"{len(files[kind])} {kind}" for kind in ("damaged", "absent") if files[kind]]
    nothing = files["absent"] and not files["verified"] and not files["damaged"]
    say(f"{name}: {'not fetched' if nothing else ', '.join(counts)}")
    for file in files["damaged"]:
        say(f"damaged: {file}", err=True)


@app.command("card")
def card_command(name: Name, as_json: AsJson = False) -> None:
    """Print a benchmark's data card: size, missing cells, draws, win rates, source, licence.

    Examples: llmsel data card smol; llmsel data card twin:bingo --json
    """
    say(json.dumps(cards.facts(name), indent=2) if as_json else cards.card(name))
