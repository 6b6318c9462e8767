"""The figures of the studies: one grammar, drawn from the tables that are in the repository."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from llmsel.reporting import boards, charts, decisions, figures, grammar
from llmsel.reporting.redraw import CHARTS, SAID, said_by, tables_of
from llmsel.studies import reproduce
from llmsel.studies.scores import IDENTIFICATION
from llmsel.studies.tables import read_result

mpl.use("Agg")
RUNS = {run.name: run for run in reproduce.batch().values() if run.rendered.exists()}
PICTURES = {
    f"{notebook} {chart.call}": (notebook, chart)
    for notebook, pictures in CHARTS.items()
    for chart in pictures
}
# of what no run saves: times, and the matrices that are fetched
MADE = {
    "growth": lambda: figures.growth(STEPS, {"largest": 1000}),
    "aliases": lambda: figures.aliases(
        [-0.5, 0.2, 0.3], {"benchmark": "toy", "realizations": 3, "pool_size": 400}
    ),
}
STEPS = pd.DataFrame(
    {"tables anew": [1e-3, 1e-2, 0.1, np.nan], "step": 1e-4, "floor": 1e-5, "step / floor": 10.0},
    index=pd.MultiIndex.from_tuples(
        [(100, 20), (1000, 20), (1000, 100), (1000, 1000)], names=["queries", "candidates"]
    ),
)


def figure_of(name):
    """A picture of the first run of its notebook, from the tables in the repository."""
    if name in MADE:
        return MADE[name]()
    notebook, chart = PICTURES[name]
    run = next(run for run in RUNS.values() if run.notebook == notebook)
    return chart.draw(tables_of(run), reproduce.read(run.rendered))


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.mark.parametrize("name", [*PICTURES, *MADE])
def test_a_chart_names_its_board_and_what_made_it_and_can_be_read(name):
    figure = figure_of(name)
    figure.canvas.draw()
    texts = [t for t in figure.findobj(mpl.text.Text) if t.get_visible() and t.get_text().strip()]
    assert min(t.get_fontsize() for t in texts) >= 8
    said = figure.get_suptitle()
    assert ":" in said and said.split(":")[0]
    made = ("realizations", "pools of", "of its own")
    assert any(word in figure.get_supxlabel() for word in made)


@pytest.mark.parametrize("name", [*PICTURES, *MADE])
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


def test_a_board_shows_every_model_and_which_one_the_others_are_compared_with():
    figure = figure_of("benchmark win_rates")
    (ax,) = figure.axes
    rates = [bar.get_width() for bar in ax.patches]
    names = [label.get_text() for label in ax.get_yticklabels()]
    (baseline,) = [k for k, bar in enumerate(ax.patches) if bar.get_facecolor() == (1, 1, 1, 1)]
    assert rates == sorted(rates) and len(rates) == 13
    assert (names[baseline], rates[baseline]) == ("baseline", 50)
    assert "pools of 80 queries, drawn from these 120" in figure.get_supxlabel()


def test_names_of_models_of_one_size_do_not_meet():
    figure = figure_of("growth")
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in figure.axes[1].texts]
    assert len(boxes) == 2 and not boxes[0].overlaps(boxes[1])


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
    tuned = figure_of("tuning tuning").get_supxlabel()
    assert tuned.startswith("30 realizations, pools of half the board")
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


def test_panels_of_boards_have_five_strong_lines_and_say_their_pools():
    tables, facts = {}, {}
    for board in ("smol", "mt-bench"):
        tables[board], facts[board] = read_result(board, "curves.csv.gz")
    figure = boards.panels(tables, IDENTIFICATION, facts, says="who is named")
    assert figure.get_suptitle() == "2 boards: who is named"
    assert figure.get_supxlabel() == "1000 realizations"
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert titles == ["smol, pools of 80", "mt-bench, pools of 60"]
    for ax in figure.axes:
        strong = {line.get_label() for line in ax.get_lines() if line.get_color() != grammar.PALE}
        assert strong >= {"Random", "LLM Selector"} and len(strong) == 5
    simulated = {board: {**each, "simulated": True} for board, each in facts.items()}
    other = boards.panels(tables, IDENTIFICATION, simulated, says="who is named")
    assert other.get_suptitle() == "2 boards (simulated): who is named"


def test_savings_beyond_the_edge_are_drawn_at_it():
    table, facts = read_result("mt-bench", "efficiency-queries.csv")
    table["vs_strongest_query_low"] = -50.0
    figure = boards.savings(table, facts)
    for ax in figure.axes:
        assert ax.get_xlim()[0] >= boards.LEAST
        ends = [x for lines in ax.collections for (x, _) in np.concatenate(lines.get_segments())]
        assert min(ends) >= boards.LEAST
    assert "20 halves, each" in figure.get_supxlabel()


def test_a_decision_shows_what_was_saved():
    rates = pd.Series({"a": 0.7, "b": 0.4})
    figure = decisions.judged(pd.Series({"a": 9, "b": 3}), rates, 10, "board")
    (ax,) = figure.axes
    widths = sorted(bar.get_width() for bar in ax.patches)
    assert widths == [3, 9, 10, 10] and {t.get_text() for t in ax.texts} == {"70%", "40%"}
    assert figure.get_supxlabel() == "1 race on a pool of 10 queries"
    rows = pd.DataFrame({"queries": [1, 2], "rate": [1, 0.5], "low": [0.1, 0.2], "high": [1, 0.9]})
    figure = decisions.leader(rows, "board", {"realizations": 1, "pool_size": 10})
    assert figure.get_supxlabel() == "1 realization, pools of 10 queries"
