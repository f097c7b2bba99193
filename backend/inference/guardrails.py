"""Which arms break a guardrail: the mean of a secondary metric that lies beyond its threshold, beyond doubt."""

from __future__ import annotations

import numpy as np

from backend.domain import BoolArray, Direction, FloatArray, Guardrail
from backend.inference.confidence_sequence import asymptotic_sequence, large_values

LEVEL = 0.95


def breaches(
    guardrail: Guardrail,
    n: FloatArray,
    total: FloatArray,
    squares: FloatArray,
    level: float = LEVEL,
) -> BoolArray:
    """Shape (n_arms,): arms whose whole confidence sequence lies on the bad side of the threshold.

    It may be asked at every look: in an experiment in which no mean crosses the threshold, the chance that any arm is ever
    named is 1 - ``level`` or less (asymptotically; each arm has an equal share of it). Arms with fewer than
    ``confidence_sequence.SMALLEST_SAMPLE`` values are never named.

    Args:
        n, total, squares: shape (n_arms,), number, sum and sum of squares of the values of ``guardrail.metric``.
    """
    bounds = asymptotic_sequence(
        n,
        total,
        squares,
        _large_values(guardrail.threshold, total, squares),
        1.0 - (1.0 - level) / len(n),
    )
    if guardrail.direction is Direction.ABOVE:
        return np.asarray(bounds[:, 0] > guardrail.threshold, dtype=np.bool_)
    return np.asarray(bounds[:, 1] < guardrail.threshold, dtype=np.bool_)


def _large_values(threshold: float, total: FloatArray, squares: FloatArray) -> FloatArray:
    """For an arm with nothing but zeros those of all arms; if there is nothing else, 1, or the threshold if that is more."""
    pooled = float(large_values(total.sum(keepdims=True), squares.sum(keepdims=True))[0])
    return np.where(squares > 0.0, large_values(total, squares), pooled or max(1.0, abs(threshold)))
