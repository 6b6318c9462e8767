"""The same realizations on a cluster: a real local Dask scheduler with two workers."""

import numpy as np
import pytest
from helpers import pools

from llmsel._base.errors import InputError
from llmsel.studies import by_query, reproduce


@pytest.mark.slow
def test_two_dask_workers_give_the_same_bits():
    distributed = pytest.importorskip("distributed", reason="dask[distributed] is not installed")
    pool = pools.simulated(n=40, seed=12)
    options = {"strategies": ["Random", "LLM Selector"], "realizations": 120, "seed": 4}
    here = by_query.run(pool, jobs=1, **options)
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, processes=True
        ) as cluster,
        reproduce.cluster("dask", cluster.scheduler_address),
    ):
        there = by_query.run(pool, jobs=2, **options)
    for name in here.chosen:
        np.testing.assert_array_equal(here.chosen[name], there.chosen[name])


def test_a_backend_that_is_not_installed_is_one_sentence(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(InputError, match=r"backend 'ray' needs a package .* pip install 'ray'"):
        reproduce.cluster("ray", None)
