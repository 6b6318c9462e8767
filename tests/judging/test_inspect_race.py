"""A race in a real Inspect evaluation, with its mock model."""

import asyncio
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.inspect_python import evaluated

from llmsel._base.errors import InputError
from llmsel.judging.inspect_race import Challenge

SCRIPT = Path(__file__).parents[1] / "helpers" / "inspect_eval.py"


def log_of(path, values, model="shipped", epochs=1):
    """An Inspect log with these scores of samples 0, 1, ..."""
    samples = [
        {"id": i, "epoch": e + 1, "scores": {"match": {"value": v}}}
        for i, v in enumerate(values)
        for e in range(epochs)
    ]
    path.write_text(json.dumps({"eval": {"model": model, "task": "t"}, "samples": samples}))
    return path


def score(value):
    return {"match": SimpleNamespace(score=SimpleNamespace(value=value))}


def drive(challenge, values, finish_order=None, lost=()):
    """Run the protocol as Inspect does, all samples scheduled at once; return those completed."""
    names = list(range(len(values)))

    async def run():
        samples = [SimpleNamespace(id=i) for i in names]
        assert await challenge.start_task(None, samples, 1) == "llmsel"
        for i in finish_order if finish_order is not None else names:
            if i not in lost:
                await challenge.complete_sample(i, 1, score(values[i]))
        return await challenge.complete_task()

    return asyncio.run(run())


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_completion_changes_nothing(tmp_path, seed):
    rng = np.random.default_rng(seed)
    base, mine = rng.integers(0, 2, (2, 80)).tolist()
    path = log_of(tmp_path / "log.json", base)
    orders = [None, sorted(range(80), key=lambda i: -mine[i]), rng.permutation(80).tolist()]
    said = [drive(Challenge(path, seed=seed), mine, order) for order in orders]
    assert said[0] == said[1] == said[2]
    better = np.sign(sum(mine) - sum(base))
    if said[0]["certified"] and better:
        assert said[0]["winners"] == ["challenger" if better > 0 else "shipped"]


def test_samples_without_a_score_are_missing_and_never_draws(tmp_path):
    path = log_of(tmp_path / "log.json", ["I"] * 30)
    found = drive(Challenge(path), ["C"] * 30, lost=range(30))
    assert not found["certified"] and found["samples"] == 0
    path = log_of(tmp_path / "log.json", [None] * 30)
    assert drive(Challenge(path), ["C"] * 30)["samples"] == 0


def test_mistakes(tmp_path):
    path = log_of(tmp_path / "log.json", [1, 0])
    with pytest.raises(InputError, match="has not begun"):
        Challenge(path).verdict()
    with pytest.raises(InputError, match="unknown sample in the log of the baseline '2'"):
        drive(Challenge(path), [1, 0, 1])
    challenge = Challenge(path)
    drive(challenge, [1, 0])
    with pytest.raises(InputError, match="for one evaluation"):
        drive(challenge, [1, 0])
    with pytest.raises(InputError, match="unknown scorer 'match'"):
        asyncio.run(Challenge(path).complete_sample(0, 1, {"other": None}))
    log_of(tmp_path / "other.json", [1], model="other")
    with pytest.raises(InputError, match="not the log of one model on one task"):
        Challenge(tmp_path)


def test_samples_are_stopped_once_it_is_decided_and_not_before(tmp_path, monkeypatch):
    """The two names of Inspect that are used, as stand-ins: the real ones are tested below."""
    kept = SimpleNamespace(EarlyStop=lambda **given: given)
    monkeypatch.setitem(sys.modules, "inspect_ai", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "inspect_ai.util", kept)
    made = SimpleNamespace(MemoryDataset=lambda samples, name: samples)
    monkeypatch.setitem(sys.modules, "inspect_ai.dataset", made)

    class Dataset(list):
        name = "d"

    samples = [SimpleNamespace(id=i) for i in range(60)]
    challenge = Challenge(log_of(tmp_path / "log.json", ["I"] * 60), seed=2)
    arranged = challenge.arrange(Dataset(samples))
    assert sorted(s.id for s in arranged) == list(range(60)) and arranged != samples

    async def run():
        await challenge.start_task(None, samples, 1)
        count = 0
        for each in arranged:
            if (stop := await challenge.schedule_sample(each.id, 1)) is not None:
                assert stop == {"id": each.id, "epoch": 1, "reason": "the race is decided"}
                return count
            await challenge.complete_sample(each.id, 1, score("C"))
            count += 1
        return count

    count = asyncio.run(run())
    said = challenge.verdict()
    assert said.certified and said.winners == ("challenger",) and said.calls == count < 60


def test_without_inspect_one_is_told_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "inspect_ai.dataset", None)
    with pytest.raises(InputError, match="pip install inspect_ai"):
        Challenge(log_of(tmp_path / "log.json", [1])).arrange([])


def evaluate(folder, share, n, epochs=1):
    """Run the real thing, with a challenger that is right on this share of its samples."""
    return evaluated(SCRIPT, folder / "logs", share, n, epochs, cwd=folder)


@pytest.mark.slow
@pytest.mark.parametrize(("share", "winner"), [(0.9, "challenger"), (0.1, "mockllm/model")])
def test_an_evaluation_stops_when_it_is_decided(tmp_path, share, winner):
    found = evaluate(tmp_path, share, 200)
    assert found["certified"] and found["winners"] == [winner]
    assert found["manager"] == "llmsel" and found["metadata"]["statement"] == found["statement"]
    assert 0 < found["stopped"] < 190
    run = 200 - found["stopped"]
    assert found["calls"] <= run <= found["calls"] + 8  # eight at a time


@pytest.mark.slow
def test_epochs_count_once(tmp_path):
    found = evaluate(tmp_path, 1, 20, epochs=2)
    assert found["calls"] <= 20 and set(found["winners"]) == {"challenger", "mockllm/model"}
