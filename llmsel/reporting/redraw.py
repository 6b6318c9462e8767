"""Take a notebook's text and drawing over into its rendered runs, without running them again.

A figure, or a sentence of `llmsel.reporting.sentences`, is a function of the tables that its run
saved, so a change of it needs no new numbers. ``python -m llmsel.reporting.redraw RUN ...`` makes
those of some runs again, and puts text, links and folded code of the notebook into the rendered
copy. It refuses where a number could be another one: where the run is out of date, or where the
notebook computes anything that the run did not. (What it no longer computes, because only its old
picture needed it, may be gone.)
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import fnmatch
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
from llmsel.benchmarks import load
from llmsel.reporting import boards, charts, judges, races, sentences
from llmsel.reporting.figures import overview, tuned, win_rates
from llmsel.reporting.outputs import save_figure
from llmsel.studies import reproduce, tuning
from llmsel.studies.pictures import compact
from llmsel.studies.provenance import computing_code
from llmsel.studies.scores import shown_name
from llmsel.studies.tables import read_table

Tables = Mapping[str, tuple[Any, Any]]  # file name without ending -> table, parameters
PAIR = re.compile(r"^(default|tuned on weak votes|truly best) \(([\d.]+), ([\d.]+)\)", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Chart:
    """A picture of a notebook: which call draws it, and how a run's tables draw it again.

    Args:
        call: the function of `llmsel.reporting` in the notebook's cell.
        draw: from the run's tables and its rendered notebook.
        file: pattern of its file's name without ending; empty where no file is kept.
    """

    call: str
    draw: Callable[[Tables, Any], Figure]
    file: str


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


def _win_rates(tables: Tables, _: Any) -> Figure:
    _, facts = tables["curves"]
    return win_rates(load(facts["benchmark"]), facts)


def _tuning(tables: Tables, rendered: Any) -> Figure:
    table, facts = tables["tuning-eps"]
    given = rendered.metadata["llmsel"]["parameters"]
    own = {"realizations": given.get("tuning_realizations", tuning.REALIZATIONS)}
    return charts.tuning(table, {**facts, **own})


def _stops(tables: Tables, _: Any) -> Figure:
    table, facts = tables["audit"]
    return races.stops(table, shown_name(facts), facts)


def _early(tables: Tables, _: Any) -> Figure:
    curve, facts = tables["race-curves"]
    strong = [method for method in races.STRONG if (curve["method"] == method).any()]
    return races.early(curve, strong, shown_name(facts), facts)


def _attacks(tables: Tables, _: Any) -> Figure:
    return races.promises(tables["race-attacks"][0], {"simulated": True})


def _no_baseline(tables: Tables, _: Any) -> Figure:
    table, facts = tables["no-baseline"]
    return races.without_baseline(table, facts["models"], facts["benchmark"], facts)


def _two_judges(tables: Tables, _: Any) -> Figure:
    (table, facts), (course, _) = (tables[name] for name in sorted(tables, key=len))
    return judges.two_judges(table, course, facts)


def _one(draw: Callable[..., Figure], file: str, *names: str, call: str = "") -> tuple[Chart, ...]:
    """Draw a chart from some of a run's tables; the last one's parameters are its facts."""

    def made(tables: Tables, _: Any) -> Figure:
        return draw(*(tables[name][0] for name in names), tables[names[-1]][1])

    return (Chart(call or draw.__name__, made, file),)


# notebook -> its pictures
CHARTS: Mapping[str, tuple[Chart, ...]] = {
    "benchmark": (
        Chart("win_rates", _win_rates, ""),
        *_one(overview, "*-overview", "curves"),
    ),
    "sensitivity": (Chart("sensitivity", _sensitivity, "*-sensitivity"),),
    "race": (Chart("stops", _stops, "*-race"), Chart("early", _early, "*-race-early")),
    "race-validity": (
        *_one(races.promises, "*-race-validity", "race-validity", call="promises(random_order"),
        Chart("promises(attacks", _attacks, "*-race-attacks"),
    ),
    "no-baseline": (Chart("without_baseline", _no_baseline, "*-no-baseline"),),
    "race-options": _one(charts.race_options, "*-race-options", "race-options"),
    "failure-signatures": _one(
        charts.failure_signatures,
        "*-failure-signatures",
        *("failure-signatures-constructed", "failure-signatures"),
    ),
    "strategies-ablation": _one(charts.strategies, "*-strategies-ablation", "strategies-paired"),
    "weak-judges": (
        *_one(judges.weak_judges, "*-weak-judges", "weak-judges-noise", "weak-judges-variants"),
        *_one(judges.null_strip, "", "weak-judges-null"),
    ),
    "baseline-strength": _one(charts.baseline_strength, "*-baseline-strength", "baseline-strength"),
    "universal-parameters": _one(
        charts.universal_parameters, "universal-parameters", "universal-parameters"
    ),
    "greedy": _one(charts.greedy, "*-greedy", "greedy"),
    "domains": _one(charts.domains, "*-domains", "domains"),
    "tuning": (Chart("tuning", _tuning, "*-tuning"), *_one(tuned, "", "tuning-curves")),
    "sanity": _one(charts.sanity, "*-sanity", "sanity"),
    "half-boards": _one(boards.savings, "*-half-boards", "efficiency-queries"),
    "clones": _one(charts.clones, "*-clones", "clones"),
    "cheap-judges": _one(judges.cheap_judges, "*-cheap-judges", "cheap-judges-curves"),
    "paper": _one(boards.modes, "paper-modes", "modes-curves"),
    "calibration": _one(boards.reliability, "calibration", "calibration-bins"),
    "two-judges": (Chart("two_judges", _two_judges, "*-two-judges-*"),),
}


def _say_baseline_strength(tables: Tables) -> None:
    table, facts = tables["baseline-strength"]
    sentences.say_baseline_strength(table, tables["star-winners"][0], facts)


def _say_universal_parameters(tables: Tables) -> None:
    sentences.say_universal_parameters(tables["universal-parameters"][0])


def _say_weak_judges(tables: Tables) -> None:
    names = ("agreement", "noise", "null", "variants", "truth")
    sentences.say_weak_judges(*(tables[f"weak-judges-{name}"][0] for name in names))


# notebook -> the call that prints what its tables say, and how they say it again
SAID: Mapping[str, tuple[str, Callable[[Tables], None]]] = {
    "baseline-strength": ("say_baseline_strength", _say_baseline_strength),
    "universal-parameters": ("say_universal_parameters", _say_universal_parameters),
    "weak-judges": ("say_weak_judges", _say_weak_judges),
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
    new.cells = _merged(new, old, _made_again(run, old))
    compact(new)
    new.metadata = old.metadata
    reproduce.keep(run, new, reproduce.key(run))
    return run.rendered


def tables_of(run: reproduce.Run) -> Tables:
    """Read all tables that a run saved."""
    return {
        Path(path).name.split(".")[0]: read_table(ROOT / path)
        for path in run.outputs
        if ".csv" in path
    }


def said_by(run: reproduce.Run) -> str:
    """Say what a run's tables say; empty for a notebook that is not in `SAID`."""
    if run.notebook not in SAID:
        return ""
    with contextlib.redirect_stdout(io.StringIO()) as said:
        SAID[run.notebook][1](tables_of(run))
    return said.getvalue()


def _made_again(run: reproduce.Run, rendered: Any) -> dict[str, Any]:
    """Draw a run's charts again, and save them; say again what its tables say.

    Returns:
        The call in the notebook -> the output of its cell.
    """
    made: dict[str, Any] = {}
    tables = tables_of(run) if run.notebook in CHARTS else {}
    for chart in CHARTS.get(run.notebook, ()):
        figure = chart.draw(tables, rendered)
        for path in run.outputs:
            if path.endswith(".svg") and fnmatch.fnmatch(Path(path).stem, chart.file):
                save_figure(figure, ROOT / path)
        made[chart.call] = _shown(figure)
    if run.notebook in SAID:
        output = nbformat.v4.new_output("stream", name="stdout", text=said_by(run))  # type: ignore[no-untyped-call]
        made[SAID[run.notebook][0]] = output
    return made


def _merged(new: Any, old: Any, made: Mapping[str, Any]) -> list[Any]:
    """Give the cells of a notebook the outputs of its run, and what was made again."""
    cells = []
    outputs = {_ends(cell): cell.outputs for cell in old.cells if cell.cell_type == "code"}
    for cell in new.cells:
        again = [output for call, output in made.items() if f"reporting.{call}" in cell.source]
        if cell.cell_type == "markdown":
            cell.source = reproduce.one_folder_down(cell.source)
        elif again:
            kinds = {_kind(output) for output in again}
            kept = [each for each in outputs.get(_ends(cell), []) if _kind(each) not in kinds]
            cell.outputs = kept + again
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


def _kind(output: Any) -> str:
    """Tell pictures, printed text and tables apart."""
    return "picture" if "image/png" in output.get("data", {}) else str(output.output_type)


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
