"""Exploration that ends in time: an upper confidence bound that knows how many decisions there will be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy import special

from backend.domain import FloatArray, Json, RewardSpec, RewardType
from backend.errors import InvalidPolicy
from backend.inference.posteriors import PooledNormalFamily
from backend.policies.arm_means import lagged_means
from backend.policies.divergences import (
    BernoulliDivergence,
    Divergence,
    GaussianDivergence,
    PoissonDivergence,
)
from backend.policies.index_shares import index_shares
from backend.statistics import ArmStats

LONGEST_HORIZON = 1e12
_NEWTON_STEPS = 2


@dataclass(frozen=True, slots=True)
class FiniteHorizonKL:
    """The arms with the highest q for which n * d(m, q) <= z(r), with r = (T - t + 1) / (n sqrt(K)).

    T is the horizon, t counts all decisions, n those of the arm, K the arms; z(r) = 0 if r <= 1, ln r if ln r <= 1,
    else ln(r / sqrt(ln r)). An arm is explored as long as the decisions that remain can repay it, and nothing is
    explored at the end. That saves a good part of the regret of policies that do not know the horizon. After the
    horizon it is greedy: a horizon that is too short can leave it with a worse arm for good, one that is twice too
    long costs little. It assumes that the arms' means do not change.

    d is the divergence of Bernoulli rewards for binary ones, of Poisson rewards for counts, and for continuous ones
    the Gaussian form with estimated variances.

    Source: z is the boundary of the finite-horizon Gittins index (Chernoff and Ray 1965; Lai 1987, "Adaptive
    treatment allocation and the multi-armed bandit problem"; Lattimore 2016, "Regret analysis of the finite-horizon
    Gittins index strategy"). That index compares with one known arm; MOSS (Audibert and Bubeck 2009) divides by K
    for many unknown ones, and sqrt(K) lies between.

    Attributes:
        horizon: expected number of decisions, in [1, 1e12].
        reward_type: of the primary reward.
        continuous: prior of continuous rewards, for their variance while there are few data.
    """

    horizon: float
    reward_type: RewardType
    continuous: PooledNormalFamily

    def __post_init__(self) -> None:
        if not 1.0 <= self.horizon <= LONGEST_HORIZON:
            raise InvalidPolicy(
                "horizon, the expected number of decisions, must be in "
                f"[1, {LONGEST_HORIZON:g}], got {self.horizon:g}"
            )

    @classmethod
    def for_reward(cls, reward: RewardSpec, horizon: float) -> Self:
        """With the divergence of this kind of reward."""
        return cls(horizon, reward.type, PooledNormalFamily.for_range(reward.min, reward.max))

    def probabilities(self, stats: ArmStats) -> FloatArray:
        """Shape (n_arms,): shares of the next batch (``index_shares.py``)."""
        remaining = max(self.horizon - stats.n_decisions, 0.0)
        exploration = RemainingTime(remaining / np.sqrt(stats.n_arms))
        return index_shares(self._divergence(stats), exploration, stats)

    def _divergence(self, stats: ArmStats) -> Divergence:
        if self.reward_type is RewardType.BINARY:
            return BernoulliDivergence.around(lagged_means(stats, prior_mean=0.5))
        if self.reward_type is RewardType.COUNT:
            return PoissonDivergence.around(lagged_means(stats, prior_mean=1.0))
        prior = self.continuous.pooled(stats)
        means = lagged_means(stats, prior_mean=prior.mean)
        return GaussianDivergence(means, estimated_variances(stats, prior.variance))

    def prior(self) -> Json:
        """None: means are plain averages."""
        return {}


@dataclass(frozen=True, slots=True)
class RemainingTime:
    """z(r) with r = ``longest`` / n: how far the index of an arm with count n may rise.

    ``longest`` >= 0 is the count at which an arm's index has come down to its mean.
    """

    longest: float

    def budget(self, counts: FloatArray) -> FloatArray:
        """z(longest / n)."""
        log_ratio = np.log(np.maximum(self.longest / counts, 1.0))
        budget: FloatArray = log_ratio - 0.5 * np.log(np.maximum(log_ratio, 1.0))
        return budget

    def counts(self, divergence: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The n with n * d = z(longest / n), and by how many percent it falls when d rises by one.

        With x = ln r it is the root of x + ln z(x) = ln(longest * d). Up to x = 1 that is Wright's omega function;
        above, Newton's method starts near it and needs two steps to 1e-11.
        """
        if self.longest == 0.0:
            return np.zeros_like(divergence), np.ones_like(divergence)
        target = np.log(divergence) + math.log(self.longest)
        x = special.wrightomega(target)
        above_one = np.maximum(x, 1.0)
        x += 0.5 * np.log(above_one) / (1.0 + above_one)
        for _ in range(_NEWTON_STEPS):
            above_one = np.maximum(x, 1.0)
            z = x - 0.5 * np.log(above_one)
            z_slope = 1.0 - (x > 1.0) * 0.5 / above_one
            share = z / (z + z_slope)
            x -= (x + np.log(z) - target) * share
        return self.longest * np.exp(-x), share


def estimated_variances(stats: ArmStats, prior_variance: float) -> FloatArray:
    """Variance of one reward of each arm, drawn towards that within all arms as if by two observations.

    Few pulls say little about a variance, and one pull nothing; other arms' rewards are the best guess. The variance
    within all arms starts from ``prior_variance`` in the same way.

    Returns:
        Shape (n_arms,), > 0.
    """
    pulls = stats.pulls
    means = np.divide(stats.reward_sum, pulls, out=np.zeros_like(pulls), where=pulls > 0.0)
    spread = np.maximum(stats.reward_sum_squares - means * stats.reward_sum, 0.0)
    degrees = np.maximum(pulls - 1.0, 0.0)
    shared = (2.0 * prior_variance + spread.sum()) / (2.0 + degrees.sum())
    variances: FloatArray = (2.0 * shared + spread) / (2.0 + degrees)
    return variances
