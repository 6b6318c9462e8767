"""Explorers show what the engine does: the same beliefs, capitals and answers."""

import itertools
import json
import re

import pytest
from helpers import pools

import llmsel
from llmsel._base import files
from llmsel._base.errors import InputError
from llmsel.pool import draw_orders
from llmsel.racing.audit import Audit
from llmsel.reporting import explorer
from llmsel.reporting.explorer import courses, film
from llmsel.reporting.explorer.frames import Frame, Panel, Row

MODELS = ["few-shot", "terse", "warm", "penalised", "baseline"]
DEFAULT = explorer.Setting()


@pytest.fixture(scope="module")
def smol():
    return llmsel.load("smol")


@pytest.fixture(scope="module")
def small(smol):
    return explorer.sample(smol, MODELS, 2, seed=0)


@pytest.fixture(scope="module")
def five(smol):
    return explorer.of_models(smol, MODELS)


def texts(frame):
    return [(row.label, row.text, row.tone) for col in frame.columns for p in col for row in p.rows]


# -- a sitting --------------------------------------------------------------------------------


def test_a_sample_holds_as_many_queries_of_each_kind(small):
    assert (small.n_queries, small.models) == (12, tuple(MODELS))
    assert len({query.split("-")[0] for query in small.queries}) == 6


def test_a_sitting_believes_what_a_session_believes(small):
    session = llmsel.Session(small, llmsel.LLMSelector(0.2, 0.3), seed=0)
    last = None
    for moment in explorer.play(small, explorer.Setting(0.2, 0.3)):
        if moment.annotated:
            query = small.queries[moment.annotated[-1]]
            session.tell(query, small.row(query))
            assert list(session.best().belief.values()) == pytest.approx(moment.chance)
        if moment.chosen is not None:
            left = [b for i, b in enumerate(moment.information) if i not in moment.annotated]
            assert moment.information[moment.chosen] == pytest.approx(max(left))
        last = moment
    assert len(last.annotated) == small.n_queries and last.chosen is None


def test_no_candidate_passes_the_baseline_where_a_win_is_as_likely_as_a_draw(small):
    base = small.baseline_index
    for moment in explorer.play(small, DEFAULT):
        assert moment.chance.max() <= moment.chance[base] + 1e-12
    *_, end = explorer.play(small, explorer.Setting(0.2, 0.2))
    assert end.chance.argmax() != base
    *_, end = explorer.play(small, explorer.Setting(baseline=False))
    assert end.chance[base] == 0 and end.chance.sum() == pytest.approx(1)


def test_a_perfect_weak_judge_chooses_otherwise_than_the_k_gram_judges(small):
    *_, own = explorer.play(small, DEFAULT)
    *_, perfect = explorer.play(small, explorer.Setting(accuracy=1.0))
    assert own.annotated != perfect.annotated
    assert own.chance == pytest.approx(perfect.chance)  # all is annotated: the order is past


def test_frames_of_a_sitting_say_what_is_next_and_in_the_end_who_won(small):
    frames = explorer.frames(small, DEFAULT)
    assert len(frames) == 13
    first, *_, last = frames
    (chosen,) = [label for label, _, tone in texts(first) if tone == "next"]
    assert chosen in first.note and "0 of 12" in first.title
    assert "terse won most; belief: baseline" in last.note
    assert not [tone for _, _, tone in texts(last) if tone == "next"]


# -- courses ----------------------------------------------------------------------------------


def test_the_race_shown_is_the_race(five):
    race = llmsel.Race(five, seed=3)
    while tasks := race.ask():
        for task in tasks:
            row = five.row(task.query)
            race.tell(task.query, {model: row[model] for model in task.models})
    verdict = race.verdict()
    frames = list(explorer.course(five, "race", seed=3))
    assert f"{verdict.calls} calls" in frames[-1].title
    assert " and ".join(verdict.winners) in frames[-1].note
    gone = {label for label, _, tone in texts(frames[-1]) if tone == "gone"}
    assert gone == set(five.models) - set(verdict.live)


def test_a_race_that_ends_tied_names_all_that_won():
    outcomes = [[1, 1, 0], [0, 0, 0]]
    pool = llmsel.Pool(["q", "r"], ["a", "b", "base"], "base", outcomes=outcomes)
    frames = list(explorer.race(pool))
    assert frames[-1].note == "Every query is judged: a and b won most."


def test_the_audit_shown_is_the_audit(five):
    rule = Audit(switch="early")
    n = five.n_queries
    played = rule.begin(n, five.n_models, baseline=five.baseline_index, seed=1)
    order = draw_orders(n, n, realizations=1, seed=1)[0]
    while cells := played.ask():
        for place, model in cells:
            played.tell((place, model), int(five.outcomes[order[place], model]))
    frames = list(explorer.audit(five, seed=1, rule=rule))
    assert f"{played.calls} calls" in frames[-1].title
    phases = list(dict.fromkeys(frame.title.split(", ")[1].split(":")[0] for frame in frames))
    assert phases == ["plain", "prune", "champion", "challenge", "over"] or "challenge" in phases
    assert "few-shot" in frames[-1].note or "terse" in frames[-1].note


def test_a_strategy_says_why_and_who_can_still_win(five):
    frames = list(explorer.course(five, "LLM Selector"))
    assert len(frames) == five.n_queries + 1
    assert "expected to tell" in frames[0].note and "bits" in frames[5].note
    assert "can still win" in frames[-1].title and "every query is annotated" in frames[-1].note


def test_of_many_models_those_that_lead_are_shown():
    pool = pools.simulated(m=20)
    frames = list(itertools.islice(explorer.course(pool, "Random"), 5))
    assert {len(frame.columns[0][0].rows) for frame in frames} == {courses.SHOWN}


def test_an_unknown_course_is_told(five):
    with pytest.raises(InputError, match="LLM Selector"):
        next(explorer.course(five, "LLM Selektor"))


def test_a_course_is_thinned_evenly():
    frames = [Frame(str(k), "", ()) for k in range(10)]
    assert [frame.title for frame in explorer.thinned(frames, 4)] == ["0", "3", "6", "9"]
    assert explorer.thinned(frames, 10) == frames
    with pytest.raises(InputError, match="two frames"):
        explorer.thinned(frames, 1)


# -- films ------------------------------------------------------------------------------------


def one(value, label="a<b"):
    return Frame("title", "note", ((Panel("bars", (Row(label, value, f"{value}"),), 2.0),),))


def test_a_player_holds_every_value_of_every_frame_and_escapes_them():
    page = explorer.player({(): [one(1.0), one(2.0)]})
    assert "a&lt;b" in page and "src=" not in page and "href=" not in page
    data = json.loads(re.search(r'<script type="application/json">(.*?)</script>', page)[1])
    (frames,) = data["films"].values()
    assert [[data["values"][k] for k in frame][-1] for frame in frames] == ["note", "note"]
    assert {"1.0", "2.0", "97.0", "194.0"} <= set(data["values"])
    assert explorer.player({(): [one(1.0), one(2.0)]}) == page


def test_frames_of_other_shapes_are_refused():
    with pytest.raises(InputError, match="same panels"):
        explorer.player({(): [one(1.0), Frame("t", "n", ())]})


def test_an_animation_shows_its_frames_one_after_another():
    picture = explorer.animation([one(1.0), one(2.0)], seconds=2)
    assert picture.count('<g class="f"') == 2 and "data-k" not in picture
    assert re.findall(r"animation-delay:(-?\d+)s", picture) == ["-4", "-2"]
    assert "<script" not in picture


# -- widgets ----------------------------------------------------------------------------------


def test_sliders_move_the_picture(small):
    sliders = explorer.Sliders(small)
    before = sliders.shown.value
    sliders.budget.value = 12
    default = sliders.shown.value
    assert default != before and "belief: baseline" in default
    sliders.eps_draw.value = 0.2
    assert "belief: baseline" not in sliders.shown.value
    sliders.baseline.value = False
    assert "left out" in sliders.shown.value
    sliders.accuracy.value = "90 %"
    assert sliders.setting.accuracy == 0.9
    sliders.eps_loss.value = 0.9
    assert "outside the simplex" in sliders.shown.value
    shown = sliders._repr_mimebundle_()
    assert shown["text/html"].startswith('<div class="llmsel-film"')
    assert "application/vnd.jupyter.widget-view+json" in shown


def test_the_explorer_goes_through_any_board():
    view = explorer.Explorer("smol", "race", boards=["smol", "shaberi:gpt-4-turbo"], most=5)
    first = view.shown.value
    view.step.value = 30
    assert view.shown.value != first
    view.step.value = view.step.max
    end = view.shown.value
    assert "with probability at least 95%" in end or "won most" in end
    view.seed.value = 4
    assert view.step.value == 0
    view.course.value = "LLM Selector"
    assert "expected to tell" in view.shown.value
    view.board.value = "shaberi:gpt-4-turbo"
    assert view.course.value in courses.names(llmsel.load("shaberi:gpt-4-turbo"))
    assert film.still(view._frames[0]) == view.shown.value


def test_the_picture_of_the_readme_is_what_the_method_notebook_makes(small):
    picture = (files.FIGURES / "method.svg").read_text(encoding="utf-8")
    assert picture == explorer.animation(explorer.frames(small, DEFAULT))
