"""The report: everything in one file, escaped, no more said than is known."""

import re
from html.parser import HTMLParser

import pytest
from helpers import pools

from llmsel._base.errors import InputError
from llmsel.judging.collect import race
from llmsel.judging.judges import ProgramJudge
from llmsel.judging.log import AnnotationLog
from llmsel.pool import MISSING
from llmsel.race import Race
from llmsel.reporting.page import write_report

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>"


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found, self.open = set(), []

    def handle_starttag(self, tag, attributes):
        self.found.add(tag)
        if tag not in ("meta", "line", "polygon", "polyline"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag in self.open:
            assert self.open.pop() == tag


@pytest.fixture
def made(tmp_path):
    pool = pools.simulated(n=12, m=3)
    models = [f"{EVIL}{j}" for j in range(4)]
    pool = pool.replace(
        models=models,
        baseline=models[pool.baseline_index],
        texts=[f"{EVIL} {i}" for i in range(12)],
        name=EVIL,
    )
    with AnnotationLog(tmp_path / "log.jsonl", pool) as log:
        for _ in range(7):
            query = log.session.ask().query
            for k, (model, outcome) in enumerate(pool.row(query).items()):
                log.record(
                    query,
                    {model: MISSING if k == 2 and query == "q3" else outcome},
                    by=EVIL,
                    order="both",
                    detail={"verdicts": ["A", "A"]},
                )
        log.record(log.session.ask().query, {pool.candidates[0]: 1}, by="ann")
        statement = log.session.best().statement
    return write_report(tmp_path / "log.jsonl", pool, tmp_path / "out" / "r.html"), statement


def test_the_page_is_whole_escaped_and_self_contained(made):
    page = made[0].read_text()
    tags = Tags()
    tags.feed(page)
    assert not tags.open
    assert not tags.found & {"script", "img", "link", "iframe"}
    assert "&lt;script&gt;alert(1)" in page
    assert not re.search(r"""(src|href)\s*=\s*["']""", page)
    assert "<svg" in page and "polyline" in page


def test_it_says_what_the_session_says(made):
    page = made[0].read_text()
    assert "No certificate" in made[1] and "No certificate" in page
    assert "posterior collapse" in page and "judge equal to a candidate" in page
    assert "position bias" in page and "100.0% (first 100.0%, second 0.0%)" in page
    assert re.search(r"queries not judged for every candidate</td><td>1<", page)
    assert "22 outcomes" in page


def test_a_race_is_reported_with_its_certificate(tmp_path):
    pool = pools.simulated(n=200, m=5, spread=2.0, seed=3)
    pool = pool.replace(responses=[[f"{i}|{m}" for m in pool.models] for i in range(200)])
    rates = pool.win_rates()

    def oracle(query, response, baseline_response):
        i, model = response.split("|")
        return int(pool.outcomes[int(i), pool.models.index(model)])

    judge = ProgramJudge(oracle, compares=True)
    with AnnotationLog(tmp_path / "log.jsonl", pool, "Random") as log:
        log.begin_race(Race(pool).settings)
    with pytest.raises(InputError, match="no annotation yet"):
        write_report(tmp_path / "log.jsonl", pool, tmp_path / "r.html")
    with AnnotationLog(tmp_path / "log.jsonl", pool) as log:
        held = race(log, judge, Race(pool))
    assert held.certified and held.winners == (pool.models[int(rates.argmax())],)
    page = write_report(tmp_path / "log.jsonl", pool, tmp_path / "r.html").read_text()
    tags = Tags()
    tags.feed(page)
    assert not tags.open
    assert held.statement.replace("'", "&#x27;") in page
    for model, step in held.dropped.items():
        assert re.search(
            rf"<td>{model}( .baseline.)?</td>.*<td>dropped after {step} queries</td>", page
        )
    assert re.search(rf"<td>{held.winners[0]}( .baseline.)?</td>.*<td>named</td>", page)
    assert "No certificate" not in page and f"{held.calls} outcomes" in page
    assert "near-duplicate candidates" in page and "posterior collapse" not in page


def test_nothing_finished_is_no_report(tmp_path):
    pool = pools.simulated(n=4, m=2)
    AnnotationLog(tmp_path / "log.jsonl", pool).close()
    with pytest.raises(InputError, match="no query is annotated yet"):
        write_report(tmp_path / "log.jsonl", pool, tmp_path / "report.html")
