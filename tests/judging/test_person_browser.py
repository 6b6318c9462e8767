"""The annotation view in a real browser: JupyterLab in headless Chromium, over CDP."""

import json
import os
import signal
import time

import nbformat
import pytest
from helpers import browser

from llmsel.judging.replay import read_log
from llmsel.pool import Pool

pytestmark = browser.needed

EVIL = "<img src=x onerror=\"document.title='attacked'\"><script>document.title='attacked'</script>"
CELL = """import os
from llmsel import AnnotationLog, AnnotationView, Pool
open("kernel.pid", "w").write(str(os.getpid()))
AnnotationView(AnnotationLog("log.jsonl", Pool.load("pool.npz")), "ann", race=False)"""


def press(page, key, log, lines):
    page.run(f"document.querySelector('.llmsel-{key}').click()")
    end = time.monotonic() + 30
    while len(log.read_text().splitlines()) < lines and time.monotonic() < end:
        time.sleep(0.05)
    assert len(log.read_text().splitlines()) == lines


def shown(page):
    return page.run("document.querySelector('.jp-OutputArea').innerText")


@pytest.fixture
def stop():
    """Processes to end, newest first."""
    with browser.ended() as keep:
        yield keep


@pytest.mark.slow
def test_click_through_kill_the_kernel_reopen_and_continue(tmp_path, stop):
    rows = [[EVIL, f"other {i}", "the baseline"] for i in range(4)]
    pool = Pool(
        [f"q{i}" for i in range(4)],
        ["secret-a", "secret-b", "secret-base"],
        "secret-base",
        texts=[f"query number {i} {EVIL}" for i in range(4)],
        responses=rows,
    )
    pool.save(tmp_path / "pool.npz")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, tmp_path / "nb.ipynb")
    page, port = browser.begin(tmp_path, stop, lab=True)
    log = tmp_path / "log.jsonl"

    browser.run_notebook(page, port, ".llmsel-1")
    text = shown(page)
    assert "<script>" in text and "<img src=x" in text  # shown as text
    assert page.run("document.title") != "attacked"
    assert page.run("document.querySelectorAll('.jp-OutputArea img').length") == 0
    assert "secret" not in text
    for i, key in enumerate("1243"):
        press(page, key, log, 2 + i)
    press(page, "u", log, 6)
    press(page, "2", log, 7)
    held = read_log(log, pool).session
    now = f"document.querySelector('.jp-OutputArea').innerText.includes('{len(held.history)} of 4')"
    page.wait(now, "not the progress of the log")  # the page follows the kernel a moment later
    assert held.best().statement not in shown(page)  # who leads is not said yet
    before = shown(page)
    os.kill(int((tmp_path / "kernel.pid").read_text()), signal.SIGKILL)
    browser.run_notebook(page, port, ".llmsel-1")
    page.wait(now, "another leader after the crash")
    assert shown(page) == before
    page.run("document.querySelector('.llmsel-d').focus()")  # keys work wherever the focus is
    for kind in ("keyDown", "keyUp"):
        page.send("Input.dispatchKeyEvent", type=kind, key="r", text="r")
    page.wait("document.querySelectorAll('.llmsel-answer pre').length === 3", "no raw text")
    page.run("document.querySelector('.llmsel-r').click()")
    page.wait("document.querySelectorAll('.llmsel-answer pre').length === 0", "raw text stays")
    for i in range(4):
        press(page, "1", log, 8 + i)
    page.wait(
        "document.querySelector('.jp-OutputArea').innerText.includes('Every query is annotated')",
        "the end",
    )
    assert page.run("document.title") != "attacked"
    contents = read_log(log, pool)
    said = json.dumps(contents.session.best().statement)
    page.wait(f"document.querySelector('.jp-OutputArea').innerText.includes({said})", "no verdict")
    assert not contents.session.remaining and len(contents.given) == 8
