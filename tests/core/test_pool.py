"""Pool: validation by message, persistence, subsets."""

import hashlib
import json
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from helpers import pools

import llmsel
from llmsel._base.errors import InputError
from llmsel._base.files import read_text
from llmsel.pool import MISSING, Pool


def answers(**extra):
    rows = [
        ("base", "q1", "one"),
        ("base", "q2", "two"),
        ("good", "q1", "uno"),
        ("good", "q2", ""),
    ]
    frame = pd.DataFrame(rows, columns=["model", "query_id", "response"])
    return frame.assign(**extra)


def outcomes(*rows):
    return pd.DataFrame(rows, columns=["model", "query_id", "outcome"])


def test_from_frame_keeps_order_and_marks_unjudged_cells():
    table = outcomes(("good", "q1", 1))
    pool = Pool.from_frame(answers(query="text", category="c"), "base", outcomes=table, name="mine")
    assert pool.queries == ("q1", "q2") and pool.models == ("base", "good")
    assert pool.candidates == ("good",) and pool.baseline_index == 0
    assert pool.outcomes.tolist() == [[0, 1], [0, MISSING]]
    assert pool.outcomes.dtype == np.int8
    assert pool.responses[1, 1] == "" and pool.texts == ("text", "text")
    assert "2 queries x 1 candidates" in repr(pool)


def test_a_frame_and_a_row_give_back_what_went_in():
    frame = answers(query=["a", "b", "a", "b"], category="c")
    pool = Pool.from_frame(frame, "base", outcomes=outcomes(("good", "q1", -1)))
    order = ["query_id", "model"]
    again = pool.to_frame()[list(frame.columns)].sort_values(order, ignore_index=True)
    expected = frame.sort_values(order, ignore_index=True)
    assert again.astype(object).equals(expected.astype(object))
    assert pool.row("q1") == {"good": -1} and pool.row("q2") == {}


def test_win_rates_use_judged_cells_only():
    pool = pools.simulated(n=3, m=2, seed=1)
    table = np.array([[1, 1, 0], [1, MISSING, 0], [-1, MISSING, 0]], np.int8)
    pool = Pool(pool.queries, ["a", "b", "base"], "base", outcomes=table)
    np.testing.assert_allclose(pool.win_rates(), [2 / 3, 1, 0.5])
    rates = pool.win_rates(np.array([[0, 1], [1, 2]]))
    np.testing.assert_allclose(rates, [[1, 1, 0.5], [0.5, -np.inf, 0.5]])


def test_a_pool_is_immutable():
    pool = pools.simulated()
    with pytest.raises(ValueError, match="read-only"):
        pool.outcomes[0, 0] = 1
    with pytest.raises(AttributeError):
        pool.name = "other"
    source = np.zeros((1, 2), np.int8)
    pool = Pool(["q"], ["a", "b"], "b", outcomes=source)
    source[0, 0] = 1
    assert pool.outcomes[0, 0] == 0


def test_save_and_load_return_the_same_pool(tmp_path):
    pool = Pool.from_frame(
        answers(query="ü\n\u2028"), "base", outcomes=outcomes(("good", "q1", -1))
    )
    pool = pool.replace(votes=np.zeros((2, 2, 3)), notes={"dropped": 3}, simulated=True)
    again = Pool.load(pool.save(tmp_path / "deep" / "pool"))
    assert again.content_hash == pool.content_hash
    assert again.notes == {"dropped": 3} and again.simulated and again.texts == pool.texts
    assert not list(tmp_path.rglob("*.part"))


def test_content_hash_notices_every_change():
    pool = Pool.from_frame(answers(), "base", outcomes=outcomes(("good", "q1", 1)))
    other = Pool.from_frame(answers(), "base", outcomes=outcomes(("good", "q1", 0)))
    changed = answers()
    changed.loc[0, "response"] = "one."
    text = Pool.from_frame(changed, "base", outcomes=outcomes(("good", "q1", 1)))
    voted = pool.replace(votes=np.zeros((2, 2, 1)))
    hashes = {p.content_hash for p in (pool, other, text, voted, pool.hide_outcomes())}
    assert len(hashes) == 5
    assert pool.replace(name="other name").content_hash == pool.content_hash


def test_content_hash_is_that_of_the_whole_as_json():
    """Logs hold it, those of older versions too, which wrote all responses at once."""
    pool = Pool.from_frame(answers(query="ü\n\u2028"), "base")
    held = [pool.queries, pool.models, pool.baseline, pool.texts, pool.categories]
    written = json.dumps(held) + json.dumps(pool.responses.tolist()) + "nonenone"
    assert pool.content_hash == hashlib.sha256(written.encode()).hexdigest()


def test_all_pairs_are_hashed_without_a_copy_of_all_answers():
    """Of 60 models each answer stands in the pool about 60 times."""
    responses = [[f"{i} {j} " + "x" * 2000 for j in range(60)] for i in range(10)]
    plain = Pool([f"q{i}" for i in range(10)], [f"m{j}" for j in range(60)], "m0")
    pool = llmsel.all_pairs(plain.replace(responses=responses))
    answers_ = sum(len(each) for row in responses for each in row)
    tracemalloc.start()
    assert pool.content_hash
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 5 * answers_ < 60 * answers_


def test_subset_keeps_rows_and_columns_together():
    pool = Pool.from_frame(answers(query=["a", "b", "a", "b"]), "base")
    part = pool.subset(queries=["q2"], models=["good", "base"])
    assert part.responses.tolist() == [["", "two"]] and part.texts == ("b",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"baseline": "bas"}, "unknown baseline 'bas': did you mean 'base'?"),
        ({"queries": ["q1", "q1"]}, "query id 'q1' appears twice; give every query id once."),
        ({"models": ["base", "base"]}, "model 'base' appears twice"),
        ({"queries": []}, "at least one entry in 'queries'"),
        ({"outcomes": [[0, 2], [0, 0]]}, "outcome of model 'good' on query 'q1' is 2; it must be"),
        ({"outcomes": [[0, 1], [0, np.nan]]}, "model 'good' on query 'q2' is NaN; it must be"),
        ({"outcomes": np.array([[0, 5], [0, 1]], np.int8)}, "on query 'q1' is 5"),
        ({"outcomes": [[0, "x"], [0, 0]]}, "one outcome is not a number"),
        ({"outcomes": [[1, 1], [0, 0]]}, "baseline 'base' has outcome 1 against itself"),
        (
            {"outcomes": [[0, 1]]},
            "'outcomes' has shape (1, 2); expected (queries, models) = (2, 2)",
        ),
        ({"outcomes": [[0, MISSING], [0, MISSING]]}, "no candidate has any judged outcome"),
        ({"votes": np.full((2, 2, 1), 3)}, "vote of model 'base' on query 'q1' is 3"),
        ({"votes": np.zeros((2, 2, 0))}, "no weak judge on its last axis"),
        ({"responses": [["a", None], ["b", "c"]]}, "model 'good' has no response to query 'q1'"),
        ({"responses": [["a", b"x"], ["b", "c"]]}, "is bytes, not text; decode it"),
        ({"responses": [["a", "\udcff"], ["b", "c"]]}, "bytes that are not UTF-8"),
        ({"responses": [["a", "b"], ["c"]]}, "rows of different lengths"),
        ({"texts": ["one"]}, "'texts' has 1 entries for 2 queries"),
    ],
)
def test_bad_input_is_refused_in_one_clear_sentence(change, message):
    fields = {"queries": ["q1", "q2"], "models": ["base", "good"], "baseline": "base"} | change
    with pytest.raises(InputError) as caught:
        Pool(**fields)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_baseline_alone_is_refused():
    with pytest.raises(InputError, match="add at least one candidate"):
        Pool(["q"], ["base"], "base")


@pytest.mark.parametrize(
    ("frame", "table", "message"),
    [
        (answers().iloc[:3], None, "model 'good' has no response to query 'q2' (1 missing"),
        (answers().iloc[[0, 0, 1, 2, 3]], None, "query id 'q1' appears twice for model 'base'"),
        (answers().drop(columns="response"), None, "answers has no column 'response'; it has"),
        (answers(), outcomes(("goed", "q1", 1)), "unknown model 'goed': did you mean 'good'?"),
        (answers(), outcomes(("good", "q9", 1)), "unknown query id 'q9'"),
        (answers(), outcomes(("good", "q1", float("nan"))), "on query 'q1' is NaN"),
        (answers(), outcomes(("good", "q1", 0.5)), "on query 'q1' is 0.5"),
    ],
)
def test_bad_tables_are_refused(frame, table, message):
    with pytest.raises(InputError) as caught:
        Pool.from_frame(frame, "base", outcomes=table)
    assert message in str(caught.value)


def test_unknown_names_in_a_subset_suggest_the_nearest():
    pool = pools.simulated()
    with pytest.raises(InputError, match="unknown model 'model-9': did you mean 'model-"):
        pool.subset(models=["model-9"])
    with pytest.raises(InputError, match="unknown baseline"):
        pool.subset(models=list(pool.candidates))


def test_what_a_pool_lacks_is_said_with_the_way_to_add_it():
    pool = Pool(["q"], ["a", "b"], "b")
    with pytest.raises(InputError, match=r"has no votes; compute them with llmsel.add_votes"):
        pool.need("votes")


def test_damaged_and_absent_pool_files(tmp_path):
    with pytest.raises(InputError, match="no pool file"):
        Pool.load(tmp_path / "absent.npz")
    path = pools.simulated().save(tmp_path / "pool")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match="not a pool file or is damaged"):
        Pool.load(path)


def test_text_that_is_not_utf8_names_file_and_position(tmp_path):
    path = tmp_path / "answers.jsonl"
    path.write_bytes(b"abc\xff\xfe")
    with pytest.raises(InputError, match=r"answers.jsonl' is not UTF-8: byte 0xff at position 3"):
        read_text(path)
    with pytest.raises(InputError, match="no file"):
        read_text(tmp_path / "absent")
