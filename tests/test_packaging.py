"""What a newcomer installs: the lists agree, the lock is exact and names no host."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def names(requirements):
    return {re.match(r"[\w.-]+", r)[0].lower() for r in requirements}


def test_environment_yml_lists_the_dependencies_of_pyproject():
    text = (ROOT / "environment.yml").read_text()
    listed = re.findall(r"^  - ([\w.-]+)", text, re.MULTILINE)
    assert set(listed) - {"conda-forge", "python", "pip"} == names(PROJECT["dependencies"])
    assert "- -e .[test]" in text
    (python,) = re.findall(r"- python(\S+)", text)
    assert python == PROJECT["requires-python"]


def test_the_lock_pins_every_dependency_and_names_no_host():
    lines = (ROOT / "requirements.lock").read_text().split()
    assert lines and all(re.fullmatch(r"[\w.-]+==[\w.!+-]+", line) for line in lines)
    locked = {line.split("==")[0].lower().replace("_", "-") for line in lines}
    extras = PROJECT["optional-dependencies"]
    wanted = names(PROJECT["dependencies"]) | names(extras["test"]) | names(extras["judge"])
    wanted -= {"llmsel"}  # the test extra takes the judge extra in
    assert wanted <= locked


def test_imports_point_downwards():
    """pool <- weak, belief <- strategies <- experiment <- metrics <- plots; nothing takes cli."""
    order = [
        *("errors", "paths", "pool", "weak", "similarity", "datasets", "belief", "strategies"),
        *("experiment", "metrics", "tune", "plots", "session", "reproduce", "cli"),
    ]
    for path in (ROOT / "llmsel").rglob("*.py"):
        module = path.relative_to(ROOT / "llmsel").parts[0].removesuffix(".py")
        if module == "__init__":
            continue
        top = re.findall(r"^(?:from|import) llmsel\.?(\w*)", path.read_text(), re.MULTILINE)
        for name in top:
            if name and name in order and module in order:
                assert order.index(name) <= order.index(module), f"{module} imports {name}"
