"""Student's interval against published quantiles and against its own promise."""

import math

import numpy as np
import pytest

from llmsel._base.intervals import betting_interval, mean_interval, t_central, t_quantile
from llmsel.studies import paired

# two-sided 95 % points, from printed tables of Student's t
PUBLISHED = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 9: 2.262, 10: 2.228, 30: 2.042}


@pytest.mark.parametrize(("freedom", "value"), PUBLISHED.items())
def test_quantiles_are_the_published_ones(freedom, value):
    assert t_quantile(0.975, freedom) == pytest.approx(value, abs=5e-4)


@pytest.mark.parametrize("freedom", [1, 2, 3, 8, 99, 1999])
@pytest.mark.parametrize("probability", [0.6, 0.9, 0.975, 0.9995])
def test_the_quantile_inverts_the_distribution(freedom, probability):
    t = t_quantile(probability, freedom)
    angle = math.atan(t / math.sqrt(freedom))
    assert t_central(angle, freedom) == pytest.approx(2 * probability - 1, abs=1e-12)


def test_one_and_two_degrees_have_closed_forms():
    assert t_quantile(0.9, 1) == pytest.approx(math.tan(math.pi * 0.4))
    assert t_quantile(0.9, 2) == pytest.approx(0.8 / math.sqrt(2 * 0.9 * 0.1))


def test_many_degrees_are_nearly_normal():
    assert t_quantile(0.975, 100_000) == pytest.approx(1.959964, abs=5e-5)


def test_the_interval_of_few_values_holds_the_mean_as_often_as_it_says():
    draws = np.random.default_rng(0).normal(3, 2, (4000, 4))
    held = [low <= 3 <= high for low, _, high in map(mean_interval, draws)]
    assert np.mean(held) == pytest.approx(0.95, abs=0.01)
    spread = 1.96 * draws.std(axis=1, ddof=1) / 2
    normal = np.abs(draws.mean(axis=1) - 3) <= spread
    assert normal.mean() < 0.88  # what 1.96 would have done


def test_ends_middle_and_coverage():
    low, mean, high = mean_interval([1, 2, 3])
    assert (mean, high - mean) == (2, pytest.approx(4.302653 / math.sqrt(3)))
    assert mean - low == pytest.approx(high - mean)
    wide = mean_interval([1, 2, 3], coverage=0.99)
    assert wide[0] < low and wide[2] > high
    assert mean_interval([5, 5]) == (5, 5, 5)


def test_one_value_has_no_interval():
    low, mean, high = mean_interval([2.0])
    assert mean == 2 and math.isnan(low) and math.isnan(high)


def test_ablations_use_it():
    values = np.array([0.1, 0.4, -0.2, 0.3])
    assert paired.mean_interval(values) == mean_interval(values)


def test_values_drawn_from_few_tell_more():
    rng = np.random.default_rng(1)
    whole = np.where(rng.random(60) < 0.9, 1.0, 0.0)
    missed, narrow, wide = 0, [], []
    for _ in range(200):
        values = rng.permutation(whole)[:45]
        low, high = betting_interval(values, total=60)
        missed += not low <= whole.mean() <= high
        narrow.append(high - low)
        wide.append(np.subtract(*betting_interval(values)[::-1]))
    assert missed <= 18  # 10 expected at most; more in 1 of 100 tests
    assert np.mean(narrow) < 0.6 * np.mean(wide)
    assert betting_interval(whole, total=60) == (whole.mean(), whole.mean())
    assert betting_interval([], total=60) == (0, 1)
    assert betting_interval([1.0, 0.0, 0.0], total=4)[0] <= 0.25  # the rest may be 0
    # of very many, drawing without replacement is nothing else
    assert betting_interval(values, total=10**9) == pytest.approx(
        betting_interval(values), abs=1e-5
    )
