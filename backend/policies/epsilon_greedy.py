"""Mostly the best arm so far, sometimes any."""

from dataclasses import dataclass
from typing import Self

from backend.domain import FloatArray, Json, RewardSpec
from backend.errors import InvalidPolicy
from backend.policies.arm_means import lagged_means, prior_mean
from backend.policies.index_shares import first_pulls
from backend.statistics import ArmStats


@dataclass(frozen=True, slots=True)
class EpsilonGreedy:
    """With probability ``epsilon`` an arm at random, else the arm with the highest mean reward.

    An arm without any decision is the best one until it has had one; arms that tie for best share alike. Simple and
    easy to explain; its regret grows linearly, because ``epsilon`` never falls.

    Source: Sutton and Barto, Reinforcement Learning (2018), section 2.2.

    Attributes:
        epsilon: in [0, 1].
        prior_mean: what a decision is believed to earn before any data.
    """

    epsilon: float = 0.1
    prior_mean: float = 0.5

    def __post_init__(self) -> None:
        if not 0.0 <= self.epsilon <= 1.0:
            raise InvalidPolicy(f"epsilon must be in [0, 1], got {self.epsilon:g}")

    @classmethod
    def for_reward(cls, reward: RewardSpec, epsilon: float = 0.1) -> Self:
        """With the prior mean of this kind of reward."""
        return cls(epsilon, prior_mean(reward))

    def probabilities(self, stats: ArmStats) -> FloatArray:
        """Shape (n_arms,): epsilon / n_arms each, and 1 - epsilon shared by the best."""
        means = lagged_means(stats, self.prior_mean)
        best = means == means.max()
        first, rest = first_pulls(stats)
        greedy: FloatArray = (first + rest * best / best.sum()) / stats.batch_size
        return self.epsilon / stats.n_arms + (1.0 - self.epsilon) * greedy

    def prior(self) -> Json:
        """The mean that counts as one pull among those of all arms, where outcomes lag behind."""
        return {"mean": self.prior_mean}
