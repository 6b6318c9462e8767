"""The grader of the benchmark `smol` and its sandbox, which are scripts and no package."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

SMOL = Path(__file__).resolve().parents[2] / "data" / "smol"


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, SMOL / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


sandbox = _load("sandbox")  # first: the grader imports it by this name
grader = _load("grade")


def no_sandbox() -> str | None:
    """Return why code cannot be executed here, or None if it can."""
    try:
        sandbox.require()
    except sandbox.Unavailable as refusal:
        return str(refusal)
    return None
