"""How commands end: one sentence, a known exit code, nothing that a terminal would obey."""

import errno
import json
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.commands import ANSWERS, mistake, ok, run

from llmsel._base.errors import InputError
from llmsel.cli import guard, judge, options

POOL = ("--pool", ANSWERS, "--baseline", "alpha")
EVIL = "\x1b]52;c;aGFjaw==\x07\x1b[31mred\x9b2J\x00"


@pytest.fixture
def failing(monkeypatch):
    """Let reading the answers raise something."""

    def arrange(error):
        def fails(*_, **__):
            raise error

        monkeypatch.setattr(options, "read_answers", fails)

    return arrange


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "a.csv"), "'a.csv': Permission denied"),
        (OSError(errno.ENOSPC, "No space left on device", "log"), "free some space"),
        (OSError(errno.EIO, "Input/output error"), "Input/output error; check it"),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "d"), "it is a folder; name a file"),
        (OSError("a library's\nown words"), "a library's own words"),
        (EOFError("No data left in file"), "a file ends before its time"),
        (MemoryError(), "not enough memory"),
        (RecursionError(), "nested too deeply"),
        (InputError("x" * 5000), "xxx ..."),
    ],
)
def test_trouble_with_files_is_one_sentence(failing, tmp_path, error, said):
    failing(error)
    assert said in mistake("session", "status", tmp_path / "log.jsonl", *POOL)


def test_a_stop_says_what_is_kept(failing, tmp_path, monkeypatch):
    failing(KeyboardInterrupt())
    result = run("session", "status", tmp_path / "log.jsonl", *POOL)
    assert result.exit_code == 130 and "stopped; run it again to go on" in result.stderr
    assert "Abort" not in result.output
    monkeypatch.undo()

    def stops(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(judge, "judge_race", stops)
    (tmp_path / "grade.py").write_text("def g(query, response):\n    return 1\n")
    program = ("--program", f"{tmp_path / 'grade.py'}:g")
    result = run("judge", tmp_path / "log.jsonl", *POOL, *program)
    assert result.exit_code == 130 and "every verdict until now is in '" in result.stderr


def test_a_question_that_nobody_can_answer_starts_nothing(tmp_path):
    judge_it = (
        "judge",
        tmp_path / "log.jsonl",
        *POOL,
        "--model",
        "m",
        "--base-url",
        "http://[::1]:1",
    )
    result = run(*judge_it, input="")
    assert result.exit_code == 1 and "--yes starts without asking" in result.stderr
    assert "Abort" not in result.output and not (tmp_path / "log.jsonl").exists()


def test_what_strangers_wrote_does_not_reach_the_terminal(tmp_path):
    rows = [
        {"model": f"{name}{EVIL}", "query_id": f"q{EVIL}", "query": f"?{EVIL}", "response": text}
        for name, text in (("a", f"1{EVIL}"), ("b", f"22{EVIL}"))
    ]
    answers, log = tmp_path / "answers.jsonl", tmp_path / "log.jsonl"
    answers.write_text("".join(json.dumps(row) + "\n" for row in rows))
    pool = ("--pool", answers, "--baseline", f"a{EVIL}")
    asked = ok("session", "ask", log, *pool)
    told = ok("session", "tell", log, f"q{EVIL}", f"b{EVIL}=win", *pool)
    said = ok("session", "status", log, *pool) + ok("session", "replay", log, *pool)
    for text in (asked, told, said, mistake("session", "tell", log, f"x{EVIL}", "b=win", *pool)):
        assert not set(text) & set("\x1b\x07\x9b\x00") and "52;c" not in text
    assert "--- b" in asked and "red" in asked
    for command in (("status",), ("replay",)):
        assert "\x1b" not in ok("session", *command, log, *pool, "--json")


def test_the_exit_codes_are_told():
    for command in ((), ("judge",), ("session", "status"), ("generate",)):
        assert "130 stopped by Ctrl-C" in " ".join(ok(*command, "--help").replace("│", "").split())


@pytest.mark.slow
def test_a_reader_that_goes_away_ends_a_command_quietly():
    code = "from llmsel.cli import main; main()"
    command = [sys.executable, "-c", code, "data", "list"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert b"Traceback" not in process.stderr.read()


def test_full_disks_are_told(tmp_path):
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this system")
    log = tmp_path / "log.jsonl"
    asked = json.loads(ok("session", "ask", log, *POOL, "--json"))
    told = ("beta=loss", "gamma=win")
    ok("session", "tell", log, asked["query"], *told, *POOL)
    assert "free some space" in mistake("report", log, *POOL, "-o", "/dev/full")


def test_sentences_have_a_way_out():
    assert guard.sentence(OSError(errno.EMFILE, "Too many open files")).endswith("run it again.")
