"""Session: the engine with one realization; nothing lost, nothing overstated."""

import html
import re

import numpy as np
import pytest
from helpers import pools

from llmsel._base.errors import InputError
from llmsel.judging.log import AnnotationLog
from llmsel.judging.replay import read_log, replay
from llmsel.racing.elimination import Certified, Heuristic
from llmsel.racing.race import Race
from llmsel.reporting.page import report
from llmsel.session import Session
from llmsel.strategies import STRATEGIES, LLMSelector
from llmsel.studies import by_query


def play(session, pool, steps):
    asked = []
    for _ in range(steps):
        question = session.ask()
        asked.append(question.query)
        session.tell(question.query, pool.row(question.query))
    return asked


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_session_asks_what_the_experiment_chooses(strategy):
    pool = pools.simulated(n=20, seed=2)
    result = by_query.run(pool, [strategy], realizations=1, seed=7, jobs=1)
    asked = play(Session(pool, strategy, seed=7), pool, 20)
    assert asked == [pool.queries[i] for i in result.chosen[strategy][0]]


def test_the_answer_is_exact_when_everything_is_judged():
    pool = pools.simulated(n=20, seed=2)
    session = Session(pool, "LLM Selector", seed=0)
    play(session, pool, 20)
    answer = session.best()
    rates = pool.win_rates()
    assert answer.leaders == tuple(np.array(pool.models)[rates == rates.max()])
    assert answer.low == answer.win_rate == answer.high == pytest.approx(rates.max())
    assert "exact" in answer.statement
    assert sum(answer.belief.values()) == pytest.approx(1)
    with pytest.raises(InputError, match="all 20 queries are annotated"):
        session.ask()


def test_without_a_certificate_the_answer_says_so():
    pool = pools.simulated(n=20, seed=2)
    session = Session(pool, "LLM Selector", seed=0)
    play(session, pool, 5)
    answer = session.best()
    assert "5 of 20 queries" in answer.statement and "No certificate" in answer.statement
    assert "the rest may differ" in answer.statement
    assert answer.low < answer.win_rate <= answer.high
    drawn = Session(pool, "Random", seed=0)
    play(drawn, pool, 5)
    assert (
        "for queries drawn at random. The chance that it is the best of the pool is "
        in drawn.best().statement
    )


def test_undo_goes_back_to_the_very_same_state():
    pool = pools.simulated(n=20, seed=2)
    session, straight = Session(pool, "LLM Selector", seed=0), Session(pool, "LLM Selector", seed=0)
    play(session, pool, 6)
    wrong = session.ask().query
    session.tell(wrong, dict.fromkeys(pool.candidates, 1))
    assert session.undo() == wrong
    play(straight, pool, 6)
    assert session.best() == straight.best()
    assert play(session, pool, 5) == play(straight, pool, 5)


def test_the_order_is_random_unless_a_strategy_is_chosen():
    pool = pools.simulated(n=9, m=3)
    assert Session(pool, rule=Certified()).strategy.name == "Random"
    assert Session(pool, "LLM Selector").strategy.name == "LLM Selector"


def test_asking_twice_gives_the_same_query_with_its_reason():
    session = Session(pools.simulated(seed=3), "LLM Selector", seed=0)
    first = session.ask()
    assert session.ask() == first
    assert "LLM Selector" in first.reason and "open queries" in first.reason
    assert "does not depend" in Session(pools.simulated(seed=3), "Random").ask().reason


def test_a_model_without_judgement_never_leads():
    pool = pools.simulated(n=4, m=2, seed=3)
    session = Session(pool, "LLM Selector", seed=0)
    first, second = pool.candidates
    session.tell("q0", {first: -1})
    assert second not in session.best().leaders


def test_bad_tellings_change_nothing():
    pool = pools.simulated(n=4, m=2, seed=3)
    session = Session(pool, "LLM Selector", seed=0)
    good = pool.candidates[0]
    for query, outcomes, message in [
        ("q9", {}, "unknown query id 'q9'"),
        ("q1", {"modl-0": 1}, "unknown model 'modl-0': did you mean"),
        ("q1", {good: 2}, "is 2; it must be -1 (loss), 0 (draw) or 1 (win)"),
        ("q1", {good: True}, "is True"),
        ("q1", {pool.baseline: 1}, "cannot win or lose against itself"),
    ]:
        with pytest.raises(InputError) as caught:
            session.tell(query, outcomes)
        assert message in str(caught.value)
    assert session.remaining == 4 and not session.history
    with pytest.raises(InputError, match="no query is annotated yet"):
        session.best()
    with pytest.raises(InputError, match="nothing to undo"):
        session.undo()
    session.tell("q1", {good: 1})
    with pytest.raises(InputError, match="annotated already"):
        session.tell("q1", {good: 1})


def test_the_reason_tells_the_expected_information_in_bits():
    pool = pools.simulated(n=20, seed=2)
    session = Session(pool, LLMSelector(0.1, 0.3), seed=0)
    play(session, pool, 3)
    asked, reason = session.ask().query, session.ask().reason
    told, doubt = map(float, re.search(r"tell (\S+) bits of the (\S+) in doubt", reason).groups())
    belief = np.array(list(session.best().belief.values()))
    # the belief shown is the one that chooses, with the strategy's own eps
    assert np.allclose(belief, session.strategy.posterior()[0])
    exact = -(belief * np.log2(belief)).sum()
    assert doubt == pytest.approx(exact, rel=0.05)
    expected = -session.strategy.scores()[0, pool.queries.index(asked)] / np.log(2)
    assert 0 < told == pytest.approx(exact - expected, rel=0.05)


@pytest.mark.parametrize("delta", [0.0, 0.1])
def test_a_random_session_may_stop_with_the_certificate_of_the_race(delta):
    pool = pools.simulated(n=150, m=4, spread=2.0, seed=3)
    session = Session(pool, "Random", seed=4, rule=Certified(), delta=delta)
    race = Race(pool, Certified(), seed=4, delta=delta)
    while tasks := race.ask():
        assert session.ask().query == tasks[0].query
        assert not session.history or "models can still be best" in session.best().statement
        row = pool.row(tasks[0].query)
        session.tell(tasks[0].query, row)
        race.tell(tasks[0].query, {model: row[model] for model in tasks[0].models})
    mine, theirs = session.race_verdict(), race.verdict()
    assert mine.certified and mine.queries == theirs.queries < 150
    assert mine.calls == 4 * mine.queries >= theirs.calls  # a person judges whole rows
    assert (mine.winners, mine.dropped, mine.stop) == (theirs.winners, theirs.dropped, theirs.stop)
    answer = session.best()
    assert answer.certificate == mine and answer.statement.startswith(mine.statement)
    assert "No certificate" not in answer.statement
    session.undo()
    assert not session.race_verdict().certified and "No certificate" in session.best().statement


def test_rows_told_out_of_turn_wait_for_it():
    pool = pools.simulated(n=60, m=4, spread=2.0, seed=3)
    straight = Session(pool, "Random", seed=0, rule=Certified())
    asked = play(straight, pool, 20)
    bent = Session(pool, "Random", seed=0, rule=Certified())
    for query in asked[1:]:
        bent.tell(query, pool.row(query))
    assert not bent.race_verdict().dropped
    bent.tell(asked[0], pool.row(asked[0]))
    assert bent.race_verdict() == straight.race_verdict() and bent.race_verdict().dropped


def test_a_chosen_order_gets_no_certificate():
    pool = pools.simulated(n=60, m=4, spread=2.0, seed=3)
    with pytest.raises(InputError, match="for queries that LLM Selector chooses"):
        Session(pool, "LLM Selector", rule=Certified())
    session = Session(pool, "LLM Selector", seed=0, rule=Heuristic(z=1.0))
    play(session, pool, 40)
    assert session.race_verdict().stop and not session.race_verdict().certified
    assert "by a heuristic rule, without a certificate" in session.best().statement
    assert "No certificate" in session.best().statement
    assert Session(pool, "LLM Selector", seed=0).race_verdict() is None


def test_the_log_keeps_the_stopping_rule(tmp_path):
    pool = pools.simulated(n=150, m=4, spread=2.0, seed=3)
    path = tmp_path / "log.jsonl"
    with AnnotationLog(path, pool, strategy="Random", rule=Certified(0.1), delta=0.1) as log:
        while not log.session.race_verdict().stop:
            query = log.session.ask().query
            log.record(
                query, {m: a for m, a in pool.row(query).items() if m in pool.candidates}, by="a"
            )
        said = log.session.best()
    again = replay(path, pool)
    assert again.best() == said and again.rule == Certified(0.1) and said.certificate.certified
    with pytest.raises(InputError, match=r"was begun with delta 0\.1, not 0\.2"):
        AnnotationLog(path, pool, delta=0.2)
    with pytest.raises(InputError, match="was begun with rule"):
        AnnotationLog(path, pool, rule=Certified(0.05))
    assert said.certificate.statement in html.unescape(report(read_log(path, pool)))


def test_a_seed_is_drawn_unless_it_is_given_and_the_statement_says_which():
    pool = pools.simulated(n=60, m=4, spread=2.0, seed=3)
    drawn = [Session(pool, "Random", rule=Certified()) for _ in range(3)]
    assert len({session.seed for session in drawn}) == 3
    assert all(session.seed_drawn for session in drawn)
    chosen = Session(pool, "Random", seed=drawn[0].seed, rule=Certified())
    assert not chosen.seed_drawn
    assert play(chosen, pool, 5) == play(drawn[0], pool, 5)
    said = [session.race_verdict().statement for session in (drawn[0], chosen)]
    assert "seed" not in said[0] and "seed chosen by the user" in said[1]
    # a seed that changes nothing but ties among chosen queries is not worth a word
    chosen = Session(pool, "LLM Selector", seed=1, rule=Heuristic())
    assert "seed" not in chosen.race_verdict().statement


def test_a_log_remembers_whether_its_seed_was_drawn(tmp_path):
    pool = pools.simulated(n=20, seed=2)
    for name, seed in (("drawn", None), ("chosen", 5)):
        with AnnotationLog(tmp_path / name, pool, strategy="Random", seed=seed) as log:
            assert log.session.seed_drawn == (seed is None)
        again = replay(tmp_path / name, pool)
        assert again.seed_drawn == (seed is None) and again.seed == log.session.seed


def test_an_answer_from_nothing_but_skipped_outcomes_says_so():
    pool = pools.simulated(n=20, seed=2)
    session = Session(pool, "Random", seed=0, rule=Certified())
    for _ in range(3):
        session.tell(session.ask().query, {})
    answer = session.best()
    assert answer.statement.startswith("nothing is judged yet") and answer.leaders == ("model-1",)
    assert "15 judgements missing" in answer.statement and "No certificate" in answer.statement
    assert max(answer.chance.values()) < 0.5


def test_a_baseline_that_leads_is_no_estimate():
    pool = pools.simulated(n=20, seed=2)
    session = Session(pool, "Random", seed=0)
    for _ in range(4):
        session.tell(session.ask().query, dict.fromkeys(pool.candidates, -1))
    answer = session.best()
    assert answer.low == answer.high == answer.win_rate == 0.5
    assert "no candidate wins half" in answer.statement and "interval" not in answer.statement
    assert answer.chance[pool.baseline] > 0.5


def test_missing_outcomes_are_never_called_exact():
    pool = pools.simulated(n=12, seed=2)
    session = Session(pool, "Random", seed=0, rule=Certified())
    for k in range(12):
        row = pool.row(session.ask().query)
        session.tell(session.ask().query, {m: a for m, a in row.items() if k or m != "model-0"})
    answer = session.best()
    assert "exact" not in answer.statement and "1 judgement missing" in answer.statement
    held = session.race_verdict()
    assert held.failed == {"model-0": 1} and held.calls == 59


def test_no_statement_says_that_a_belief_is_certain():
    pool = pools.simulated(n=60, m=3, spread=3.0, seed=5)
    session = Session(pool, LLMSelector(0.1, 0.3), seed=0)
    for _ in range(50):
        first, *rest = pool.candidates
        session.tell(session.ask().query, {first: 1} | dict.fromkeys(rest, -1))
    answer = session.best()
    assert answer.belief[first] > 0.9999 and answer.chance[first] > 0.995
    assert "the best of the pool is over 99%, as a guide" in answer.statement
    assert "over 99%" in session.ask().reason and "100%" not in session.ask().reason
