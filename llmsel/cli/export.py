"""`llmsel export`: verdicts and decision for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from llmsel.cli.guard import say
from llmsel.cli.options import Log, Source, grouped


@grouped
def export_command(
    log: Log,
    source: Source,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="A folder for verdicts and models (tables), decision.json and README.md; "
            "datasets.load_dataset reads it.",
        ),
    ] = None,
    parquet: Annotated[
        bool, typer.Option("--parquet", help="Tables as Parquet instead of CSV.")
    ] = False,
    mlflow: Annotated[
        str | None, typer.Option(help="Log to this MLflow tracking store (an address or folder).")
    ] = None,
) -> None:
    """Write verdicts and decision as CSV or Parquet, in the layout of Hugging Face datasets.

    Examples:
    llmsel export race.jsonl --pool answers.jsonl --baseline small -o export

    llmsel export race.jsonl --pool pool.npz --mlflow http://localhost:5000
    """
    from llmsel.reporting.export import CSV, PARQUET, export, log_to_mlflow

    pool = source.read(pairs=True)
    if output is not None or mlflow is None:
        format_ = PARQUET if parquet else CSV
        folder = Path(f"{log}.export") if output is None else output
        for path in export(log, pool, folder, format=format_):
            say(path)
    if mlflow is not None:
        say(f"MLflow run {log_to_mlflow(log, pool, uri=mlflow)}")
