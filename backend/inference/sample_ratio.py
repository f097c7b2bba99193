"""Do the arms come as often as the logged probabilities say? A test that may be watched all the time.

Changing weights are no reason for an alarm: each decision is compared with the vector it was drawn from. What raises
one is a draw that is not what was logged, or decisions of some arm that get lost.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from backend.domain import FloatArray
from backend.inference.mixture_martingales import log_gamma_poisson

ALPHA = 0.05
"""Chance of an alarm, ever, in an experiment in which all is well: below this."""
_SCALE = 100.0


@dataclass(frozen=True, slots=True)
class SampleRatio:
    """``p_value`` in (0, 1], valid at every look; ``mismatch``: it is below ``ALPHA``."""

    p_value: float
    mismatch: bool


def sample_ratio(
    drawn: FloatArray, expected: FloatArray, expected_squares: FloatArray
) -> SampleRatio:
    """Test the numbers of draws against the logged vectors.

    Given the past, an arm is drawn with its probability p, so draws minus the sum of p are a martingale with variance
    sum of p (1 - p) and steps of at most 1: for both directions, exp(lambda M - V (e^lambda - 1 - lambda)) is evidence
    (Bennett 1962; Freedman 1975), mixed over lambda. The evidence of the arms is averaged, and 1 / average is a p-value.

    Args:
        drawn: shape (n_arms,), how often each arm was freshly drawn (not kept for a sticky unit).
        expected: shape (n_arms,), sums of its logged probability over all draws, whichever arm they gave.
        expected_squares: shape (n_arms,), sums of that probability squared.
    """
    excess = drawn - expected
    variance = np.maximum(expected - expected_squares, 0.0)
    log_evidence = log_gamma_poisson(
        np.concatenate([excess, -excess]), np.tile(variance, 2), _SCALE
    )
    log_average = float(special.logsumexp(log_evidence)) - np.log(log_evidence.size)
    p_value = float(np.exp(-max(log_average, 0.0)))
    return SampleRatio(p_value, mismatch=p_value < ALPHA)
