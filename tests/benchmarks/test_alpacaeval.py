"""The AlpacaEval importer: a small invented file of the same format, and the real files."""

import warnings

import pytest

from llmsel._base.errors import InputError
from llmsel.benchmarks import alpacaeval
from llmsel.pool import MISSING
from llmsel.weak_judges import add_votes

BASE = alpacaeval.BASELINE


def record(query, model, preference, response="mine", base_first=True, base="base"):
    sides = [(BASE, base), (model, response)]
    first, second = sides if base_first else sides[::-1]
    return {
        "instruction": query,
        "generator_1": first[0],
        "output_1": first[1],
        "generator_2": second[0],
        "output_2": second[1],
        "dataset": "invented",
        "preference": preference,
    }


def test_preferences_become_outcomes_by_the_documented_rule():
    cases = [(1, -1), (2, 1), (1.5, 0), (0, 0), (None, MISSING), (1.04, -1), (1.9, 1), (1.4, 0)]
    for preference, expected in cases:
        assert alpacaeval.outcome(preference, baseline_first=True) == expected
        turned = expected if expected == MISSING else -expected
        assert alpacaeval.outcome(preference, baseline_first=False) == turned
    with pytest.raises(InputError, match=r"preference 2\.3 is outside"):
        alpacaeval.outcome(2.3, True)


def test_records_become_a_pool_and_what_is_odd_is_counted():
    records = {
        "m1": [record("a", "m1", 2), record("b", "m1", None, base_first=False)],
        "m2": [record("b", "m2", 0, ""), record("a", "m2", 1.0, base="other")],
    }
    pool = alpacaeval.assemble(records)
    assert pool.models == ("m1", "m2", BASE) and pool.texts == ("a", "b")
    assert pool.outcomes.tolist() == [[1, -1, 0], [MISSING, 0, 0]]
    assert pool.responses.tolist() == [["mine", "mine", "base"], ["mine", "", "base"]]
    assert pool.notes["preferences that are not 1, 1.5 or 2"] == {"None": 1, "0": 1}
    assert pool.notes["cells where the baseline's response differs from the first file's"] == 1


def test_a_join_mismatch_is_loud():
    records = {"m1": [record("a", "m1", 2)], "m2": [record("c", "m2", 1)]}
    with pytest.raises(InputError, match="the file of 'm2' does not hold the 1 queries of 'm1'"):
        alpacaeval.assemble(records)
    stranger = record("a", "m1", 2) | {"generator_1": "someone"}
    with pytest.raises(InputError, match=f"is not against {BASE}"):
        alpacaeval.assemble({"m1": [stranger]})


def test_exact_duplicates_are_named_and_can_be_dropped():
    records = {m: [record("a", m, 2), record("b", m, 1)] for m in ("m1", "m2")}
    with pytest.warns(UserWarning, match="'m1' and 'm2' hold the same responses and outcomes"):
        pool = alpacaeval.assemble(records)
    assert pool.candidates == ("m1", "m2") and pool.notes["exact duplicates"] == [["m1", "m2"]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert alpacaeval.assemble(records, drop_duplicates=True).candidates == ("m1",)


def test_the_real_files(mirror):
    with pytest.warns(UserWarning, match="'falcon-40b-instruct' and 'falcon-7b-instruct'"):
        pool = alpacaeval.load()
    assert pool.outcomes.shape == (805, 54)
    rates = dict(zip(pool.models, pool.win_rates(), strict=True))
    assert max(rates, key=rates.get) == "gpt4_1106_preview"
    assert rates["gpt4_1106_preview"] == pytest.approx(0.977, abs=5e-4)
    assert (pool.outcomes == MISSING).sum() == 61
    assert pool.notes["preferences that are not 1, 1.5 or 2"] == {"0.0": 122, "0": 66, "None": 61}
    votes = add_votes(pool, orders=(1, 2)).votes
    agreement = [(votes[:, :-1, k] == pool.outcomes[:, :-1]).mean() for k in range(2)]
    assert 0.45 < agreement[0] < 0.5 < agreement[1] < 0.7
