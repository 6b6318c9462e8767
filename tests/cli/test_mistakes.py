"""Every command with files that are absent, empty, folders, or not what they should be."""

import os

import pytest
from helpers.commands import ANSWERS, ok, run

POOL = ("--pool", ANSWERS, "--baseline", "alpha")
CONTENTS = {
    "empty": b"",
    "newline": b"\n",
    "binary": bytes(range(256)) * 4,
    "utf-16": "model,query_id\n".encode("utf-16"),
    "json of another kind": b'{"llmsel": 1}\n[1, 2]\n',
    "a list": b"[]\n",
    "a number": b"7\n",
    "half": b'{"model": "a", "query_id": "q1", "resp',
    "deep": b"[" * 5000,
    "nan": b'{"model": NaN, "query_id": null, "query": [], "response": {}}\n',
    "zip": b"PK\x05\x06" + b"\0" * 18,
    "long line": b'{"model": "' + b"x" * 200_000 + b'"}\n',
    "toml": b"[[model]]\nname = 3\nparameters = 4\n",
}
PLACES = ["absent", "folder", "under a file", *CONTENTS]
SUFFIXES = (".jsonl", ".json", ".csv", ".npz", ".eval", ".parquet")
COMMANDS = {
    "ask": ("session", "ask", "LOG", "POOL"),
    "race": ("session", "ask", "LOG", "POOL", "--race"),
    "tell": ("session", "tell", "LOG", "q1", "beta=win", "POOL"),
    "undo": ("session", "undo", "LOG", "POOL"),
    "replay": ("session", "replay", "LOG", "POOL"),
    "status": ("session", "status", "LOG", "POOL"),
    "report": ("report", "LOG", "POOL", "-o", "OUT"),
    "program": ("judge", "LOG", "POOL", "--program", "GRADE:grade", "--calls", "1"),
    "llm": ("judge", "LOG", "POOL", "--model", "m", "--base-url", "http://127.0.0.1:9/v1"),
    "generate": ("generate", "MODELS", "QUERIES", "-o", "OUT"),
    "card": ("data", "card", "PLACE"),
}
MODELS = '[[model]]\nname = "a"\nbase_url = "http://127.0.0.1:9/v1"\n'


def place_of(kind, folder, suffix=""):
    """A path that holds what a user might name by mistake."""
    path = folder / f"thing{suffix}"
    if kind == "absent":
        return path
    if kind == "folder":
        path.mkdir()
        return path
    if kind == "under a file":
        path.write_bytes(b"a file\n")
        return path / "below"
    path.write_bytes(CONTENTS[kind])
    return path


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """Files that are as they should be, by the place they take in a command."""
    folder = tmp_path_factory.mktemp("good")
    log = folder / "log.jsonl"
    ok("session", "ask", log, *POOL)
    ok("session", "tell", log, "q1", "beta=win", "gamma=loss", *POOL)
    files = {"GRADE": "def grade(query, response):\n    return 1\n", "MODELS": MODELS}
    files["QUERIES"] = '{"query_id": 1, "query": "?"}\n'
    for name, text in files.items():
        (folder / name).write_text(text)
    return {name: folder / name for name in files} | {"LOG": log, "OUT": folder / "out"}


def words(command, given):
    """The words of a command, with paths in their places."""
    found = []
    for word in command:
        name, colon, rest = word.partition(":")
        if word == "POOL":
            found += ["--pool", given.get("POOL", ANSWERS), "--baseline", "alpha"]
        else:
            found.append(f"{given[name]}{colon}{rest}" if name in given else word)
    return found


def check(command, given, tmp_path):
    """Run it: one sentence or a result, never a traceback; nothing of the user's is changed."""
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    result = run(*words(command, given), input="")
    assert result.exit_code in (0, 1, 2), result.output
    assert "Traceback" not in result.output and "Abort" not in result.output
    if result.exit_code == 2:
        assert result.stderr.startswith("llmsel: "), result.stderr
        assert len(result.stderr) < 1500
    return before, result


@pytest.mark.parametrize("kind", PLACES)
@pytest.mark.parametrize("name", [n for n, words in COMMANDS.items() if "LOG" in words])
def test_a_log_that_is_none(tmp_path, good, name, kind):
    log = place_of(kind, tmp_path)
    before, result = check(COMMANDS[name], good | {"LOG": log, "OUT": tmp_path / "o"}, tmp_path)
    if kind not in ("absent", "empty"):
        assert result.exit_code == 2
    for path, content in before.items():
        assert path.read_bytes() == content or not content


@pytest.mark.parametrize("kind", PLACES)
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_answers_that_are_none(tmp_path, good, suffix, kind):
    given = good | {"POOL": place_of(kind, tmp_path, suffix), "LOG": tmp_path / "log"}
    _, result = check(COMMANDS["ask"], given, tmp_path)
    assert result.exit_code == 2 and not (tmp_path / "log").exists()


@pytest.mark.parametrize("kind", PLACES)
@pytest.mark.parametrize("which", ["MODELS", "QUERIES", "OUT"])
def test_what_generate_reads_and_writes(tmp_path, good, which, kind):
    given = good | {"OUT": tmp_path / "out"} | {which: place_of(kind, tmp_path)}
    before, result = check(COMMANDS["generate"], given, tmp_path)
    assert result.exit_code in (1, 2) or "0 requests" in result.stderr  # nobody said yes
    for path, content in before.items():
        assert path.read_bytes() == content


@pytest.mark.parametrize("kind", [k for k in PLACES if k not in ("absent", "empty")])
def test_a_report_replaces_nothing_but_a_report(tmp_path, good, kind):
    before, result = check(COMMANDS["report"], good | {"OUT": place_of(kind, tmp_path)}, tmp_path)
    assert result.exit_code == 2
    for path, content in before.items():
        assert path.read_bytes() == content


@pytest.mark.parametrize("kind", PLACES)
def test_a_program_that_is_none(tmp_path, good, kind):
    given = good | {"GRADE": place_of(kind, tmp_path), "LOG": tmp_path / "log"}
    _, result = check(COMMANDS["program"], given, tmp_path)
    assert result.exit_code == 2


@pytest.mark.parametrize("kind", PLACES)
def test_a_cache_of_verdicts_that_is_none(tmp_path, good, kind):
    log = tmp_path / "log"
    cache = place_of(kind, tmp_path)
    if cache.exists():
        cache.rename(tmp_path / "log.cache")
    check(COMMANDS["llm"], good | {"LOG": log}, tmp_path)


@pytest.mark.parametrize("kind", PLACES)
def test_a_benchmark_that_is_none(tmp_path, kind):
    _, result = check(COMMANDS["card"], {"PLACE": place_of(kind, tmp_path)}, tmp_path)
    assert result.exit_code == 2


@pytest.mark.parametrize("kind", ["a file", "under a file", "empty arrays"])
def test_a_cache_that_cannot_be_used_costs_nothing_but_time(tmp_path, monkeypatch, kind):
    cache = tmp_path / "cache"
    if kind == "empty arrays":
        monkeypatch.setenv("LLMSEL_CACHE", str(cache))
        ok("session", "ask", tmp_path / "first", *POOL)
        arrays = [p for p in cache.rglob("*") if p.is_file()]
        for path in arrays:
            os.truncate(path, 0)
    else:
        cache.write_text("mine")
        monkeypatch.setenv("LLMSEL_CACHE", str(cache / "x" if kind == "under a file" else cache))
    ok("session", "ask", tmp_path / "log", *POOL)


@pytest.mark.parametrize(
    "option",
    [
        ("--delta", "nan"),
        ("--delta", "-1"),
        ("--delta", "1e999"),
        ("--alpha", "nan"),
        ("--alpha", "0"),
        ("--alpha", "2"),
        ("--seed", "-1"),
        ("--seed", str(10**30)),
        ("--batch", "0"),
        ("--workers", "0"),
        ("--calls", "-1"),
        ("--queries", "0"),
        ("--limit", "nan"),
        ("--limit", "-1"),
        ("--batch", str(10**30)),
        ("--queries", "x"),
    ],
)
def test_numbers_out_of_range(tmp_path, good, option):
    command = (*COMMANDS["program"][:5], *option)
    result = run(*words(command, good | {"LOG": tmp_path / "log"}))
    assert result.exit_code in (0, 1, 2) and "Traceback" not in result.output
    assert not (tmp_path / "log").exists() or option[1] == str(10**30)
