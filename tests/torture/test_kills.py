"""Kills and Ctrl-C at random moments of commands: nothing told is lost, nothing is twice."""

import json
import os
import random
import signal
import warnings

import nbformat
import numpy as np
import pytest
from helpers.killed import Commands, write_answers
from helpers.loopback import serve
from helpers.servers import echo
from helpers.share import sized
from nbformat.v4 import new_code_cell, new_notebook

from llmsel.answers.read import read_answers
from llmsel.cli.options import Source
from llmsel.judging.collect import verdict_of
from llmsel.judging.log import AnnotationLog
from llmsel.judging.replay import read_log

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork to kill quickly")
KILLS = {"tell": 300, "judge": 300, "generate": 340, "reproduce": 60}  # 1000 in all
SIGNALS = (signal.SIGKILL, signal.SIGINT)
MODELS = ("a", "b", "c", "base")


def strike(commands, rng, words, usual):
    """Run a command, with a signal at a random moment of its usual time; tell how it ended."""
    sign = rng.choice(SIGNALS)
    code, hit, _, printed = commands.run(*words, sign=sign, after=rng.random() * usual)
    # a signal that hits while a library's own code is in a callback: Python itself reports it
    if "Exception ignored in" not in printed:
        assert "Traceback" not in printed, printed
    assert code in ((0, 1, -sign) if sign == signal.SIGKILL else (0, 1, 130)), (code, printed)
    return code, hit


def pool_in(folder, queries):
    path = write_answers(folder / "answers.jsonl", queries, MODELS)
    return Source(str(path), "base").read(), ("--pool", path, "--baseline", "base")


def kept(log, pool):
    """Outcomes of a log as the next command finds them, in order."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a torn last line is said to be repaired
        with AnnotationLog(log, pool) as opened:
            cells = [((e.query, e.model), e.outcome) for e in opened.given]
    assert len({cell for cell, _ in cells}) == len(cells)
    return cells


def tell(folder, kills, rng):
    pool, source = pool_in(folder, 40)
    outcome = dict(zip(pool.candidates, ("win", "draw", "loss"), strict=True))
    code = {"win": 1, "draw": 0, "loss": -1}
    log, before, count = folder / "log.jsonl", [], 0
    with Commands(folder) as commands:
        usual = commands.run("session", "tell", folder / "once.jsonl", "q0", "a=win", *source)[2]
        while count < kills:
            done = {cell for cell, _ in before}
            todo = [(q, m) for q in pool.queries for m in pool.candidates if (q, m) not in done]
            if not todo:
                log.unlink()
                before = []
                continue
            query = todo[0][0]
            told = [m for q, m in todo if q == query]
            words = ("session", "tell", log, query, *(f"{m}={outcome[m]}" for m in told), *source)
            ended, hit = strike(commands, rng, words, usual)
            count += hit
            now = kept(log, pool)
            new = [((query, m), code[outcome[m]]) for m in told]
            assert (
                now[: len(before)] == before and now[len(before) :] == new[: len(now) - len(before)]
            )
            assert ended != 0 or len(now) == len(before) + len(new)
            before = now
    return count


def judge(folder, kills, rng):
    pool, source = pool_in(folder, 40)
    program = folder / "grade.py"
    program.write_text("def score(query, response):\n    return len(response)\n")
    lengths = np.array([[len(r) for r in row] for row in pool.responses])
    right = np.sign(lengths - lengths[:, [pool.baseline_index]])
    options = (*source, "--program", f"{program}:score", "--yes", "--seed", "1", "--batch", "2")
    count = 0
    with Commands(folder) as commands:
        code, _, usual, printed = commands.run("judge", folder / "whole.jsonl", *options)
        assert code == 0, printed
        whole = verdict_of(read_log(folder / "whole.jsonl", pool)).statement
        log, before = folder / "log.jsonl", []
        while count < kills:
            code, hit = strike(commands, rng, ("judge", log, *options), usual)
            count += hit
            now = kept(log, pool)
            assert now[: len(before)] == before
            for (query, model), outcome in now:
                assert outcome == right[pool.queries.index(query), pool.models.index(model)]
            before = now
            if code == 0:
                assert verdict_of(read_log(log, pool)).statement == whole
                log.unlink()
                before = []
    return count


def generate(folder, kills, rng):
    queries, output, models = folder / "q.jsonl", folder / "o.jsonl", folder / "models.toml"
    queries.write_text(
        "".join(json.dumps({"query_id": i, "query": f"{i}"}) + "\n" for i in range(24))
    )
    count, begun, asked = 0, 0, 0
    with serve(echo) as server, Commands(folder) as commands:
        models.write_text(
            "".join(f'[[model]]\nname = "{m}"\nbase_url = "{server.url}"\n' for m in "ab")
        )
        words = ("generate", models, queries, "-o", output, "--yes", "--workers", "4")
        code, _, usual, printed = commands.run(*words)
        assert code == 0, printed
        output.unlink()
        asked, before = len(server.bodies), []
        while count < kills:
            code, hit = strike(commands, rng, words, usual)
            count, begun = count + hit, begun + hit
            lines = output.read_bytes().split(b"\n")[:-1] if output.exists() else []
            now = [line for line in lines if line.strip()]
            assert now[: len(before)] == before
            rows = [json.loads(line) for line in now]
            assert all(row["response"].endswith(f"says {row['query']}") for row in rows)
            assert len({(row["model"], row["query_id"]) for row in rows}) == len(rows)
            before = now
            if code == 0:
                assert len(read_answers(output)) == 48
                assert len(server.bodies) - asked <= 48 + 4 * begun  # only what was in flight
                output.unlink()
                asked, begun, before = len(server.bodies), 0, []
    return count


def checkout(folder):
    """Write a checkout with one small notebook that makes one file."""
    notebooks = folder / "notebooks"
    notebooks.mkdir()
    cells = [
        new_code_cell("value = 1", metadata={"tags": ["parameters"]}),
        new_code_cell("open('../made.txt', 'w').write('made' * 999)\nprint(value)"),
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(
        new_notebook(cells=cells, metadata={"kernelspec": kernel}), notebooks / "tiny.ipynb"
    )
    (notebooks / "reproduce.toml").write_text(
        '[[run]]\nname = "tiny"\nnotebook = "tiny"\noutputs = ["made.txt"]\n'
    )
    return notebooks / "rendered" / "tiny.ipynb"


def reproduce(folder, kills, rng):
    rendered, words, count = checkout(folder), ("reproduce", "--all"), 0
    with Commands(folder, LLMSEL_ROOT=str(folder), LLMSEL_CACHE=str(folder / "cache")) as commands:
        commands.run(*words)  # fills the cache
        usual = commands.run(*words, "--force")[2]
        while count < kills:
            rendered.unlink(missing_ok=True)
            count += strike(commands, rng, words, usual)[1]
            if rendered.exists():  # whole, or not there
                nbformat.validate(nbformat.read(rendered, as_version=4))
        code, _, _, printed = commands.run(*words)
        assert code == 0, printed
        assert (folder / "made.txt").read_text() == "made" * 999
    return count


def run(kind, kills, folder):
    count = globals()[kind](folder, kills, random.Random(kind))
    print(f"\n{kind}: {count} kills and interrupts, nothing lost, nothing twice, no traceback")
    assert count == kills


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in KILLS if kind != "reproduce"])
def test_a_few_kills(kind, tmp_path):
    run(kind, 4, tmp_path)


@pytest.mark.torture
@pytest.mark.parametrize("kind", KILLS)
def test_1000_kills(kind, tmp_path):
    run(kind, sized(KILLS[kind]), tmp_path)
