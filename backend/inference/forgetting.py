"""Forgetting: how much of what was seen long ago still counts.

Either by age, or by the arm's own later decisions. The second adapts to traffic: an arm that is hardly tried keeps what is
known of it. Both weights are averages over a block of decisions whose order inside is not known.
"""

import numpy as np

from backend.domain import FloatArray

_LN2 = float(np.log(2.0))


def weights_by_age(ages_s: FloatArray, half_life_s: float) -> FloatArray:
    """``2 ** (-age / half_life)``.

    Args:
        ages_s: shape (n_blocks, n_arms), mean age of each block's decisions in seconds; below 0 counts as 0.
        half_life_s: > 0.
    Returns:
        Shape (n_blocks, n_arms), in [0, 1].
    """
    weights: FloatArray = np.exp2(-np.maximum(ages_s, 0.0) / half_life_s)
    return weights


def weights_by_decisions(decisions: FloatArray, half_life: float) -> FloatArray:
    """Mean over each block of ``2 ** (-later decisions of the same arm / half_life)``.

    With c decisions in the block and L after it that is ``2^(-L/h) (1 - 2^(-c/h)) / (1 - 2^(-1/h)) / c``: the sum of a
    geometric series.

    Args:
        decisions: shape (n_blocks, n_arms), counts in order of time.
        half_life: number of decisions, > 0.
    Returns:
        Shape (n_blocks, n_arms), in [0, 1]; 1 where a block has no decision and none is later.
    """
    later = decisions[::-1].cumsum(axis=0)[::-1] - decisions
    per_decision = -np.expm1(-_LN2 / half_life)
    within = -np.expm1(-_LN2 * decisions / half_life) / (np.maximum(decisions, 1.0) * per_decision)
    weights: FloatArray = np.exp2(-later / half_life) * np.where(decisions > 0.0, within, 1.0)
    return np.minimum(weights, 1.0)
