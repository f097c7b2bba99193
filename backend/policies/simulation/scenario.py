"""What is assumed about an experiment that has not begun."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from backend.domain import (
    AllocationSpec,
    Arm,
    Experiment,
    FloatArray,
    Json,
    PolicySpec,
    RewardSpec,
    RewardType,
    check_experiment,
)
from backend.errors import InvalidInput
from backend.policies.base import ContextualPolicy, Policy
from backend.policies.registry import POLICIES, build_policy
from backend.policies.simulation.outcomes import DrawSums, outcomes_of
from backend.policies.simulation.schedule import Schedule

MAX_COUNT_MEAN = 1e6
MAX_WORK = 840_000
"""Largest product of runs, updates and (arms + ARMS_OVERHEAD): half a minute of one busy processor."""
ARMS_OVERHEAD = 11
"""What an update costs besides its arms, in arms."""


@dataclass(frozen=True, slots=True)
class AssumedArm:
    """An arm as it is supposed to be.

    Attributes:
        mean: of one reward: a chance for binary ones, a rate for counts.
        standard_deviation: of one reward, > 0; only for continuous ones.
    """

    key: str
    mean: float
    standard_deviation: float | None = None
    is_control: bool = False


@dataclass(frozen=True, slots=True)
class Scenario:
    """An experiment with the truth that it is to find, validated.

    Attributes:
        reward: as ``assumed_reward`` makes it.
        decisions_per_day: >= 1, spread evenly over the day.
        max_days: >= 1, how long the experiment runs, decided or not.
        n_runs: >= 2, independent repetitions.
        update_interval_s: least time between two changes of the policy's statistics.
        reward_delay_s: mean of the exponentially distributed time until a decision's outcome is known; 0: at once.
        seed: of all random numbers.
    Raises:
        InvalidInput: a rule between the fields is broken, or the policy needs a context.
        InvalidPolicy: the policy is unknown, or a parameter of it out of range.
    """

    arms: tuple[AssumedArm, ...]
    reward: RewardSpec
    decisions_per_day: int
    policy: PolicySpec = field(default_factory=PolicySpec)
    allocation: AllocationSpec = field(default_factory=AllocationSpec)
    max_days: int = 28
    n_runs: int = 200
    update_interval_s: float = 1.0
    reward_delay_s: float = 0.0
    seed: int = 1

    def __post_init__(self) -> None:
        check_experiment(self._experiment())
        errors = {**dict(self._wrong_means()), **self._too_much_work()}
        if errors:
            raise InvalidInput(errors)
        self.build_policy()

    @classmethod
    def from_json(cls, value: Json) -> Self:
        """From what ``to_json`` gave. KeyError, TypeError or ValueError when it is something else."""
        reward = value["reward"]
        parts: dict[str, Any] = {
            "arms": tuple(AssumedArm(**arm) for arm in value["arms"]),
            "reward": assumed_reward(RewardType(reward["type"]), reward["min"], reward["max"]),
            "policy": PolicySpec(**value["policy"]),
            "allocation": AllocationSpec(**value["allocation"]),
        }
        return cls(**{**value, **parts})

    def to_json(self) -> Json:
        """Every field, in the names of the API."""
        return {
            "arms": [
                {
                    "key": arm.key,
                    "mean": arm.mean,
                    "standard_deviation": arm.standard_deviation,
                    "is_control": arm.is_control,
                }
                for arm in self.arms
            ],
            "reward": {"type": self.reward.type, "min": self.reward.min, "max": self.reward.max},
            "policy": {"type": self.policy.type, "params": self.policy.params},
            "allocation": {
                "probability_floor": self.allocation.probability_floor,
                "control_share": self.allocation.control_share,
            },
            "decisions_per_day": self.decisions_per_day,
            "max_days": self.max_days,
            "n_runs": self.n_runs,
            "update_interval_s": self.update_interval_s,
            "reward_delay_s": self.reward_delay_s,
            "seed": self.seed,
        }

    @property
    def n_arms(self) -> int:
        """How many arms."""
        return len(self.arms)

    @property
    def control_arm_id(self) -> int | None:
        """Position of the control arm, if there is one."""
        return self._experiment().control_arm_id

    def schedule(self) -> Schedule:
        """When statistics change and people look."""
        return Schedule.spread(self.decisions_per_day, self.max_days, self.update_interval_s)

    def draw_sums(self) -> DrawSums:
        """How rewards are drawn."""
        spreads = np.array([arm.standard_deviation or 0.0 for arm in self.arms])
        return outcomes_of(self.reward.type, self.means(), spreads)

    def means(self) -> FloatArray:
        """Shape (n_arms,): assumed mean reward."""
        return np.array([arm.mean for arm in self.arms])

    def gaps(self) -> FloatArray:
        """Shape (n_arms,): how far each arm's mean is below the highest, 0 for the best arm or arms."""
        means = self.means()
        gaps: FloatArray = means.max() - means
        return gaps

    def build_policy(self) -> Policy:
        """The policy that is planned with. Raises InvalidInput, InvalidPolicy."""
        factory = POLICIES.get(self.policy.type)
        if factory is not None and "context_features" in inspect.signature(factory).parameters:
            why = (
                f"{self.policy.type} decides by context, and a plan assumes one mean for each arm, "
                "whatever the context: plan with a policy without context_features."
            )
            raise InvalidInput({"policy.type": [why]})
        policy = build_policy(self.policy, self.reward)
        assert not isinstance(policy, ContextualPolicy)
        return policy

    def _experiment(self) -> Experiment:
        """The experiment that this would be, as far as it has rules."""
        return Experiment(
            key="plan",
            name="plan",
            arms=tuple(Arm(arm.key, arm.key, is_control=arm.is_control) for arm in self.arms),
            policy=self.policy,
            reward=self.reward,
            allocation=self.allocation,
            update_interval_s=self.update_interval_s,
        )

    def _wrong_means(self) -> Iterator[tuple[str, list[str]]]:
        reward = self.reward
        low, high = _MEANS.get(reward.type, (reward.min, reward.max))
        for i, arm in enumerate(self.arms):
            if (low is not None and arm.mean < low) or (high is not None and arm.mean > high):
                allowed = _allowed(low, high)
                yield f"arms.{i}.mean", [f"With {reward.type} rewards it must be {allowed}."]
            if (arm.standard_deviation is None) == (reward.type is RewardType.CONTINUOUS):
                yield (
                    f"arms.{i}.standard_deviation",
                    ["Goes with continuous rewards, which need it, and only with them."],
                )

    def _too_much_work(self) -> dict[str, list[str]]:
        n_updates = self.schedule().n_batches
        most = MAX_WORK // (n_updates * (self.n_arms + ARMS_OVERHEAD))
        if self.n_runs <= most:
            return {}
        why = (
            f"Must be at most {most} with {self.n_arms} arms and {n_updates} updates: "
            f"n_runs x updates x (arms + {ARMS_OVERHEAD}) may be {MAX_WORK:,}. "
            "A longer update_interval_s makes fewer updates."
        )
        return {"n_runs": [why]}


def assumed_reward(
    kind: RewardType, low: float | None = None, high: float | None = None
) -> RewardSpec:
    """Rewards of this kind, one for every decision. ``low`` and ``high`` bound continuous ones; binary ones are 0 or 1."""
    if kind is RewardType.BINARY:
        low, high = 0.0, 1.0
    return RewardSpec(type=kind, min=low, max=high, default_reward=None)


_MEANS: dict[RewardType, tuple[float, float]] = {
    RewardType.BINARY: (0.0, 1.0),
    RewardType.COUNT: (0.0, MAX_COUNT_MEAN),
}


def _allowed(low: float | None, high: float | None) -> str:
    if low is None:
        return f"at most {high:g}"
    return f"at least {low:g}" if high is None else f"from {low:g} to {high:g}"
