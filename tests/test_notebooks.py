"""Notebooks can be read in one sitting: one skeleton, short cells, a way on."""

import json
import re
from pathlib import Path

import pytest

from llmsel.studies import reproduce

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
INDEX = (FOLDER / "README.md").read_text(encoding="utf-8")
WORDS, LINES, CELLS, CELL = 900, 170, (6, 23), 20
TEACHES = {"quickstart", "add-a-strategy"}  # code first; no section of their own for each step
NOTEBOOKS = sorted(path.stem for path in FOLDER.glob("*.ipynb"))
SECTIONS = ("data", "method", "picture", "what it means")


def cells(name, kind):
    notebook = json.loads((FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"))
    return ["".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == kind]


def headings(name):
    return re.findall(r"^## (.+)$", "\n".join(cells(name, "markdown")), re.MULTILINE)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_is_read_in_one_sitting(name):
    text, code = cells(name, "markdown"), cells(name, "code")
    assert sum(len(cell.split()) for cell in text) <= WORDS
    assert sum(len(cell.splitlines()) for cell in code) <= LINES
    assert CELLS[0] <= len(text) + len(code) <= CELLS[1]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_no_code_cell_is_long(name):
    assert max(len(cell.splitlines()) for cell in cells(name, "code")) <= CELL


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_has_the_skeleton_and_leads_on(name):
    text = cells(name, "markdown")
    assert text[0].startswith("# ") and "**Question.**" in text[0]
    assert re.search(r"\[All notebooks\]\(README\.md\)$", text[-1].strip())
    assert re.search(r"^(Paper|Module|Modules): ", text[-1], re.MULTILINE)
    if name not in TEACHES | {"summary", "your-models", "llm-judge"}:
        found = [h.lower() for h in headings(name)]
        places = [next((k for k, h in enumerate(found) if h.startswith(s)), None) for s in SECTIONS]
        assert None not in places, (SECTIONS, found)


def test_previous_and_next_are_the_order_of_the_index():
    order = re.findall(r"^- \[([\w-]+)\]\(\1\.ipynb\): \S", INDEX, re.MULTILINE)
    assert sorted(order) == NOTEBOOKS
    for k, name in enumerate(order):
        way = cells(name, "markdown")[-1]
        before, after = order[k - 1] if k else None, order[k + 1] if k + 1 < len(order) else None
        assert re.findall(r"Previous: \[([\w-]+)\]", way) == ([before] if before else [])
        assert re.findall(r"Next: \[([\w-]+)\]", way) == ([after] if after else [])


# a run of a notebook that was changed since says so the next time it is made
RUNS = sorted(n for n, run in reproduce.batch().items() if run.rendered.exists())


@pytest.mark.parametrize("name", RUNS)
def test_a_run_says_what_it_was_made_of(name):
    notebook = json.loads((FOLDER / "rendered" / f"{name}.ipynb").read_text(encoding="utf-8"))
    line = "".join(notebook["cells"][0]["source"]).split("\n")[2]
    assert re.fullmatch(r"\*Run: board .+, results epoch \d+ \(\d{4}-\d\d-\d\d\)\.\*", line)
