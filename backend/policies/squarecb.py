"""Each arm the more often, the smaller the gap of its predicted reward to the best."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from backend.context_features import ContextFeatures
from backend.domain import FloatArray, Json, RewardSpec
from backend.inference.linear_model import LinearModel, nearly_best
from backend.statistics import LinearStats, Scores

GREED = 10.0
"""What the learned scale of gamma is multiplied by."""


@dataclass(frozen=True, slots=True)
class SquareCB:
    """SquareCB: inverse gap weighting on a linear regression per arm.

    In context x, arm a gets 1 / (K + gamma (best - x'theta_a)), with K arms, and the best the rest. Gamma is
    10 sqrt(K sum over arms of 1 / s_a^2), s_a being the standard deviation of a prediction: it grows with the square
    root of the decisions in such contexts and is in units of the learned noise, so that there is nothing to tune.
    No probability is ever 0: good logs for off-policy evaluation, at more regret than ``lin_ucb``.

    Source: Foster and Rakhlin (2020), "Beyond UCB: optimal and efficient contextual bandits with regression oracles",
    algorithm 1 and theorem 1 (gamma = sqrt(K T / squared error of the predictions)).
    """

    context_features: ContextFeatures

    @classmethod
    def for_reward(cls, _reward: RewardSpec, context_features: Any) -> Self:
        """The same for every kind of reward, which is learned as a number. Raises InvalidPolicy."""
        return cls(ContextFeatures.parse(context_features))

    def fit(self, stats: LinearStats) -> LinearModel:
        """The regression of each arm."""
        return LinearModel.fit(stats)

    def probabilities(self, scores: Scores) -> FloatArray:
        """Shape (n_arms,): above 0; arms that tie for best share alike."""
        n_arms = len(scores.mean)
        deviation = scores.standard_deviation
        smallest = deviation.min()
        gaps = (scores.mean.max() - scores.mean) / smallest
        gamma = GREED * np.sqrt(n_arms * ((smallest / deviation) ** 2).sum())
        shares: FloatArray = 1.0 / (n_arms + gamma * gaps)
        best = nearly_best(scores.mean, deviation)
        shares[best] = (1.0 - shares[~best].sum()) / best.sum()
        return shares

    def prior(self) -> Json:
        """Of each arm's coefficients."""
        return LinearModel.prior()
