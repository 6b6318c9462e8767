"""What a notebook leaves behind: its figures and tables, under names that say which run made them.

A picture has one form, SVG: it is text that is compared line by line, and sharp at every size. The
same figure gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from llmsel._base import files as paths
from llmsel.studies.tables import write_table


def save(
    name: str,
    *,
    figures: Mapping[str, Figure] = {},
    tables: Mapping[str, pd.DataFrame] = {},
    parameters: Mapping[str, Any],
) -> list[Path]:
    """Write a notebook's figures to ``figures/`` and its tables to ``data/results/``.

    Args:
        name: of the benchmark, or of what the run is about; characters that no file name should
            hold become ``-``. Empty for what belongs to no benchmark.
        figures: by what they show: ``overview`` becomes ``figures/{name}-overview.svg``.
        tables: by file name: ``curves.csv.gz`` becomes ``data/results/{name}/curves.csv.gz``.
        parameters: all that made the tables, for their first line.

    Returns:
        The paths that were written, figures first.
    """
    stem = paths.slug(name)
    prefix = f"{stem}-" if stem else ""
    drawn = [
        save_figure(figure, paths.FIGURES / f"{prefix}{what}.svg")
        for what, figure in figures.items()
    ]
    folder = paths.RESULTS / stem
    return drawn + [write_table(table, folder / file, parameters) for file, table in tables.items()]


def save_figure(figure: Figure, path: Path) -> Path:
    """Write one figure as SVG; the same figure gives the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # no date and no random ids; text stays text
    with mpl.rc_context({"svg.hashsalt": "llmsel", "svg.fonttype": "none"}):
        figure.savefig(path, format="svg", metadata={"Date": None})
    return path
