"""Agreement of two judges, against values by hand and a literal version."""

import itertools

import numpy as np
import pytest

from llmsel._base.errors import InputError
from llmsel.judging.agreement import agreement
from llmsel.pool import MISSING


def cells_of(table, per_query=1):
    """Two judges whose verdicts fall as a 3 x 3 table says; so many comparisons on each query."""
    pairs = [
        (a, b)
        for a, b in itertools.product((-1, 0, 1), repeat=2)
        for _ in range(table[a + 1][b + 1])
    ]
    names = [(f"q{i // per_query}", f"m{i % per_query}") for i in range(len(pairs))]
    return ({n: p[k] for n, p in zip(names, pairs, strict=True)} for k in (0, 1))


def literal_kappa(one, two, weigh):
    """Straight from the definition: disagreement seen over that of every pair of verdicts."""
    common = [cell for cell in one if cell in two]
    seen = [weigh(one[cell], two[cell]) for cell in common]
    expected = [weigh(one[cell], two[other]) for cell in common for other in common]
    return 1 - np.mean(seen) / np.mean(expected)


def test_kappa_by_hand():
    # 100 comparisons, 75 alike; 0.3 * 0.25 + 0.3 * 0.35 + 0.4 * 0.4 = 0.34 would be by chance
    found = agreement(*cells_of([[20, 10, 0], [5, 20, 5], [0, 5, 35]]))
    assert (found.cells, found.queries) == (100, 100)
    assert found.share == pytest.approx(0.75)
    assert found.kappa == pytest.approx((0.75 - 0.34) / (1 - 0.34))
    # linear: 25 half disagreements are 0.125; by chance, neighbours count half and ends whole
    expected = 0.5 * (0.3 * 0.35 + 0.3 * 0.25 + 0.3 * 0.4 + 0.4 * 0.35) + 0.3 * 0.4 + 0.4 * 0.25
    assert found.weighted == pytest.approx(1 - 0.125 / expected)
    assert "agree on 75 of 100 common comparisons (75%" in found.statement


def test_kappa_is_the_literal_one():
    rng = np.random.default_rng(3)
    for _ in range(20):
        names = [(f"q{i}", f"m{j}") for i in range(12) for j in range(3)]
        one = {n: int(v) for n, v in zip(names, rng.integers(-1, 2, 36), strict=True)}
        two = {n: int(v) for n, v in zip(names, rng.integers(-1, 2, 36), strict=True)}
        for name in names[:: int(rng.integers(5, 9))]:
            del two[name]
        found = agreement(one, two)
        assert found.kappa == pytest.approx(literal_kappa(one, two, lambda a, b: a != b))
        assert found.weighted == pytest.approx(literal_kappa(one, two, lambda a, b: abs(a - b)))


def test_intervals_are_over_queries_and_not_over_cells():
    table = [[20, 10, 0], [5, 20, 5], [0, 5, 35]]
    alone = agreement(*cells_of(table))
    one, two = cells_of(table)
    # the same verdicts on four models each: four times the cells, and nothing more is known
    again = [
        {(q, f"m{j}"): v for (q, _), v in each.items() for j in range(4)} for each in (one, two)
    ]
    many = agreement(*again)
    assert many.cells == 400 and many.queries == 100
    for field in ("share", "kappa", "weighted"):
        assert getattr(many, field) == pytest.approx(getattr(alone, field))
        assert getattr(many, f"{field}_interval") == pytest.approx(
            getattr(alone, f"{field}_interval")
        )
    low, high = alone.kappa_interval
    assert low < alone.kappa < high and 0.15 < high - low < 0.4


def test_intervals_cover_the_truth():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(
        200
    ):  # the second errs on 1 in 4, by the truth kappa 2/3: 3/4 alike, 1/3 by chance
        truth = rng.integers(-1, 2, 60)
        said = np.where(rng.random(60) < 1 / 3, rng.integers(-1, 2, 60), truth)
        names = [(f"q{i}", "m") for i in range(60)]
        pair = (dict(zip(names, each.tolist(), strict=True)) for each in (truth, said))
        low, high = agreement(*pair, samples=300).kappa_interval
        covered += low <= 2 / 3 <= high
    assert covered >= 178  # 89 %; of 95 %, fewer happen in 1 of 2000 tests


def test_nothing_in_common_is_said():
    found = agreement({("q1", "a"): 1}, {("q1", "b"): 1}, names=("anna", "gpt"))
    assert (found.cells, found.share, found.kappa, found.weighted) == (0, None, None, None)
    assert found.statement.startswith("'anna' and 'gpt' judged no comparison in common")
    missing = agreement({("q1", "a"): MISSING}, {("q1", "a"): 1})
    assert missing.cells == 0


def test_one_verdict_for_all_has_no_kappa():
    same = {(f"q{i}", "a"): 1 for i in range(30)}
    found = agreement(same, same)
    assert (found.share, found.kappa, found.weighted) == (1.0, None, None)
    assert found.share_interval is None and "kappa is undefined" in found.statement
    # one judge who says one thing, and another who does not: no better than chance
    other = {**same, ("q0", "a"): -1}
    assert agreement(same, other).kappa == 0


def test_what_cannot_be_told_has_no_interval():
    few = agreement(*cells_of([[2, 0, 0], [0, 0, 1], [0, 0, 2]]))
    assert few.kappa is not None and few.kappa_interval is None
    assert "no interval: fewer than 10 queries" in few.statement
    always = agreement(*cells_of([[10, 0, 0], [0, 0, 0], [0, 0, 10]]))
    assert always.kappa == 1 and always.kappa_interval is None
    assert "no interval: too little variety" in always.statement
    for found in (few, always):
        assert "nan" not in found.statement.lower()


def test_another_outcome_is_refused():
    with pytest.raises(InputError, match="model 'a' on query 'q1' is 2; it must be"):
        agreement({("q1", "a"): 2}, {("q1", "a"): 1})
