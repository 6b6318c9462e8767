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


def locked():
    """Read the lock: name -> what follows it on its line, and its hashes."""
    text = (ROOT / "requirements.lock").read_text().replace("\\\n", "")
    found = {}
    for line in text.splitlines():
        requirement, *hashes = re.split(r"\s+--hash=", line.strip())
        name, rest = re.fullmatch(r"([\w.-]+)(==.+)", requirement).groups()
        assert name not in found, f"{name} is locked twice"
        found[name.lower().replace("_", "-")] = rest, hashes
    return found


def test_the_lock_pins_every_dependency_and_names_no_host():
    lock = locked()
    assert lock
    for name, (pin, _) in lock.items():
        assert re.fullmatch(r"==[\w.!+-]+( ; [\w.'<>=!*() ]+)?", pin), f"{name}{pin}"
    assert not re.search(r"://|file:|/", (ROOT / "requirements.lock").read_text())
    extras = PROJECT["optional-dependencies"]
    wanted = names(PROJECT["dependencies"]) | names(extras["generate"])
    for extra in ("test", "judge", "formats"):  # test takes the other two in
        wanted |= names(extras[extra]) - {"llmsel"}
    assert {re.sub(r"[._-]+", "-", name) for name in wanted} <= set(lock)


def test_every_file_of_a_locked_release_has_its_hash():
    lock = locked()
    for name, (_, hashes) in lock.items():
        assert hashes and all(re.fullmatch(r"sha256:[0-9a-f]{64}", h) for h in hashes), name
        assert len(set(hashes)) == len(hashes), name
    # compiled packages bring a wheel for each platform and Python: one hash would be one machine's
    assert all(len(lock[name][1]) > 5 for name in ("numpy", "pandas", "rapidfuzz", "pyarrow"))


def test_make_installs_only_what_has_a_locked_hash():
    recipe = (ROOT / "Makefile").read_text().replace("\\\n", "")
    (install,) = re.findall(r".*-r requirements.lock.*", recipe)
    assert "--require-hashes" in install and "--no-deps" in install


def test_every_page_names_the_version_of_pyproject():
    version = PROJECT["version"]
    cited = re.search(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    released = re.search(r"^## \[(\d\S*)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert (cited[1], released[1]) == (version, version)


def test_the_licence_that_pyproject_names_is_here():
    assert PROJECT["license"] == "Apache-2.0"
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text and "END OF TERMS AND CONDITIONS" in text
    for path in (ROOT / "data").iterdir():
        if path.is_dir() and path.name != "results":
            assert f"data/{path.name}\n" in (ROOT / "NOTICE").read_text(), path.name


def test_the_badges_are_true():
    text = (ROOT / "figures" / "badges.svg").read_text()
    shown = re.findall(r'<text x="[\d.]+" y="14" fill="white">([^<]+)</text>', text)
    python = PROJECT["requires-python"].replace(">=", "&#8805; ")
    assert shown == ["licence", PROJECT["license"], "python", python]


def test_a_person_needs_no_client_of_a_server():
    """Without the extras, everything works but an LLM as judge and `generate`."""
    code = (
        "import sys\n"
        "for name in ('httpx', 'pyarrow', 'backports.zstd'): sys.modules[name] = None\n"
        "import llmsel, llmsel.cli, llmsel.judging.judges\n"
        "import llmsel.reporting.page, llmsel.judging.person\n"
        "sys.argv = 'llmsel judge /x/l --pool smol --model m --yes'.split()\n"
        "llmsel.cli.main()"
    )
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, capture_output=True, text=True)
    assert done.returncode == 2 and "pip install 'llmsel[judge]'" in done.stderr, done.stderr


def test_test_files_have_names_of_their_own():
    """Pytest imports them by their names alone."""
    names_of = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(set(names_of)) == sorted(names_of)
