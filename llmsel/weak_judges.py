"""Weak judges: free k-gram guesses of every outcome, computed from the responses alone.

For k = 1, 2, ... an order-k language model is counted on the responses of the pool itself.
A response's score is the average probability of its tokens under the model; judge k votes by
comparing a model's score with the baseline's on the same query (LLM Selector, section 4.3).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from llmsel._base.errors import InputError, unknown
from llmsel._base.files import cached_array
from llmsel.pool import Pool

TOKEN = re.compile(r"\w+|[^\w\s]")
VARIANTS = ("mean_probability", "mean_log_probability", "add_one")
DIGITS = 12  # scores are compared after rounding, so that summation order cannot flip a vote
FORMAT = 2  # change it when the scores of an unchanged input change


def add_votes(
    pool: Pool,
    orders: Sequence[int] = tuple(range(1, 11)),
    *,
    variant: str = "mean_probability",
    cache: bool = True,
) -> Pool:
    """Return the pool with the votes of one k-gram judge per order.

    Args:
        pool: must hold responses.
        orders: the k of each judge, in the order of the votes' last axis.
        variant: how a token is scored. ``mean_probability`` (default): maximum-likelihood
            conditional probability; ``mean_log_probability``: its logarithm; ``add_one``:
            Laplace-smoothed probability.
        cache: keep the scores in `cache_dir`, keyed by a hash of all that goes in; they serve
            every baseline.

    Raises:
        InputError: no responses, an unknown variant, or an order below 1.

    Example:
        >>> answers = [["a cat sat", "a cat sat on a mat"], ["", "no"]]
        >>> pool = Pool(["q1", "q2"], ["new", "old"], "old", responses=answers)
        >>> add_votes(pool, orders=(1, 2), cache=False).votes[:, 0].tolist()  # of 'new'
        [[1, 0], [-1, -1]]
    """
    orders = tuple(orders)
    if variant not in VARIANTS:
        raise unknown("k-gram variant", variant, VARIANTS)
    if not orders or min(orders) < 1:
        raise InputError(f"orders must be k >= 1, at least one; got {list(orders)}.")
    responses = pool.need("responses")
    if cache:
        scores = cached_array(
            "kgrams",
            [FORMAT, orders, variant, responses.tolist()],
            shape=(*responses.shape, len(orders)),
            dtype=np.float64,
            compute=lambda: _scores(responses, orders, variant),
        )
    else:
        scores = _scores(responses, orders, variant)
    return pool.replace(votes=compare_with_baseline(scores, pool.baseline_index))


def _scores(responses: np.ndarray, orders: tuple[int, ...], variant: str) -> np.ndarray:
    scores = kgram_scores(responses.ravel().tolist(), max(orders), variant=variant)
    return np.moveaxis(scores[np.asarray(orders) - 1].reshape(len(orders), *responses.shape), 0, -1)


def compare_with_baseline(scores: np.ndarray, baseline: int) -> np.ndarray:
    """Turn scores into votes: the sign of a model's score minus the baseline's.

    Args:
        scores: float, shape ``(n, M)`` or ``(n, M, z)``; higher is better, ``-inf`` is worst.
        baseline: column of the baseline.

    Returns:
        int8 votes in {-1, 0, 1} of the same shape; two ``-inf`` are a draw.
    """
    scores = np.round(scores, DIGITS)
    reference = scores[:, baseline : baseline + 1]
    return (scores > reference).astype(np.int8) - (scores < reference).astype(np.int8)


def kgram_scores(
    texts: Sequence[str], max_order: int, *, variant: str = "mean_probability"
) -> np.ndarray:
    """Score every text under the k-gram models counted on all of them.

    The probability of a token is ``count(k-gram) / count(its first k-1 tokens)``; before a
    text's first token stands a padding symbol, so every token has a context of k-1 symbols.

    Args:
        texts: ``N`` texts; tokens are lower-cased words and single punctuation marks.
        max_order: models of orders 1..max_order are counted.
        variant: see `add_votes`.

    Returns:
        float64, shape ``(max_order, N)``: mean over the text's tokens; ``-inf`` where a text has
        no token.
    """
    tokens, lengths = tokenize(texts)
    result = np.full((max_order, len(texts)), -np.inf)
    if not len(tokens):
        return result
    filled = lengths > 0
    starts = np.concatenate([[0], np.cumsum(lengths[filled])[:-1]])
    vocabulary = int(tokens.max()) + 1
    # context[p]: id of the k-1 symbols before token p; all empty for k = 1
    context = np.zeros(len(tokens), dtype=np.int64)
    for k in range(max_order):
        grams = pd.factorize(context * vocabulary + tokens)[0]
        seen = np.bincount(grams)[grams]
        followers = np.bincount(context)[context]
        smooth = variant == "add_one"
        value = (seen + 1) / (followers + vocabulary) if smooth else seen / followers
        if variant == "mean_log_probability":
            np.log(value, out=value)
        result[k, filled] = np.add.reduceat(value, starts) / lengths[filled]
        context[1:] = grams[:-1] + 1  # the k symbols before p are the k-gram that ends at p-1
        context[starts] = 0  # only padding stands before a text's first token
    return result


def tokenize(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Split texts into tokens: lower-cased words and single punctuation marks.

    Returns:
        tokens: int64, shape ``(T,)``: token ids of all texts on end.
        lengths: int64, shape ``(N,)``: number of tokens of each text.
    """
    ids: dict[str, int] = {}
    parts = []
    for text in texts:
        words = TOKEN.findall(text.lower())
        for word in dict.fromkeys(words):
            ids.setdefault(word, len(ids))
        parts.append(np.fromiter(map(ids.__getitem__, words), dtype=np.int32, count=len(words)))
    lengths = np.fromiter(map(len, parts), dtype=np.int64, count=len(parts))
    tokens = np.concatenate(parts) if parts else np.zeros(0, np.int32)
    return tokens.astype(np.int64), lengths
