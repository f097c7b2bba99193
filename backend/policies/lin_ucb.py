"""The arm that could be best for this unit, as far as is known."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from backend.context_features import ContextFeatures
from backend.domain import FloatArray, Json, RewardSpec
from backend.inference.linear_model import LinearModel, nearly_best
from backend.statistics import LinearStats, Scores

BONUS = 0.7
"""What the logarithm in the bonus is multiplied by."""


@dataclass(frozen=True, slots=True)
class LinUCB:
    """An upper confidence bound on a linear regression per arm: choose the arm with the highest.

    The bound of arm a in context x is x'theta_a + s_a sqrt(0.7 ln(1 + (s_a / min s)^2)), where s_a is the standard
    deviation of its prediction in units of the learned residual, so that there is nothing to tune, and min s the
    smallest of all arms: an arm much less known than another gets a second look, one as well known hardly. In place
    of the usual ln t this is the logarithm of how much more often another arm was seen in such contexts.

    Arms that tie share; otherwise the vector is 0 and 1, so set ``probability_floor`` to estimate anything from its
    log. Pending decisions narrow s_a, so that not everybody is sent to one uncertain arm meanwhile.

    Sources: Li et al. (2010), "A contextual-bandit approach to personalized news article recommendation", algorithm 1
    (disjoint); a logarithm of counts instead of time: Lattimore (2018), "Refining the confidence level for optimistic
    bandit strategies".
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
        """Shape (n_arms,): the arms with the highest bound in equal parts, 0 for the others."""
        deviation = scores.standard_deviation
        ratio = deviation / deviation.min()
        bonus = deviation * np.sqrt(BONUS * np.log1p(ratio**2))
        best = nearly_best(scores.mean + bonus, deviation)
        shares: FloatArray = best / best.sum()
        return shares

    def prior(self) -> Json:
        """Of each arm's coefficients."""
        return LinearModel.prior()
