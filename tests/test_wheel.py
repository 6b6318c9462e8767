"""The practitioner's routes, from a wheel, by somebody who has no checkout."""

import ast
import html
import itertools
import json
import re
import shlex
import sys
import tomllib
from pathlib import Path

import pytest
from helpers.loopback import serve
from helpers.servers import longer
from helpers.wheels import ROOT, Stranger, build, install

README = (ROOT / "README.md").read_text()
PERSON = """
import builtins
builtins.display = lambda view: view
{route}
while view.query is not None:
    view.press("1")
print(llmsel.__file__)
print(llmsel.judging.verdict_of(log).statement)
log.close()
print(llmsel.write_report(log.path, pool, "person.html"))
"""
BROUGHT_BY = {
    "IPython": "jupyterlab",
    "PIL": "pillow",
    "nbformat": "papermill",
    "nbclient": "papermill",
    "dask": "distributed",
    "requests": "pooch",
    "pydantic_core": "pydantic",
    "markupsafe": "jinja2",
    "markdown_it": "markdown-it-py",
    "click": "typer",
}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bin_(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    return install(build(folder), folder / "environment")


@pytest.fixture
def stranger(bin_, tmp_path):
    return Stranger(bin_, tmp_path)


def route(sign, language=""):
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    (block,) = [block for kind, block in blocks if kind == language and sign in block]
    return block


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def answers(folder, models):
    rows = [
        {"model": m, "query_id": f"q{i}", "query": f"Question {i}?", "response": m * (1 + i % 2)}
        for m in models
        for i in range(6)
    ]
    write(folder / "answers.jsonl", rows)


def test_a_person_in_a_notebook_and_in_a_terminal(stranger, bin_):
    answers(stranger.folder, ["baseline", "short", "longest of all"])
    code = PERSON.format(route=route("AnnotationView", "python"))
    file, statement, report = stranger.run("python", "-c", code).splitlines()
    assert Path(file).is_relative_to(bin_.parent)  # not the checkout
    assert "of this pool" in statement or "of the best win rate" in statement
    assert "<title>" in (stranger.folder / report).read_text()
    source = ("--pool", "answers.jsonl", "--baseline", "baseline")
    for _ in range(3):
        asked = stranger.run("llmsel", "session", "ask", "log.jsonl", *source, "--race", "--json")
        question = json.loads(asked)
        outcomes = [f"{m}=win" for m in question["responses"] if m != "baseline"]
        stranger.run(
            "llmsel", "session", "tell", "log.jsonl", question["query"], *outcomes, *source
        )
    said = stranger.run("llmsel", "session", "status", "log.jsonl", *source, code=1)
    assert "3 of 6 queries" in said


def test_an_llm_as_judge(stranger):
    write(
        stranger.folder / "queries.jsonl",
        [{"query_id": f"q{i}", "query": f"Question {i}?"} for i in range(4)],
    )

    def reply(body, number):
        if body["model"] == "my-judge":
            return longer(body)
        return "an answer" if body["model"] == "small" else "a longer answer"

    with serve(reply) as server:
        local = re.compile(r"http://localhost:\d+/v1")
        toml = local.sub(server.url, route("[[model]]", "toml"))
        (stranger.folder / "models.toml").write_text(toml + toml.replace('"small"', '"large"'))
        for line in route("llmsel generate").strip().split("\n"):
            said = stranger.run(*shlex.split(local.sub(server.url, line)), given="y\n")
            assert "judge" not in line.split()[1] or "'large' is the best of this pool" in said
    page = (stranger.folder / "report.html").read_text()
    assert "'large' is the best" in html.unescape(page)


def test_a_program_as_judge(stranger):
    answers(stranger.folder, ["baseline", "short", "longest of all"])
    (stranger.folder / "grade.py").write_text(
        "def score(query, response):\n    return len(response)"
    )
    said = stranger.run(
        *("python", "-m", "llmsel", "judge", "race.jsonl", "--pool", "answers.jsonl"),
        *("--baseline", "baseline", "--program", "grade.py:score", "--yes"),
    )
    assert "'longest of all' is the best of this pool" in said


def test_the_page_for_annotators_comes_along(stranger):
    code = "from llmsel.judging.people.server import page; print(page('n', 'Which?').decode())"
    page = stranger.run("python", "-c", code)
    assert "<title>Which?</title>" in page and "keydown" in page and ".llmsel-answer" in page


def test_what_needs_the_checkout_says_so(stranger):
    assert "smol" in stranger.run("llmsel", "data", "list")
    assert "humaneval: not fetched" in stranger.run("llmsel", "data", "verify", "humaneval")
    for command in ("data fetch humaneval", "data card smol", "reproduce smol"):
        said = stranger.run("llmsel", *command.split(), code=2, stderr=True)
        assert "clone the repository and name its folder in LLMSEL_ROOT" in said


def test_all_that_is_imported_is_asked_for():
    """The environment above borrows its libraries, so what it needs is read off the imports."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    asked = {re.match(r"[\w.-]+", each)[0].lower() for each in itertools.chain(*lists)}
    found = set()
    for path in (ROOT / "llmsel").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module)
    roots = {name.split(".")[0] for name in found} - set(sys.stdlib_module_names) - {"llmsel"}
    missing = {BROUGHT_BY.get(name, name).lower() for name in roots} - asked
    zstandard, where_chosen = {"backports", "compression"}, {"ray", "mlflow", "inspect_ai"}
    assert missing == zstandard | where_chosen
