"""Each arm with the probability that it is the best one for this unit."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from backend.context_features import ContextFeatures
from backend.domain import FloatArray, Json, RewardSpec
from backend.inference.best_of_normals import best_of_normals
from backend.inference.linear_model import LinearModel
from backend.statistics import LinearStats, Scores

VARIANCE_SHARE = 0.5
"""Part of the posterior's variance that is explored."""


@dataclass(frozen=True, slots=True)
class LinearThompson:
    """Thompson sampling on a linear regression per arm: choose each arm with its probability of the highest mean.

    In context x the arms' means are independent normals N(x'theta, v s^2 x'A^-1 x), s^2 being the learned residual
    variance; the probability that each is the highest is computed by quadrature instead of drawn. With v = 1 that is
    the posterior. Half of its variance (v = 0.5) had a sixth less regret on most problems measured and nowhere more,
    because contexts that differ explore by themselves; a quarter of it sometimes kept to a wrong arm.

    Source: Agrawal and Goyal (2013), "Thompson sampling for contextual bandits with linear payoffs", algorithm 1.
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
        """Shape (n_arms,): P(arm is best), to 1e-6 or better."""
        deviations = np.sqrt(VARIANCE_SHARE) * scores.standard_deviation
        return best_of_normals(scores.mean, deviations)

    def prior(self) -> Json:
        """Of each arm's coefficients."""
        return LinearModel.prior()
