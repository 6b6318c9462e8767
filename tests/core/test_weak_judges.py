"""k-gram judges against a literal count, and their edges."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmsel import weak_judges
from llmsel._base.errors import InputError
from llmsel.pool import Pool
from llmsel.studies.reference import selection as literal

TEXTS = [
    "The cat sat on the mat.",
    "the cat sat on the hat, the cat!",
    "",
    "   ",
    "A dog",
    "dog",
    "The cat sat on the mat.",
    "naïve Übung 42 x_y",
]


def tokens(text):
    return weak_judges.TOKEN.findall(text.lower())


def test_tokens_are_lower_cased_words_and_single_punctuation_marks():
    assert tokens("Hi, it's x_1!!") == ["hi", ",", "it", "'", "s", "x_1", "!", "!"]


@pytest.mark.parametrize("order", range(1, 7))
def test_scores_equal_the_literal_count(order):
    expected = literal.kgram_score([tokens(t) for t in TEXTS], order)
    scores = weak_judges.kgram_scores(TEXTS, 6)
    np.testing.assert_allclose(scores[order - 1], expected, rtol=1e-14)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text("ab .", max_size=12), min_size=1, max_size=8))
def test_scores_equal_the_literal_count_on_any_text(texts):
    scores = weak_judges.kgram_scores(texts, 4)
    for k in range(4):
        expected = literal.kgram_score([tokens(t) for t in texts], k + 1)
        np.testing.assert_allclose(scores[k], expected, rtol=1e-13)


def test_variants_are_what_they_say():
    # "a a b": unigram a has 2/3, b 1/3; two words in the vocabulary
    plain, log, smooth = (
        weak_judges.kgram_scores(["a a b"], 1, variant=v)[0, 0] for v in weak_judges.VARIANTS
    )
    assert plain == pytest.approx((2 / 3 + 2 / 3 + 1 / 3) / 3)
    assert log == pytest.approx((2 * np.log(2 / 3) + np.log(1 / 3)) / 3)
    assert smooth == pytest.approx((3 / 5 + 3 / 5 + 2 / 5) / 3)


def pool_of(*rows):
    responses = np.array(rows, dtype=object)
    models = [f"m{j}" for j in range(responses.shape[1])]
    return Pool([f"q{i}" for i in range(len(rows))], models, "m0", responses=responses)


def test_an_empty_response_is_the_worst_and_two_are_a_draw(tmp_path, monkeypatch):
    monkeypatch.setenv("LLMSEL_CACHE", str(tmp_path))
    pool = weak_judges.add_votes(pool_of(["a b", "", "a b"], ["", "", "c"]), orders=(1, 3))
    assert pool.votes[:, :, 0].tolist() == [[0, -1, 0], [0, 0, 1]]
    assert pool.votes.shape == (2, 3, 2) and pool.votes.dtype == np.int8
    assert not weak_judges.add_votes(pool_of(["", ""]), cache=False).votes.any()


def test_scores_are_cached_by_content_and_a_damaged_cache_is_mended(tmp_path, monkeypatch):
    monkeypatch.setenv("LLMSEL_CACHE", str(tmp_path))
    pool = pool_of(["a b c", "a a", "c b"], ["b", "c a", "a b c"])
    votes = weak_judges.add_votes(pool).votes
    (file,) = (tmp_path / "kgrams").glob("*.npy")
    computed, count = [], weak_judges.kgram_scores
    monkeypatch.setattr(
        weak_judges, "kgram_scores", lambda *a, **k: computed.append(1) or count(*a, **k)
    )
    np.testing.assert_array_equal(weak_judges.add_votes(pool).votes, votes)
    assert not computed
    file.write_bytes(b"torn")
    np.testing.assert_array_equal(weak_judges.add_votes(pool).votes, votes)
    assert computed == [1]
    np.save(file, np.zeros((2, 3, 1)))
    np.testing.assert_array_equal(weak_judges.add_votes(pool).votes, votes)
    weak_judges.add_votes(pool, orders=(1, 2))
    assert len(computed) == 3
    other = weak_judges.add_votes(
        pool.replace(baseline="m1")
    )  # the same scores serve every baseline
    assert len(computed) == 3
    fresh = weak_judges.add_votes(pool.replace(baseline="m1"), cache=False)
    np.testing.assert_array_equal(other.votes, fresh.votes)


def test_bad_orders_and_variants_are_refused():
    pool = pool_of(["a", "b"])
    with pytest.raises(InputError, match="orders must be k >= 1"):
        weak_judges.add_votes(pool, orders=(0, 1))
    with pytest.raises(InputError, match="unknown k-gram variant 'mean_prob': did you mean"):
        weak_judges.add_votes(pool, variant="mean_prob")
    with pytest.raises(InputError, match="has no responses; give the models' responses"):
        weak_judges.add_votes(Pool(["q"], ["a", "b"], "b"))


def test_votes_do_not_depend_on_the_order_of_models_or_queries():
    pool = pool_of(["a b c", "a a", "c b"], ["b", "c a", "a b c"])
    votes = weak_judges.add_votes(pool, cache=False).votes
    turned = pool.subset(queries=["q1", "q0"], models=["m2", "m0", "m1"])
    np.testing.assert_array_equal(
        weak_judges.add_votes(turned, cache=False).votes, votes[[1, 0]][:, [2, 0, 1]]
    )


def test_a_frame_becomes_votes():
    rows = [("base", "q", "a b"), ("other", "q", "a")]
    frame = pd.DataFrame(rows, columns=["model", "query_id", "response"])
    pool = weak_judges.add_votes(Pool.from_frame(frame, "base"), cache=False)
    assert pool.votes.shape == (1, 2, 10)
