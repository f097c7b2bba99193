"""Mostly the best arm so far, sometimes any."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from backend.domain import FloatArray, Json, RewardSpec
from backend.errors import InvalidPolicy
from backend.statistics import ArmStats


@dataclass(frozen=True, slots=True)
class EpsilonGreedy:
    """With probability ``epsilon`` an arm at random, else the arm with the highest mean reward.

    Arms without data count as best until they have some; arms that tie for best share alike. Simple and easy to
    explain; its regret grows linearly, because ``epsilon`` never falls.

    Source: Sutton and Barto, Reinforcement Learning (2018), section 2.2.
    """

    epsilon: float = 0.1

    def __post_init__(self) -> None:
        if not 0.0 <= self.epsilon <= 1.0:
            raise InvalidPolicy(f"epsilon must be in [0, 1], got {self.epsilon:g}")

    @classmethod
    def for_reward(cls, _reward: RewardSpec, epsilon: float = 0.1) -> Self:
        """The same for every kind of reward."""
        return cls(epsilon)

    def probabilities(self, stats: ArmStats) -> FloatArray:
        """Shape (n_arms,): epsilon / n_arms each, and 1 - epsilon shared by the best."""
        means = np.where(stats.pulls > 0, stats.means(), np.inf)
        best = means == means.max()
        greedy: FloatArray = best / best.sum()
        return self.epsilon / stats.n_arms + (1.0 - self.epsilon) * greedy

    def prior(self) -> Json:
        """None: means are plain averages."""
        return {}
