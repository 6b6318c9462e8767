"""`llmsel data`: what it prints for people and for scripts, its exit codes."""

import json
import os
import subprocess
import sys

import pytest
from fixtures.published import publish
from typer.testing import CliRunner

from llmsel.benchmarks import published as official
from llmsel.cli import app

JUDGE, WEAK = official.needed("mediqa")


@pytest.fixture
def published(monkeypatch, tmp_path):
    """The two files of official:mediqa, invented, in a mirror folder."""
    monkeypatch.setenv("LLMSEL_CACHE", str(tmp_path / "cache"))
    judge = {"m1": [1, 0], "base": None, "m2": [-1, -1]}
    weak = {"m1": [[1] * 10] * 2, "base": None, "m2": [[0] * 10] * 2}
    publish(tmp_path, monkeypatch, {JUDGE: judge, WEAK: weak})
    return tmp_path


def run(*words):
    return CliRunner().invoke(app, ["data", *words], catch_exceptions=False)


def test_list_tells_what_is_here(published):
    rows = {row["name"]: row for row in json.loads(run("list", "--json").stdout)}
    assert rows["official:mediqa"]["here"] and not rows["official:bingo"]["here"]
    assert rows["twin:bingo"]["here"] and rows["twin:bingo"]["size"] == "762 x 30"
    lines = run("list").stdout.splitlines()
    assert len(lines) == len(rows)
    assert any("official:bingo" in line and "to fetch" in line for line in lines)


def test_fetch_verify_and_card(published):
    assert run("fetch", "official:mediqa").stdout == (
        "2 files of official:mediqa are here, hashes verified\n"
    )
    paths = json.loads(run("fetch", "official:mediqa", "--json").stdout)
    assert paths == [str(published / JUDGE), str(published / WEAK)]
    assert run("verify", "official:mediqa").stdout == "official:mediqa: 2 files verified\n"
    assert "judged cells 4 of 4, missing 0" in run("card", "official:mediqa").stdout
    has = json.loads(run("card", "official:mediqa", "--json").stdout)
    assert has["baseline"] == "base" and has["win_rates"] == {"m1": 0.75, "base": 0.5, "m2": 0.0}


def test_verify_names_damaged_files(published):
    (published / WEAK).write_text("{}")
    done = run("verify", "official:mediqa")
    assert done.exit_code == 1 and done.stdout == "official:mediqa: 1 files verified, 1 damaged\n"
    assert done.stderr == f"damaged: {WEAK}\n"
    found = json.loads(run("verify", "--json").stdout)
    assert found["official:mediqa"]["damaged"] == [WEAK] and not found["smol"]["absent"]
    assert run("verify", "official:bingo").stdout == "official:bingo: not fetched\n"


def test_a_mistake_is_one_line_and_exit_code_2(tmp_path):
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from llmsel.cli import main; main()",
            "data",
            "fetch",
            "alpacaeval",
        ],
        env={**os.environ, "LLMSEL_MIRROR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2 and not done.stdout
    assert done.stderr.startswith("llmsel: the mirror '") and done.stderr.count("\n") == 1
    assert "has no file 'tatsu-lab/alpaca_eval/" in done.stderr
