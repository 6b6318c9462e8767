"""What the tests of the studies share."""

import pytest
from helpers.pools import simulated


@pytest.fixture(scope="module")
def pool():
    return simulated(n=40, m=6, seed=11)
