"""The long version of tests/studies/test_all_pairs.py: races over all pairs by the thousand."""

import os

import numpy as np
import pytest
from helpers.audits import bound
from helpers.pair_tables import HOSTILE, finish, table_of, with_missing, wrong

from llmsel.racing.pairs import Borda, Condorcet

RACES = int(os.environ.get("LLMSEL_RACES", "2000"))


@pytest.mark.torture
@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("size", [20, 60])
@pytest.mark.parametrize("delta", [0.0, 0.05])
@pytest.mark.parametrize("rule", [Condorcet, Borda])
def test_certificates_over_all_pairs_are_rarely_wrong(rule, delta, size, name):
    gaps, bad = HOSTILE[name], 0
    for seed in range(RACES):
        rng = np.random.default_rng([seed, size])
        truth = table_of(gaps, size, 0.1, rng)
        table = truth if seed % 2 else with_missing(truth, rng, outcome=1 - seed % 4)
        options = {"delta": delta, "width": 1 + 3 * (seed % 5), "seed": seed}
        bad += wrong(finish(rule(0.1, 4).begin(size, len(gaps), **options), table), truth, delta)
    print(f"{rule.__name__}, {name}, {size} queries, delta {delta}: {bad} of {RACES} wrong")
    assert bad <= bound(RACES, 0.1)
