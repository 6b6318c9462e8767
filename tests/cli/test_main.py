"""The command line: what it prints, its exit codes, one line per mistake."""

import json
import re
import subprocess
import sys

import pytest
from helpers.commands import ANSWERS

from llmsel import __version__, cli
from llmsel.reporting import claims
from llmsel.studies import reproduce


def llmsel(*words, monkeypatch, capsys):
    """Run the command line in this process; return (exit code, stdout, stderr)."""
    monkeypatch.setattr(sys, "argv", ["llmsel", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    out, err = capsys.readouterr()
    return ended.value.code, out, err


def installed(*arguments):
    code = "from llmsel.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )


@pytest.fixture
def run(monkeypatch, capsys):
    return lambda *words: llmsel(*words, monkeypatch=monkeypatch, capsys=capsys)


def test_version(run):
    code, out, _ = run("--version")
    assert (code, out) == (0, f"llmsel {__version__}\n")


def test_data_list_and_card(run):
    code, out, _ = run("data", "list", "--json")
    rows = {row["name"]: row for row in json.loads(out)}
    assert code == 0 and rows["smol"]["here"] and rows["smol"]["size"] == "120 x 12"
    code, out, _ = run("data", "list")
    assert code == 0 and "smol" in out
    code, out, _ = run("data", "card", "smol")
    assert code == 0 and "judged cells 1440 of 1440, missing 0" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("data", "card", "smool"), "llmsel: unknown benchmark 'smool': did you mean 'smol'?"),
        (("reproduce", "smal"), "llmsel: unknown run 'smal': did you mean 'smol'?"),
        (("reproduce",), "llmsel: name a run (smol"),
        (("reproduce", "smol", "-p", "seed"), "llmsel: '-p seed' is not of the form name=value."),
        (("reproduce", "smol", "-p", "sed=1"), "unknown parameter of benchmark.ipynb 'sed'"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(run, words, message):
    code, _, err = run(*words)
    assert code == 2 and message in err and err.count("\n") == 1 and "Traceback" not in err


def test_a_missing_mirror_file_is_one_line(run, monkeypatch, tmp_path):
    monkeypatch.setenv("LLMSEL_MIRROR", str(tmp_path))
    code, _, err = run("data", "fetch", "alpacaeval")
    assert code == 2 and "(LLMSEL_MIRROR) has no file" in err
    code, out, _ = run("data", "verify")
    assert code == 0 and "alpacaeval: not fetched" in out and "smol: 0 files verified" in out


def test_reproduce_prints_the_table_and_the_paths(run, monkeypatch):
    monkeypatch.setattr(reproduce, "execute_all", lambda runs, *rest, **more: {})
    code, out, _ = run("reproduce", "smol")
    assert code == 0 and "best model, 95% of runs" in out and "LLM Selector" in out
    assert "up to date notebooks/rendered/smol.ipynb" in out
    assert "figures/smol-overview.svg" in out


def test_a_failed_run_is_named_and_the_exit_code_says_so(run, monkeypatch):
    monkeypatch.setattr(
        reproduce, "execute_all", lambda runs, *rest, **more: {"smol": "InputError: why"}
    )
    code, out, err = run("reproduce", "smol")
    assert code == 1 and "failed     smol: InputError: why" in err and "made" not in out


def test_parameters_are_python_values_or_words(run, monkeypatch):
    seen = []
    monkeypatch.setattr(
        reproduce, "execute_all", lambda runs, *rest, **more: seen.extend(runs) or {}
    )
    code, _, _ = run(
        "reproduce", "smol", "-p", "seed=7", "-p", "benchmark=smol", "-p", "budget=None"
    )
    assert code == 0
    expected = {"seed": 7, "benchmark": "smol", "budget": None}
    assert expected.items() <= seen[0].parameters.items()


@pytest.mark.slow
def test_the_installed_command_has_help_with_examples_and_lists_the_batch():
    shown = installed("reproduce", "--help")
    assert shown.returncode == 0 and "Example" in shown.stdout
    assert "smol" in installed("reproduce", "--list").stdout
    rows = json.loads(installed("reproduce", "--list", "--json").stdout)
    assert {"name": "smol", "notebook": "benchmark"}.items() <= rows[0].items()


def test_a_warning_is_one_line_too(tmp_path):
    log, pool = tmp_path / "log.jsonl", ("--pool", str(ANSWERS), "--baseline", "alpha")
    assert installed("session", "ask", str(log), *pool).returncode == 0
    log.write_bytes(log.read_bytes() + b'{"query": "q')
    told = installed("session", "tell", str(log), "q1", "beta=win", *pool)
    assert told.returncode == 0 and "still open" in told.stdout
    assert re.fullmatch(r"llmsel: the last line of 'log.jsonl' was torn .*\n", told.stderr)


def test_claims_are_checked_and_refreshed(run, monkeypatch, tmp_path):
    page = tmp_path / "page.md"
    monkeypatch.setattr(claims, "documents", lambda: [page])
    page.write_text("no claims")
    code, out, _ = run("reproduce", "--claims", "--check")
    assert code == 0 and "every claim is what data/results says" in out
    monkeypatch.setattr(claims, "check", lambda documents: ["claim x is stale"])
    code, out, _ = run("reproduce", "--claims", "--check")
    assert code == 1 and "claim x is stale" in out
    code, out, _ = run("reproduce", "--claims")
    assert code == 0 and not out
    code, _, err = run("reproduce", "--check")
    assert code == 2 and "--check goes with --claims" in err


@pytest.mark.slow
def test_the_package_runs_as_a_module():
    command = [sys.executable, "-m", "llmsel", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"llmsel {__version__}\n"
