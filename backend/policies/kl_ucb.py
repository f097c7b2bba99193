"""The highest upper confidence bound, as narrow as the kind of reward allows."""

from dataclasses import dataclass
from typing import Self

from backend.domain import FloatArray, Json, RewardSpec, RewardType
from backend.policies.arm_means import lagged_means
from backend.policies.divergences import BernoulliDivergence, Divergence, PoissonDivergence
from backend.policies.index_shares import SharedBudget, index_shares
from backend.policies.reward_range import known_range
from backend.statistics import ArmStats


@dataclass(frozen=True, slots=True)
class KLUCB:
    """kl-UCB: the arms with the highest q for which n * kl(m, q) <= ln t, where t counts all decisions.

    kl is that of Bernoulli rewards for binary ones, and for continuous ones as shares of their range (valid, but wide
    where they vary little); of Poisson rewards for counts. Asymptotically optimal for binary rewards and counts; it
    assumes that the arms' means do not change.

    Source: Garivier and Cappe (2011), "The KL-UCB algorithm for bounded stochastic bandits and beyond", algorithm 1
    with c = 0, as its section 5 recommends.

    Attributes:
        low, high: the range of a reward; None for counts.
    """

    low: float | None
    high: float | None

    @classmethod
    def for_reward(cls, reward: RewardSpec) -> Self:
        """For binary rewards, counts, or continuous ones with min and max. Raises InvalidPolicy."""
        if reward.type is RewardType.COUNT:
            return cls(None, None)
        return cls(*known_range("kl_ucb", reward))

    def probabilities(self, stats: ArmStats) -> FloatArray:
        """Shape (n_arms,): shares of the next batch (``index_shares.py``)."""
        return index_shares(self._divergence(stats), SharedBudget.at(stats.n_decisions), stats)

    def _divergence(self, stats: ArmStats) -> Divergence:
        if self.low is None or self.high is None:
            return PoissonDivergence.around(lagged_means(stats, prior_mean=1.0))
        means = lagged_means(stats, prior_mean=0.5 * (self.low + self.high))
        return BernoulliDivergence.around((means - self.low) / (self.high - self.low))

    def prior(self) -> Json:
        """None: means are plain averages."""
        return {}
