"""Features of cells for the loss predictor: what is known of an answer before it is judged.

Nothing here is needed for a certificate to hold: predictions may be made from anything that is
known before a draw.
"""

from __future__ import annotations

import numpy as np

from llmsel.pool import MISSING, Pool
from llmsel.similarity import similarity


def answer_features(pool: Pool) -> np.ndarray:
    """Measure the answers themselves: what is free for every cell.

    Args:
        pool: must hold responses.

    Returns:
        float64 (n, M, 3), standardised over the candidates' cells, 0 for the baseline: log of the
        length (characters) over the baseline's, token similarity to the baseline's answer, and
        mean token similarity to the other candidates' answers.

    Raises:
        InputError: a pool without responses.
    """
    responses, base = pool.need("responses"), pool.baseline_index
    length = np.log1p(np.frompyfunc(len, 1, 1)(responses).astype(float))
    alike = similarity(pool).astype(float)
    others = alike.sum(axis=2) - 1 - alike[:, :, base]
    return standardised(
        np.stack(
            [
                length - length[:, [base]],
                alike[:, :, base],
                others / max(1, len(pool.candidates) - 1),
            ],
            axis=2,
        ),
        baseline=base,
    )


def standardised(features: np.ndarray, *, baseline: int) -> np.ndarray:
    """Centre and scale each feature over the candidates' cells; the baseline's become 0."""
    paid = np.delete(features, baseline, axis=1)
    scale = paid.std(axis=(0, 1))
    out: np.ndarray = (features - paid.mean(axis=(0, 1))) / np.where(scale > 0, scale, 1)
    out[:, baseline] = 0
    return out


def verdict_features(outcomes: np.ndarray) -> np.ndarray:
    """Turn verdicts of a cheap judge into features.

    Args:
        outcomes: int (..., ): -1, 0, 1; anything else, such as MISSING, is not known.

    Returns:
        float64 (..., 2): the verdict, 0 where it is not known, and 1 where it is not known.
    """
    known = np.isin(outcomes, (-1, 0, 1)) & (outcomes != MISSING)
    return np.stack([np.where(known, outcomes, 0), ~known], axis=-1).astype(float)
