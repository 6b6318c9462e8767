"""What experiments paid by query and by call share: random pools, blocks, checkpoints."""

import numpy as np
import pytest
from helpers import pools

from llmsel import strategies
from llmsel._base.errors import InputError
from llmsel.studies import by_call, by_query, protocol
from llmsel.studies.methods.peers import Uniform
from llmsel.studies.methods.racing import Racing

POOL = pools.simulated()
SIZES = {"realizations": 7, "pool_size": 12, "seed": 3, "jobs": 1}


def folder(tmp_path, *contestants, **parameters):
    return protocol.checkpoint_of(tmp_path, parameters, contestants=contestants)


def test_both_kinds_of_experiment_draw_the_same_pools():
    asked = by_query.run(POOL, ["Random"], **SIZES)
    called = by_call.compete(POOL, [Uniform()], **SIZES)
    np.testing.assert_array_equal(asked.orders, called.orders)
    for key in ("benchmark", "realizations", "pool_size", "seed", "input_sha256", "llmsel"):
        assert asked.parameters[key] == called.parameters[key]


def test_a_checkpoint_is_of_one_experiment(tmp_path):
    orders = np.arange(6).reshape(2, 3)
    folders = {
        folder(tmp_path, strategies.Random(), seed=1),
        folder(tmp_path, strategies.Random(), seed=2),
        folder(tmp_path, strategies.MostDraws(), seed=1),
        folder(tmp_path, strategies.LLMSelector(0.1, 0.1), seed=1),
        folder(tmp_path, strategies.LLMSelector(0.1, 0.2), seed=1),
        folder(tmp_path, Uniform(orders), seed=1),
        folder(tmp_path, Uniform(orders[::-1]), seed=1),
    }
    assert len(folders) == 7
    assert folder(tmp_path, Uniform(orders + 0), seed=1) in folders
    assert folder(None) is None


@pytest.mark.parametrize("name", ["by_query", "protocol", "belief", "strategies", "pool", "peers"])
def test_a_checkpoint_is_not_finished_with_other_code(tmp_path, monkeypatch, name):
    (path,) = (path for path in protocol.ENGINE if path.stem == name)
    changed = tmp_path / "changed.py"
    changed.write_bytes(path.read_bytes().replace(b"scores", b"-scores") + b"\n# more")
    before = folder(tmp_path / "runs", seed=1)
    code = tuple(changed if one == path else one for one in protocol.ENGINE)
    monkeypatch.setattr(protocol, "ENGINE", code)
    assert folder(tmp_path / "runs", seed=1) != before


def test_an_interrupted_contest_continues(tmp_path, monkeypatch):
    options = {**SIZES, "realizations": 600, "checkpoint": tmp_path}
    methods = [Racing(), Uniform()]
    whole = by_call.compete(POOL, methods, **{**options, "checkpoint": None})
    real, played = Racing.play, []

    def stop_at_fourth(self, *arguments):
        played.append(1)
        if len(played) == 4:
            raise KeyboardInterrupt
        real(self, *arguments)

    monkeypatch.setattr(Racing, "play", stop_at_fourth)
    with pytest.raises(KeyboardInterrupt):
        by_call.compete(POOL, methods, **options)
    kept = sorted(tmp_path.rglob("*.npz"))
    assert len(kept) == 3
    kept[0].write_bytes(b"torn")
    kept[1].write_bytes(b"")
    again = by_call.compete(POOL, methods, **options)
    assert len(played) == 4 + 12 - 1  # one block of twelve was kept whole
    for name in whole.leaders:
        np.testing.assert_array_equal(whole.leaders[name], again.leaders[name])
        for key, array in whole.ends[name].items():
            np.testing.assert_array_equal(array, again.ends[name][key])
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"checkpoint '.*' cannot be written: Not a directory\."):
        by_query.run(POOL, ["Random"], checkpoint=tmp_path / "file" / "runs", **SIZES)


def test_a_full_disk_costs_the_checkpoint_and_no_work(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(protocol, "write_atomically", full)
    kept = by_query.run(POOL, ["Random"], checkpoint=tmp_path, **SIZES)
    plain = by_query.run(POOL, ["Random"], **SIZES)
    np.testing.assert_array_equal(kept.chosen["Random"], plain.chosen["Random"])


def test_the_number_of_processes_is_a_number(monkeypatch):
    monkeypatch.setenv("LLMSEL_JOBS", "many")
    with pytest.raises(InputError, match="LLMSEL_JOBS is 'many'; give a number of processes"):
        by_query.run(POOL, ["Random"], **{**SIZES, "jobs": None})
    monkeypatch.setenv("LLMSEL_JOBS", "1")
    assert by_query.run(POOL, ["Random"], **{**SIZES, "jobs": None}).budget == 12


def test_a_strategy_typed_into_a_console_has_a_checkpoint_too(tmp_path):
    kind = type("Typed", (strategies.Random,), {"__module__": "__main__", "name": "Typed"})
    again = type("Typed", (strategies.Random,), {"__module__": "__main__", "name": "Typed"})
    assert folder(tmp_path, kind()) == folder(tmp_path, again())
    assert folder(tmp_path, kind()) != folder(tmp_path, strategies.Random())


def test_no_contestant_is_one_sentence():
    with pytest.raises(InputError, match="there is no strategy; give at least one"):
        by_query.run(POOL, [], **SIZES)
