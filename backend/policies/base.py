"""What every policy is."""

from typing import Protocol, runtime_checkable

from backend.context_features import ContextFeatures
from backend.domain import FloatArray, Json
from backend.inference.linear_model import LinearModel
from backend.statistics import ArmStats, LinearStats, Scores


@runtime_checkable
class Policy(Protocol):
    """Turns statistics into the exact probability of each arm.

    A policy is pure: the same statistics give the same vector, and nothing is drawn here. The service draws the arm
    from exactly this vector, after floor, caps, control share and eligibility (``propensity.py``).
    """

    def probabilities(self, stats: ArmStats) -> FloatArray:
        """Probability of choosing each arm.

        Args:
            stats: of the arms that may be chosen, n_arms >= 1.
        Returns:
            Shape (n_arms,), non-negative, sum 1.
        """
        ...

    def prior(self) -> Json:
        """What is believed before any data, for ``explain``; empty where there is no prior."""
        ...


@runtime_checkable
class ContextualPolicy(Protocol):
    """A policy whose vector depends on the unit: statistics make a model, model and context make scores, scores the vector.

    The model is made once for each change of the statistics; scores and vector at every decision. The scores are
    logged, so that a decision can be explained when its model is long gone.
    """

    @property
    def context_features(self) -> ContextFeatures:
        """The declared features and how they are encoded."""
        ...

    def fit(self, stats: LinearStats) -> LinearModel:
        """The regression of each arm, given the statistics of all arms."""
        ...

    def probabilities(self, scores: Scores) -> FloatArray:
        """Probability of choosing each arm.

        Args:
            scores: of the arms that may be chosen, n_arms >= 1.
        Returns:
            Shape (n_arms,), non-negative, sum 1.
        """
        ...

    def prior(self) -> Json:
        """What is believed before any data, for ``explain``."""
        ...
