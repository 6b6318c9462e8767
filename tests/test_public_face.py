"""The public face: what is named can be had, and both lists of it agree."""

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import llmsel

ROOMS = ("answers", "judging", "racing", "studies", "reporting")


def for_type_checkers():
    tree = ast.parse(inspect.getsource(llmsel))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    return {
        alias.asname or alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def test_type_checkers_see_what_python_gives():
    seen = for_type_checkers()
    assert set(seen) | {"__version__"} == set(llmsel.__all__)
    for name, module in seen.items():
        assert getattr(llmsel, name) is getattr(importlib.import_module(module), name)
    assert sorted(llmsel.__all__) == sorted(set(llmsel.__all__))


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_gives_all_that_it_names(room):
    module = importlib.import_module(f"llmsel.{room}")
    assert module.__all__ and all(hasattr(module, name) for name in module.__all__)


def test_importing_llmsel_imports_nothing_heavy():
    heavy = ("numpy", "pandas", "matplotlib", "typer", "joblib", "papermill", "openai")
    code = f"import sys, llmsel; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_house_is_small_at_its_door():
    root = Path(llmsel.__file__).parent
    files = [p for p in root.iterdir() if p.suffix == ".py"]
    rooms = [p for p in root.iterdir() if p.is_dir() and (p / "__init__.py").exists()]
    assert len(files) <= 8 and len(rooms) <= 8  # of the files one is python -m llmsel
    long = {p.name: n for p in root.rglob("*.py") if (n := len(p.read_text().splitlines())) > 450}
    assert not long
