"""The sums that everything is learned from: as they are stored, and as a policy sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Self

import numpy as np

from backend.domain import BoolArray, FloatArray


@dataclass(frozen=True, slots=True)
class ArmStatistics:
    """Sums over the log; each array has shape (n_arms,).

    ``rewards`` counts the decisions that have a reward; ``reward_sum`` and ``reward_sum_squares`` sum those rewards.
    """

    decisions: FloatArray
    rewards: FloatArray
    reward_sum: FloatArray
    reward_sum_squares: FloatArray

    @classmethod
    def zeros(cls, n_arms: int) -> Self:
        """No data yet."""
        return cls(*(np.zeros(n_arms) for _ in range(4)))

    @classmethod
    def from_matrix(cls, sums: FloatArray) -> Self:
        """From shape (n_arms, 4): decisions, rewards, reward_sum, reward_sum_squares."""
        return cls(*np.ascontiguousarray(sums.T))

    def to_matrix(self) -> FloatArray:
        """Shape (n_arms, 4): decisions, rewards, reward_sum, reward_sum_squares."""
        return np.column_stack(
            [self.decisions, self.rewards, self.reward_sum, self.reward_sum_squares]
        )

    def observed(self, default_reward: float | None) -> ArmStats:
        """What a policy learns from: decisions without a reward count as ``default_reward`` (or not at all)."""
        if default_reward is None:
            return ArmStats(self.rewards, self.reward_sum, self.reward_sum_squares)
        unrewarded = np.maximum(self.decisions - self.rewards, 0.0)
        return ArmStats(
            pulls=self.rewards + unrewarded,
            reward_sum=self.reward_sum + default_reward * unrewarded,
            reward_sum_squares=self.reward_sum_squares + default_reward**2 * unrewarded,
        )


_MISSING = np.empty(0)


@dataclass(frozen=True, slots=True)
class ArmStats:
    """Sufficient statistics of each arm as a policy sees them; each array has shape (n_arms,).

    Forgetting and delay are already in them, so none need be a whole number.

    Attributes:
        pulls: decisions whose outcome counts, >= 0.
        reward_sum, reward_sum_squares: over those.
        pending: decisions whose outcome is not known yet, >= 0; none if not given. An index that widens with
            uncertainty counts them as pulls in its width, so that it does not send everybody to one arm meanwhile.
        weight_sum: sum of the importance weights 1 / (propensity + implicit exploration) of the decisions in
            ``pulls``; as under an even split if not given.
        weighted_reward_sum: sum of weight times reward over those; as under an even split if not given.
        n_decisions: decisions of the whole experiment so far, of all arms, nothing forgotten: the time t of a policy
            whose exploration depends on time. All pulls and pending ones if not given.
        batch_size: decisions expected before the statistics change next, >= 1.
    """

    pulls: FloatArray
    reward_sum: FloatArray
    reward_sum_squares: FloatArray
    pending: FloatArray = field(default_factory=lambda: _MISSING)
    weight_sum: FloatArray = field(default_factory=lambda: _MISSING)
    weighted_reward_sum: FloatArray = field(default_factory=lambda: _MISSING)
    n_decisions: float = -1.0
    batch_size: float = 1.0

    def __post_init__(self) -> None:
        n_arms = len(self.pulls)
        if self.pending is _MISSING:
            object.__setattr__(self, "pending", np.zeros(n_arms))
        if self.weight_sum is _MISSING:
            object.__setattr__(self, "weight_sum", n_arms * self.pulls)
            object.__setattr__(self, "weighted_reward_sum", n_arms * self.reward_sum)
        if self.n_decisions < 0.0:
            object.__setattr__(self, "n_decisions", float(self.pulls.sum() + self.pending.sum()))

    @property
    def n_arms(self) -> int:
        """How many arms."""
        return len(self.pulls)

    def means(self) -> FloatArray:
        """Shape (n_arms,): mean reward, NaN where there is no pull."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.reward_sum / self.pulls

    def select(self, mask: BoolArray) -> Self:
        """Only the arms in ``mask``; time and batch size stay."""
        arrays = [f.name for f in fields(self) if f.name not in ("n_decisions", "batch_size")]
        chosen = {name: getattr(self, name)[mask] for name in arrays}
        return type(self)(**chosen, n_decisions=self.n_decisions, batch_size=self.batch_size)


@dataclass(frozen=True, slots=True)
class LinearStats:
    """Sufficient statistics of one linear regression per arm, as a contextual policy sees them.

    ``n_features`` d counts the encoded features, the intercept (always 1, first) included.

    Attributes:
        xtx: shape (n_arms, d, d), sums of x x' over decisions whose outcome counts.
        xty: shape (n_arms, d), sums of x times reward over those.
        reward_sum_squares: shape (n_arms,), sums of reward squared over those.
        pending_xtx: shape (n_arms, d, d), sums of x x' over decisions whose outcome is not known yet.
        n_decisions, batch_size: as in ``ArmStats``.
    """

    xtx: FloatArray
    xty: FloatArray
    reward_sum_squares: FloatArray
    pending_xtx: FloatArray
    n_decisions: float
    batch_size: float = 1.0

    @classmethod
    def zeros(cls, n_arms: int, n_features: int) -> Self:
        """No data yet."""
        xtx, pending_xtx = np.zeros((2, n_arms, n_features, n_features))
        return cls(xtx, np.zeros((n_arms, n_features)), np.zeros(n_arms), pending_xtx, 0.0)

    @property
    def n_arms(self) -> int:
        """How many arms."""
        return len(self.xty)

    @property
    def pulls(self) -> FloatArray:
        """Shape (n_arms,): decisions whose outcome counts; the intercept's own square."""
        return self.xtx[:, 0, 0]

    def select(self, mask: BoolArray) -> Self:
        """Only the arms in ``mask``; time and batch size stay."""
        return type(self)(
            self.xtx[mask],
            self.xty[mask],
            self.reward_sum_squares[mask],
            self.pending_xtx[mask],
            self.n_decisions,
            self.batch_size,
        )


@dataclass(frozen=True, slots=True)
class Scores:
    """What a contextual policy knows of each arm for one context; arrays have shape (n_arms,).

    Logged with the decision: the policy turns exactly these into its probabilities.

    Attributes:
        mean: predicted reward.
        standard_deviation: of the prediction's mean (not of a reward), > 0.
        n_decisions: decisions of the experiment when it was decided.
    """

    mean: FloatArray
    standard_deviation: FloatArray
    n_decisions: float

    def select(self, mask: BoolArray) -> Self:
        """Only the arms in ``mask``."""
        return type(self)(self.mean[mask], self.standard_deviation[mask], self.n_decisions)

    def to_array(self) -> list[float]:
        """As logged: means, standard deviations, n_decisions."""
        return [*self.mean.tolist(), *self.standard_deviation.tolist(), self.n_decisions]

    @classmethod
    def from_array(cls, values: Sequence[float]) -> Self:
        """From what ``to_array`` gave."""
        n_arms = len(values) // 2
        return cls(np.array(values[:n_arms]), np.array(values[n_arms:-1]), values[-1])
