"""The highest upper confidence bound of a reward in a known range."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from backend.domain import FloatArray, Json, RewardSpec
from backend.policies.arm_means import lagged_means
from backend.policies.divergences import GaussianDivergence
from backend.policies.index_shares import SharedBudget, index_shares
from backend.policies.reward_range import known_range
from backend.statistics import ArmStats


@dataclass(frozen=True, slots=True)
class UCB1:
    """UCB1: the arms with the highest mean + range * sqrt(2 ln t / n), where t counts all decisions.

    Known, simple, and with a bound for every reward in [low, high]; it explores far more than needed, because it
    takes every reward to be as variable as the range allows. ``kl_ucb`` is better wherever this one can be used.

    Source: Auer, Cesa-Bianchi and Fischer (2002), "Finite-time analysis of the multiarmed bandit problem", figure 1.
    """

    low: float
    high: float

    @classmethod
    def for_reward(cls, reward: RewardSpec) -> Self:
        """For binary rewards, or continuous ones with min and max. Raises InvalidPolicy."""
        return cls(*known_range("ucb1", reward))

    def probabilities(self, stats: ArmStats) -> FloatArray:
        """Shape (n_arms,): shares of the next batch (``index_shares.py``)."""
        means = lagged_means(stats, prior_mean=0.5 * (self.low + self.high))
        variances = np.full(stats.n_arms, (self.high - self.low) ** 2)
        divergence = GaussianDivergence(means, variances)
        return index_shares(divergence, SharedBudget.at(stats.n_decisions), stats)

    def prior(self) -> Json:
        """None: means are plain averages."""
        return {}
