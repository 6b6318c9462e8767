"""The readers of answers, and what is fed to them: a whole file of each kind, and its damage."""

import io
import json
import shutil
from pathlib import Path

import numpy as np

from helpers.mutate import damaged, warped, warped_text
from llmsel._base.errors import InputError
from llmsel.answers.generate import plan
from llmsel.answers.inspect_log import zipfile_with_zstandard
from llmsel.answers.models import read_models
from llmsel.answers.read import read_answers
from llmsel.judging.cache import VerdictCache
from llmsel.pool import Pool

FIXTURES = Path(__file__).parents[1] / "fixtures"
ANSWERS = FIXTURES / "answers"
MODELS = b"""[[model]]
name = "small"
base_url = "http://127.0.0.1:1/v1"
key = "MY_KEY"
system = "Be brief."
timeout = 5
prices = {in = 1, out = 2}
parameters = {temperature = 0.5, max_tokens = 50, stop = ["x"]}
[[model]]
name = "large"
"""
CACHE = b'{"key": "ab12", "verdict": "A"}\n{"key": "cd34", "verdict": "tie"}\n'
HEADER = {
    "queries": ["q", "r"],
    "models": ["a", "b"],
    "baseline": "b",
    "texts": ["?", "!"],
    "responses": [["x", "y"], ["x", "z"]],
    "categories": None,
    "name": "n",
    "simulated": False,
    "notes": {"k": "v"},
}
OUTPUT = b'{"model": "a", "query_id": "1", "query": "?", "response": "x", "finish": "stop"}\n' * 2


def _eval(data, random):
    """Warp a sample inside an Inspect log: damage to the bytes is found by its checksums."""
    zipfile, _ = zipfile_with_zstandard()
    old = zipfile.ZipFile(io.BytesIO(data))
    packed = io.BytesIO()
    names = old.namelist()
    target = random.choice([n for n in names if n.endswith(".json")])
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_ZSTANDARD) as new:
        for name in names:
            content = old.read(name)
            if name == target:
                warp = random.random() < 0.8
                content = (
                    json.dumps(warped(json.loads(content), random)).encode()
                    if warp
                    else damaged(content, random)
                )
            new.writestr(name, content)
    return packed.getvalue()


def answers(path):
    frame = read_answers(path)
    for column in frame:
        assert all(isinstance(value, str) for value in frame[column]), column
        "".join(frame[column]).encode()


def questions(path):
    """Read answers with the damaged texts of their queries beside them."""
    beside = path.parent.parent / "model_answer" / "alpha.jsonl"
    beside.parent.mkdir(exist_ok=True)
    if not beside.exists():
        beside.write_bytes((ANSWERS / "fastchat" / "model_answer" / "alpha.jsonl").read_bytes())
    shutil.copy(path, beside.parent)
    answers(beside)


def output(path):
    models, queries = path.with_name("m.toml"), path.with_name("q.jsonl")
    models.write_bytes(b"[[model]]\nname='a'\n")
    queries.write_bytes(b'{"query_id": "1", "query": "?"}\n')
    before = path.read_bytes()
    try:
        plan(models, queries, path)
    finally:
        assert path.read_bytes() == before


def queries(path):
    models = path.with_name("m.toml")
    models.write_bytes(b"[[model]]\nname='a'\n")
    plan(models, path, path.with_name("o.jsonl"))


def _files():
    """Name -> (file name, bytes, how its content is warped or None, reader)."""
    found = {}
    # one file of each kind
    others = ("gamma.jsonl", "reference_outputs.json", "leaderboard.csv", "annotations.json")
    for path in sorted(ANSWERS.rglob("*")):
        name = str(path.relative_to(ANSWERS))
        again = not path.is_file() or "beta" in name or "gamma/" in name or name.endswith(others)
        if path.suffix in (".jsonl", ".json", ".csv", ".eval") and not again:
            lines = path.suffix == ".jsonl"
            warp = None
            if path.suffix in (".jsonl", ".json"):
                warp = _warp(lines)
            elif path.suffix == ".eval":
                warp = _eval
            reader = questions if path.name == "question.jsonl" else answers
            found[name] = path.name, path.read_bytes(), warp, reader
    table = io.BytesIO()
    read_answers(ANSWERS / "long.jsonl").to_parquet(table)
    found["long.parquet"] = "long.parquet", table.getvalue(), None, answers
    found["pool.npz"] = "pool.npz", _npz(json.dumps(HEADER).encode()), _warp_npz, Pool.load
    found["models.toml"] = "models.toml", MODELS, None, read_models
    found["cache"] = "cache.jsonl", CACHE, _warp(True), VerdictCache
    found["output"] = "output.jsonl", OUTPUT, _warp(True), output
    found["queries"] = "queries.jsonl", b'{"query_id": 1, "query": "a"}\n', _warp(True), queries
    return found


def _npz(header):
    stored = io.BytesIO()
    outcomes = np.array([[1, 0], [-1, 0]], dtype=np.int8)
    np.savez(stored, header=np.frombuffer(header, dtype=np.uint8), outcomes=outcomes)
    return stored.getvalue()


def _warp_npz(data, random):
    del data
    return _npz(json.dumps(warped(HEADER, random)).encode())


def _warp(lines):
    return lambda data, random: warped_text(data.decode(), random, lines=lines)


FILES = _files()


def spoil(name, random):
    """Return a damaged file."""
    _, data, warp, _ = FILES[name]
    if warp is not None and random.random() < 0.7:
        return warp(data, random)
    return damaged(data, random)


def feed(name, data, folder):
    """Give bytes to the reader of a file, which has a folder of its own."""
    file, _, _, reader = FILES[name]
    own = folder / name.replace("/", "~") / "read"
    own.mkdir(parents=True, exist_ok=True)
    (own / file).write_bytes(data)
    reader(own / file)


def reads_or_tells(name, data, folder):
    """Give bytes to a reader; True if it read them, False if it said in one sentence why not."""
    try:
        feed(name, data, folder)
    except InputError as error:
        said = str(error)
        assert "\n" not in said and "\x1b" not in said, said
        assert 10 < len(said) < 600, said
        said.encode()
        return False
    return True
