"""What is believed about each arm's mean reward, given the data: conjugate posteriors with weak priors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from scipy import special

from backend.domain import FloatArray, Json, RewardSpec, RewardType
from backend.inference.expected_loss import expected_loss
from backend.inference.probability_best import (
    probability_best_beta,
    probability_best_gamma,
    probability_best_normal,
)
from backend.inference.quadrature import BETA, GAMMA, NORMAL
from backend.inference.value_remaining import ValueRemaining, value_remaining
from backend.statistics import ArmStats

_CONSTANT = 1e-14
"""Rewards with a smaller share of their squares around their mean are equal, but for rounding."""


class Posterior(Protocol):
    """The posterior of every arm's mean reward."""

    def mean(self) -> FloatArray:
        """Shape (n_arms,)."""
        ...

    def interval(self, level: float) -> FloatArray:
        """Shape (n_arms, 2): the central credible interval with probability ``level`` in (0, 1)."""
        ...

    def probability_best(self) -> FloatArray:
        """Shape (n_arms,), sum 1: probability that the arm's mean is the highest."""
        ...

    def expected_loss(self) -> FloatArray:
        """Shape (n_arms,), >= 0: what keeping the arm for good loses on average, in units of the reward."""
        ...

    def value_remaining(self, quantile: float) -> ValueRemaining:
        """How much better than the arm that is probably best the truly best one may be."""
        ...


class PosteriorFamily(Protocol):
    """A kind of posterior with its prior."""

    def posterior(self, stats: ArmStats) -> Posterior:
        """The posterior given the data."""
        ...

    def prior(self) -> Json:
        """Family and parameters, as JSON."""
        ...


def family_for(reward: RewardSpec) -> PosteriorFamily:
    """The conjugate family of this kind of reward."""
    if reward.type is RewardType.BINARY:
        return BetaFamily()
    if reward.type is RewardType.COUNT:
        return GammaFamily()
    return PooledNormalFamily.for_range(reward.min, reward.max)


def _tails(level: float) -> FloatArray:
    """Shape (1, 2): lower and upper quantile of the central interval."""
    return np.array([[(1.0 - level) / 2.0, (1.0 + level) / 2.0]])


@dataclass(frozen=True, slots=True)
class BetaFamily:
    """Chance of a 0/1 reward: Beta(1, 1), the uniform prior."""

    alpha: float = 1.0
    beta: float = 1.0

    def posterior(self, stats: ArmStats) -> BetaPosterior:
        """Beta(alpha + successes, beta + failures)."""
        successes = np.clip(stats.reward_sum, 0.0, stats.pulls)
        return BetaPosterior(self.alpha + successes, self.beta + stats.pulls - successes)

    def prior(self) -> Json:
        """Family and parameters."""
        return {"family": "beta", "alpha": self.alpha, "beta": self.beta}


@dataclass(frozen=True, slots=True)
class BetaPosterior:
    """Beta(alpha, beta) for each arm; both of shape (n_arms,), positive."""

    alpha: FloatArray
    beta: FloatArray

    def mean(self) -> FloatArray:
        """alpha / (alpha + beta)."""
        return self.alpha / (self.alpha + self.beta)

    def interval(self, level: float) -> FloatArray:
        """Shape (n_arms, 2): quantiles of the Beta distribution."""
        quantiles: FloatArray = special.betaincinv(
            self.alpha[:, None], self.beta[:, None], _tails(level)
        )
        return quantiles

    def probability_best(self) -> FloatArray:
        """Shape (n_arms,), sum 1."""
        return probability_best_beta(self.alpha, self.beta)

    def expected_loss(self) -> FloatArray:
        """Shape (n_arms,), >= 0."""
        return expected_loss(BETA, self.alpha, self.beta, self.mean())

    def value_remaining(self, quantile: float) -> ValueRemaining:
        """Of the arm with the highest probability of being best."""
        best = int(np.argmax(self.probability_best()))
        return value_remaining(BETA, self.alpha, self.beta, best, quantile=quantile)


@dataclass(frozen=True, slots=True)
class GammaFamily:
    """Mean of a Poisson count: Gamma(1, 1), as if one decision had brought a count of one."""

    shape: float = 1.0
    rate: float = 1.0

    def posterior(self, stats: ArmStats) -> GammaPosterior:
        """Gamma(shape + sum of counts, rate + pulls)."""
        return GammaPosterior(
            self.shape + np.maximum(stats.reward_sum, 0.0), self.rate + stats.pulls
        )

    def prior(self) -> Json:
        """Family and parameters."""
        return {"family": "gamma", "shape": self.shape, "rate": self.rate}


@dataclass(frozen=True, slots=True)
class GammaPosterior:
    """Gamma(shape, rate) for each arm; both of shape (n_arms,), positive."""

    shape: FloatArray
    rate: FloatArray

    def mean(self) -> FloatArray:
        """shape / rate."""
        return self.shape / self.rate

    def interval(self, level: float) -> FloatArray:
        """Shape (n_arms, 2): quantiles of the Gamma distribution."""
        quantiles: FloatArray = special.gammaincinv(self.shape[:, None], _tails(level))
        return quantiles / self.rate[:, None]

    def probability_best(self) -> FloatArray:
        """Shape (n_arms,), sum 1."""
        return probability_best_gamma(self.shape, self.rate)

    def expected_loss(self) -> FloatArray:
        """Shape (n_arms,), >= 0."""
        return expected_loss(GAMMA, self.shape, self.rate, self.mean())

    def value_remaining(self, quantile: float) -> ValueRemaining:
        """Of the arm with the highest probability of being best."""
        best = int(np.argmax(self.probability_best()))
        return value_remaining(GAMMA, self.shape, self.rate, best, quantile=quantile)


@dataclass(frozen=True, slots=True)
class NormalFamily:
    """Mean of a continuous reward: normal-inverse-gamma prior worth ``weight`` observations.

    Attributes:
        mean: of the prior.
        variance: what is believed of the variance of a single reward, > 0.
        weight: in observations, > 0; the variance is believed as if two had shown it.

    Source: Murphy, "Conjugate Bayesian analysis of the Gaussian distribution" (2007), section 3.
    """

    mean: float = 0.0
    variance: float = 1.0
    weight: float = 1.0

    @classmethod
    def for_range(cls, low: float | None, high: float | None) -> NormalFamily:
        """The prior for rewards in [low, high]: the middle, and a quarter of the range as standard deviation.

        Without both, mean 0 and variance 1.
        """
        if low is None or high is None:
            return cls()
        return cls(mean=(low + high) / 2.0, variance=((high - low) / 4.0) ** 2)

    def posterior(self, stats: ArmStats) -> NormalPosterior:
        """Centred on the posterior mean, with the estimated variance of a reward over the weight of the data."""
        pulls = stats.pulls
        data_mean = np.divide(stats.reward_sum, pulls, out=np.zeros_like(pulls), where=pulls > 0.0)
        spread = np.maximum(stats.reward_sum_squares - pulls * data_mean**2, 0.0)
        weight = self.weight + pulls
        mean = (self.weight * self.mean + stats.reward_sum) / weight
        shift = self.weight * pulls * (data_mean - self.mean) ** 2 / weight
        freedom = 2.0 + pulls
        variance = (2.0 * self.variance + spread + shift) / freedom
        return NormalPosterior(mean, np.sqrt(variance / weight), freedom)

    def prior(self) -> Json:
        """Family and parameters."""
        return {
            "family": "normal",
            "mean": self.mean,
            "variance": self.variance,
            "weight": self.weight,
        }


@dataclass(frozen=True, slots=True)
class PooledNormalFamily:
    """Mean of a continuous reward: the prior of one observation is like the data of all arms together.

    Empirical Bayes: the prior mean and variance are those of all rewards, whatever their arm, so adding a constant to
    all rewards or changing their unit changes nothing but the unit. A declared range is believed before there are data,
    and no longer: rewards near 5 in [0, 1e6] would take a million of them to forget its middle.

    Rewards that are all equal show no scale: then the variance is that of the range, or without one their square (1 if
    they are 0).

    Attributes:
        without_data: the prior before any reward.
        has_range: it was made from a declared range.

    Source: Efron, "Large-Scale Inference" (2010), chapter 1, for estimating a prior from parallel data.
    """

    without_data: NormalFamily = NormalFamily()
    has_range: bool = False

    @classmethod
    def for_range(cls, low: float | None, high: float | None) -> PooledNormalFamily:
        """For rewards in [low, high]; without both, mean 0 and variance 1 before any data."""
        has_range = low is not None and high is not None
        return cls(NormalFamily.for_range(low, high), has_range)

    def posterior(self, stats: ArmStats) -> NormalPosterior:
        """That of ``NormalFamily`` with the pooled prior."""
        return self.pooled(stats).posterior(stats)

    def pooled(self, stats: ArmStats) -> NormalFamily:
        """The prior that these data give."""
        pulls = float(stats.pulls.sum())
        if pulls <= 0.0:
            return self.without_data
        mean = float(stats.reward_sum.sum()) / pulls
        square = float(stats.reward_sum_squares.sum()) / pulls
        variance = square - mean**2
        if variance <= _CONSTANT * square:
            variance = self.without_data.variance if self.has_range else mean**2 or 1.0
        return replace(self.without_data, mean=mean, variance=variance)

    def prior(self) -> Json:
        """Family and parameters before any data; then mean and variance are those of all rewards."""
        return {**self.without_data.prior(), "pooled": "mean and variance of all rewards so far"}


@dataclass(frozen=True, slots=True)
class NormalPosterior:
    """What is known of each arm's mean; arrays have shape (n_arms,).

    The exact marginal is a Student t about ``location`` with scale ``standard_deviation``, and intervals are its
    quantiles. Comparisons between arms (probability of being best, loss, value remaining) use the normal of the same
    location and scale: a t with few degrees of freedom has no variance, and no expected loss either below 2.
    """

    location: FloatArray
    standard_deviation: FloatArray
    degrees_of_freedom: FloatArray

    def mean(self) -> FloatArray:
        """The location."""
        return self.location

    def interval(self, level: float) -> FloatArray:
        """Shape (n_arms, 2): quantiles of the Student t distribution."""
        steps: FloatArray = special.stdtrit(self.degrees_of_freedom[:, None], _tails(level))
        return self.location[:, None] + self.standard_deviation[:, None] * steps

    def probability_best(self) -> FloatArray:
        """Shape (n_arms,), sum 1."""
        return probability_best_normal(self.location, self.standard_deviation)

    def expected_loss(self) -> FloatArray:
        """Shape (n_arms,), >= 0."""
        centred = self.location - self.location.max()
        return expected_loss(NORMAL, centred, self.standard_deviation, centred)

    def value_remaining(self, quantile: float) -> ValueRemaining:
        """Of the arm with the highest probability of being best."""
        best = int(np.argmax(self.probability_best()))
        offset = float(self.location[best])
        return value_remaining(
            NORMAL,
            self.location - offset,
            self.standard_deviation,
            best,
            quantile=quantile,
            offset=offset,
        )
