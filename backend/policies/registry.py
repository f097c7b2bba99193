"""All policies by the name that an experiment gives. A new policy is one file and one line here."""

import inspect
from collections.abc import Callable
from typing import Any

from backend.domain import PolicySpec, RewardSpec
from backend.errors import InvalidPolicy
from backend.policies.base import Policy
from backend.policies.epsilon_greedy import EpsilonGreedy
from backend.policies.thompson_sampling import ThompsonSampling
from backend.policies.uniform import Uniform

POLICIES: dict[str, Callable[..., Policy]] = {
    "uniform": Uniform.for_reward,
    "epsilon_greedy": EpsilonGreedy.for_reward,
    "thompson_sampling": ThompsonSampling.for_reward,
}


def build_policy(spec: PolicySpec, reward: RewardSpec) -> Policy:
    """The policy that ``spec`` names, validated.

    Raises:
        InvalidPolicy: no such policy, or a parameter it does not have or that is out of range.
    """
    factory = POLICIES.get(spec.type)
    if factory is None:
        raise InvalidPolicy(f"no policy '{spec.type}'; there are: {', '.join(POLICIES)}")
    allowed = list(inspect.signature(factory).parameters)[1:]
    if unknown := sorted(set(spec.params) - set(allowed)):
        has = f"its parameters are: {', '.join(allowed)}" if allowed else "it has no parameters"
        raise InvalidPolicy(f"{spec.type} does not know {', '.join(unknown)}; {has}")
    for name, value in spec.params.items():
        _check_number(name, value)
    return factory(reward, **spec.params)


def _check_number(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidPolicy(f"{name} must be a number, got {value!r:.40}")
