"""The probable best arm, or its strongest challenger."""

from dataclasses import dataclass
from typing import Self

from backend.domain import FloatArray, Json, RewardSpec
from backend.errors import InvalidPolicy
from backend.inference.posteriors import PosteriorFamily, family_for
from backend.policies.arm_means import with_expected_outcomes
from backend.statistics import ArmStats

_INVISIBLE = 1e-15
"""Added to each P(best), which is exact to no less: challengers that all have less than this share alike."""


@dataclass(frozen=True, slots=True)
class TopTwoThompson:
    """Top-two Thompson sampling: a leader drawn by P(best); with probability 1 - beta, drawn anew until it is another.

    For finding the best arm with few decisions rather than for earning meanwhile: about 1 - beta of the traffic goes
    to challengers for ever, where Thompson sampling would hardly look at them again. With beta 1 it is Thompson
    sampling. With a_i = P(i is best), and none drawn:

        p_i = beta a_i + (1 - beta) * sum over j != i of a_j a_i / (1 - a_j).

    Source: Russo (2020), "Simple Bayesian algorithms for best-arm identification", section 3.3.

    Attributes:
        family: of the posteriors.
        beta: probability of keeping the leader, in (0, 1].
    """

    family: PosteriorFamily
    beta: float = 0.5

    def __post_init__(self) -> None:
        if not 0.0 < self.beta <= 1.0:
            raise InvalidPolicy(f"beta must be in (0, 1], got {self.beta:g}")

    @classmethod
    def for_reward(cls, reward: RewardSpec, beta: float = 0.5) -> Self:
        """With the conjugate posterior of this kind of reward."""
        return cls(family_for(reward), beta)

    def probabilities(self, stats: ArmStats) -> FloatArray:
        """Shape (n_arms,): leader and challenger taken together."""
        best = self.family.posterior(with_expected_outcomes(stats)).probability_best()
        if stats.n_arms == 1:
            return best
        return self.beta * best + (1.0 - self.beta) * challenger_probabilities(best)

    def prior(self) -> Json:
        """The prior's family and parameters."""
        return self.family.prior()


def challenger_probabilities(best: FloatArray) -> FloatArray:
    """The probability that each arm is the first drawn that differs from the leader.

    Args:
        best: P(best), shape (n_arms,), sum 1, n_arms >= 2; one entry may be 1.
    Returns:
        Shape (n_arms,), sum 1. The likeliest leader's odds against the others are kept apart: they may be 1e15, and
        adding them to the others' would lose what these say.
    """
    best = (best + _INVISIBLE) / (1.0 + len(best) * _INVISIBLE)
    first = int(best.argmax())
    others = best.copy()
    others[first] = 0.0
    odds_of_others = others / (1.0 - others)
    after_others = best * (odds_of_others.sum() - odds_of_others)
    after_first = best[first] * others / others.sum()
    challengers = after_others + after_first
    probabilities: FloatArray = challengers / challengers.sum()
    return probabilities
