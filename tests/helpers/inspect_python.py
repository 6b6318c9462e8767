"""The Python that has the real Inspect: named by LLMSEL_INSPECT, as CI does, or this one."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def evaluated(script, *arguments, cwd):
    """Run a script in a process of its own; return the JSON of its last line."""
    python, path = os.environ.get("LLMSEL_INSPECT"), str(ROOT)
    if python is None:
        if importlib.util.find_spec("inspect_ai") is None:
            pytest.skip("inspect_ai is not installed, and LLMSEL_INSPECT names no other Python")
        python, path = sys.executable, os.pathsep.join(sys.path)
    done = subprocess.run(
        [python, str(script), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": path, "NO_COLOR": "1"},
        cwd=cwd,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
