"""10,000 damaged files for each reader of answers: read, or refused in one sentence."""

from random import Random

import pytest
from helpers.readers import FILES, reads_or_tells, spoil
from helpers.share import sized

pytestmark = pytest.mark.torture
COUNT = sized(10_000)


@pytest.mark.parametrize("name", FILES)
def test_ten_thousand_damaged_files(name, tmp_path):
    read = sum(reads_or_tells(name, spoil(name, Random(seed)), tmp_path) for seed in range(COUNT))
    print(f"\n{name}: {COUNT} damaged files: {read} read, {COUNT - read} told, no traceback")
