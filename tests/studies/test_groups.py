"""Groups of queries."""

import numpy as np
import pytest
from helpers.pools import simulated

from llmsel._base.errors import InputError
from llmsel.studies import groups as domains
from llmsel.studies import votes as voters

PROTOCOL = {"realizations": 20, "pool_size": 16, "jobs": 1}


@pytest.fixture(scope="module")
def pool():
    return simulated(n=40, m=6, seed=11)


def candidates(pool, array):
    return np.delete(array, pool.baseline_index, axis=1)


@pytest.mark.parametrize(
    ("category", "kind"),
    [
        ("coding", "code"),
        ("Advanced Algebra and Number Theory", "mathematics"),
        ("puzzles", "reasoning"),
        ("roleplay", "text"),
        ("Guitar Chord Theory", "text"),
    ],
)
def test_kinds_by_the_name_of_the_category(category, kind):
    assert domains.kind_of(category) == kind


def test_groups_are_measured_alone_and_together(pool):
    groups = ("easy",) * 25 + ("hard",) * 12 + ("rare",) * 3
    table = domains.by_group(pool, groups, permutations=2, realizations=5, jobs=1)
    assert table["group"].tolist() == ["easy", "hard", "all"]
    assert table["queries"].tolist() == [25, 12, 40]
    assert (table["shuffles"] == 2).all()
    everything = table.iloc[2]
    assert everything["kappa"] == pytest.approx(voters.agreement(pool)["kappa"].mean())
    assert (table["kappa_low"] <= table["kappa"]).all()
    assert domains.kinds(pool.replace(name="humaneval")) == ("code",) * 40
    with pytest.raises(InputError, match="no categories"):
        domains.kinds(pool)
