"""How alike the models' responses to one query are: what Select-LLM chooses queries by."""

from __future__ import annotations

import numpy as np
from rapidfuzz import process
from rapidfuzz.distance import LCSseq

from llmsel._base.errors import unknown
from llmsel._base.files import cached_array
from llmsel.pool import Pool
from llmsel.weak_judges import TOKEN

KINDS = ("token_f1", "rouge_l")
FORMAT = 1  # change it when the similarities of an unchanged input change


def similarity(pool: Pool, kind: str = "token_f1", *, cache: bool = True) -> np.ndarray:
    """Measure the similarity of every two responses to the same query.

    Args:
        pool: must hold responses.
        kind: ``token_f1``: shared tokens (with multiplicity) over the mean length; ``rouge_l``: the
            same with the longest common subsequence (ROUGE-L's F measure, Lin 2004). Tokens are
            lower-cased words and single punctuation marks; two empty responses are equal (1), an
            empty and another one share nothing (0).
        cache: keep the result in the cache folder, keyed by a hash of all that goes in.

    Returns:
        float32, shape ``(n, M, M)``, symmetric, in [0, 1], 1 on the diagonal.

    Raises:
        InputError: no responses, or an unknown kind.
    """
    if kind not in KINDS:
        raise unknown("similarity", kind, KINDS)
    responses = pool.need("responses")

    def measure() -> np.ndarray:
        return np.stack([_one_query(row.tolist(), kind) for row in responses])

    if not cache:
        return measure()
    return cached_array(
        "similarity",
        [FORMAT, kind, responses.tolist()],
        shape=(*responses.shape, pool.n_models),
        dtype=np.float32,
        compute=measure,
    )


def _one_query(texts: list[str], kind: str) -> np.ndarray:
    words = [TOKEN.findall(text.lower()) for text in texts]
    ids: dict[str, int] = {}
    tokens = [[ids.setdefault(word, len(ids)) for word in row] for row in words]
    length = np.array([len(row) for row in tokens], dtype=np.float32)
    if kind == "rouge_l":
        common = process.cdist(tokens, tokens, scorer=LCSseq.similarity, dtype=np.uint32)
    else:
        counts = np.zeros((len(tokens), max(len(ids), 1)), dtype=np.int32)
        for j, row in enumerate(tokens):
            np.add.at(counts[j], row, 1)
        common = np.stack([np.minimum(counts, one).sum(axis=1) for one in counts])
    total = length[:, None] + length
    return np.where(total > 0, 2 * common / np.maximum(total, 1), 1).astype(np.float32)
