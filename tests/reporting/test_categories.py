"""Winners by category: found where they are, and wrong no more often than said."""

import numpy as np
import pytest
from helpers.commands import mistake, ok

from llmsel._base.errors import InputError
from llmsel.judging.log import AnnotationLog
from llmsel.judging.replay import read_log
from llmsel.pool import MISSING, Pool
from llmsel.racing.race import Race
from llmsel.reporting.categories import told, winners_by_category

MODELS = ("maths", "prose", "base")


def pool_of(rng, chances, n=150):
    """Queries of each category; chances: category -> chance of a win of each candidate."""
    outcomes, kinds = [], []
    for kind, wins in chances.items():
        draws = rng.random((n, len(wins))) < wins
        outcomes += np.where(draws, 1, -1).tolist()
        kinds += [kind] * n
    table = np.column_stack([outcomes, np.zeros(len(outcomes))]).astype(int)
    return Pool(
        queries=[f"q{i}" for i in range(len(kinds))],
        models=MODELS,
        baseline="base",
        outcomes=table,
        categories=kinds,
    )


@pytest.fixture
def pool():
    chances = {"numbers": (0.95, 0.4), "letters": (0.3, 0.9), "both": (0.7, 0.7)}
    return pool_of(np.random.default_rng(0), chances)


def test_each_category_has_its_own_winner(pool):
    found = winners_by_category(pool)
    assert [each.category for each in found] == ["numbers", "letters", "both"]
    assert [each.winner for each in found] == ["maths", "prose", None]
    assert set(found[2].contenders) >= {"maths", "prose"}
    assert found[0].queries == 150 and found[0].rates["base"] == 0.5
    assert found[0].statement.startswith("numbers (150 queries): 'maths' is the best, with a win")
    assert "may be better" in found[2].statement
    assert "at least 95%" in told(found) and "all 3 lines" in told(found)


def test_the_mix_decides_in_production(pool):
    numbers = winners_by_category(pool, weights={"numbers": 9, "letters": 1})[-1]
    letters = winners_by_category(pool, weights={"numbers": 0, "letters": 3})[-1]
    assert (numbers.category, numbers.winner, letters.winner) == ("the mix", "maths", "prose")
    by_hand = {each.category: each.rates["maths"] for each in winners_by_category(pool)}
    expected = 0.9 * by_hand["numbers"] + 0.1 * by_hand["letters"]
    assert numbers.rates["maths"] == pytest.approx(expected)


def test_a_best_model_is_left_out_no_more_often_than_said():
    """Equal models in four categories: naming any single winner is an error."""
    rng = np.random.default_rng(4)
    wrong = 0
    for _ in range(150):
        chances = {str(kind): (0.5, 0.5) for kind in range(4)}
        found = winners_by_category(pool_of(rng, chances, n=40), alpha=0.2)
        wrong += any({"maths", "prose", "base"} - set(each.contenders) for each in found)
    assert wrong / 150 <= 0.2 + 3 * np.sqrt(0.16 / 150)


def test_queries_that_are_not_judged_whole_are_left_out(pool):
    outcomes = pool.outcomes.copy()
    outcomes[:100, 0] = MISSING
    assert winners_by_category(pool.replace(outcomes=outcomes))[0].queries == 50
    outcomes[:, 0] = MISSING
    with pytest.raises(InputError, match="no query is judged for every model"):
        winners_by_category(pool.replace(outcomes=outcomes))


def test_a_log_of_whole_queries_can_be_asked_and_a_race_cannot(pool, tmp_path):
    bare = pool.hide_outcomes()
    with AnnotationLog(tmp_path / "log.jsonl", bare) as log:
        for query in bare.queries[:10]:
            log.record(query, pool.row(query), by="me")
    (found,) = winners_by_category(read_log(tmp_path / "log.jsonl", bare))
    assert (found.category, found.queries) == ("numbers", 10)
    with AnnotationLog(tmp_path / "race.jsonl", bare) as log:
        log.begin_race(Race(bare).settings)
        with pytest.raises(InputError, match="holds a race"):
            winners_by_category(log.contents)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"number": 1}, "unknown category 'number': did you mean 'numbers'"),
        ({"numbers": -1}, "is -1; give 0 or more"),
        ({"numbers": 0}, "add up to 0"),
    ],
)
def test_weights_that_are_none(pool, weights, message):
    with pytest.raises(InputError, match=message):
        winners_by_category(pool, weights=weights)


def test_the_command(pool, tmp_path):
    file = pool.save(tmp_path / "pool.npz")
    said = ok("categories", "--pool", file, "--weight", "numbers=3", "--weight", "letters=1")
    assert "numbers (150 queries): 'maths' is the best" in said and "the mix (300 queries)" in said
    assert "over all 4 lines together" in said
    assert '"winner": "prose"' in ok("categories", "--pool", file, "--json")
    assert "not of the form" in mistake("categories", "--pool", file, "--weight", "numbers")
    bare = pool.replace(categories=None).save(tmp_path / "bare.npz")
    assert "has no categories" in mistake("categories", "--pool", bare)
