"""A figure drawn again without its run: the numbers stay, and a changed number is refused."""

import dataclasses
import shutil

import matplotlib as mpl
import nbformat
import pytest

from llmsel._base.errors import InputError
from llmsel._base.files import ROOT
from llmsel.reporting import redraw
from llmsel.studies import provenance, reproduce

mpl.use("Agg")
RUN = "greedy-smol"


@pytest.fixture
def house(tmp_path, monkeypatch):
    """A copy of what one run reads and writes."""
    run = reproduce.batch()[RUN]
    for path in [
        *run.outputs,
        f"notebooks/{run.notebook}.ipynb",
        f"notebooks/rendered/{RUN}.ipynb",
    ]:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)
    for module in (reproduce, redraw):
        monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(reproduce, "NOTEBOOKS", tmp_path / "notebooks")
    monkeypatch.setattr(reproduce, "RENDERED", tmp_path / "notebooks" / "rendered")
    return dataclasses.replace(run)


def edit(path, old, new):
    notebook = nbformat.read(path, as_version=4)
    cell = next(cell for cell in notebook.cells if old in cell.source)
    cell.source = cell.source.replace(old, new)
    nbformat.write(notebook, path)


def test_text_and_picture_are_taken_over_and_the_numbers_stay(house):
    assert reproduce.up_to_date(house)
    before = reproduce.read(house.rendered)
    edit(house.source, "# How far", "# Just how far")
    redraw.redraw(house)
    after = reproduce.read(house.rendered)
    assert reproduce.up_to_date(house)
    assert after.cells[0].source.startswith("# Just how far")
    assert after.cells[0].source.count("*Run: board smol, pools of") <= 1
    assert "results epoch" in after.cells[0].source
    said = [
        [o.text for c in nb.cells for o in c.get("outputs", ()) if "text" in o]
        for nb in (before, after)
    ]
    assert said[0] == said[1] != []
    assert sum("injected-parameters" in c.metadata.tags for c in after.cells) == 1


def test_a_notebook_that_computes_more_is_refused(house):
    edit(house.source, "table = pd.DataFrame(rows)", "table = 2 * pd.DataFrame(rows)")
    with pytest.raises(InputError, match="computes more"):
        redraw.redraw(house)


def test_a_run_that_is_out_of_date_is_refused(house, monkeypatch):
    monkeypatch.setattr(provenance, "RESULTS_EPOCH", 99)
    with pytest.raises(InputError, match="out of date"):
        redraw.redraw(house)


def test_a_notebook_without_a_chart_gets_its_text_alone():
    run = reproduce.batch()["llm-judge"]
    assert redraw.said_by(run) == ""
    assert run.notebook not in redraw.CHARTS


def test_a_sentence_is_said_again_and_both_pictures_of_a_race_are_drawn(monkeypatch):
    run = reproduce.batch()["baseline-strength-smol"]
    monkeypatch.setattr(redraw.sentences, "say_baseline_strength", lambda *_: print("new words"))
    old, new = reproduce.read(run.rendered), reproduce.read(run.source)
    monkeypatch.setattr(redraw, "save_figure", lambda *_: None)
    made = redraw._made_again(run, old)
    cells = redraw._merged(new, old, made)
    said = [o.text for cell in cells for o in cell.get("outputs", ()) if "text" in o]
    assert said[-1] == "new words\n" and len(said) > 1
    assert not any("Condorcet winner" in text for text in said)  # the old words are gone
    saved = []
    monkeypatch.setattr(redraw, "save_figure", lambda _, path: saved.append(path.name))
    race = reproduce.batch()["race-smol"]
    assert set(redraw._made_again(race, None)) == {"stops", "early"}
    assert saved == ["smol-race.svg", "smol-race-early.svg"]


def test_an_unknown_run_is_told():
    with pytest.raises(InputError, match="greedy-smol"):
        redraw.main(["greedy-smoll"])


def test_the_command_draws_what_is_named(house, monkeypatch, capsys):
    monkeypatch.setattr(reproduce, "batch", lambda: {RUN: house})
    redraw.main([RUN])
    assert capsys.readouterr().out == f"{RUN}.ipynb\n"
