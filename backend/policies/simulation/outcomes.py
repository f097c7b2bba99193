"""Outcomes of simulated decisions, by the batch: sums with the distribution that single rewards would give them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from backend.domain import FloatArray, RewardType

Counts = NDArray[np.int64]
Sums = tuple[FloatArray, FloatArray]
"""Sum of the rewards and sum of their squares, each of shape (n_arms,)."""
DrawSums = Callable[[Counts, Generator], Sums]
"""Rewards of so many decisions of each arm."""


def outcomes_of(kind: RewardType, means: FloatArray, spreads: FloatArray) -> DrawSums:
    """How rewards are drawn: Bernoulli, Poisson or normal ones, by their kind.

    Args:
        means: shape (n_arms,), of one reward.
        spreads: shape (n_arms,), standard deviations of one continuous reward; other kinds have that of their mean.
    """
    if kind is RewardType.BINARY:
        return lambda n, rng: _binary(n, means, rng)
    if kind is RewardType.COUNT:
        return lambda n, rng: _counts(n, means, rng)
    return lambda n, rng: _normal(n, means, spreads, rng)


def _binary(n: Counts, means: FloatArray, rng: Generator) -> Sums:
    """Binomial; 0 and 1 are their own squares."""
    total = rng.binomial(n, means).astype(np.float64)
    return total, total


def _counts(n: Counts, means: FloatArray, rng: Generator) -> Sums:
    """Poisson. Of the squares the expectation given the sum s: s + s (s - 1) / n, each unit falling on any decision."""
    total = rng.poisson(n * means).astype(np.float64)
    return total, total + total * np.maximum(total - 1.0, 0.0) / np.maximum(n, 1)


def _normal(n: Counts, means: FloatArray, spreads: FloatArray, rng: Generator) -> Sums:
    """The mean of n normal rewards is normal, and their squared distances from it chi-squared with n - 1 degrees."""
    total = n * means + np.sqrt(n) * spreads * rng.standard_normal(len(n))
    around = spreads**2 * 2.0 * rng.standard_gamma(np.maximum(n - 1, 0) / 2.0)
    return total, around + total**2 / np.maximum(n, 1)
