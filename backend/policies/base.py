"""What every policy is."""

from typing import Protocol

from backend.domain import ArmStats, FloatArray, Json


class Policy(Protocol):
    """Turns statistics (and context) into the exact probability of each arm.

    A policy is pure: the same statistics give the same vector, and nothing is drawn here. The service draws the arm
    from exactly this vector, after floor, control share and eligibility (``propensity.py``).
    """

    def probabilities(self, stats: ArmStats, context: Json | None = None) -> FloatArray:
        """Probability of choosing each arm.

        Args:
            stats: of the arms that may be chosen, n_arms >= 1.
            context: features of the unit, known before the choice; context-free policies ignore it.
        Returns:
            Shape (n_arms,), non-negative, sum 1.
        """
        ...

    def prior(self) -> Json:
        """What is believed before any data, for ``explain``; empty where there is no prior."""
        ...
