"""Faults of a batch: two at once, killed kernels and workers, damaged files, idle workers."""

import json
import os
import subprocess
import sys
import threading

import filelock
import joblib
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from llmsel._base.errors import InputError
from llmsel.studies import reproduce
from llmsel.studies.reproduce import Run

KILL_KERNEL = "import os, signal\nif fail: os.kill(os.getpid(), signal.SIGKILL)"
KILL_WORKER = "import os, signal\nif fail: os.kill(os.getppid(), signal.SIGKILL)"


def write(folder, name, *cells):
    parameters = new_code_cell("value = 1\nfail = False", metadata={"tags": ["parameters"]})
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [parameters, *map(new_code_cell, cells)]
    notebook = new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(notebook, folder / f"{name}.ipynb")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A checkout with notebooks that write a file, and one whose kernel is killed."""
    notebooks = tmp_path / "notebooks"
    notebooks.mkdir()
    monkeypatch.setattr(reproduce, "ROOT", tmp_path)
    monkeypatch.setattr(reproduce, "NOTEBOOKS", notebooks)
    monkeypatch.setattr(reproduce, "RENDERED", notebooks / "rendered")
    monkeypatch.setattr(reproduce.provenance, "behaviour", lambda: dict.fromkeys("vqct", "same"))
    monkeypatch.setattr(reproduce.provenance, "families", lambda _: tuple("vqct"))
    write(notebooks, "tiny", "open(f'../{value}.txt', 'w').write(str(value))\nprint(value)")
    write(notebooks, "killed", KILL_KERNEL)
    return tmp_path


def test_a_killed_kernel_is_one_sentence_and_the_others_run(here):
    done = reproduce.execute_all([Run("dies", "killed", {"fail": True}), Run("good", "tiny")])
    assert done == {
        "dies": "its kernel died (killed, or out of memory); run it again, on fewer processes",
        "good": "",
    }
    assert not Run("dies", "killed").rendered.exists()


@pytest.mark.slow
def test_a_killed_worker_is_one_sentence_and_what_is_finished_is_kept(here):
    write(here / "notebooks", "killed", KILL_WORKER)
    text = (
        '[[run]]\nname = "good"\nnotebook = "tiny"\n[[run]]\nname = "dies"\nnotebook = "killed"\n'
    )
    (here / "notebooks" / "reproduce.toml").write_text(text + "parameters = { fail = true }\n")
    words = ["from llmsel.cli import main; main()", "reproduce", "--all", "--workers", "2"]
    environment = {**os.environ, "LLMSEL_ROOT": str(here)}
    done = subprocess.run(
        [sys.executable, "-c", *words], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0 and "Traceback" not in done.stderr + done.stdout
    assert "its worker process was killed; run it again" in done.stderr + done.stdout
    assert not (here / "notebooks" / "rendered" / "dies.ipynb").exists()


def test_two_processes_do_not_make_the_same_run(here):
    run, other = Run("one", "tiny"), Run("other", "tiny", {"value": 2})
    with filelock.FileLock(reproduce._kept(run, ".lock")):
        done = reproduce.execute_all([run, other])
    assert done["one"].endswith("another process is making the run 'one'; wait until it has ended.")
    assert done["other"] == "" and not run.rendered.exists()
    assert reproduce.execute_all([run]) == {"one": ""}


def test_a_cache_that_cannot_be_written_is_one_sentence(here, monkeypatch):
    (here / "file").write_text("")
    monkeypatch.setenv("LLMSEL_CACHE", str(here / "file"))
    with pytest.raises(
        InputError, match=r"cannot be written .*name another folder in LLMSEL_CACHE"
    ):
        reproduce.execute(Run("one", "tiny"), progress=False)


@pytest.mark.parametrize("damage", [b"", b"9", b"1\n"])
def test_a_damaged_output_is_not_up_to_date(here, damage):
    run = Run("one", "tiny", outputs=("1.txt",))
    assert reproduce.execute_all([run]) == {"one": ""} and reproduce.up_to_date(run)
    (here / "1.txt").write_bytes(damage)
    assert not reproduce.up_to_date(run)
    assert reproduce.execute_all([run]) == {"one": ""} and reproduce.up_to_date(run)


def test_an_edited_rendered_notebook_is_not_up_to_date(here):
    run = Run("one", "tiny")
    reproduce.execute_all([run])
    text = run.rendered.read_text()
    rendered = json.loads(text)
    rendered["cells"][-1]["outputs"][0]["text"] = ["2\n"]
    run.rendered.write_text(json.dumps(rendered))
    assert not reproduce.up_to_date(run)
    run.rendered.write_text(text)
    assert reproduce.up_to_date(run)
    for metadata in ({}, {"llmsel": {"key": reproduce.key(run)}}, {"llmsel": 3}):
        run.rendered.write_text(json.dumps({**json.loads(text), "metadata": metadata}))
        assert not reproduce.up_to_date(run)


def test_an_output_that_is_not_made_is_said(here):
    done = reproduce.execute_all([Run("one", "tiny", outputs=("2.txt",))])
    assert "run 'one' made no '2.txt'; correct its outputs" in done["one"]


def test_a_torn_notebook_is_one_sentence(here):
    (here / "notebooks" / "tiny.ipynb").write_text('{"cells": [')
    with pytest.raises(InputError, match=r"tiny\.ipynb' is no notebook; it may be torn"):
        reproduce.execute_all([Run("one", "tiny")])


def test_two_runs_may_not_make_one_file(tmp_path):
    entry = '[[run]]\nname = "{}"\nnotebook = "x"\noutputs = ["a.csv", "{}.csv"]\n'
    (tmp_path / "batch.toml").write_text(entry.format("a", "a") + entry.format("b", "b"))
    with pytest.raises(InputError, match=r"the runs 'a' and 'b' both make 'a\.csv'"):
        reproduce.batch(tmp_path / "batch.toml")


def test_the_longest_runs_begin_first_and_are_handed_out_alone(here, monkeypatch):
    """With two workers a long run beside many short ones leaves none idle."""
    runs = [Run(f"r{i}", "tiny", {"value": i}) for i in range(7)]
    for run, took in zip(runs, (1, 1, 1, 1, 1, 60, 1), strict=True):
        reproduce._note_seconds(run, took)
    begun, gate = [], threading.Event()

    def play(run):
        begun.append(run.name)
        if run.name == "r5":
            assert gate.wait(20)  # as long as all the others together
        if len(begun) == 7:
            gate.set()
        return run.name, ""

    monkeypatch.setattr(reproduce, "_alone", play)
    with joblib.parallel_config(backend="threading"):
        assert reproduce.execute_all(runs, 2) == dict.fromkeys((r.name for r in runs), "")
    assert begun[0] == "r5"


def test_a_run_that_was_never_timed_may_be_long(here):
    run = Run("new", "tiny")
    assert reproduce.seconds(run) == float("inf")
    reproduce.execute_all([run])
    assert 0 < reproduce.seconds(run) < 100
    reproduce._kept(run, ".seconds").write_text("torn?")
    assert reproduce.seconds(run) == float("inf")
