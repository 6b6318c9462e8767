"""The annotation view: without a browser here, and in a real one in test_widget_browser."""

import dataclasses
import html

import pytest

import llmsel
from llmsel._base.errors import InputError
from llmsel.judging.collect import verdict_of
from llmsel.judging.log import AnnotationLog
from llmsel.judging.person import BUTTONS, AnnotationView
from llmsel.judging.replay import replay
from llmsel.pool import MISSING, Pool

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)> & 'quoted'"


def pool_of(rows, texts=None):
    models = [f"secret-{j}" for j in range(len(rows[0]) - 1)] + ["secret-base"]
    ids = [f"q{i}" for i in range(len(rows))]
    return Pool(ids, models, "secret-base", texts=texts, responses=rows)


@pytest.fixture
def opened(tmp_path):
    logs = []

    def open_view(pool, name="log.jsonl"):
        log = AnnotationLog(tmp_path / name, pool, strategy="Random")
        logs.append(log)
        return AnnotationView(log, "ann", race=False)

    open_view.logs = logs
    yield open_view
    for log in logs:
        log.close()


def page(view):
    return "".join(w.value for w in (view._state, view._text, view._left, view._right, view._note))


def prefer(view, good):
    """Press the button that says the candidate is better, the same, worse."""
    view.press("2" if good == 0 else {1: "1", -1: "3"}[-good if view.flipped else good])


def test_all_text_is_escaped_and_names_are_hidden(opened):
    view = opened(pool_of([[EVIL, "plain"]], texts=[EVIL]))
    shown = page(view)
    assert "<script" not in shown and "<img" not in shown
    assert shown.count("&lt;script&gt;alert(1)") == 2
    assert "secret" not in view._text.value + view._left.value + view._right.value


def test_the_outcome_is_the_candidates_whatever_the_side(opened):
    pool = pool_of([[f"a{i}", f"b{i}", "base"] for i in range(12)])
    view = opened(pool)
    flips = set()
    for i in range(24):
        flips.add(view.flipped)
        side = view._right if view.flipped else view._left
        assert view.group.response in side.value
        prefer(view, (1, 0, -1)[i % 3])
    assert flips == {True, False}
    assert [e.outcome for e in view.log.given] == [(1, 0, -1)[i % 3] for i in range(24)]
    assert {e.order for e in view.log.given} == {"candidate first", "baseline first"}
    assert {e.by for e in view.log.given} == {"ann"}
    assert "Every query is annotated" in page(view)
    assert view.buttons["1"].disabled and not view.buttons["u"].disabled
    view.press("1")  # too late: nothing happens
    assert len(view.log.given) == 24


def test_identical_answers_are_judged_once(opened):
    view = opened(pool_of([["same", "base", "same", "own", "base"]]))
    asked = []
    while view.group is not None:
        asked.append(view.group.models)
        prefer(view, 1)
    assert asked == [("secret-0", "secret-2"), ("secret-3",)]
    row = {e.model: (e.outcome, e.order == "not shown") for e in view.log.given}
    assert row["secret-1"] == (0, True)  # equal to the baseline's
    view.press("u")
    assert view.group.models == ("secret-3",)
    view.press("u")
    assert view.group.models == ("secret-0", "secret-2") and not view.log.given
    view.press("u")
    assert "nothing to undo" in page(view)


def test_skip_is_missing_and_undo_goes_back_over_queries(opened):
    view = opened(pool_of([["a", "base"], ["b", "base"], ["c", "base"]]))
    first = view.query
    view.press("4")
    assert view.log.given[0].outcome == MISSING and view.query != first
    view.press("u")
    assert view.query == first and view.log.session.remaining == 3
    prefer(view, 1)
    assert "1 of 3 queries" in page(view)
    while view.query is not None:  # who leads is said at the end, and not while a person judges
        assert "No certificate" not in page(view) and "secret" not in page(view)
        prefer(view, 1)
    assert "secret-0" in page(view)


def test_keys_do_what_the_buttons_do(opened):
    view = opened(pool_of([["a", "base"], ["b", "base"], ["c", "base"]]))
    view.keys.value = "2"
    assert view.keys.value == "" and view.log.given[0].outcome == 0
    view.keys.value = "x"  # no such key
    view.keys.value = "U"
    assert not view.log.given
    view.buttons["2"].click()
    assert len(view.log.given) == 1
    assert list(BUTTONS) == ["1", "2", "3", "4", "u", "r", "d"]
    before = view.query, len(view.log.given)
    assert "<mark>" not in page(view)
    view.press("d")
    assert page(view).count("<mark>") == 2
    view.press("r")
    assert view.mode == "raw" and "<p>" not in page(view) and "<pre>" in page(view)
    view.press("r")
    assert view.mode == "rendered" and "<p>" in page(view)
    assert (view.query, len(view.log.given)) == before


def test_reopening_shows_the_very_same_pair(opened):
    pool = pool_of([[f"a{i}", f"b{i}", f"b{i}", "base"] for i in range(8)])
    view = opened(pool)
    for i in range(9):
        prefer(view, (i % 3) - 1)
    again = opened(pool)  # the cell is run again: the older view says so
    assert (again.query, again.group, again.flipped) == (view.query, view.group, view.flipped)
    assert again.log.session.best() == replay(again.log.path, pool).best()
    view.press("2")
    assert "is closed" in page(view) and view.buttons["2"].disabled
    prefer(again, 1)
    assert not again._note.value


def test_a_stop_between_two_lines_of_one_click_asks_no_second_time(opened):
    pool = pool_of([["same", "same", "base"], ["x", "y", "base"]])
    view = opened(pool)
    while view.group.models != ("secret-0", "secret-1"):
        prefer(view, 0)
    prefer(view, 1)
    path = view.log.path
    view.log.close()
    lines = path.read_bytes().splitlines(keepends=True)
    cut = next(i for i, line in enumerate(lines) if b'"q0"' in line and b"secret-1" in line)
    path.write_bytes(b"".join(lines[:cut]))
    again = opened(pool)
    assert {e.model: e.outcome for e in again.log.given if e.query == "q0"} == {
        "secret-0": 1,
        "secret-1": 1,
    }


def racing(opened, pool, name, **options):
    log = opened(pool, name).log
    view = AnnotationView(log, "ann", race=llmsel.Race(pool, **options))
    opened.logs.append(view.log)
    return view


def answer(view, outcomes):
    """Press what the outcome of the candidate shown says; -1, 0 or 1 per model."""
    prefer(view, outcomes[view.group.models[0]])


def test_a_race_shows_only_models_that_can_still_win(opened):
    rows = [[f"a{i}", f"b{i}", "same", "same", "base"] for i in range(60)]
    pool = pool_of(rows)
    outcomes = {"secret-0": 1, "secret-1": -1, "secret-2": 0}
    view = racing(opened, pool, "race.jsonl", delta=0.05, seed=3)
    plain = llmsel.Race(pool, delta=0.05, seed=3)
    while tasks := plain.ask():
        asked = tasks[0].models
        assert view.query == tasks[0].query and set(view.group.models) <= set(asked)
        while view.query == tasks[0].query and view.group is not None:
            answer(view, outcomes)
        plain.tell(tasks[0].query, {m: outcomes.get(m, 0) for m in asked})
    assert view.group is None and "The race is over" in page(view)
    held = plain.verdict()
    assert html.escape(held.statement) in page(view) and held.certified
    assert held.calls == len(view.log.given) < 4 * 60 and len(asked) < 4
    view.press("u")
    assert view.group is not None and "The race is over" not in page(view)
    answer(view, outcomes)
    shown = page(view)
    again = opened(pool, "race.jsonl")  # the log knows its race
    assert page(again) == shown
    assert dataclasses.replace(verdict_of(again.log), remarks=()) == held
    with pytest.raises(InputError, match="a race with delta"):
        racing(opened, pool, "race.jsonl", delta=0.2, seed=3)


def test_a_skip_in_a_race_is_given_up_and_can_be_undone(opened):
    view = racing(opened, pool_of([["a", "base"], ["b", "base"], ["c", "base"]]), "race.jsonl")
    first = view.query
    view.press("4")
    assert view.query != first and view.log.given[0].outcome == MISSING
    view.press("u")
    assert view.query == first and not view.log.given


def test_an_empty_answer_and_a_pool_without_answers(opened):
    assert "(an empty answer)" in page(opened(pool_of([["", "base"]])))
    with pytest.raises(InputError, match="has no responses"):
        opened(Pool(["q"], ["a", "b"], "b"), "other.jsonl")
