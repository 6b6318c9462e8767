"""The receipt of the alias experiment: what of it needs no published file."""

import json

import numpy as np
import pandas as pd
import pytest

from llmsel._base.errors import InputError
from llmsel.studies import receipt
from llmsel.studies.official import official_orders

KNOWN = json.loads(receipt.EXPECTED.read_text())


@pytest.mark.parametrize("folder", KNOWN["changed_cells"])
def test_changed_cells_are_counted_as_the_audit_counts(folder):
    changed = receipt.changed_cells(folder, KNOWN["queries"][folder])
    assert changed.sum(axis=(0, 1)).tolist() == KNOWN["changed_cells"][folder]


@pytest.mark.parametrize("queries", KNOWN["first_of_seed_0"])
def test_pools_begin_as_the_audits(queries):
    size = min(400, int(queries))
    first = official_orders(int(queries), size, realizations=1)[0, :4]
    assert first.tolist() == KNOWN["first_of_seed_0"][queries]


@pytest.fixture(scope="module")
def toy():
    return receipt.alias_experiment(receipt.toy(), "toy", seeds=100)


def test_the_toy_vector(toy):
    assert toy.paths[0, 0, :6].tolist() == KNOWN["toy_paths"]["clean"]
    assert toy.paths[1, 0, :6].tolist() == KNOWN["toy_paths"]["refined"]
    said = receipt.summary(toy, "toy")
    assert (said["terminal"], said["cumulative"]) == (-38, 5213)
    assert said["jaccard"] == pytest.approx(0.2761450061158141, abs=1e-12)
    assert (said["set"], said["root"]) == (1.0, 0.82)
    assert said["terminal_mean"] == pytest.approx(-38 / 100 / 800)
    assert said["low"] < said["terminal_mean"] < said["high"] and 0 < said["p"] < 1
    assert toy.near_ties == (0, 0)


def test_refined_answers_on_the_clean_path_are_the_clean_ones(toy):
    np.testing.assert_array_equal(toy.control, toy.regrets[0])
    assert (toy.regrets >= 0).all() and (toy.regrets[1] != toy.regrets[0]).any()


def test_aliases_stand_before_the_baseline_and_never_answer(toy):
    pool = receipt.with_aliases(receipt.toy(20), "toy")
    assert pool.models[-5:] == ("alias 0", "alias 1", "alias 2", "alias 3", "baseline")
    np.testing.assert_array_equal(pool.outcomes[:, 6:10], np.repeat(pool.outcomes[:, :1], 4, 1))
    parent = pool.votes[:, 0]
    changed = receipt.changed_cells("toy", 20)
    for a in range(4):
        alias = pool.votes[:, 6 + a]
        np.testing.assert_array_equal(alias != parent, changed[..., a])
        step = {-1: 0, 0: 1, 1: -1} if a % 2 == 0 else {-1: 1, 1: 0, 0: -1}
        moved = [step[v] for v in parent[changed[..., a]]]
        assert alias[changed[..., a]].tolist() == moved
    assert toy.answers.max() <= 6


def test_what_is_hit_and_what_is_missed_is_told():
    hit = receipt.compare_with_audit("toy")
    assert hit["hit"].all() and len(hit) == 6
    receipt.hold(hit)
    missed = receipt.compare_with_audit("toy", seeds=20)
    with pytest.raises(InputError, match=r"receipt of toy: terminal is .* the audit has -38"):
        receipt.hold(missed)
    with pytest.raises(InputError, match="unknown folder of the receipt 'toi'"):
        receipt.compare_with_audit("toi")


def test_p_and_interval_by_hand():
    assert receipt.sign_flip(np.zeros(4), 1) == 1.0
    assert receipt.bootstrap_interval(np.full(5, 2.0), 1) == (2.0, 2.0)
    assert receipt.sign_flip(np.ones(30), 1) == pytest.approx(1 / 100_001)


def test_the_expected_numbers_agree_with_themselves():
    for folder, numbers in receipt.expected().items():
        if folder == "toy":
            continue
        scale = 2 * min(400, KNOWN["queries"][folder]) * numbers["seeds"]
        assert numbers["terminal"] / scale == pytest.approx(numbers["terminal_mean"], abs=1e-12)
        assert numbers["cumulative"] / scale == pytest.approx(numbers["cumulative_mean"], abs=1e-12)
    assert len(pd.DataFrame(receipt.expected()).columns) == 7


def test_a_matrix_is_loaded_by_its_folder(monkeypatch):
    asked = []
    monkeypatch.setattr(receipt, "load", lambda name: asked.append(name) or receipt.toy(9, 2))
    assert receipt.matrix("medi_qa").n_queries == 9 and asked == ["official:mediqa"]
