"""Votes packed several to a number, so that weighted sums over models are table look-ups.

A sum ``sum_j f_j(vote_j)`` over M models takes M steps where each vote is a number of its own.
With d votes packed into one code, a table over all codes holds the sums over d models, and the
whole sum takes M / d look-ups. The tables are small: they depend on the f alone.
"""

from __future__ import annotations

import numpy as np

ENTRIES = 2**11  # most codes of a table: one of complex numbers fills a first-level cache of 32 KiB
BLOCK = 2**15  # codes of one chunk that are looked up at a time: working arrays stay in cache


class PackedVotes:
    """Votes in blocks of queries, packed along the models.

    Args:
        votes: int8 in {-1, 0, 1}, shape ``(n, M, z)``; may be memory-mapped, it is read once.
        alone: where the other two votes need not be told apart, the third: then a vote takes one
            bit, digit 1 for this vote and 0 for the others. None: digit ``vote + 1`` of base 3.

    Attributes:
        base: number of digits, 2 or 3.
        meaning: int, shape ``(base,)``: a vote that the digit stands for.
        blocks: uint16, shape ``(C, z, q)``: for consecutive queries, the codes of C chunks of d
            models each, the first of them the highest digit.
    """

    def __init__(self, votes: np.ndarray, alone: int | None) -> None:
        """Read and pack all votes."""
        n, models, judges = votes.shape
        self.meaning = np.array([-1, 0, 1] if alone is None else [int(alone == 0), alone])
        self.base = len(self.meaning)
        most = int(np.log(ENTRIES) / np.log(self.base) + 1e-9)
        self._chunks = -(-models // most)
        self._digits = -(-models // self._chunks)
        width = max(1, BLOCK // judges)
        self.blocks = [self._pack(votes[i : i + width], alone) for i in range(0, n, width)]

    def _pack(self, votes: np.ndarray, alone: int | None) -> np.ndarray:
        queries, models, judges = votes.shape
        digits = np.zeros((self._chunks * self._digits, judges, queries), dtype=np.uint8)
        turned = np.ascontiguousarray(votes.transpose(1, 2, 0))
        digits[:models] = turned + 1 if alone is None else turned == alone
        digits = digits.reshape(self._chunks, self._digits, judges, queries)
        codes = np.zeros((self._chunks, judges, queries), dtype=np.uint16)
        for place in range(self._digits):
            codes *= self.base
            codes += digits[:, place]
        return codes

    def tables(self, terms: np.ndarray) -> np.ndarray:
        """Add up the terms of every code.

        Args:
            terms: complex128, shape ``(M, base)``: f_j of each digit; two sums at a time.

        Returns:
            complex128, shape ``(C, base ** d)``.
        """
        padded = np.zeros((self._chunks * self._digits, self.base), dtype=complex)
        padded[: len(terms)] = terms
        padded = padded.reshape(self._chunks, self._digits, 1, self.base)
        tables = np.zeros((self._chunks, 1), dtype=complex)
        for place in range(self._digits):
            tables = (tables[:, :, None] + padded[:, place]).reshape(self._chunks, -1)
        return tables

    def place(self, model: int) -> tuple[int, np.ndarray]:
        """Return a model's chunk, and its digit in every code: int, shape ``(base ** d,)``."""
        chunk, place = divmod(model, self._digits)
        codes = np.arange(self.base**self._digits)
        return chunk, codes // self.base ** (self._digits - 1 - place) % self.base


def add_up(block: np.ndarray, tables: np.ndarray) -> np.ndarray:
    """Sum the tables' entries over the chunks of a block: complex128, shape ``(z, q)``."""
    total: np.ndarray = tables[0].take(block[0], mode="clip")
    part = np.empty_like(total)
    for codes, table in zip(block[1:], tables[1:], strict=True):
        # with an output, only a mode that cannot fail writes without a copy; codes are in range
        table.take(codes, out=part, mode="clip")
        total += part
    return total
