"""Take a notebook's text and drawing over into its rendered runs, without running them again.

A figure is a function of the tables that its run saved, so a change of the drawing needs no new
numbers. ``python -m llmsel.reporting.redraw RUN ...`` draws the figures of some runs again, and
puts text, links and folded code of the notebook into the rendered copy. It refuses where a number
could be another one: where the run is out of date, or where the notebook computes anything that
the run did not. (What it no longer computes, because only its old picture needed it, may be gone.)
"""

from __future__ import annotations

import base64
import io
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import nbformat
from matplotlib.figure import Figure

from llmsel._base.errors import InputError, unknown
from llmsel._base.files import ROOT
from llmsel.reporting import charts
from llmsel.reporting.figures import overview
from llmsel.reporting.outputs import save_figure
from llmsel.studies import reproduce
from llmsel.studies.pictures import compact
from llmsel.studies.provenance import computing_code
from llmsel.studies.tables import read_table

Tables = Mapping[str, tuple[Any, Any]]  # file name without ending -> table, parameters
PAIR = re.compile(r"^(default|tuned on weak votes|truly best) \(([\d.]+), ([\d.]+)\)", re.MULTILINE)


def _sensitivity(tables: Tables, rendered: Any) -> Figure:
    said = "\n".join(
        output.text
        for cell in rendered.cells
        for output in cell.get("outputs", ())
        if output.output_type == "stream"
    )
    marks = {name: (float(loss), float(draw)) for name, loss, draw in PAIR.findall(said)}
    table, facts = tables["sensitivity"]
    return charts.sensitivity(table, tables["sensitivity-fresh"][0], marks, facts)


def _one(draw: Callable[..., Figure], *names: str) -> Callable[[Tables, Any], Figure]:
    """Let a chart be drawn from some of a run's tables; the last one's parameters are its facts."""
    return lambda tables, _: draw(*(tables[name][0] for name in names), tables[names[-1]][1])


# notebook -> the chart that it calls, and how it is drawn from what the run saved
CHARTS: Mapping[str, tuple[str, Callable[[Tables, Any], Figure]]] = {
    "benchmark": ("overview", _one(overview, "curves")),
    "sensitivity": ("sensitivity", _sensitivity),
    "race-options": ("race_options", _one(charts.race_options, "race-options")),
    "failure-signatures": (
        "failure_signatures",
        _one(charts.failure_signatures, "failure-signatures-constructed", "failure-signatures"),
    ),
    "strategies-ablation": ("strategies", _one(charts.strategies, "strategies-paired")),
    "weak-judges": (
        "weak_judges",
        _one(charts.weak_judges, "weak-judges-noise", "weak-judges-variants"),
    ),
    "baseline-strength": ("baseline_strength", _one(charts.baseline_strength, "baseline-strength")),
    "greedy": ("greedy", _one(charts.greedy, "greedy")),
    "domains": ("domains", _one(charts.domains, "domains")),
    "tuning": ("tuning", _one(charts.tuning, "tuning-eps")),
    "sanity": ("sanity", _one(charts.sanity, "sanity")),
}


def redraw(run: reproduce.Run) -> Path:
    """Draw a run's figure again and take over its notebook's text.

    Args:
        run: one of the batch, rendered and up to date but for text and drawing.

    Returns:
        The rendered notebook.

    Raises:
        InputError: the run is out of date, or the notebook computes what the run did not.
    """
    old, new = reproduce.read(run.rendered), reproduce.read(run.source)
    own = [cell for cell in old.cells if "injected-parameters" not in _tags(cell)]
    before = [cell.source for cell in own if cell.cell_type == "code"]
    after = [cell.source for cell in new.cells if cell.cell_type == "code"]
    if old.metadata["llmsel"]["key"] not in (reproduce.key(run, before), reproduce.key(run)):
        raise InputError(f"run '{run.name}' is out of date; run it instead of drawing it again.")
    left = iter(computing_code(before))
    if not all(any(had == has for had in left) for has in computing_code(after)):
        raise InputError(f"run '{run.name}': its notebook now computes more than it did; run it.")
    name, figure = _figure(run, old)
    new.cells = _merged(new, old, name, figure)
    compact(new)
    new.metadata = old.metadata
    reproduce.keep(run, new, reproduce.key(run))
    return run.rendered


def _figure(run: reproduce.Run, rendered: Any) -> tuple[str, Figure | None]:
    """Draw a run's chart and save it; no chart where the notebook has none of `CHARTS`."""
    if run.notebook not in CHARTS:
        return "", None
    name, draw = CHARTS[run.notebook]
    tables = {
        Path(path).name.split(".")[0]: read_table(ROOT / path)
        for path in run.outputs
        if ".csv" in path
    }
    figure = draw(tables, rendered)
    for path in run.outputs:
        if path.endswith(".svg"):
            save_figure(figure, ROOT / path)
    return name, figure


def _merged(new: Any, old: Any, name: str, figure: Figure | None) -> list[Any]:
    """Give the cells of a notebook the outputs of its run, and the new picture."""
    cells = []
    outputs = {_ends(cell): cell.outputs for cell in old.cells if cell.cell_type == "code"}
    for cell in new.cells:
        if cell.cell_type == "markdown":
            cell.source = reproduce.one_folder_down(cell.source)
        elif name and f"reporting.{name}(" in cell.source and figure is not None:
            cell.outputs = [_shown(figure)]
        else:
            cell.outputs = [
                output
                for output in outputs.get(_ends(cell), [])
                if "image/png" not in output.get("data", {}) or "plt.show()" in cell.source
            ]
        cell.metadata.setdefault("tags", [])
        cells.append(cell)
        if "parameters" in _tags(cell):
            cells += [each for each in old.cells if "injected-parameters" in _tags(each)]
    return cells


def _ends(cell: Any) -> str:
    """Tell a code cell by the last thing it computes, or by its source where it only draws.

    A cell that was split shows its outputs under the last part.
    """
    computed = computing_code([cell.source])
    return computed[-1] if computed else str(cell.source)


def _tags(cell: Any) -> Sequence[str]:
    tags: Sequence[str] = cell.metadata.get("tags", ())
    return tags


def _shown(figure: Figure) -> Any:
    """Return a figure as the output of a cell."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=100, bbox_inches="tight")
    picture = base64.b64encode(drawn.getvalue()).decode()
    data = {"image/png": picture, "text/plain": "<Figure>"}
    return nbformat.v4.new_output("display_data", data)  # type: ignore[no-untyped-call]


def main(names: Sequence[str]) -> None:
    """Redraw runs by name."""
    runs = reproduce.batch()
    for name in names:
        if name not in runs:
            raise unknown("run", name, runs)
        print(redraw(runs[name]).name)


if __name__ == "__main__":
    main(sys.argv[1:])
