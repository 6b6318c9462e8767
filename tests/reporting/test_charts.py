"""The figures of the studies: one grammar, drawn from the tables that are in the repository."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from llmsel.reporting import charts, grammar
from llmsel.reporting.redraw import CHARTS, SAID, said_by, tables_of
from llmsel.studies import reproduce
from llmsel.studies.tables import read_result

mpl.use("Agg")
RUNS = {run.name: run for run in reproduce.batch().values() if run.rendered.exists()}
PICTURES = {
    f"{notebook} {chart.call}": (notebook, chart)
    for notebook, pictures in CHARTS.items()
    for chart in pictures
}


def figure_of(name):
    """A picture of the first run of its notebook, from the tables in the repository."""
    notebook, chart = PICTURES[name]
    run = next(run for run in RUNS.values() if run.notebook == notebook)
    return chart.draw(tables_of(run), reproduce.read(run.rendered))


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.mark.parametrize("name", PICTURES)
def test_a_chart_names_its_board_and_what_made_it_and_can_be_read(name):
    figure = figure_of(name)
    figure.canvas.draw()
    texts = [t for t in figure.findobj(mpl.text.Text) if t.get_visible() and t.get_text().strip()]
    assert min(t.get_fontsize() for t in texts) >= 8
    said = figure.get_suptitle()
    assert ":" in said and said.split(":")[0]
    made = ("realizations", "pools of", "of its own")
    assert any(word in figure.get_supxlabel() for word in made)


@pytest.mark.parametrize("name", PICTURES)
def test_nothing_is_cut_off(name):
    figure = figure_of(name)
    figure.canvas.draw()
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    slack = 0.02
    assert box.x0 >= -slack and box.y0 >= -slack
    assert box.x1 <= width + slack and box.y1 <= height + slack


def test_at_most_five_lines_are_strong():
    figure = figure_of("benchmark overview")
    for ax in figure.axes:
        strong = [line for line in ax.get_lines() if line.get_color() != grammar.PALE]
        assert {line.get_label() for line in strong} >= {"Random", "LLM Selector"}
        assert len(strong) == 5


def test_the_scale_is_centred_on_random_queries():
    figure = figure_of("sensitivity sensitivity")
    (mesh,) = figure.axes[0].collections[:1]
    assert (mesh.norm.vmin, mesh.norm.vcenter, mesh.norm.vmax) == (-charts.REACH, 0, charts.REACH)


def test_what_warns_lies_on_the_shaded_side():
    figure = figure_of("failure-signatures failure_signatures")
    table, _ = read_result("smol", "failure-signatures.csv")
    (ax,) = figure.axes
    own = [line.get_xdata()[0] for line in ax.get_lines() if line.get_marker() == "D"]
    warned = [bool(margin > 0) for margin in own]
    assert warned == (table["verdict"] == "warn").tolist()


def test_names_are_moved_apart_and_no_further():
    values = np.array([1.0, 1.0, 5.0])
    apart = grammar.spread(values, 1.0)
    assert sorted(apart) == pytest.approx([0.5, 1.5, 5.0])
    assert np.diff(np.sort(grammar.spread(np.zeros(4), 2.0))) == pytest.approx([2, 2, 2])


def test_tuning_shows_what_it_chose_by():
    table, facts = read_result("smol", "tuning-eps.csv")
    assert "queries until 90 %" in charts.tuning(table, facts).get_suptitle()
    never = charts.tuning(table.assign(queries=np.nan), facts)
    assert "mean identification" in never.get_suptitle()
    written = {text.get_text() for text in never.axes[0].texts}
    assert f"{100 * table['area'].iloc[0]:.0f}" in written and "never" not in written


@pytest.mark.parametrize("name", [name for name, run in RUNS.items() if run.notebook in SAID])
def test_a_run_says_what_its_tables_say(name):
    """A changed sentence is taken over by `llmsel.reporting.redraw`."""
    (cell,) = (
        cell
        for cell in reproduce.read(RUNS[name].rendered).cells
        if f"reporting.{SAID[RUNS[name].notebook][0]}(" in cell.source
    )
    printed = "".join(output.text for output in cell.outputs)
    assert printed == said_by(RUNS[name]) != ""
