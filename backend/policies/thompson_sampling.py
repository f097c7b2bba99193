"""Each arm with the probability that it is the best one."""

from dataclasses import dataclass
from typing import Self

from backend.domain import FloatArray, Json, RewardSpec
from backend.inference.posteriors import PosteriorFamily, family_for
from backend.policies.arm_means import with_expected_outcomes
from backend.statistics import ArmStats


@dataclass(frozen=True, slots=True)
class ThompsonSampling:
    """Thompson sampling: choose each arm with its posterior probability of having the highest mean.

    Instead of drawing once from every posterior, which leaves the propensity unknown, that probability is computed
    exactly by quadrature. Asymptotically optimal for binary rewards (Kaufmann, Korda and Munos 2012); it assumes
    that the arms' means do not change. Pending decisions narrow the posterior as if they had brought what is expected of
    them, so that not everybody is sent to a new arm until its first outcomes are known.

    Source: Thompson (1933); Chapelle and Li (2011); the probability that an arm is optimal: Scott (2010).
    """

    family: PosteriorFamily

    @classmethod
    def for_reward(cls, reward: RewardSpec) -> Self:
        """With the conjugate posterior of this kind of reward."""
        return cls(family_for(reward))

    def probabilities(self, stats: ArmStats) -> FloatArray:
        """Shape (n_arms,): P(arm is best), to 1e-6 or better."""
        return self.family.posterior(with_expected_outcomes(stats)).probability_best()

    def prior(self) -> Json:
        """The prior's family and parameters."""
        return self.family.prior()
