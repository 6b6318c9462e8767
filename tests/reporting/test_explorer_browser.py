"""The sliders in a real browser: they move in JupyterLab, and the picture moves with them."""

import nbformat
import pytest
from helpers import browser

pytestmark = [browser.needed, pytest.mark.slow]
CELL = """import llmsel
from llmsel.reporting import explorer
models = ["few-shot", "terse", "warm", "penalised", "baseline"]
explorer.Sliders(explorer.sample(llmsel.load("smol"), models, 2))"""
SHOWN = "document.querySelector('.jp-OutputArea .llmsel-film').innerText"
# noUiSlider listens to keys on its handle; the sliders are budget, eps_loss, eps_draw, weak judge
PRESS = """document.querySelectorAll('.jp-OutputArea .noUi-handle')[{slider}].dispatchEvent(
    new KeyboardEvent('keydown', {{key: '{key}', bubbles: true}}))"""


def test_the_sliders_move_the_picture(tmp_path):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, tmp_path / "nb.ipynb")
    with browser.ended() as keep:
        page, port = browser.begin(tmp_path, keep, lab=True)
        browser.run_notebook(page, port, ".jp-OutputArea .noUi-handle")
        page.wait(f"{SHOWN}.includes('0 of 12 queries')", "no picture")
        page.run(PRESS.format(slider=0, key="End"))
        page.wait(f"{SHOWN}.includes('belief: baseline')", "the budget does not move it")
        page.run(PRESS.format(slider=2, key="Home"))
        page.wait(f"!{SHOWN}.includes('belief: baseline')", "eps_draw does not move it")
