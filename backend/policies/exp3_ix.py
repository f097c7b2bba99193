"""Exponential weights for rewards that may change in any way."""

from dataclasses import dataclass
from math import log, sqrt
from typing import Self

import numpy as np

from backend.domain import FloatArray, Json, RewardSpec
from backend.errors import InvalidPolicy
from backend.policies.reward_range import known_range
from backend.statistics import ArmStats

LONGEST_HORIZON = 1e12


@dataclass(frozen=True, slots=True)
class Exp3IX:
    """Exp3 with implicit exploration: probabilities in proportion to exp(-rate * estimated loss so far).

    The loss of a decision is (high - reward) / (high - low); its estimate is divided by propensity + gamma, where
    gamma, the implicit exploration, keeps the estimate of a rarely chosen arm from exploding. The only policy here
    that assumes nothing about the rewards but their range: they may change over time, even against the policy. Its
    regret against the best single arm is then of order sqrt(K T ln K), with high probability; where nothing changes
    the others are far better.

    Source: Neu (2015), "Explore no more: improved high-probability regret bounds for non-stochastic bandits",
    algorithm 1 with the parameters of its theorem 1.

    Attributes:
        low, high: the range of a reward.
        horizon: expected number of decisions, in [1, 1e12]; None: the rate falls with time.
    """

    low: float = 0.0
    high: float = 1.0
    horizon: float | None = None

    def __post_init__(self) -> None:
        if self.horizon is not None and not 1.0 <= self.horizon <= LONGEST_HORIZON:
            raise InvalidPolicy(
                "horizon, the expected number of decisions, must be in "
                f"[1, {LONGEST_HORIZON:g}], got {self.horizon:g}"
            )

    @classmethod
    def for_reward(cls, reward: RewardSpec, horizon: float | None = None) -> Self:
        """For binary rewards, or continuous ones with min and max. Raises InvalidPolicy."""
        return cls(*known_range("exp3_ix", reward), horizon)

    def probabilities(self, stats: ArmStats) -> FloatArray:
        """Shape (n_arms,): exponential weights, divided by their sum."""
        weighted_losses = self.high * stats.weight_sum - stats.weighted_reward_sum
        losses = np.maximum(weighted_losses / (self.high - self.low), 0.0)
        weights = np.exp(self._rate(stats) * (losses.min() - losses))
        probabilities: FloatArray = weights / weights.sum()
        return probabilities

    def implicit_exploration(self, stats: ArmStats) -> float:
        """gamma: decisions made under ``stats`` have the importance weight 1 / (propensity + gamma)."""
        return 0.5 * self._rate(stats)

    def _rate(self, stats: ArmStats) -> float:
        """sqrt(2 ln K / (K T)) with a horizon T, else sqrt(ln K / (K t)) at the time t."""
        n_arms = stats.n_arms
        if self.horizon is not None:
            return sqrt(2.0 * log(n_arms) / (n_arms * self.horizon))
        return sqrt(log(n_arms) / (n_arms * max(stats.n_decisions, 1.0)))

    def prior(self) -> Json:
        """None: all estimated losses start from 0."""
        return {}
