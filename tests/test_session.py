"""Session: the engine with one realization; nothing lost, nothing overstated."""

import numpy as np
import pools
import pytest

from llmsel import experiment
from llmsel.errors import InputError
from llmsel.session import Session
from llmsel.strategies import STRATEGIES


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
    result = experiment.run(pool, [strategy], realizations=1, seed=7, jobs=1)
    asked = play(Session(pool, strategy, seed=7), pool, 20)
    assert asked == [pool.queries[i] for i in result.chosen[strategy][0]]


def test_the_answer_is_exact_when_everything_is_judged():
    pool = pools.simulated(n=20, seed=2)
    session = Session(pool)
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
    session = Session(pool)
    play(session, pool, 5)
    answer = session.best()
    assert "5 of 20 queries" in answer.statement and "No certificate" in answer.statement
    assert "the rest may differ" in answer.statement
    assert answer.low < answer.win_rate <= answer.high
    drawn = Session(pool, "Random")
    play(drawn, pool, 5)
    assert "for queries drawn at random. No certificate." in drawn.best().statement


def test_undo_goes_back_to_the_very_same_state():
    pool = pools.simulated(n=20, seed=2)
    session, straight = Session(pool), Session(pool)
    play(session, pool, 6)
    wrong = session.ask().query
    session.tell(wrong, dict.fromkeys(pool.candidates, 1))
    assert session.undo() == wrong
    play(straight, pool, 6)
    assert session.best() == straight.best()
    assert play(session, pool, 5) == play(straight, pool, 5)


def test_asking_twice_gives_the_same_query_with_its_reason():
    session = Session(pools.simulated(seed=3))
    first = session.ask()
    assert session.ask() == first
    assert "LLM Selector" in first.reason and "open queries" in first.reason
    assert "does not depend" in Session(pools.simulated(seed=3), "Random").ask().reason


def test_a_model_without_judgement_never_leads():
    pool = pools.simulated(n=4, m=2, seed=3)
    session = Session(pool)
    first, second = pool.candidates
    session.tell("q0", {first: -1})
    assert second not in session.best().leaders


def test_bad_tellings_change_nothing():
    pool = pools.simulated(n=4, m=2, seed=3)
    session = Session(pool)
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
