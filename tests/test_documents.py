"""Documents and committed runs: links lead somewhere, numbers are the tables', nothing leaks."""

import ast
import gzip
import json
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pandas as pd
import pytest

from llmsel._base import files as paths
from llmsel._base.errors import InputError
from llmsel.reporting import claims, findings
from llmsel.reporting.findings import FINDINGS, advantage, join, percent, points
from llmsel.studies import reproduce

ROOT = Path(__file__).resolve().parents[1]
HIDDEN = {".git", ".venv", "node_modules", "build"}
LEAKS = {
    "a memory address": re.compile(r"\b0x[0-9a-f]{6,}"),
    "a machine path": re.compile(r"/(?:tmp|root|home|work)/|ipykernel_"),
}
# the loaders' own warning of duplicate candidates is meant for the reader of a notebook
TOLD = re.compile(r"notebook: UserWarning: [\w-]+: '[^\n]+\n\s+[\w. ]+=[^\n]+\n*")


def found(pattern):
    files = sorted(ROOT.rglob(pattern))
    return [path for path in files if not HIDDEN & set(path.relative_to(ROOT).parts)]


NOTEBOOKS = [path for path in found("*.ipynb") if ".ipynb_checkpoints" not in path.parts]
PAGES = found("*.md")
TABLES = found("data/results/**/*.csv*")


def named(path):
    return str(path.relative_to(ROOT))


@cache
def cells(path):
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


@cache
def unfenced(path):
    """Markdown of a page or of a notebook's Markdown cells, without blocks of code."""
    if path.suffix == ".ipynb":
        some = ["".join(c["source"]) for c in cells(path) if c["cell_type"] == "markdown"]
        text = "\n\n".join(some)
    else:
        text = path.read_text(encoding="utf-8")
    return re.sub(r"^(```|~~~).*?^\1", "", text, flags=re.MULTILINE | re.DOTALL)


def prose(path):
    """The same without code in lines either."""
    return re.sub(r"`[^`\n]*`", "``", unfenced(path))


def anchors(path):
    """Fragments of a page as GitHub makes them of its headings."""
    some = re.findall(r"^#+\s+(.*?)\s*#*$", unfenced(path), re.MULTILINE)
    slugs, seen = set(), {}
    for heading in some:
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        seen[slug] = seen.get(slug, -1) + 1
        slugs.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
    return slugs | set(re.findall(r"<a (?:id|name)=\"([^\"]+)\"", prose(path)))


def broken(path):
    """Relative links of a page that lead nowhere."""
    links = re.findall(r"\]\(\s*<?([^)\s>]+)", prose(path))
    links += re.findall(r"^\[[^\]]+\]:\s*(\S+)", prose(path), re.MULTILINE)
    links += re.findall(r"<(?:a|img)\b[^>]*?(?:href|src)=\"([^\"]+)\"", prose(path))
    lost = []
    for link in links:
        if re.match(r"[a-z][a-z+.-]*:", link, re.IGNORECASE):
            continue
        file, _, fragment = unquote(link).partition("#")
        target = (path.parent / file) if file else path
        if not target.exists() or (
            fragment and target.suffix in (".md", ".ipynb") and fragment not in anchors(target)
        ):
            lost.append(link)
    return lost


def ragged(text):
    """Rows of Markdown tables with another number of cells than the table's first row."""
    wrong, width = [], None
    for line in text.splitlines():
        if not line.lstrip().startswith("|"):
            width = None
            continue
        count = len(re.split(r"(?<!\\)\|", line.strip().removeprefix("|").removesuffix("|")))
        width = width or count
        if count != width:
            wrong.append(line[:60])
    return wrong


@pytest.mark.parametrize("path", [*PAGES, *NOTEBOOKS], ids=named)
def test_links_lead_somewhere_and_tables_are_even(path):
    assert broken(path) == []
    assert ragged(prose(path)) == []


def test_broken_links_and_ragged_tables_are_seen(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# A title: with `code`\n[good](page.md#a-title-with-code) [bad](gone.md) "
        '[lost](#nowhere) [far](https://x.org) <img src="no.png">\n'
        "```\n[in code](gone2.md)\n```\n| a | b |\n| --- | --- |\n| one |\n| x | y \\| z |\n"
    )
    assert set(broken(page)) == {"gone.md", "#nowhere", "no.png"}
    assert ragged(page.read_text()) == ["| one |"]


# -- promises -----------------------------------------------------------------------------------

TEST_ID = re.compile(r"`([\w/]+\.py)::(\w+)`")


def lost_tests(text):
    """Tests that a page names and that no file below `tests` defines."""
    lost = []
    for file, name in TEST_ID.findall(text):
        path = ROOT / "tests" / file
        tree = ast.parse(path.read_text(encoding="utf-8")) if path.is_file() else ast.Module([], [])
        functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
        if name not in {function.name for function in functions}:
            lost.append(f"{file}::{name}")
    return lost


def promises():
    page = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    section = page.partition("## Faults and promises")[2]
    return re.findall(r"^\| *(\d+) \|.*\|([^|]*)\|$", section, re.MULTILINE)


def test_every_promise_names_a_test_that_exists():
    rows = promises()
    assert {int(number) for number, _ in rows} == set(range(1, 15))
    assert [cell for _, cell in rows if not TEST_ID.fullmatch(cell.strip())] == []
    assert lost_tests((ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")) == []


def test_a_test_that_is_gone_is_seen():
    here = "`test_documents.py::test_a_test_that_is_gone_is_seen`"
    assert lost_tests(here) == []
    assert lost_tests(here.replace("seen", "not_seen")) != []
    assert lost_tests("`core/test_nothing.py::test_x`") == ["core/test_nothing.py::test_x"]


# -- claims -------------------------------------------------------------------------------------


def test_every_claim_is_what_the_tables_say():
    assert claims.check(claims.documents()) == []


def copied(tmp_path):
    page = tmp_path / "README.md"
    shutil.copy(ROOT / "README.md", page)
    return page


def test_an_edited_number_is_seen_and_written_back(tmp_path):
    page = copied(tmp_path)
    before = page.read_text()
    assert claims.check([page]) == [] and claims.refresh([page]) == []
    passages = list(claims.PASSAGE.finditer(before))
    assert len(passages) > 5
    for passage in passages:
        digit = re.search(r"\d", passage[3])
        if digit is None:
            continue
        at = passage.start(3) + digit.start()
        page.write_text(before[:at] + str(9 - int(before[at])) + before[at + 1 :])
        (line,) = claims.check([page])
        assert f"claim '{passage[1]}'" in line and claims.COMMAND in line
    assert claims.refresh([page]) == [page]
    assert page.read_text() == before


def test_a_changed_table_makes_claims_stale(tmp_path, monkeypatch):
    results = tmp_path / "results"
    shutil.copytree(paths.RESULTS, results)
    monkeypatch.setattr(paths, "RESULTS", results)
    page = copied(tmp_path)
    assert claims.check([page]) == []
    table = results / "hostile" / "race-validity.csv"
    table.write_text(
        table.read_text().replace('heuristic, z = 3",0.19,', 'heuristic, z = 3",0.21,')
    )
    (line,) = claims.check([page])
    assert "race-validity" in line


def test_words_follow_the_numbers(tmp_path, monkeypatch):
    results = tmp_path / "results"
    shutil.copytree(paths.RESULTS, results)
    monkeypatch.setattr(paths, "RESULTS", results)
    said = FINDINGS["anytime-against-peers"]()
    row = next(line for line in said.splitlines() if line.startswith("| AlpacaEval"))
    assert "| ahead of SySRs, +" in row
    file = results / "alpacaeval" / "race-curves.csv.gz"
    text = gzip.decompress(file.read_bytes()).decode()
    text = text.replace("anytime allocation", "###").replace("SySRs", "anytime allocation")
    file.write_bytes(gzip.compress(text.replace("###", "SySRs").encode()))
    said = FINDINGS["anytime-against-peers"]()
    row = next(line for line in said.splitlines() if line.startswith("| AlpacaEval"))
    assert "| behind SySRs, -" in row


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a <!-- claim:no-such -->1<!-- /claim -->", "no-such"),
        ("a <!-- claim:draws -->1<!-- /claim -->", "does not take"),
        ("<!-- claim:realizations -->1<!-- /claim -->", "begins a line"),
        ("a <!-- claim:realizations -->1", "missing"),
        ("a <!-- claim:targets --><!-- claim:draws smol -->1<!-- /claim -->", "missing"),
    ],
)
def test_a_wrong_marker_is_told(text, message):
    with pytest.raises(InputError, match=message):
        claims.rewrite(text)


def test_text_outside_markers_is_kept_and_a_block_stands_alone():
    text = "a <!-- claim:one -->old<!-- /claim --> b\n<!-- claim:two x -->\nold\n<!-- /claim -->\n"
    two = {"one": lambda: "1", "two": lambda x: f"{x}\n2"}
    once = claims.rewrite(text, findings=two)
    assert once == (
        "a <!-- claim:one -->1<!-- /claim --> b\n<!-- claim:two x -->\n\nx\n2\n\n<!-- /claim -->\n"
    )
    assert claims.rewrite(once, findings=two) == once


def test_the_command_checks_and_writes(tmp_path, monkeypatch, capsys):
    page = copied(tmp_path)
    before = page.read_text()
    page.write_text(re.sub(r"(claim:targets -->of )\d+", r"\g<1>7", before))
    monkeypatch.setattr(claims, "documents", lambda: [page])
    assert claims.main(["--check"]) == 1
    assert "claim 'targets'" in capsys.readouterr().out
    assert claims.main([]) == 0 and page.read_text() == before
    assert f"rewrote {page}" in capsys.readouterr().out
    assert claims.main(["--check"]) == 0


def test_the_module_is_the_command():
    run = [sys.executable, *claims.COMMAND.split()[1:], "--check"]
    done = subprocess.run(run, capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr


def test_words_of_findings():
    assert advantage(0.128, 0.1, 0.15) == "12.8 points ahead (+10.0 to +15.0)"
    assert advantage(-0.128, -0.15, -0.1) == "12.8 points behind (-15.0 to -10.0)"
    assert advantage(0.01, -0.1, 0.12) == "level at +1.0 (-10.0 to +12.0)"
    assert points(-0.0001) == "+0.0" and percent(0.1234, 1) == "12.3 %"
    assert (join([]), join(["a"]), join(["a", "b", "c"])) == ("none", "a", "a, b and c")


@pytest.mark.parametrize(
    ("ends", "word"),
    [
        ([(0.1, 0.2), (-0.2, -0.1)], "a cause, and no cure"),
        ([(0.1, 0.2), (-0.1, 0.1)], "a cause, and the cure"),
        ([(-0.1, 0.1), (-0.2, -0.1)], "no cause"),
    ],
)
def test_the_verdict_on_the_baseline_follows_the_intervals(ends, word, monkeypatch):
    rows = pd.DataFrame(ends, columns=["low", "high"])
    monkeypatch.setattr(findings, "without_baseline_rows", lambda: rows)
    assert findings.cause() == word


def test_tables_that_do_not_fit_a_sentence_are_told(tmp_path, monkeypatch):
    results = tmp_path / "results"
    shutil.copytree(paths.RESULTS, results)
    monkeypatch.setattr(paths, "RESULTS", results)
    file = results / "smol" / "efficiency.csv"
    text = file.read_text().replace('"realizations": 1000', '"realizations": 10')
    file.write_text(text.replace("near-best 1 %", "near-best 7 %"))
    with pytest.raises(InputError, match="10 and 1000"):
        FINDINGS["realizations"]()
    with pytest.raises(InputError, match="near-best 1 %"):
        FINDINGS["queries-needed"]()


# results are never typed in: what is left are definitions, promises and the paper's own number
GIVEN = {"90 %", "1 %", "5 %", "95 %", "59.62 %"}


def test_no_result_is_typed_in_by_hand():
    readme = (ROOT / "README.md").read_text()
    (found,) = re.findall(r"^## What was found.*?(?=^## )", readme, re.MULTILINE | re.DOTALL)
    pages = [ROOT / "docs/findings.md", ROOT / "notebooks/README.md"]
    for text in [found, *(page.read_text() for page in pages)]:
        left = claims.PASSAGE.sub("", text)
        assert set(re.findall(r"\d[\d.,]* ?(?:%|points?\b)", left)) <= GIVEN


def test_the_card_of_smol_says_what_its_scores_say():
    scores = pd.read_csv(ROOT / "data/smol/scores.csv", index_col=0)
    card = (ROOT / "data/smol/README.md").read_text()
    rows = re.findall(r"^\| `([\w-]+)` \|[^|]*\|((?:[ \d.]*\|){5})$", card, re.MULTILINE)
    assert {name for name, _ in rows} == set(scores.columns)
    margin = scores.sub(scores["baseline"], axis=0)
    wins, losses = (margin > 1e-9).sum(), (margin < -1e-9).sum()
    for name, cells in rows:
        draws = len(scores) - wins[name] - losses[name]
        rate = (wins[name] + draws / 2) / len(scores)
        own = [str(wins[name]), str(draws), str(losses[name]), f"{rate:.4f}"]
        own = [""] * 4 if name == "baseline" else own
        shown = [cell.strip() for cell in cells.split("|")[:-1]]
        assert shown[:-1] == own
        assert float(shown[-1]) == pytest.approx(scores[name].mean(), abs=0.00051)
    draws = (margin.drop(columns="baseline").abs() <= 1e-9).to_numpy()
    assert f"Of the {draws.size} outcomes, {draws.sum()} (" in card


# -- committed runs and tables ------------------------------------------------------------------


def printed(path):
    """All that a notebook shows but pictures: text of outputs and of the metadata."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    texts = [json.dumps(notebook["metadata"])]
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            data = {k: v for k, v in output.get("data", {}).items() if not k.startswith("image/")}
            shown = {k: v for k, v in output.items() if k != "data"}
            texts.append(json.dumps({**shown, **data}, ensure_ascii=False))
    return "\n".join(texts)


def leaked(text):
    return [what for what, pattern in LEAKS.items() if pattern.search(text)]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=named)
def test_notebooks_show_no_warning_no_address_and_no_path(path):
    assert leaked(printed(path)) == []
    for cell in cells(path):
        for output in cell.get("outputs", []):
            assert output["output_type"] != "error"
            if output.get("name") == "stderr":
                assert TOLD.fullmatch("".join(output["text"])), "".join(output["text"])[:200]


@pytest.mark.parametrize("path", TABLES, ids=named)
def test_tables_say_what_made_them_without_an_address_or_a_path(path):
    data = path.read_bytes()
    first = (gzip.decompress(data) if path.suffix == ".gz" else data).decode().split("\n", 1)[0]
    assert json.loads(first.removeprefix("# "))
    assert leaked(first) == []


def test_addresses_and_paths_are_seen():
    assert leaked("<llmsel.peers.LUCB object at 0x7fce2d285410>") == ["a memory address"]
    assert leaked("/tmp/x") == leaked("in ipykernel_12/3.py") == ["a machine path"]
    assert leaked("a sha256 of 0x12 and home/work") == []


def test_no_two_runs_write_one_file():
    files = [file for run in reproduce.batch().values() for file in run.outputs]
    assert sorted(files) == sorted(set(files))


def test_no_committed_run_is_out_of_date():
    # in a process of its own: other tests pin other files and patch the engine
    listing = [sys.executable, "-m", "llmsel", "reproduce", "--list", "--json"]
    done = subprocess.run(listing, capture_output=True, text=True, check=True, cwd=ROOT)
    fresh = {row["name"] for row in json.loads(done.stdout) if row["up_to_date"]}
    runs = [run for run in reproduce.batch().values() if run.rendered.exists() or not run.extra]
    assert not [run.name for run in runs if run.name not in fresh]
