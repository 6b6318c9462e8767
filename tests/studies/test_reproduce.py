"""The batch runner on a notebook of its own: strict, resumable, and it skips what is done."""

import json
import os
import signal
import subprocess
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from llmsel._base.errors import InputError
from llmsel.studies import reproduce
from llmsel.studies.reproduce import Run


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A checkout with one notebook: it writes its parameter to a file, or fails on request."""
    notebooks = tmp_path / "notebooks"
    notebooks.mkdir()
    for name, value in {
        "ROOT": tmp_path,
        "NOTEBOOKS": notebooks,
        "RENDERED": notebooks / "rendered",
    }.items():
        monkeypatch.setattr(reproduce, name, value)
    cells = [
        new_code_cell("value = 1\nfail = False", metadata={"tags": ["parameters"]}),
        new_code_cell("assert not fail\nopen('../out.txt', 'w').write(str(value))\nprint(value)"),
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(notebook, notebooks / "tiny.ipynb")
    return tmp_path


def test_a_run_is_rendered_once_and_again_when_something_changes(here):
    run = Run("one", "tiny", {"value": 5}, outputs=("out.txt",))
    assert reproduce.execute_all([run]) == {"one": ""}
    assert (here / "out.txt").read_text() == "5"
    text = run.rendered.read_text()
    assert json.loads(text)["metadata"]["llmsel"]["parameters"] == {"value": 5}
    assert str(here) not in text and "start_time" not in text
    assert reproduce.execute_all([run]) == {}
    assert reproduce.execute_all([run], force=True) == {"one": ""}
    assert run.rendered.read_text() == text, "made again it is the same, to the byte"
    other = Run("one", "tiny", {"value": 6}, outputs=("out.txt",))
    assert not reproduce.up_to_date(other)
    (here / "out.txt").unlink()
    assert not reproduce.up_to_date(run)
    source = nbformat.read(run.source, 4)
    source.cells[1].source += "\nprint('more')"
    (here / "out.txt").write_text("5")
    nbformat.write(source, run.source)
    assert not reproduce.up_to_date(run)


def test_a_failed_or_torn_run_is_not_up_to_date(here):
    run = Run("bad", "tiny", {"fail": True})
    with pytest.raises(Exception, match="AssertionError"):
        reproduce.execute(run, progress=False)
    assert not run.rendered.exists() and not reproduce.up_to_date(run)
    good = Run("good", "tiny")
    assert reproduce.execute_all([run, good]) == {"bad": "AssertionError:", "good": ""}
    run.rendered.write_text('{"cells": [')
    assert not reproduce.up_to_date(run)


@pytest.mark.slow
def test_the_command_runs_all_in_two_processes_and_the_second_time_nothing(here):
    text = "\n".join(
        f'[[run]]\nname = "r{i}"\nnotebook = "tiny"\nparameters = {{ value = {i} }}'
        for i in range(3)
    )
    (here / "notebooks" / "reproduce.toml").write_text(text)
    words = ["from llmsel.cli import main; main()", "reproduce", "--all", "--workers", "2"]
    for state in ("made", "up to date"):
        done = subprocess.run(
            [sys.executable, "-c", *words],
            env={**os.environ, "LLMSEL_ROOT": str(here)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        lines = done.stdout.splitlines()
        assert [line[:10].strip() for line in lines] == [state] * 3


def test_a_run_that_reads_results_comes_last_and_again_when_they_change(here):
    summary = Run("summary", "tiny", {"value": 9}, reads=("out*.txt",))
    maker = Run("maker", "tiny", {"value": 3}, outputs=("out.txt",))
    (here / "out.txt").write_text("1")
    assert list(reproduce.execute_all([summary, maker])) == ["maker", "summary"]
    (here / "out.txt").write_text("other")
    assert not reproduce.up_to_date(summary)


def test_unknown_parameters_and_notebooks_are_refused_before_anything_runs(here):
    good = Run("good", "tiny")
    with pytest.raises(InputError, match=r"unknown parameter of tiny.ipynb 'valu': did you mean"):
        reproduce.execute_all([good, Run("bad", "tiny", {"valu": 3})])
    with pytest.raises(InputError, match="unknown notebook 'tinny': did you mean 'tiny'"):
        reproduce.execute_all([good, Run("bad", "tinny")])
    assert not good.rendered.exists()


def test_the_list_of_runs_is_strict(tmp_path):
    path = tmp_path / "batch.toml"
    path.write_text('[[run]]\nname = "a"\nnotebok = "x"\n')
    with pytest.raises(InputError, match=r"unknown field in batch.toml 'notebok': did you mean"):
        reproduce.batch(path)
    path.write_text('[[run]]\nname = "a"\nnotebook = "x"\n' * 2)
    with pytest.raises(InputError, match=r"lists the run 'a' twice"):
        reproduce.batch(path)


def test_every_listed_run_exists_and_takes_its_parameters():
    runs = reproduce.batch()
    assert {"smol", "alpacaeval"} <= set(runs)
    for run in runs.values():
        reproduce.check(run)


def test_a_trial_writes_no_shared_outputs():
    run = reproduce.batch()["smol"]
    trial = reproduce.variant(run, {"seed": 7})
    assert trial.name == "smol-trial" and trial.outputs == () and trial.show is None
    assert trial.parameters["seed"] == 7 and trial.parameters["save"] is False
    reproduce.check(reproduce.variant(reproduce.batch()["performance"], {"steps": 7}))


def test_an_unknown_backend_is_refused():
    with pytest.raises(InputError, match="unknown backend 'dusk': did you mean 'dask'"):
        reproduce.cluster("dusk", None)


@pytest.mark.slow
def test_a_killed_batch_goes_on_where_it_stopped(here):
    """kill -9 in the second of three runs: the first is kept, the others are made."""
    runs = [Run("a", "tiny", {"value": 1}), Run("b", "tiny", {"value": 2}), Run("c", "tiny")]
    source = nbformat.read(runs[0].source, 4)
    source.cells[1].source += (
        "\nimport os, pathlib, signal"
        "\nonce = pathlib.Path('../killed')"
        "\nif value == 2 and not once.exists():"
        "\n    once.touch()"
        "\n    os.kill(int(os.environ['RUNNER']), signal.SIGKILL)"
        "\n    import time; time.sleep(30)"
    )
    nbformat.write(source, runs[0].source)
    child = os.fork()
    if child == 0:
        os.environ["RUNNER"] = str(os.getpid())
        try:
            reproduce.execute_all(runs)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    assert runs[0].rendered.exists() and not runs[1].rendered.exists()
    assert list(reproduce.execute_all(runs)) == ["b", "c"]
    assert reproduce.execute_all(runs) == {}


def test_links_of_a_rendered_notebook_lead_out_of_its_folder():
    text = (
        "[a](race.ipynb#x) [b](https://x.org) [c](#here) ![d](attachment:y.png) [e](../README.md)"
    )
    assert reproduce.one_folder_down(text) == (
        "[a](../race.ipynb#x) [b](https://x.org) [c](#here) ![d](attachment:y.png) "
        "[e](../../README.md)"
    )
