"""`llmsel reproduce`: the notebooks' runs, and the numbers in the documents."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from llmsel._base import files as paths
from llmsel._base.errors import InputError, unknown
from llmsel.cli.guard import DOUBT, keeps, say
from llmsel.cli.options import parameters

if TYPE_CHECKING:  # papermill takes seconds to import
    from llmsel.studies.reproduce import Run


def reproduce_command(
    names: Annotated[
        list[str] | None, typer.Argument(help="Runs of notebooks/reproduce.toml.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every run that is listed.")] = False,
    parameter: Annotated[
        list[str] | None, typer.Option("-p", help="Parameter of the notebook: name=value.")
    ] = None,
    force: Annotated[bool, typer.Option(help="Run what is up to date too.")] = False,
    workers: Annotated[int, typer.Option(min=1, help="Notebooks at a time.")] = 1,
    backend: Annotated[str, typer.Option(help="loky (this machine), dask or ray.")] = "loky",
    address: Annotated[str | None, typer.Option(help="Scheduler of the cluster.")] = None,
    listed: Annotated[bool, typer.Option("--list", help="Only list the runs.")] = False,
    claims: Annotated[
        bool,
        typer.Option("--claims", help="Write the numbers of the documents from data/results."),
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="With --claims: only say which are not what they were.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False,
) -> None:
    """Run notebooks through papermill and show what they made.

    A run is a [[run]] table of notebooks/reproduce.toml: name, notebook,
    parameters, outputs, data.

    Examples: llmsel reproduce smol; llmsel reproduce --all; llmsel reproduce smol -p seed=7;
    llmsel reproduce --claims --check
    """
    if claims:
        _claims(check=check)
        return
    if check:
        raise InputError("--check goes with --claims.")
    from llmsel.studies import reproduce

    batch = reproduce.batch()
    for name in names or ():
        if name not in batch:
            raise unknown("run", name, batch)
    if listed or as_json:
        _list(batch, as_json=as_json)
        return
    runs = _chosen(batch, names or [], everything=everything)
    if parameter:
        runs = [reproduce.variant(run, parameters(parameter)) for run in runs]
    keeps("finished runs are kept; the same command goes on with the others")
    done = reproduce.execute_all(runs, workers, force=force, backend=backend, address=address)
    for run in runs:
        _tell(run, done, table=not everything)
    if any(done.values()):
        raise typer.Exit(DOUBT)


def _claims(*, check: bool) -> None:
    """Refresh the numbers of the documents, or say which are stale."""
    from llmsel.reporting import claims

    code = claims.main(["--check"] if check else [])
    if code:
        raise typer.Exit(code)


def _list(batch: Mapping[str, Run], *, as_json: bool) -> None:
    from llmsel.studies import reproduce

    rows = [
        {"name": r.name, "notebook": r.notebook, "up_to_date": reproduce.up_to_date(r)}
        for r in batch.values()
    ]
    if as_json:
        say(json.dumps(rows, indent=2))
        return
    for row in rows:
        state = "up to date" if row["up_to_date"] else "to run"
        say(f"{row['name']:30s} {row['notebook']:19s} {state}")


def _chosen(batch: Mapping[str, Run], names: list[str], *, everything: bool) -> list[Run]:
    """Return the runs that were named, or all that need no network."""
    if everything:
        return [run for run in batch.values() if not run.extra]
    if not names:
        raise InputError(f"name a run ({', '.join(list(batch)[:4])}, ...) or give --all.")
    return [batch[name] for name in names]


def _tell(run: Run, done: Mapping[str, str], *, table: bool) -> None:
    """Print what one run made, with its table, or why it failed."""
    if done.get(run.name):
        say(f"failed     {run.name}: {done[run.name]}", err=True)
        return
    if run.show is not None and table:
        from llmsel.studies import efficiency, tables

        shown, _ = tables.read_table(paths.ROOT / run.show)
        say(f"\n{run.name}: annotated queries needed\n")
        say(efficiency.efficiency_view(shown).T.to_string() + "\n")
    state = "made" if run.name in done else "up to date"
    for path in (run.rendered, *(paths.ROOT / output for output in run.outputs)):
        say(f"{state:10s} {path.relative_to(paths.ROOT)}")
