"""The exact test and the interval of pairs."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmsel._base.intervals import betting_interval, mean_interval, sign_test


@pytest.mark.parametrize("n", range(8))
def test_the_sign_test_counts_all_that_could_have_been(n):
    for wins in range(n + 1):
        uneven = abs(2 * wins - n)
        every = [abs(2 * sum(each) - n) for each in product((0, 1), repeat=n)]
        share = sum(each >= uneven for each in every) / len(every)
        assert sign_test(wins, n - wins) == pytest.approx(share, abs=1e-15)


def test_the_sign_test_is_exact_where_floats_end():
    assert sign_test(2000, 0) == 0  # 2 ** -1999 is no float
    assert sign_test(1000, 0) == 2.0**-999
    normal = math.erfc(200 / math.sqrt(10000) / math.sqrt(2))
    assert sign_test(5100, 4900) == pytest.approx(normal, rel=0.03)


@pytest.mark.parametrize("chances", [(0.02, 0.8, 0.18), (0.5, 0.0, 0.5), (0.0, 0.97, 0.03)])
def test_the_interval_misses_no_more_than_it_says(chances):
    """Small samples of lopsided outcomes, where Student's interval promises too much."""
    rng = np.random.default_rng(5)
    mean = float(np.dot(chances, (0, 0.5, 1)))
    samples = rng.choice([0, 0.5, 1], (300, 40), p=chances)
    missed = 0
    for x in samples:
        low, high = betting_interval(x, alpha=0.1)
        missed += not low <= mean <= high
    assert missed / 300 <= 0.1 + 3 * math.sqrt(0.09 / 300)


def test_the_interval_is_not_much_wider_than_students():
    x = np.random.default_rng(1).choice([0, 0.5, 1], 1000, p=[0.2, 0.5, 0.3])
    low, high = betting_interval(x)
    student_low, _, student_high = mean_interval(x)
    assert 1 <= (high - low) / (student_high - student_low) < 1.4


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0, 1), max_size=30))
def test_the_interval_is_one(values):
    low, high = betting_interval(values)
    assert 0 <= low < high <= 1
    if values and len(set(values)) == 1:
        assert low <= values[0] <= high
    mirrored = betting_interval([1 - v for v in values])
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-5)


def test_no_value_says_nothing():
    assert betting_interval([]) == (0, 1)
