"""When an experiment counts as decided, and for which arm."""

from __future__ import annotations

import numpy as np
from scipy import special

from backend.domain import FloatArray
from backend.inference.posteriors import (
    BetaPosterior,
    GammaPosterior,
    NormalPosterior,
    Posterior,
)
from backend.inference.probability_best import (
    probability_best_beta,
    probability_best_gamma,
    probability_best_normal,
)

QUANTILE = 0.95
THRESHOLD = 0.01
"""Decided when this quantile of the value remaining is below this share of the winner's mean (Scott 2015)."""


def winner_of(posterior: Posterior) -> int | None:
    """The arm with the highest posterior mean, once little enough may be gained by another one; None before.

    The quantile of the relative value remaining is below THRESHOLD if and only if with a chance above QUANTILE no
    other mean exceeds the arm's by more than that share. So this one chance is computed instead of the quantile, which
    takes a search. The arm is also the one that is probably best, but for near ties in which either passes.
    """
    best = int(np.argmax(posterior.mean()))
    return best if chance_of_enough(posterior, best) >= QUANTILE else None


def chance_of_enough(posterior: Posterior, best: int) -> float:
    """P(every other mean <= (1 + THRESHOLD) * the mean of ``best``, which is above 0).

    As the probability that ``best`` is best when all others are divided by 1 + THRESHOLD. A Gamma or Normal posterior
    so divided is one again; for a Beta posterior the one with the same mean and variance is taken, and for a Normal
    one the chance of a mean below 0 is subtracted. Where the exact chance is above 0.85, that differs from it by at
    most 0.001 for means up to 0.9 of a binary reward, and by 0.03 close to 1.
    """
    divisor = np.full(len(posterior.mean()), 1.0 + THRESHOLD)
    divisor[best] = 1.0
    if isinstance(posterior, BetaPosterior):
        return float(probability_best_beta(*_divided_beta(posterior, divisor))[best])
    if isinstance(posterior, GammaPosterior):
        return float(probability_best_gamma(posterior.shape, posterior.rate * divisor)[best])
    assert isinstance(posterior, NormalPosterior)
    mean, deviation = posterior.location / divisor, posterior.standard_deviation / divisor
    below_zero = float(special.ndtr(-mean[best] / deviation[best]))
    return float(probability_best_normal(mean, deviation)[best]) - below_zero


def _divided_beta(posterior: BetaPosterior, divisor: FloatArray) -> tuple[FloatArray, FloatArray]:
    """alpha and beta of the Beta distributions with the mean and variance of theta / divisor."""
    alpha, beta = posterior.alpha, posterior.beta
    total = alpha + beta
    mean = alpha / total / divisor
    total = (total + 1.0) * (divisor * total - alpha) / beta - 1.0
    return mean * total, (1.0 - mean) * total
