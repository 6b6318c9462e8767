"""Damaged logs: each is read, or refused in one sentence; never a traceback."""

import random
from pathlib import Path

import pytest
from helpers.damaged_logs import logs, pool, race_pool, use
from helpers.faults import mutate
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

CORPUS = Path(__file__).parents[1] / "fixtures" / "mutated" / "logs"


@pytest.mark.parametrize("name", sorted(path.name for path in CORPUS.iterdir()))
def test_the_corpus(name, tmp_path):
    """Logs that earlier versions answered with a traceback."""
    path = tmp_path / "log.jsonl"
    path.write_bytes((CORPUS / name).read_bytes())
    use(path, race_pool() if "race" in name else pool())


def test_mutated_logs(tmp_path):
    rng, path = random.Random(1), tmp_path / "log.jsonl"
    begun, read = logs(tmp_path), 0
    for _ in range(250):
        raw, same = rng.choice(begun)
        _, damaged = mutate(raw, rng)
        path.write_bytes(damaged)
        read += use(path, same) == "read"
    print(f"{read} of 250 mutated logs are read, the others are refused in one sentence")
    assert 0 < read < 250


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(tail=st.binary(max_size=200), cut=st.integers(0, 400))
def test_any_bytes_after_any_beginning(tail, cut, tmp_path):
    path = tmp_path / "log.jsonl"
    raw = (Path(__file__).parents[1] / "fixtures" / "logs" / "race.jsonl").read_bytes()
    path.write_bytes(raw[:cut] + tail)
    use(path, race_pool())
