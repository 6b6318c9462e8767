"""Groups of queries."""

import pytest

from llmsel._base.errors import InputError
from llmsel.studies import groups as domains
from llmsel.studies import votes as voters


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
