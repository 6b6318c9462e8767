"""The README's routes, run as a reader would run them."""

import builtins
import html
import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest
from helpers.loopback import serve
from helpers.servers import longer
from typer.testing import CliRunner

import llmsel
from llmsel.cli import app

README = (Path(__file__).parents[1] / "README.md").read_text()


def blocks(kind):
    """Code blocks of a language; "" for those without."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    return [text for language, text in found if language == kind]


def answers(path, models):
    rows = [
        {"model": m, "query_id": f"q{i}", "query": f"Question {i}?", "response": m * (1 + i % 2)}
        for m in models
        for i in range(6)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_the_route_of_a_person(tmp_path, monkeypatch):
    (code,) = [block for block in blocks("python") if "AnnotationView" in block]
    answers(tmp_path / "answers.jsonl", ["baseline", "short", "longest of all"])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(builtins, "display", lambda view: view, raising=False)
    space = {}
    exec(code, space)
    while space["view"].query is not None:
        space["view"].press("1")
    statement = llmsel.judging.verdict_of(space["log"]).statement
    assert "of the best win rate" in statement or "is the best of this pool" in statement
    space["log"].close()
    assert llmsel.write_report(space["log"].path, space["pool"], "report.html").exists()


def test_the_route_of_an_llm_judge(tmp_path, monkeypatch):
    (block,) = [block for block in blocks("") if block.startswith("llmsel generate")]
    (toml,) = blocks("toml")
    assert tomllib.loads(toml)["model"][0]["name"] == "small"
    monkeypatch.chdir(tmp_path)
    rows = [{"query_id": f"q{i}", "query": f"Question {i}?"} for i in range(4)]
    Path("queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def reply(body, number):
        if body["model"] == "my-judge":
            return longer(body)
        return "an answer" if body["model"] == "small" else "a longer answer"

    with serve(reply) as server:
        local = re.compile(r"http://localhost:\d+/v1")
        toml = local.sub(server.url, toml)
        Path("models.toml").write_text(toml + toml.replace('"small"', '"large"'))
        for line in block.strip().split("\n"):
            arguments = shlex.split(local.sub(server.url, line))[1:]
            done = CliRunner().invoke(app, arguments, input="y\n")
            assert done.exit_code == 0, (line, done.output, done.exception)
            if arguments[0] == "judge":
                assert "'large' is the best of this pool" in done.output
    assert "'large' is the best" in html.unescape(Path("report.html").read_text())


def test_the_race_in_python_prints_what_the_readme_says(capsys):
    (code,) = [block for block in blocks("python") if "llmsel.Race" in block]
    exec(code, {})
    (said,) = [block for block in blocks("") if block.startswith("'few-shot-terse'")]
    assert capsys.readouterr().out == said


@pytest.mark.slow
@pytest.mark.parametrize("command", sorted(set(re.findall(r"^llmsel (\w+)", README, re.M))))
def test_the_commands_exist(command):
    assert CliRunner().invoke(app, [command, "--help"]).exit_code == 0
    assert llmsel.__version__


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_the_links_lead_somewhere(link):
    assert (Path(__file__).parents[1] / link).exists()
