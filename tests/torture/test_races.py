"""7,200 races with failing judgements: no untrue certificate beyond alpha."""

import numpy as np
import pytest
from helpers.failing import FAILURES, run
from helpers.pools import simulated
from helpers.share import sized

from llmsel.benchmarks.simulated import adversarial_pools
from llmsel.racing.elimination import Certified

ALPHA = 0.05
RACES = sized(200)  # of each of 9 kinds of failure, 2 margins and 2 kinds of pool: 7,200


def pools(kind, count):
    if kind == "plain":
        return [simulated(n=50, m=5, spread=0.4, seed=seed) for seed in range(count)]
    hostile = list(adversarial_pools(50, 5).values())
    return [hostile[k % len(hostile)] for k in range(count)]


@pytest.mark.torture
@pytest.mark.slow
@pytest.mark.parametrize("delta", [0.0, 0.05])
@pytest.mark.parametrize("pool_kind", ["plain", "hostile"])
@pytest.mark.parametrize("kind", FAILURES)
def test_no_untrue_certificate_beyond_alpha(kind, pool_kind, delta, capsys):
    wrong = certified = 0
    for seed, pool in enumerate(pools(pool_kind, RACES)):
        rng = np.random.default_rng([seed, FAILURES.index(kind)])
        found, best = run(pool, kind, rng, rule=Certified(ALPHA), seed=seed, delta=delta)
        certified += found.certified
        wrong += found.certified and not set(found.winners) <= best
    with capsys.disabled():
        print(
            f"\n{kind}, {pool_kind} pools, delta {delta}: "
            f"{RACES} races, {certified} certified, {wrong} untrue"
        )
    assert wrong <= ALPHA * RACES + 2 * np.sqrt(ALPHA * (1 - ALPHA) * RACES)
