"""The command line: data, reproduce, sessions. Errors are one line with a way out, exit code 2."""

from __future__ import annotations

import json
import logging
import sys
import warnings
from typing import Annotated

import typer

from llmsel import benchmarks
from llmsel._base.errors import InputError, unknown
from llmsel._base.files import ROOT, VERSION
from llmsel.benchmarks import cards
from llmsel.cli import session
from llmsel.cli.options import AsJson, parameters
from llmsel.studies import efficiency, tables

app = typer.Typer(
    help="Find the best LLM for your queries with as few judgements as possible.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="Benchmarks: list, fetch, verify, describe.", no_args_is_help=True)
app.add_typer(data_app, name="data")
session.register(app)

Name = Annotated[str, typer.Argument(help="A benchmark of `llmsel data list`.")]


def _tell_version(asked: bool) -> None:
    if asked:
        typer.echo(f"llmsel {VERSION}")
        raise typer.Exit


@app.callback()
def _before_any_command(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_tell_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Take the options that stand before a command."""


@data_app.command("list")
def data_list(as_json: AsJson = False) -> None:
    """List the benchmarks: name, queries x candidates, whether its files are here, what it is.

    Examples: llmsel data list; llmsel data list --json
    """
    rows = [benchmarks.describe(name) for name in benchmarks.names()]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        here = "here" if row["here"] else "to fetch"
        typer.echo(f"{row['name']:22s} {row['size']:14s} {here:9s} {row['about']}")


@data_app.command("fetch")
def data_fetch(name: Name, as_json: AsJson = False) -> None:
    """Fetch a benchmark's files, or check that they are here. An interrupted fetch continues.

    Examples: llmsel data fetch alpacaeval; LLMSEL_MIRROR=/my/folder llmsel data fetch mt-bench
    """
    paths = benchmarks.fetch_files(name)
    if as_json:
        typer.echo(json.dumps([str(path) for path in paths], indent=2))
        return
    typer.echo(f"{len(paths)} files of {name} are here, hashes verified")


@data_app.command("verify")
def data_verify(
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
        typer.echo(json.dumps(found, indent=2))
    for each, files in () if as_json else found.items():
        counts = [f"{len(files['verified'])} files verified"]
        counts += [f"{len(files[kind])} {kind}" for kind in ("damaged", "absent") if files[kind]]
        nothing = files["absent"] and not files["verified"] and not files["damaged"]
        typer.echo(f"{each}: {'not fetched' if nothing else ', '.join(counts)}")
        for file in files["damaged"]:
            typer.echo(f"damaged: {file}", err=True)
    if any(files["damaged"] for files in found.values()):
        raise typer.Exit(1)


@data_app.command("card")
def data_card(name: Name, as_json: AsJson = False) -> None:
    """Print a benchmark's data card: size, missing cells, draws, win rates, source, licence.

    Examples: llmsel data card smol; llmsel data card twin:bingo --json
    """
    typer.echo(json.dumps(cards.facts(name), indent=2) if as_json else cards.card(name))


@app.command("reproduce")
def reproduce_command(
    names: Annotated[
        list[str] | None, typer.Argument(help="Runs of notebooks/reproduce.toml.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every run that is listed.")] = False,
    parameter: Annotated[
        list[str] | None, typer.Option("-p", help="Parameter of the notebook: name=value.")
    ] = None,
    force: Annotated[bool, typer.Option(help="Run what is up to date too.")] = False,
    workers: Annotated[int, typer.Option(help="Notebooks at a time.")] = 1,
    backend: Annotated[str, typer.Option(help="loky (this machine), dask or ray.")] = "loky",
    address: Annotated[str | None, typer.Option(help="Scheduler of the cluster.")] = None,
    listed: Annotated[bool, typer.Option("--list", help="Only list the runs.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False,
) -> None:
    """Run notebooks through papermill and show what they made.

    Examples: llmsel reproduce smol; llmsel reproduce --all; llmsel reproduce smol -p seed=7
    """
    from llmsel.studies import reproduce  # papermill takes seconds to import

    batch = reproduce.batch()
    for name in names or ():
        if name not in batch:
            raise unknown("run", name, batch)
    if listed or as_json:
        rows = [
            {"name": r.name, "notebook": r.notebook, "up_to_date": reproduce.up_to_date(r)}
            for r in batch.values()
        ]
        lines = [
            f"{row['name']:30s} {row['notebook']:19s} "
            + ("up to date" if row["up_to_date"] else "to run")
            for row in rows
        ]
        typer.echo(json.dumps(rows, indent=2) if as_json else "\n".join(lines))
        return
    if not names and not everything:
        raise InputError(f"name a run ({', '.join(list(batch)[:4])}, ...) or give --all.")
    runs = (
        [r for r in batch.values() if not r.extra]
        if everything
        else [batch[name] for name in names or ()]
    )
    if parameter:
        runs = [reproduce.variant(run, parameters(parameter)) for run in runs]
    done = reproduce.execute_all(runs, workers, force, backend, address)
    for run in runs:
        if run.show is not None and not everything and not done.get(run.name):
            table, _ = tables.read_table(ROOT / run.show)
            typer.echo(f"\n{run.name}: annotated queries needed\n")
            typer.echo(efficiency.efficiency_view(table).T.to_string() + "\n")
        if done.get(run.name):
            typer.echo(f"failed     {run.name}: {done[run.name]}", err=True)
            continue
        state = "made" if run.name in done else "up to date"
        for path in (run.rendered, *(ROOT / output for output in run.outputs)):
            typer.echo(f"{state:10s} {path.relative_to(ROOT)}")
    if any(done.values()):
        raise typer.Exit(1)


def main() -> None:
    """Run the command line; the user's mistakes are one line on stderr and exit code 2."""
    # a retry is no news; when all tries fail, the error says so
    logging.getLogger("stamina").setLevel(logging.ERROR)
    warnings.showwarning = lambda message, *_: typer.echo(f"llmsel: {message}", err=True)
    try:
        app()
    except InputError as error:
        typer.echo(f"llmsel: {error}", err=True)
        sys.exit(2)
