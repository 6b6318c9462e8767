"""Wrong certificates of the audit race on pools made to tempt it; few races on each small pool.

The long version is tests/torture/test_audit_races.py.
"""

import pytest
from helpers.audits import bound, hostile_tables, play, with_baseline

from llmsel.racing.audit import Audit

RACES = 3
QUICK = [one for one in hostile_tables() if one[1].size <= 1500]


@pytest.mark.slow
@pytest.mark.parametrize("switch", ["predicted", "early"])
def test_certificates_are_rarely_wrong_on_hostile_pools(switch):
    """The best models are a query or two ahead, so a careless rule often errs."""
    rule = Audit(switch=switch)
    wrong = {
        name: sum(
            play(with_baseline(table), rule, delta=delta, seed=seed)[1] for seed in range(RACES)
        )
        for name, table, delta in QUICK
    }
    assert sum(wrong.values()) <= bound(RACES * len(QUICK)), wrong
