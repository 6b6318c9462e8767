"""A grader that exits, prints, hangs, forks or crashes: each call fails for one named reason."""

import os
import threading
import time

import psutil
import pytest

from llmsel._base.errors import InputError
from llmsel.judging.isolated import (
    GraderError,
    Isolated,
    called,
    outcome_in,
    printable,
    score_in,
)
from llmsel.pool import MISSING

pytestmark = pytest.mark.slow


@pytest.fixture
def isolated(tmp_path):
    """Write a grader `score(query, response)` and isolate it; all processes end with the test."""
    graders = []

    def build(body, *, seconds=10.0, head=""):
        path = tmp_path / "grade.py"
        lines = "".join(f"    {line}\n" for line in body.splitlines())
        path.write_text(f"import os, sys, time\n{head}\ndef score(query, response):\n{lines}")
        graders.append(Isolated(f"{path}:score", seconds=seconds))
        return graders[-1]

    yield build
    for grader in graders:
        grader.close()


def processes():
    return {p.pid for p in psutil.Process().children(recursive=True)}


FAULTS = {  # the body of a grader, and what is said of it
    "sys.exit(3)": r"called sys.exit\(3\) \(grade.py, line 5\)$",
    "raise SystemExit": r"called sys.exit\(None\)",
    "1 / 0": r"raised ZeroDivisionError: division by zero \(grade.py, line 5\)$",
    "raise KeyError": r"raised KeyError \(",
    "raise KeyboardInterrupt": "raised KeyboardInterrupt",
    "input()": "raised EOFError",
    "os._exit(0)": r"ended its process \(exit code 0\)$",
    "os.kill(os.getpid(), 9)": r"was killed \(SIGKILL\)$",
    "os.abort()": r"was killed \(SIGABRT\)",
    "time.sleep(60)": r"took longer than 1 s$",
    "while True: pass": r"took longer than 1 s$",
    "while True: print('y' * 999)": r"took longer than 1 s; it printed: .*yyy$",
    "os.close(2)\ntime.sleep(60)": r"took longer than 1 s$",
    "return [1, 2]": r"returned \[1, 2\]; return a number$",
    "return object()": r"returned <object",
}


@pytest.mark.parametrize("body", FAULTS)
def test_every_fault_is_named_and_the_next_call_works(isolated, body):
    body = "if query != 'bad': return len(response)\n" + body
    grader = isolated(body, seconds=1.0)
    start = time.monotonic()
    with pytest.raises(GraderError, match=FAULTS[body.split("\n", 1)[1]]):
        grader("bad", "x")
    assert time.monotonic() - start < 5
    assert grader("good", "four") == 4


def test_prints_are_shown_with_the_failure_and_nowhere_else(isolated, capfd):
    body = """print('before \\x1b]52;c;ZXZpbA==\\x07the end\\x1b[31m', flush=True)
os.system('echo from a program; echo and its errors >&2')
if query == 'bad': raise ValueError('no \\x1b[2Jreference')
return 1"""
    grader = isolated(body)
    assert grader("good", "x") == 1
    with pytest.raises(GraderError) as caught:
        grader("bad", "x")
    said = str(caught.value)
    assert said.startswith("raised ValueError: no reference (grade.py, line 6); it printed: before")
    assert said.endswith("the end from a program and its errors") and said.isprintable()
    assert capfd.readouterr() == ("", "")


def test_prints_of_an_earlier_call_are_not_blamed_on_a_later_one(isolated):
    grader = isolated("print(query)\nif query == 'bad': sys.exit(1)\nreturn 1")
    assert grader("first", "") == 1
    with pytest.raises(GraderError, match=r"it printed: bad$"):
        grader("bad", "")


@pytest.mark.parametrize("ending", ["", "raise ValueError", "sys.exit(0)"])
def test_a_fork_does_not_answer_for_its_parent(isolated, ending):
    grader = isolated(f"if os.fork() == 0:\n    {ending or 'return -1'}\ntime.sleep(0.2)\nreturn 1")
    assert [grader("q", "r") for _ in range(3)] == [1, 1, 1]


def test_what_a_grader_leaves_running_ends_with_it(isolated):
    before = processes()
    grader = isolated("if os.fork() == 0: time.sleep(60)\nos._exit(1)")
    with pytest.raises(GraderError, match="exit code 1"):
        grader("q", "r")
    hung = isolated("import subprocess\nsubprocess.run(['sleep', '60'])", seconds=0.5)
    with pytest.raises(GraderError, match="took longer"):
        hung("q", "r")
    assert not processes() - before


def test_a_process_is_kept_between_calls_and_ended_by_close(isolated):
    before = processes()
    grader = isolated("return os.getpid()")
    with grader:
        pids = {grader("q", "r") for _ in range(5)}
        assert len(pids) == 1 and pids != {os.getpid()} and pids <= processes()
    assert not processes() - before


def test_a_process_that_dies_between_calls_is_replaced(isolated):
    grader = isolated("import threading\nthreading.Timer(0.1, os._exit, [1]).start()\nreturn 1")
    assert grader("q", "r") == 1
    time.sleep(0.5)
    assert grader("q", "r") == 1


def test_threads_get_processes_of_their_own(isolated):
    grader = isolated("time.sleep(1)\nreturn os.getpid()")
    found = []
    threads = [threading.Thread(target=lambda: found.append(grader("q", "r"))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 3


def test_arguments_arrive_whole(isolated):
    texts = ["a\nb\r\x00é\u2028😀", "\ud83d half an emoji", "x" * 3_000_000, ""]
    head = f"known = {texts[:2]!r}"
    grader = isolated("return len(response) + 0.5 * (response in known)", head=head)
    assert [grader("q", text) for text in texts] == [len(t) + 0.5 * (t in texts[:2]) for t in texts]


def test_a_neighbour_file_and_numbers_of_numpy_can_be_used(isolated, tmp_path):
    (tmp_path / "log.py").write_text("import numpy\nONE = numpy.float32(1.5)\n")
    assert isolated("return log.ONE", head="import log")("q", "r") == 1.5


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (
            "print('loading'); sys.exit(2)",
            r"called sys.exit\(2\) \(.*line 2\); it printed: loading",
        ),
        ("import no_such_module", "raised ModuleNotFoundError: No module named 'no_such_module'"),
        ("os._exit(4)", r"ended its process \(exit code 4\)"),
        ("def (", "raised SyntaxError"),
    ],
)
def test_a_file_that_cannot_be_imported_is_told_at_once(isolated, head, said):
    before = processes()
    with pytest.raises(InputError, match=f"grade.py' {said}"):
        isolated("return 1", head=head)
    assert not processes() - before


def test_a_wrong_name_is_told_at_once(tmp_path):
    path = tmp_path / "grade.py"
    path.write_text("score = 3\n")
    with pytest.raises(InputError, match=r"grade.py' has no function 'score'\."):
        Isolated(f"{path}:score")
    with pytest.raises(InputError, match=r"no program 'nowhere.py:score'; name it as file.py"):
        Isolated("nowhere.py:score")
    for seconds in (0, -1, float("nan"), float("inf")):
        with pytest.raises(InputError, match="give seconds above 0"):
            Isolated(f"{path}:score", seconds=seconds)


def test_a_function_of_this_process_fails_by_name_too():
    def leave(query):
        raise SystemExit(1)

    def stop(query):
        raise KeyboardInterrupt

    assert called(len, "four") == 4
    with pytest.raises(GraderError, match=r"^called sys.exit\(1\) \(test_isolated.py, line \d+\)$"):
        called(leave, "q")
    with pytest.raises(GraderError, match=r"^raised ValueError: invalid"):
        called(int, "x")
    with pytest.raises(KeyboardInterrupt):  # Ctrl-C is the user's
        called(stop, "q")


class Broken:
    def __repr__(self):
        raise RuntimeError


@pytest.mark.parametrize("value", ["x", None, [1], 1j, float("nan"), "nan", 10**400, Broken()])
def test_a_score_is_a_number(value):
    with pytest.raises(GraderError, match=r"^returned .*; return a number$"):
        score_in(value)


@pytest.mark.parametrize("value", ["A", "1", None, 2, 0.5, float("nan"), Broken()])
def test_an_outcome_is_one_of_three(value):
    with pytest.raises(GraderError, match=r"^returned .*; return "):
        outcome_in(value)


def test_good_values_are_read():
    assert score_in(True) == 1 and score_in("0.5") == 0.5 and score_in(float("inf")) > 1e308
    assert [outcome_in(v) for v in (-1, 0.0, True, MISSING)] == [-1, 0, 1, MISSING]


@pytest.mark.parametrize(
    "text",
    [
        "a\x1b]52;c;ZXZpbA==\x07b",
        "a\x1b]8;;http://x\x1b\\b",
        "a\x1b[1;31mb",
        "a\x9b2Jb",
        "a\x1bcb",
        "a\r\n\tb",
        "a\x1b]52;c;without an end",
    ],
)
def test_escapes_do_not_reach_the_terminal(text):
    assert printable(text) in ("a b", "a")
