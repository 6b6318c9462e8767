"""Every signature of failure: a constructed pool that shows it, and one that does not."""

import numpy as np
import pytest
from helpers.pools import simulated

import llmsel
from llmsel._base.errors import InputError
from llmsel.belief import Belief
from llmsel.pool import MISSING, Pool
from llmsel.studies.diagnose import CHECKS, OK, WARN, diagnose


def outcomes_of(columns):
    """Pool of candidates with the given columns of outcomes; the baseline comes last."""
    table = np.array([*columns, np.zeros(len(columns[0]))], dtype=np.int8).T
    models = [f"candidate-{j}" for j in range(len(columns))] + ["base"]
    return Pool([f"q{i}" for i in range(len(table))], models, "base", outcomes=table)


def verdict(pool, check, strategy="LLM Selector", pool_size=None, realizations=60, **options):
    result = llmsel.run(pool, [strategy], realizations=realizations, pool_size=pool_size, jobs=1)
    return diagnose(result, **options).set_index("check").loc[check]


def test_the_table_has_one_row_per_check():
    table = diagnose(
        llmsel.run(simulated(), ["LLM Selector", "Random"], realizations=5, pool_size=12, jobs=1)
    )
    assert tuple(table["check"]) == CHECKS
    assert list(table.columns) == ["check", "number", "threshold", "verdict", "advice"]
    assert set(table["verdict"]) <= {OK, WARN}
    assert ((table["advice"] == "") == (table["verdict"] == OK)).all()


def test_flat_curve():
    # half of the queries are all draws; a judge that knows them lets the selector skip them
    rng = np.random.default_rng(1)
    outcomes = rng.choice([-1, 1], (80, 6)).astype(np.int8)
    outcomes[:, 1] = rng.choice([-1, 1, 1, 1], 80)
    outcomes[:50] = 0
    outcomes[:, 0] = 0
    models = ["base", *"abcde"]
    good = Pool([f"q{i}" for i in range(80)], models, "base", outcomes=outcomes)
    votes = outcomes[:, :, None]
    knows = verdict(good.replace(votes=votes), CHECKS[0], pool_size=60)
    assert knows.verdict == OK and knows.number > 0.05
    same = np.zeros_like(votes)  # judges that say the same of every query
    flat = verdict(good.replace(votes=same), CHECKS[0], pool_size=60)
    assert flat.verdict == WARN and flat.number == 0


@pytest.mark.parametrize(("best", "expected"), [(-1, WARN), (1, OK)])
def test_baseline_dominance(best, expected):
    pool = outcomes_of([[-1] * 8, [best] * 3 + [0, -1, -1, 0, 0]])
    found = verdict(pool, CHECKS[1], "Random")
    assert found.verdict == expected
    assert ("'base'" in found.advice) == (expected == WARN)


def test_posterior_collapse():
    # candidate-0 wins on the ten queries that are asked first and loses on all others
    first = [1] * 10 + [-1] * 40
    pool = outcomes_of([first, [-1] * 10 + [1] * 40])
    order = np.arange(50, dtype=np.int32)[None].repeat(3, axis=0)
    result = llmsel.run(pool, ["Random"], realizations=3, jobs=1)
    asked_first = llmsel.Result(pool, order, {"Random": order}, result.parameters)
    found = diagnose(asked_first, belief=Belief(0.2, 0.2)).set_index("check").loc[CHECKS[2]]
    assert found.verdict == WARN
    assert found.number == pytest.approx(30 / 40)  # from the 21st annotation on it trails
    steady = outcomes_of([[1] * 50, [-1] * 50])
    assert verdict(steady, CHECKS[2], "Random", belief=Belief(0.2, 0.2)).verdict == OK
    # with the default eps a win is as likely as a draw, so no candidate passes the baseline: what
    # the belief is certain of is the baseline, however many queries the candidates win
    mixed = outcomes_of([[1, 1, 1, -1, -1] * 20] * 2)
    assert verdict(mixed, CHECKS[2], "Random").verdict == WARN
    unsure = outcomes_of([[0, 1] * 25, [1, 0] * 25])  # changes its leader, but is never certain
    assert verdict(unsure, CHECKS[2], "Random").number == 0


def test_high_variance():
    rng = np.random.default_rng(2)
    noise = outcomes_of(rng.choice([-1, 1], (8, 100)))
    found = verdict(noise, CHECKS[3], "Random", pool_size=30)
    assert found.verdict == WARN and "tell any candidates apart" in found.advice
    clear = outcomes_of([[1] * 100, *rng.choice([-1, 0], (7, 100))])
    assert verdict(clear, CHECKS[3], "Random", pool_size=30).number == 0
    assert verdict(clear, CHECKS[3], "Random", realizations=1).number == 0


@pytest.mark.parametrize("responses", [True, False])
def test_near_duplicates(responses):
    pool = simulated(n=40, m=5, seed=7)
    if not responses:
        pool = pool.replace(responses=None)
    assert verdict(pool, CHECKS[4]).verdict == OK
    first, second = pool.candidates[1], pool.candidates[3]
    fields = {}
    for field in ("responses", "votes", "outcomes"):
        array = getattr(pool, field)
        if array is not None:
            array = array.copy()
            array[:30, pool.models.index(second)] = array[:30, pool.models.index(first)]
            fields[field] = array
    found = verdict(pool.replace(**fields), CHECKS[4])
    assert found.verdict == WARN and found.number >= 30 / 40
    assert f"'{first}' and '{second}'" in found.advice


def test_near_duplicates_need_two_candidates():
    assert verdict(outcomes_of([[1, 0, 1]]), CHECKS[4], "Random").number == 0


@pytest.mark.parametrize(
    ("judge", "expected"), [("GPT-4 (alpaca_eval)", WARN), ("a person", OK), ("", OK)]
)
def test_judge_equal_to_a_candidate(judge, expected):
    pool = Pool(["q"], ["gpt4", "vicuna", "base"], "base", outcomes=[[1, -1, 0]])
    found = verdict(pool, CHECKS[5], "Random", judge=judge)
    assert found.verdict == expected and ("'gpt4'" in found.advice) == (expected == WARN)
    noted = pool.replace(notes={"oracle": judge})
    assert verdict(noted, CHECKS[5], "Random").verdict == expected


def test_unjudged_cells_are_legal():
    pool = simulated(seed=3)
    outcomes = pool.outcomes.copy()
    outcomes[::2, (pool.baseline_index + 1) % 6] = MISSING
    table = diagnose(
        llmsel.run(
            pool.replace(outcomes=outcomes), ["Random"], realizations=5, pool_size=12, jobs=1
        )
    )
    assert np.isfinite(table["number"]).all()


def test_unknown_strategy():
    result = llmsel.run(simulated(), ["Random"], realizations=2, pool_size=5, jobs=1)
    with pytest.raises(InputError, match="unknown strategy 'Randm': did you mean 'Random'"):
        diagnose(result, "Randm")


def test_a_session_shows_the_checks_that_one_decision_allows():
    pool = simulated(n=12, seed=5).replace(notes={"judge": "model-1"})
    session = llmsel.Session(pool, "Random")
    with pytest.raises(InputError, match="nothing to diagnose"):
        diagnose(session)
    for _ in range(6):
        query = session.ask().query
        session.tell(query, pool.row(query))
    table = diagnose(session)
    assert tuple(table["check"]) == (CHECKS[1], CHECKS[2], CHECKS[4], CHECKS[5])
    best = max(
        np.delete(
            session.pool.replace(outcomes=pool.outcomes).win_rates(
                np.array([pool.queries.index(q) for q, _ in session.history])
            ),
            pool.baseline_index,
        )
    )
    assert table["number"][0] == pytest.approx(best)
    assert table["verdict"].iloc[-1] == WARN
