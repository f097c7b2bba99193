"""Better arms more often, by a temperature."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from backend.domain import FloatArray, Json, RewardSpec
from backend.errors import InvalidPolicy
from backend.policies.arm_means import prior_mean, shrunk_means
from backend.statistics import ArmStats

LOWEST, HIGHEST = 1e-9, 1e9


@dataclass(frozen=True, slots=True)
class Softmax:
    """Boltzmann exploration: probabilities in proportion to exp(mean / temperature).

    The temperature is in the unit of the reward: an arm whose mean is better by ``temperature`` is chosen e = 2.718
    times as often. Means are drawn towards the mean of all arms as if by one pull, so an arm without data stands at
    that mean. Smooth and easy to explain, but how much it explores does not depend on how much is known: its regret
    grows linearly.

    Source: Sutton and Barto, Reinforcement Learning (2018), section 2.8, with means for preferences; on what it
    lacks: Cesa-Bianchi, Gentile, Lugosi and Neu (2017), "Boltzmann exploration done right".

    Attributes:
        temperature: in the unit of the reward, in [1e-9, 1e9].
        prior_mean: what a decision is believed to earn before any data.
    """

    temperature: float = 0.05
    prior_mean: float = 0.5

    def __post_init__(self) -> None:
        if not LOWEST <= self.temperature <= HIGHEST:
            raise InvalidPolicy(
                f"temperature, in the unit of the reward, must be in [{LOWEST:g}, {HIGHEST:g}], "
                f"got {self.temperature:g}"
            )

    @classmethod
    def for_reward(cls, reward: RewardSpec, temperature: float = 0.05) -> Self:
        """With the prior mean of this kind of reward."""
        return cls(temperature, prior_mean(reward))

    def probabilities(self, stats: ArmStats) -> FloatArray:
        """Shape (n_arms,): exp(mean / temperature), divided by its sum."""
        means = shrunk_means(stats, self.prior_mean)
        with np.errstate(over="ignore"):  # exp(-inf) = 0 is the right weight
            weights = np.exp((means - means.max()) / self.temperature)
        probabilities: FloatArray = weights / weights.sum()
        return probabilities

    def prior(self) -> Json:
        """The mean that counts as one pull among those of all arms."""
        return {"mean": self.prior_mean}
