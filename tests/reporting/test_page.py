"""The report: everything in one file, escaped, no more said than is known."""

import base64
import hashlib
import html
import re
from html.parser import HTMLParser

import pytest
from helpers import pools
from helpers.judges import graded

from llmsel._base.errors import InputError
from llmsel.judging.collect import judge_race
from llmsel.judging.judges import ProgramJudge
from llmsel.judging.log import AnnotationLog
from llmsel.judging.replay import read_log
from llmsel.pool import MISSING
from llmsel.racing.race import Race
from llmsel.reporting.page import write_report

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>"


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found, self.open, self.attributes = set(), [], []

    def handle_starttag(self, tag, attributes):
        self.found.add(tag)
        self.attributes += attributes
        if tag != "meta":
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
    log = tmp_path / "log.jsonl"
    return write_report(log, pool, tmp_path / "out" / "r.html"), statement, pool, log


def test_the_page_is_whole_escaped_and_self_contained(made):
    page = made[0].read_text()
    tags = Tags()
    tags.feed(page)
    assert not tags.open
    assert not tags.found & {"script", "img", "link", "iframe"}
    assert "&lt;script&gt;alert(1)" in page
    names = {name for name, _ in tags.attributes}
    assert not names & {"src", "href", "style"} and not any(n.startswith("on") for n in names)
    links = [value for name, value in tags.attributes if name == "xlink:href"]
    assert links and all(value.startswith("#") for value in links)
    assert 'role="img"' in page and "currentColor" in page


def test_the_page_forbids_itself_scripts_and_styles_of_others(made):
    page = made[0].read_text()
    policy = html.unescape(re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1])
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    css = re.search("<style>(.*?)</style>", page, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    assert rules["default-src"] == "'none'" and rules["style-src"] == f"'sha256-{digest}'"
    assert page.index("Content-Security-Policy") < page.index("<style>")
    assert page.count("<style") == 1


def test_the_same_log_gives_the_same_page(made):
    page = made[0].read_bytes()
    pool_of = made[2]
    write_report(made[3], pool_of, made[0])
    assert made[0].read_bytes() == page


def test_a_file_of_ones_own_is_never_replaced(made):
    mine = made[0].with_name("notes.html")
    for content in ("<!DOCTYPE html><p>my own page", "notes\n"):
        mine.write_text(content)
        with pytest.raises(InputError, match="is no report of llmsel; name another file"):
            write_report(made[3], made[2], mine)
        assert mine.read_text() == content


def test_it_says_what_the_session_says(made):
    page = made[0].read_text()
    assert "No certificate" in made[1] and "No certificate" in page
    assert "posterior collapse" in page and "judge equal to a candidate" in page
    assert "position bias" in page and "100.0% (first 100.0%, second 0.0%)" in page
    assert re.search(r"queries not judged for every candidate</td><td>1<", page)
    assert "22 outcomes" in page


def test_examples_are_drawn_by_their_rule_escaped_and_cut(made, tmp_path):
    pool = made[2]
    responses = pool.responses.copy()
    responses[:, :] = [[f"{EVIL} {i}|{j} " + "long " * 500 for j in range(4)] for i in range(12)]
    pool = pool.replace(responses=responses)
    path = tmp_path / "race.jsonl"
    with AnnotationLog(path, pool, seed=4) as begun:
        for i, query in enumerate(pool.queries):
            begun.record(query, dict.fromkeys(pool.candidates, 1 if i < 8 else -1), by="ann")
    page = write_report(path, pool, tmp_path / "r.html").read_text()
    tags = Tags()
    tags.feed(page)
    assert not tags.open and not tags.found & {"script", "img"}
    assert "3 of its 8 wins and 3 of its\n4 losses against" in page
    shown = re.findall(r"<article><h3>(\w+)</h3>", page)

    def place(query):
        return hashlib.sha256(f"4|{query}".encode()).digest()

    assert shown[:3] == sorted(pool.queries[:8], key=place)[:3]
    assert shown[3:] == sorted(pool.queries[8:], key=place)[:3]
    assert page.count("more]</p>") == 12 and page.count("long long") < 12 * 200
    bare = pool.replace(responses=None)
    with AnnotationLog(tmp_path / "bare.jsonl", bare) as begun:
        begun.record("q0", dict.fromkeys(bare.candidates, 1), by="ann")
    page = write_report(tmp_path / "bare.jsonl", bare, tmp_path / "bare.html").read_text()
    assert "<article>" not in page and "wins and loses" not in page


def test_a_race_tells_the_leaders_record_in_each_category(tmp_path):
    pool = pools.simulated(n=200, m=4, spread=2.0, seed=3)
    pool = pool.replace(categories=["code" if i % 3 else "prose" for i in range(200)])
    pool, judge = graded(pool)
    path = tmp_path / "log.jsonl"
    with AnnotationLog(path, pool) as log:
        leader = judge_race(log, judge, race=Race(pool, delta=0.1, seed=0)).winners[0]
        rows = dict(log.rows)
    page = html.unescape(write_report(path, pool, tmp_path / "r.html").read_text())
    for category in ("code", "prose"):
        had = [
            rows[query][leader].outcome
            for query, each in zip(pool.queries, pool.categories, strict=True)
            if each == category and leader in rows.get(query, {})
        ]
        assert f"{category}: '{leader}' has {had.count(1)} win" in page
    assert "A race names no winner of a category" in page
    given = sum(len(row) for row in rows.values())
    assert f"<dt>comparisons judged</dt><dd>{given} of 800 in this pool</dd>" in page


def test_every_model_has_its_interval(made):
    page = made[0].read_text()
    lines = [line for line in page.split("<tr") if 'class="number range"' in line]
    assert len(lines) == 4
    assert sum(bool(re.search(r"range\">\d+\.\d% to \d+\.\d%<", line)) for line in lines) == 3


def test_a_race_is_reported_with_its_certificate(tmp_path):
    pool = pools.simulated(n=200, m=5, spread=2.0, seed=3)
    pool = pool.replace(responses=[[f"{i}|{m}" for m in pool.models] for i in range(200)])
    rates = pool.win_rates()

    def oracle(_query, response, _baseline_response):
        i, model = response.split("|")
        return int(pool.outcomes[int(i), pool.models.index(model)])

    judge = ProgramJudge(oracle, compares=True)
    with AnnotationLog(tmp_path / "log.jsonl", pool, strategy="Random") as log:
        log.begin_race(Race(pool, seed=0).settings)
    with pytest.raises(InputError, match="no annotation yet"):
        write_report(tmp_path / "log.jsonl", pool, tmp_path / "r.html")
    with AnnotationLog(tmp_path / "log.jsonl", pool) as log:
        held = judge_race(log, judge, race=Race(pool, seed=0))
    assert held.certified and held.winners == (pool.models[int(rates.argmax())],)
    page = write_report(tmp_path / "log.jsonl", pool, tmp_path / "r.html").read_text()
    tags = Tags()
    tags.feed(page)
    assert not tags.open
    assert held.statement.replace("'", "&#39;") in page
    lines = {
        re.search(r"<td>([\w-]+)", line)[1]: line for line in page.split("<tr") if "<td>" in line
    }
    for model, step in held.dropped.items():
        assert f"<td>dropped after {step} queries</td>" in lines[model]
    assert "<td>named</td>" in lines[held.winners[0]] and 'class="named"' in lines[held.winners[0]]
    seed = read_log(tmp_path / "log.jsonl", pool).race["seed"]
    assert "Before you act" not in page and f"<dt>seed of the order</dt><dd>{seed}</dd>" in page
    assert "No certificate" not in page and f"{held.calls} outcomes" in page
    assert "near-duplicate candidates" in page and "posterior collapse" not in page
    words = " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page)).split())
    assert "asked for at a time (batch)" in words and "prune 2.5, 0.3333; 6, 0.1 few" in words


def test_nothing_finished_is_no_report(tmp_path):
    pool = pools.simulated(n=4, m=2)
    AnnotationLog(tmp_path / "log.jsonl", pool).close()
    with pytest.raises(InputError, match="no query is annotated yet"):
        write_report(tmp_path / "log.jsonl", pool, tmp_path / "report.html")


def test_failed_judgements_are_counted_by_model_and_warned_of(tmp_path):
    pool = pools.simulated(n=40, m=3, seed=3)
    pool = pool.replace(responses=[[f"{m}|{i}" for m in pool.models] for i in range(40)])
    mute = pool.candidates[0]
    with AnnotationLog(tmp_path / "log.jsonl", pool, strategy="Random") as log:
        for query in pool.queries[:20]:
            outcomes = {m: MISSING if m == mute else 1 for m in pool.candidates}
            log.record(query, outcomes, by="bot", detail={"failed": "mute"})
    page = write_report(tmp_path / "log.jsonl", pool, tmp_path / "r.html").read_text()
    assert "20 of 60 judgements failed (" in page
    (line,) = (line for line in page.split("<tr") if f"<td>{mute}</td>" in line and "share" in line)
    assert re.findall(r'number">([\d, ]+)<', line) == ["0, 0, 0", "0", "20"]
    assert page.index("judgements failed") < page.index('class="lead"')  # before the statement


def test_a_judge_that_follows_the_order_is_warned_of_before_the_statement(tmp_path):
    pool = pools.simulated(n=12, m=3)
    with AnnotationLog(tmp_path / "log.jsonl", pool, strategy="Random") as log:
        for query in pool.queries:
            for model in pool.candidates:
                said = {"verdicts": ["A", "A"]}
                log.record(query, {model: 0}, by="bot", order="both", detail=said)
    page = write_report(tmp_path / "log.jsonl", pool, tmp_path / "r.html").read_text()
    assert "agrees with itself in 0% of 36 pairs" in page
    assert page.index("agrees with itself") < page.index('class="lead"')
