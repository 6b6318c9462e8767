"""Audit races on hostile pools, 2,000 on each: no more wrong certificates than alpha allows."""

import numpy as np
import pytest
from helpers.audits import bound, hostile_tables, play, with_baseline
from helpers.share import sized

from llmsel.racing.audit import Audit

RACES = sized(2000)
POOLS = {name: (with_baseline(table), delta) for name, table, delta in hostile_tables()}


@pytest.mark.torture
@pytest.mark.slow
@pytest.mark.parametrize("name", POOLS)
def test_no_more_wrong_certificates_than_alpha_allows(name, capsys):
    table, delta = POOLS[name]
    runs = [play(table, Audit(), delta=delta, seed=seed) for seed in range(RACES)]
    wrong = sum(off for _, off in runs)
    with capsys.disabled():
        calls = np.mean([share for share, _ in runs])
        print(f"\n{name}: {RACES} races, {calls:.1%} of the calls, {wrong} wrong")
    assert wrong <= bound(RACES)
