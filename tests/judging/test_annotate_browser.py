"""Two annotators at once in real browsers: `llmsel annotate` in headless Chromium, over CDP."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from helpers import browser

from llmsel.judging.collect import verdict_of
from llmsel.judging.overlaps import overlap
from llmsel.judging.replay import read_log
from llmsel.pool import Pool

pytestmark = [browser.needed, pytest.mark.slow]

ATTACK = "document.title='attacked'"
EVIL = (
    f'<script>{ATTACK}</script><img src=x onerror="{ATTACK}"> [link](javascript:{ATTACK}) '
    "![image](http://127.0.0.1:9/x.png) <style>*{display:none}</style> user\u202egpj.exe"
)
RICH = "**bold**\n\n```python\ndef f(): return 1\n```\n"


def pool_of(n):
    rows = [[f"{RICH}new {i}", f"{EVIL} old {i}", f"plain base {i}"] for i in range(n)]
    models = ["secret-new", "secret-old", "secret-base"]
    texts = [f"question {i} {EVIL}" for i in range(n)]
    return Pool([f"q{i}" for i in range(n)], models, models[-1], texts=texts, responses=rows)


class Annotator:
    """A person at a page; prefers what is rich to what is plain to what is evil."""

    def __init__(self, page, address, name):
        self.page, self.name = page, name
        for domain in ("Page", "Runtime"):
            page.send(f"{domain}.enable")
        if page.run("location.href") != "about:blank":
            page.run("sessionStorage.clear()")  # another person sits down
        page.send("Page.navigate", url=address)
        page.wait("document.readyState === 'complete' && !!document.getElementById('who')", "page")

    def enter(self):
        # keys are text in the name field, and nothing else
        for key in [*self.name, "1", "2", "3"]:
            self.key(key)
        assert self.page.run("document.getElementById('who').value") == f"{self.name}123"
        self.page.run(f"document.getElementById('who').value = {json.dumps(self.name)}")
        self.page.run("document.querySelector('#enter button').click()")
        self.page.wait("!document.getElementById('pair').hidden", "no pair")

    def key(self, key):
        self.page.send("Input.dispatchKeyEvent", type="keyDown", key=key, text=key)
        self.page.send("Input.dispatchKeyEvent", type="keyUp", key=key)

    def shown(self):
        return self.page.run("pair && pair.name")

    def say(self, key):
        """Press a key; wait until the page has gone on."""
        before = self.page.run("document.getElementById('progress').textContent")
        self.key(key)
        now = "document.getElementById('progress').textContent"
        self.page.wait(f"!busy && {now} !== {json.dumps(before)}", f"key {key} did nothing")

    def better(self):
        left, right = (
            self.page.run(f"document.getElementById('{side}').innerText")
            for side in ("left", "right")
        )
        worth = [2 if "bold" in x else 1 if "plain" in x else 0 for x in (left, right)]
        errs = self.name == "bob" and self.page.run("pair.again")  # where ann judged before
        return "1" if (worth[0] > worth[1]) != errs else "3"

    def harmless(self):
        assert self.page.run("document.title") == "Which answer is better?"
        bad = "main script, main img, main style, main iframe, main [style], a[href^=javascript]"
        assert self.page.run(f"document.querySelectorAll('{bad}').length") == 0
        assert self.page.run("getComputedStyle(document.getElementById('left')).display") == "block"
        assert "secret" not in self.page.run("document.documentElement.outerHTML")
        loaded = "performance.getEntriesByType('resource').map(e => e.name)"
        for name in self.page.run(loaded):
            assert name.startswith(self.page.run("location.origin")), name


@pytest.fixture
def stop():
    with browser.ended() as keep:
        yield keep


def serve(folder, stop, *more):
    """Start `llmsel annotate`; return its process and address."""
    run = [sys.executable, "-m", "llmsel", "annotate", "log.jsonl", "--pool", "pool.npz", *more]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    printed = folder / "printed.txt"
    with printed.open("w") as out, (folder / "errors.txt").open("w") as errors:
        options = {"stdout": out, "stderr": errors, "cwd": folder, "env": environment}
        process = subprocess.Popen(run, start_new_session=True, **options)
    stop(process)
    end = time.monotonic() + 90
    while not (line := printed.read_text()).endswith("\n"):
        assert time.monotonic() < end, (folder / "errors.txt").read_text()
        time.sleep(0.05)
    return process, line.split()[1]


def judge_all(person, limit):
    """Judge until the page says that it is over; return what was shown."""
    seen = []
    for _ in range(limit):
        person.page.wait(
            "!busy && (pair || /over|decide/.test(document.getElementById('end').textContent))",
            "no turn",
        )
        if person.shown() is None:
            return seen
        seen.append(person.shown())
        person.say(person.better())
    raise AssertionError("the race does not end")


def test_two_annotators_at_once_a_kill_and_a_third_who_decides(tmp_path, stop):
    pool = pool_of(8)
    pool.save(tmp_path / "pool.npz")
    log = tmp_path / "log.jsonl"
    process, address = serve(tmp_path, stop, "--overlap", "1", "--delta", "0.05")
    page, _ = browser.begin(tmp_path, stop)
    other = browser.Page(int((tmp_path / "profile/DevToolsActivePort").read_text().split()[0]))
    stop(other)
    ann, bob = Annotator(page, address, "ann"), Annotator(other, address, "bob")
    ann.enter()
    bob.enter()
    assert ann.shown() != bob.shown()
    for person in (ann, bob):
        person.harmless()
        text = person.page.run("document.body.innerText")
        assert "calls of likely" in text and "3 of 3 models can still win" in text

    # keys work wherever the focus is: on nothing, on a button, on a link
    given = ann.shown()
    ann.page.run("document.querySelector('[data-key=d]').focus()")
    ann.key("r")
    assert ann.page.run("mode") == "raw"
    ann.key("r")
    ann.key("d")
    assert ann.page.run("mode") == "differences"
    assert ann.page.run("document.querySelectorAll('main mark').length") > 0
    ann.harmless()
    ann.key("d")
    assert ann.page.run("mode") == "rendered"
    ann.say(ann.better())
    assert ann.shown() != given
    ann.key("u")
    ann.page.wait(f"!busy && pair.name === {json.dumps(given)}", "undo does not show it again")
    assert not [e for e in read_log(log, pool).given if e.by == "ann"]
    held = bob.shown()
    bob.page.send("Page.reload")  # gives the pair back, and enters again by itself
    bob.page.wait("document.readyState === 'complete' && who === 'bob' && !!pair", "reload")
    assert bob.shown() != given

    # killed in the middle: the page says so, and nothing that was kept is lost
    bob.say(bob.better())
    before = read_log(log, pool)
    assert [e for e in before.given if e.by == "bob"] and held
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    ann.key("1")
    ann.page.wait("document.getElementById('note').textContent.includes('does not answer')", "kill")
    assert ann.shown() == given
    process, address = serve(tmp_path, stop, "--overlap", "1", "--delta", "0.05")
    assert read_log(log, pool).given == before.given
    people = [Annotator(page, address, "ann"), Annotator(other, address, "bob")]
    for person in people:
        person.page.wait("document.getElementById('pair') && (who === '')", "entry")
        person.enter()
    people[0].say(people[0].better())  # so that at least this one is bob's to judge again
    seen = {}
    threads = [
        threading.Thread(target=lambda p=p: seen.update({p.name: judge_all(p, 200)}))
        for p in people
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(seen) == {"ann", "bob"} and all(seen.values())
    for person in people:
        text = person.page.run("document.body.innerText")
        assert "The race is over." in text
        assert "secret" not in person.page.run("document.documentElement.outerHTML")
        assert person.page.run("document.title") != "attacked"
    contents = read_log(log, pool)
    cells = [(e.query, e.model) for e in contents.given]
    assert len(cells) == len(set(cells)) and {e.by for e in contents.given} == {"ann", "bob"}
    found = overlap(contents)
    by_bob = sum("bob" in by for by in contents.opinions.seconds.values())
    assert found.twice == len(contents.opinions.seconds) and found.differ == by_bob > 0
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(60) == 0
    assert "'secret-new' is" in (tmp_path / "printed.txt").read_text()

    # where they differ a third decides, and the race is as it was: the first verdicts were right
    process, address = serve(tmp_path, stop, "--adjudicate")
    cleo = Annotator(page, address, "cleo")
    page.wait("document.getElementById('pair') && (who === '')", "entry")
    cleo.enter()
    assert "This pair was judged before" in page.run("document.body.innerText")
    assert len(judge_all(cleo, 50)) == by_bob
    decided = read_log(log, pool)
    assert overlap(decided).decided == by_bob
    assert {e.by for e in decided.given} >= {"cleo"}
    assert verdict_of(decided).winners == verdict_of(contents).winners == ("secret-new",)
