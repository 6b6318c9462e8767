"""The sandbox of smol's grader: code written by a model gets nothing out but its own outputs."""

import subprocess
import sys
import threading
import time
from typing import Any

import psutil
import pytest
from helpers.smol import SMOL, grader, no_sandbox, sandbox

pytestmark = pytest.mark.slow
REFUSAL = no_sandbox()
needs_sandbox = pytest.mark.skipif(REFUSAL is not None, reason=str(REFUSAL))

CHECK = {"type": "code", "function": "f", "tests": [[[3], 6], [[0], 1], [["x"], ["y"]]]}
NOTHING_PASSED = 0.2  # it parses, and the function exists


def outputs(source: str, *inputs: list[Any]) -> Any:
    return sandbox.outputs(source, "f", inputs or [[1]])


def returned(source: str) -> Any:
    """What `f(1)` returns in the sandbox; fails if it returned nothing."""
    return outputs(source).values[0]


FORGERIES = {
    "all descriptors": """
import os, json
for d in range(64):
    for text in (b'D111', b'{"named": true}\\n{"passed": true}\\n', b'111', b'true\\n'):
        try: os.write(d, text)
        except OSError: pass
""",
    "fake verdicts as outputs": """
import os
for d in range(3, 64):
    try: os.write(d, b'{"named": true}\\n' + b'{"output": true}\\n' * 3)
    except OSError: pass
os._exit(0)
""",
    "frames": """
import sys
frame = sys._getframe()
while frame:
    for names in (frame.f_locals, frame.f_globals):
        for name, value in list(names.items()):
            if isinstance(value, dict): value.update(passed=True, wanted=None, tests=[])
            if callable(value) and name in ('call', 'plain', 'find'):
                names[name] = lambda *a: '{"output": true}'
    frame = frame.f_back
""",
    "the wanted output of the caller": """
import sys
def f(x):
    frame = sys._getframe(1)
    while frame:
        names = {**frame.f_globals, **frame.f_locals}
        if 'wanted' in names: return names['wanted']
        frame = frame.f_back
""",
    "objects that equal all": """
class Equal:
    def __eq__(self, other): return True
    def __sub__(self, other): return 0
    __rsub__ = __abs__ = __lt__ = __eq__
def f(*args): return Equal()
""",
    "subclasses that equal all": """
class Number(int):
    def __eq__(self, other): return True
    __hash__ = int.__hash__
    def __sub__(self, other): return 0
class Row(list):
    def __eq__(self, other): return True
def f(x): return Number(9) if x != 'x' else Row()
""",
    "patched builtins and json": """
import builtins, json
builtins.isinstance = lambda *a: True
builtins.abs = lambda x: 0
builtins.type = lambda x: list
json.dumps = lambda x, **k: '{"passed": true, "output": true}'
""",
    "exit": "import os\ndef f(*args): os._exit(0)",
    "exit handlers": """
import atexit, sys
atexit.register(lambda: print('111'))
def f(*args): sys.exit(0)
""",
    "tracing": """
import sys
def trace(frame, event, arg):
    frame.f_locals.update(passed=True, value=True)
    return trace
sys.settrace(trace)
""",
    "guesses from the memory of the process": """
import gc, sys
def f(x):
    for thing in gc.get_objects():
        if isinstance(thing, (list, tuple)) and len(thing) == 2 and thing[0] == [x]:
            return thing[1]
        if isinstance(thing, dict) and 'tests' in thing:
            return dict(thing['tests'])[x]
    for text in [str(v) for v in sys._getframe(1).f_locals.values()]:
        if 'wanted' in text: return text
""",
    "truncated outputs": """
import os
for d in range(3, 64):
    try: os.ftruncate(d, 0)
    except OSError: pass
os._exit(0)
""",
    "not JSON": """
import os
for d in range(3, 64):
    try: os.write(d, b'{"named": true}\\n' + b'[' * 100000 + b'\\n\\xff\\x00\\nNaN\\n')
    except OSError: pass
""",
}


@needs_sandbox
@pytest.mark.parametrize("attack", FORGERIES)
def test_no_attack_passes_a_test(attack: str) -> None:
    source = FORGERIES[attack]
    if "def f(" not in source:
        source += "\ndef f(*args):\n    return None\n"
    assert grader.grade(CHECK, f"```python\n{source}```") <= NOTHING_PASSED


@needs_sandbox
def test_a_program_that_writes_the_right_outputs_itself_gets_what_they_are_worth() -> None:
    """It had to know them: this is what the channel can do, and all that it can do."""
    source = """
import os
for d in range(3, 64):
    try: os.write(d, b'{"named": true}\\n{"output": 6}\\n{"output": 2}\\n{"output": true}\\n')
    except OSError: pass
os._exit(0)
"""
    assert grader.grade(CHECK, f"```python\n{source}```") == round(0.2 + 0.8 / 3, 4)


@needs_sandbox
def test_the_wanted_outputs_never_enter_the_sandbox() -> None:
    secret = 918273645
    check = {"type": "code", "function": "f", "tests": [[[1], secret]]}
    seen = []

    def spy(source: str, function: str, inputs: list[list[Any]]) -> Any:
        seen.append((source, function, inputs))
        return sandbox.Outputs(True, {0: secret})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sandbox, "outputs", spy)
        assert grader.grade(check, "def f(x):\n    return 1") == pytest.approx(1.0)
    assert seen == [("def f(x):\n    return 1\n", "f", [[1]])]


@needs_sandbox
@pytest.mark.parametrize(
    "action",
    [
        "open('/etc/passwd').read()",
        f"open({str(SMOL / 'scores.csv')!r}).read()",
        f"open({str(SMOL / 'queries.jsonl')!r}).read()",
        "open('/proc/self/environ').read()",
        "os.listdir(os.path.expanduser('~root') + '/.ssh')",
        "open('/written', 'w')",
        "open('/tmp/written', 'w')",
        "os.mkdir('/directory')",
        "os.memfd_create('memory')",
        "os.pipe()",
        "os.fork()",
        "os.posix_spawn(sys.executable, [sys.executable, '-c', ''], {})",
        "subprocess.run(['/bin/true'], check=True)",
        "threading.Thread(target=print).start()",
        "socket.create_connection(('127.0.0.1', 80), 1)",
        "socket.socket(socket.AF_UNIX)",
        "os.kill(1, 9)",
        "os.kill(os.getppid(), 9)",
        "os.setuid(0)",
        "os.chroot('/')",
        "resource.setrlimit(resource.RLIMIT_CPU, (60, 60))",
        "ctypes.CDLL(None, use_errno=True).unshare(0x10000000) and 1 / 0",
    ],
)
def test_the_way_out_is_shut(action: str) -> None:
    source = f"""
import os, sys, resource
def f(x):
    try:
        import ctypes, socket, subprocess, threading
        {action}
    except Exception as error:
        return 'refused: ' + type(error).__name__
    return 'done'
"""
    assert returned(source).startswith("refused: ")
    assert "ModuleNotFound" not in returned(source)


@needs_sandbox
def test_it_runs_as_nobody_without_network_environment_or_processes() -> None:
    source = """
import os
def f(x):
    return [[*os.getresuid(), *os.getresgid()], os.getgroups() in ([], [65534]),
            sorted(os.environ), os.getpid() < 10, sorted(os.listdir('/dev'))]
"""
    ids, groups, environment, small, devices = returned(source)
    assert ids == [65534] * 6 and groups and small and devices == ["null"]
    assert set(environment) <= {"PYTHONHASHSEED", "PWD", "LC_CTYPE"}


@needs_sandbox
@pytest.mark.parametrize(
    "body",
    [
        "while True: pass",
        "'x' * (8 * 1024 ** 3)",
        "[bytearray(1024 ** 2) for i in range(1024)]",
        "return 'x' * (4 * 1024 ** 2)",
        "return 10 ** 10_000",
        "return f(x)",
        "while True: os.fork()",
    ],
)
def test_a_bomb_hurts_only_itself(body: str) -> None:
    start = time.monotonic()
    found = outputs(f"import os\ndef f(x):\n    if x == 2: return 4\n    {body}", [2], [1])
    assert found == sandbox.Outputs(True, {0: 4}) and time.monotonic() - start < 8


@needs_sandbox
def test_endless_output_fills_neither_memory_nor_disk() -> None:
    source = """
import os
def f(x):
    while True:
        for d in range(64):
            try: os.write(d, b'x' * 65536)
            except OSError: pass
"""
    assert outputs(source).values == {}


@needs_sandbox
def test_what_sleeps_is_killed_with_all_its_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "WALL_SECONDS", 1.5)
    running = threading.Thread(
        target=outputs, args=("import time\ndef f(x):\n    time.sleep(60)", [1])
    )
    before = set(psutil.Process().children(recursive=True))
    running.start()
    time.sleep(0.7)
    started = set(psutil.Process().children(recursive=True)) - before
    running.join(10)
    assert len(started) >= 2 and not running.is_alive()
    assert not psutil.wait_procs(started, timeout=5)[1]


@needs_sandbox
def test_values_keep_their_types() -> None:
    source = "def f(x):\n    return [(1,), {1: 2}, {1}, [1, None, True, 'é', {'a': 1.5}], 1][x]"
    found = outputs(source, *([i] for i in range(5)))
    assert found.values == {3: [1, None, True, "é", {"a": 1.5}], 4: 1}


def test_a_sandbox_that_does_not_start_is_no_grade(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'bwrap: no namespaces' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sandbox, "_command", lambda: [str(broken)])
    sandbox.require.cache_clear()
    with pytest.raises(sandbox.Unavailable, match=r"did not start \(bwrap: no namespaces\)"):
        sandbox.outputs("def f(x):\n    return x", "f", [[1]])


def test_without_a_sandbox_nothing_is_executed_and_the_committed_grades_are_used(
    tmp_path: Any,
) -> None:
    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, str(SMOL / "grade.py"), *arguments]
        return subprocess.run(command, env={"PATH": ""}, capture_output=True, text=True)

    output = tmp_path / "scores.csv"
    done = run("--output", str(output))
    assert done.returncode == 0 and "not executed here: bubblewrap is not installed" in done.stderr
    assert "committed grades" in done.stderr
    assert output.read_bytes() == (SMOL / "scores.csv").read_bytes()

    lines = (SMOL / "responses.jsonl").read_text(encoding="utf-8")
    mark = tmp_path / "executed"
    changed = tmp_path / "responses.jsonl"
    changed.write_text(lines.replace("def ", f"open({str(mark)!r}, 'w')  # \\ndef ", 1))
    refused = run("--responses", str(changed), "--output", str(tmp_path / "other.csv"))
    assert refused.returncode == 1 and "no committed grade" in refused.stderr
    assert "Traceback" not in refused.stderr and not mark.exists()
    assert not (tmp_path / "other.csv").exists()
