"""What a notebook leaves behind: its figures and tables, under names that say which run made them.

A picture has one form, SVG: it is text that is compared line by line, and sharp at every size. The
same figure gives the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any
from xml.etree import ElementTree

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
    return drawn + [
        write_table(table, folder / file, parameters=parameters) for file, table in tables.items()
    ]


def save_figure(figure: Figure, path: Path) -> Path:
    """Write one figure as SVG; the same figure gives the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        _draw(figure, file)
    return path


def inline_svg(figure: Figure, label: str) -> str:
    """Return a figure as an ``svg`` element for a page that allows no inline styles.

    Style attributes become attributes of their own, black becomes the colour of the page's text,
    and the background is left out: the picture follows a dark page.

    Args:
        figure: what is drawn. Texts from outside do not belong into it: a font may lack them.
        label: what the picture shows, for those who cannot see it.
    """
    drawn = io.BytesIO()
    _draw(figure, drawn, transparent=True)
    root = ElementTree.fromstring(drawn.getvalue())
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{{{_NS}}}metadata", f"{{{_NS}}}style"):
                parent.remove(child)
        for each in filter(None, parent.attrib.pop("style", "").split(";")):
            name, _, value = each.partition(":")
            value = value.strip().replace("#000000", "currentColor")
            if name.strip() != "font-family":  # the page has its own
                parent.set(name.strip(), value)
        if parent.tag == f"{{{_NS}}}text":
            parent.set("fill", "currentColor")
    for size in ("width", "height"):  # it fills the page; the view box keeps the shape
        del root.attrib[size]
    root.attrib |= {"role": "img", "aria-label": label}
    ElementTree.register_namespace("", _NS)
    ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    return ElementTree.tostring(root, encoding="unicode")


_NS = "http://www.w3.org/2000/svg"


def _draw(figure: Figure, file: IO[bytes], *, transparent: bool = False) -> None:
    # no date and no random ids; text stays text
    with mpl.rc_context({"svg.hashsalt": "llmsel", "svg.fonttype": "none"}):
        figure.savefig(file, format="svg", metadata={"Date": None}, transparent=transparent)
