"""Intervals for each arm's own mean reward that hold at every look, however often and whenever one looks or stops.

Which observation of an arm comes when is chosen by the policy, but given the past each has the arm's mean. So what an
arm's rewards add up to, in its own count of decisions, is a martingale around that mean whatever the policy does, and
bounds that are uniform over the count hold at every moment.

- Binary: all p that the beta-binomial mixture does not reject. Exact.
- Continuous with both bounds: all means that the average of the same mixture, which knows the range alone, and of the
  empirical-Bernstein mixture, which learns the variance, does not reject. Exact.
- Count, and continuous without both bounds: the normal mixture with the estimated variance. Asymptotic: there is no
  exact one without assumptions on the tails. Given from ``SMALLEST_SAMPLE`` decisions on.

Source: Howard, Ramdas, McAuliffe and Sekhon (2021), theorem 4 for empirical Bernstein; Waudby-Smith, Arbour, Sinha,
Kennedy and Ramdas (2024), "Time-uniform central limit theory and asymptotic confidence sequences", theorem 2.2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from backend.domain import FloatArray, RewardSpec, RewardType
from backend.inference.mixture_martingales import log_beta_binomial, log_gamma_exponential

LEVEL = 0.95
SMALLEST_SAMPLE = 100.0
"""Decisions of an arm from which on an asymptotic interval is given."""
SMALLEST_EFFECTIVE = 20.0
"""For rewards that are never negative also: (sum)^2 / (sum of squares), the number of events if each counts alike."""
N_IMAGINED = 2.0
TIGHTEST_SAMPLE = 1000.0
"""Decisions at which an asymptotic interval is tightest, relative to what is possible."""
_BERNSTEIN_SCALE = 2.5
_N_HALVINGS = 42


@dataclass(frozen=True, slots=True)
class EpochSums:
    """Sums over each arm's decisions with a known outcome, by epoch; arrays have shape (n_epochs, n_arms).

    The epoch of a decision is known before its reward (say, by the number or the time of the decision), and epochs are
    in order: rewards of one epoch are predicted by the mean of those before. One epoch is allowed, and only costs width.
    """

    decisions: FloatArray
    reward_sum: FloatArray
    reward_sum_squares: FloatArray

    def totals(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Over all epochs, each of shape (n_arms,)."""
        return (
            self.decisions.sum(axis=0),
            self.reward_sum.sum(axis=0),
            self.reward_sum_squares.sum(axis=0),
        )


def confidence_sequence(sums: EpochSums, reward: RewardSpec, level: float = LEVEL) -> FloatArray:
    """Shape (n_arms, 2): bounds that hold at all times at once with probability ``level``, for each arm.

    NaN where nothing can be said: no data, or too little for an asymptotic interval.
    """
    n, total, squares = sums.totals()
    log_limit = -np.log1p(-level)
    if reward.type is RewardType.BINARY:
        bounds = _invert(lambda mean: log_beta_binomial(total, n, mean), total, n, log_limit)
    elif reward.type is RewardType.COUNT or reward.min is None or reward.max is None:
        bounds = _unbounded(n, total, squares, reward, level)
    else:
        bounds = _bounded(sums, reward.min, reward.max, log_limit)
    return np.where(n[:, None] > 0.0, bounds, np.nan)


def asymptotic_sequence(
    n: FloatArray, total: FloatArray, squares: FloatArray, large: FloatArray, level: float = LEVEL
) -> FloatArray:
    """Shape (n_arms, 2): mean -/+ sd sqrt(2 (n rho^2 + 1) / (n rho)^2 log(sqrt(n rho^2 + 1) / alpha)).

    Each bound is that of the data with ``N_IMAGINED`` values more, as far out on its side as ``large``: the estimated
    variance lacks the large values that have not come yet, and without them bounds fail far too often at first.

    Args:
        large: shape (n_arms,), how far large values lie from the mean, as from ``large_values``.
    Returns:
        NaN with fewer than ``SMALLEST_SAMPLE`` decisions, or without any spread.
    """
    log_limit = -np.log1p(-level)
    precision = (2.0 * log_limit + np.log1p(2.0 * log_limit)) / TIGHTEST_SAMPLE
    more = np.maximum(n, 1.0) + N_IMAGINED
    mean = total / np.maximum(n, 1.0)
    spread = np.maximum(squares - total * mean, 0.0)
    shift = N_IMAGINED * large / more
    variance = (spread + N_IMAGINED * large**2) / more - shift**2
    grown = more * precision + 1.0
    factor = 2.0 * grown / (more**2 * precision) * (0.5 * np.log(grown) + log_limit)
    half = shift + np.sqrt(np.maximum(variance, 0.0) * factor)
    half = np.where((n >= SMALLEST_SAMPLE) & (variance > 0.0), half, np.nan)
    return np.stack([mean - half, mean + half], axis=1)


def large_values(total: FloatArray, squares: FloatArray) -> FloatArray:
    """Shape (n_arms,): sum of squares over sum, 1 for 0/1 values; never more than the largest value can be."""
    largest = np.sqrt(squares)
    floor = np.where(squares > 0.0, largest, 1.0)
    large: FloatArray = squares / np.maximum(np.abs(total), floor)
    return large


def _unbounded(
    n: FloatArray, total: FloatArray, squares: FloatArray, reward: RewardSpec, level: float
) -> FloatArray:
    low = 0.0 if reward.type is RewardType.COUNT else reward.min
    high = None if reward.type is RewardType.COUNT else reward.max
    bounds = asymptotic_sequence(n, total, squares, large_values(total, squares), level)
    if low is not None and low >= 0.0:
        is_rare = total**2 < SMALLEST_EFFECTIVE * squares
        bounds[is_rare | (squares <= 0.0)] = np.nan
    clipped: FloatArray = bounds if low is high is None else np.clip(bounds, low, high)
    return clipped


def _bounded(sums: EpochSums, low: float, high: float, log_limit: float) -> FloatArray:
    width = high - low
    n, total, _ = sums.totals()
    scaled = (total - low * n) / width
    variance = _predicted_squares(sums, low, high) / width**2

    def log_evidence(mean: FloatArray) -> FloatArray:
        deviation = scaled - n * mean
        above = log_gamma_exponential(deviation, variance, _BERNSTEIN_SCALE)
        below = log_gamma_exponential(-deviation, variance, _BERNSTEIN_SCALE)
        known_range = log_beta_binomial(scaled, n, mean)
        learned = np.logaddexp(above, below) - np.log(2.0)
        average: FloatArray = np.logaddexp(known_range, learned) - np.log(2.0)
        return average

    return low + width * _invert(log_evidence, scaled, n, log_limit)


def _predicted_squares(sums: EpochSums, low: float, high: float) -> FloatArray:
    """Sum of squared distances of the rewards from the prediction of their epoch, shape (n_arms,).

    Predicted is the mean of earlier epochs and of one reward in the middle of the range.
    """
    n_before = np.cumsum(sums.decisions, axis=0) - sums.decisions
    sum_before = np.cumsum(sums.reward_sum, axis=0) - sums.reward_sum
    predicted = (sum_before + (low + high) / 2.0) / (n_before + 1.0)
    squares = (
        sums.reward_sum_squares - 2.0 * predicted * sums.reward_sum + predicted**2 * sums.decisions
    )
    total: FloatArray = np.maximum(squares, 0.0).sum(axis=0)
    return total


def _invert(
    log_evidence: Callable[[FloatArray], FloatArray],
    total: FloatArray,
    n: FloatArray,
    log_limit: float,
) -> FloatArray:
    """Shape (n_arms, 2): ends of the means in [0, 1] with evidence below the limit, an interval around total / n.

    The evidence is a convex function of the mean. By bisection, rounded outwards.
    """
    centre = np.clip(total / np.maximum(n, 1.0), 0.0, 1.0)
    bounds = []
    for end in (0.0, 1.0):
        inside, outside = centre, np.full_like(centre, end)
        for _ in range(_N_HALVINGS):
            middle = (inside + outside) / 2.0
            is_rejected = log_evidence(middle) >= log_limit
            inside = np.where(is_rejected, inside, middle)
            outside = np.where(is_rejected, middle, outside)
        bounds.append(outside)
    return np.stack(bounds, axis=1)
