"""Every arm alike: a fixed, even split."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from backend.domain import FloatArray, Json, RewardSpec
from backend.statistics import ArmStats


@dataclass(frozen=True, slots=True)
class Uniform:
    """The classic A/B/n test: probability 1 / n_arms for each arm, whatever was observed."""

    @classmethod
    def for_reward(cls, _reward: RewardSpec) -> Self:
        """The same for every kind of reward."""
        return cls()

    def probabilities(self, stats: ArmStats) -> FloatArray:
        """Shape (n_arms,): 1 / n_arms each."""
        return np.full(stats.n_arms, 1.0 / stats.n_arms)

    def prior(self) -> Json:
        """None: nothing is learned."""
        return {}
