"""Hostile servers in the middle of a run, for judge and generate, and the run after it."""

import json

import pytest
import stamina
from helpers.hostile import DOWN, FINE, KEY, MODES, completion, hostile, http
from helpers.servers import files, pool_of

from llmsel._base.errors import InputError
from llmsel.answers.generate import ask_all, failures, plan
from llmsel.answers.read import read_answers
from llmsel.judging.collect import annotate
from llmsel.judging.llm import LLMJudge
from llmsel.judging.log import AnnotationLog
from llmsel.pool import MISSING

pytestmark = pytest.mark.torture
VERDICT = http(completion('{"verdict": "A"}'))
ANSWER = http(completion("fine"))


@pytest.fixture(autouse=True)
def impatient():
    with stamina.set_testing(True, attempts=2, cap=True):
        yield


def broken(begins, ends, good):
    """Answer well, but for some requests in between."""
    return lambda number: None if begins <= number < ends else good


def one_sentence(text):
    return "\n" not in text and "\x1b" not in text and KEY not in text and len(text) < 500


@pytest.mark.parametrize("workers", [1, 8])
@pytest.mark.parametrize(("begins", "ends"), [(1, 99), (5, 99), (5, 7), (4, 5)])
@pytest.mark.parametrize("mode", MODES)
def test_generate(mode, begins, ends, workers, tmp_path, monkeypatch):
    monkeypatch.setenv("MY_KEY", KEY)
    with hostile(mode, broken(begins, ends, ANSWER)) as server:
        models, queries, output = files(tmp_path, server.url, queries=16)
        models.write_text(f'[[model]]\nname="m"\nbase_url="{server.url}"\nkey="MY_KEY"\n')
        todo = plan(models, queries, output)
        for model in todo.models:
            model.server._timeout, model.server._tries, model.server._patience = 0.3, 2, 0.5
        failed = ask_all(todo, output, workers=workers, progress=False)
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert len(rows) + len(failed) == 16 and {r["query_id"] for r in rows} | {
        pair.rpartition(" / ")[2] for pair in failed
    } == {str(i) for i in range(16)}
    assert all(one_sentence(line) for line in failures(failed))
    assert KEY not in output.read_text()
    with hostile(mode, lambda number: ANSWER) as server:
        models.write_text(f'[[model]]\nname="m"\nbase_url="{server.url}"\n')
        assert ask_all(plan(models, queries, output), output, progress=False) == {}
        assert len(server.requests) == len(failed)
    assert len(read_answers(output)) == 16


@pytest.mark.parametrize("workers", [1, 8])
@pytest.mark.parametrize(("begins", "ends"), [(1, 99), (5, 99), (5, 7), (4, 5)])
@pytest.mark.parametrize("mode", MODES)
def test_judge(mode, begins, ends, workers, tmp_path, monkeypatch):
    monkeypatch.setenv("MY_KEY", KEY)
    pool = pool_of("long answer", "no", queries=12)
    path, told = tmp_path / "log.jsonl", ""

    def judge(url, timeout):
        return LLMJudge(
            "m", url, key="MY_KEY", timeout=timeout, tries=2, patience=0.5, retries=0,
            orders="candidate first", cache=tmp_path / "cache",
        )  # fmt: skip

    with (
        hostile(mode, broken(begins, ends, VERDICT)) as server,
        AnnotationLog(path, pool, strategy="Random") as log,
    ):
        try:
            annotate(log, judge(server.url, 0.3 if MODES[mode][0] == DOWN else 9), workers=workers)
        except InputError as error:
            told = str(error)
        given = list(log.given)
    assert one_sentence(told) and (told or len(given) == 12)
    assert all(entry.outcome in (1, MISSING) for entry in given)  # never a draw
    assert all(one_sentence(entry.detail["failed"]) for entry in given if entry.outcome == MISSING)
    if MODES[mode][0] == DOWN and ends == 99:
        assert told
    assert MODES[mode][0] != FINE or not told
    with (
        hostile(mode, lambda number: VERDICT) as server,
        AnnotationLog(path, pool) as log,
    ):
        annotate(log, judge(server.url, 9), retry_failed=True)
        assert [entry.outcome for entry in log.given if entry.outcome == 1] == [1] * 12
