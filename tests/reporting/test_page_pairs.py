"""The report of a race without a baseline: what stands on it when nobody is named."""

import json
import re

import numpy as np
import pytest
from helpers.pair_tables import circle, table_of, with_missing

from llmsel._base.errors import InputError
from llmsel.judging.collect import annotate, catch_up, verdict_of
from llmsel.judging.judges import ProgramJudge
from llmsel.judging.lines import seal
from llmsel.judging.log import AnnotationLog
from llmsel.judging.replay import read_log
from llmsel.pool import Pool
from llmsel.racing.pairs import Condorcet, all_pairs
from llmsel.racing.race import Race
from llmsel.reporting.page import write_report
from llmsel.reporting.sides import sides


def decided(path, table, **options):
    """Keep a race over all pairs in a log."""
    models, _, size = table.shape
    plain = Pool([f"q{i}" for i in range(size)], [f"m{j}" for j in range(models)], "m0")
    pool = all_pairs(plain, table)
    race = Race(pool, Condorcet(alpha=0.001), seed=1, seed_drawn=True, most_failed=1.0, **options)
    with AnnotationLog(path, pool) as log:
        log.begin_race(race.settings)
        while tasks := catch_up(race, log):
            for task in tasks:
                row = pool.outcomes[pool.place(task.query)]
                given = {m: int(row[pool.column(m)]) for m in task.models}
                log.record(task.query, given, by="somebody")
    return pool


def line_of(page, model):
    (found,) = (x for x in page.split("<tr") if f"<td>{model}</td>" in x and 'class="share"' in x)
    return found


def test_a_race_without_a_winner_has_no_leader(tmp_path):
    table = table_of(circle(3, 12), 20, 0, np.random.default_rng(0))
    pool = decided(tmp_path / "log.jsonl", table)
    page = write_report(tmp_path / "log.jsonl", pool, tmp_path / "r.html").read_text()
    assert "there is no Condorcet winner: no model beats every other" in page
    assert "today&#39;s leader" not in page and "today's leader" not in page
    assert "which has won most over what it lost" in page
    assert "<td>named</td>" not in page


def test_nobody_is_named_without_a_certificate(tmp_path):
    rng = np.random.default_rng(3)
    table = with_missing(table_of(circle(3, 2), 20, 0.1, rng), rng, 0.9)
    pool = decided(tmp_path / "log.jsonl", table)
    held = verdict_of(read_log(tmp_path / "log.jsonl", pool))
    assert not held.certified and held.stop == "outcomes missing"
    page = write_report(tmp_path / "log.jsonl", pool, tmp_path / "r.html").read_text()
    assert "<td>leads</td>" in line_of(page, held.winners[0]) and "<td>named</td>" not in page


def test_cells_that_repeat_another_are_not_counted(tmp_path):
    """An answer against itself, and m2 against m1 where m1 is judged against m2; old logs may."""
    path = tmp_path / "log.jsonl"
    pool = decided(path, table_of(circle(3, 12), 20, 0, np.random.default_rng(0)))
    lines = path.read_bytes().splitlines()
    given = json.loads(lines[-1])
    del given["crc"]
    with path.open("ab") as file:
        for model in ("m1", "m2"):
            file.write(seal({**given, "query": "q3 vs m1", "model": model, "outcome": 0}))
    contents = read_log(path, pool)
    assert len(sides(contents)) == 2 * (len(contents.given) - 2)
    page = write_report(path, pool, tmp_path / "r.html").read_text()
    assert re.search(r">\d+, 0, \d+<", line_of(page, "m2")), "no draw of m2 was ever judged"
    assert f"{len(contents.given) - 2} of 60 comparisons have a judgement" in page
    with AnnotationLog(path, pool) as log:
        for model, other in (("m1", r"\."), ("m2", ": 'm1' is judged on 'q4 vs m2'")):
            with pytest.raises(InputError, match=f"'{model}' is not judged on 'q4 vs m1'{other}"):
                log.record("q4 vs m1", {model: 1}, by="somebody")


def test_only_a_race_decides_where_there_is_no_baseline(tmp_path):
    """A session would say who wins against "(the other model)"."""
    plain = Pool(["q0", "q1"], ["a", "b", "c"], "a", responses=[["1", "2", "3"]] * 2)
    judge = ProgramJudge(lambda _query, response: float(response))
    with AnnotationLog(tmp_path / "log.jsonl", all_pairs(plain)) as log:
        with pytest.raises(InputError, match="has no baseline, so only a race can decide it"):
            annotate(log, judge)
        with pytest.raises(InputError, match="has no baseline"):
            log.session.best()
