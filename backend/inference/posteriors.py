"""What is believed about each arm's mean reward, given the data: conjugate posteriors with weak priors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import special

from backend.domain import FloatArray, Json, RewardSpec, RewardType
from backend.inference.probability_best import (
    probability_best_beta,
    probability_best_gamma,
    probability_best_normal,
)
from backend.statistics import ArmStats


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
    return NormalFamily.for_range(reward.min, reward.max)


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


@dataclass(frozen=True, slots=True)
class NormalFamily:
    """Mean of a continuous reward: normal-inverse-gamma prior worth one observation.

    The prior mean is the middle of the declared range (0 without one) and the prior variance of a single reward the
    square of a quarter of the range (1 without one).

    Source: Murphy, "Conjugate Bayesian analysis of the Gaussian distribution" (2007), section 3. The marginal of the
    mean is a Student t; its normal form with the same scale is used.
    """

    mean: float = 0.0
    variance: float = 1.0
    weight: float = 1.0

    @classmethod
    def for_range(cls, low: float | None, high: float | None) -> NormalFamily:
        """The prior for rewards in [low, high]."""
        if low is None or high is None:
            return cls()
        return cls(mean=(low + high) / 2.0, variance=((high - low) / 4.0) ** 2)

    def posterior(self, stats: ArmStats) -> NormalPosterior:
        """Normal with the posterior mean, and the estimated variance of a reward over the weight of the data."""
        pulls = stats.pulls
        data_mean = stats.reward_sum / np.maximum(pulls, 1.0)
        spread = np.maximum(stats.reward_sum_squares - pulls * data_mean**2, 0.0)
        weight = self.weight + pulls
        mean = (self.weight * self.mean + stats.reward_sum) / weight
        shift = self.weight * pulls * (data_mean - self.mean) ** 2 / weight
        variance = (2.0 * self.variance + spread + shift) / (2.0 + pulls)
        return NormalPosterior(mean, np.sqrt(variance / weight))

    def prior(self) -> Json:
        """Family and parameters."""
        return {
            "family": "normal",
            "mean": self.mean,
            "variance": self.variance,
            "weight": self.weight,
        }


@dataclass(frozen=True, slots=True)
class NormalPosterior:
    """Normal(mean, standard_deviation) for each arm's mean; both of shape (n_arms,)."""

    location: FloatArray
    standard_deviation: FloatArray

    def mean(self) -> FloatArray:
        """The location."""
        return self.location

    def interval(self, level: float) -> FloatArray:
        """Shape (n_arms, 2): quantiles of the Normal distribution."""
        steps: FloatArray = special.ndtri(_tails(level))
        return self.location[:, None] + self.standard_deviation[:, None] * steps

    def probability_best(self) -> FloatArray:
        """Shape (n_arms,), sum 1."""
        return probability_best_normal(self.location, self.standard_deviation)
