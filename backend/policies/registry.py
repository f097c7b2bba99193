"""All policies by the name that an experiment gives. A new policy is one file and one line here."""

import inspect
import math
from collections.abc import Callable
from typing import Any

from backend.domain import PolicySpec, RewardSpec
from backend.errors import InvalidPolicy
from backend.policies.base import ContextualPolicy, Policy
from backend.policies.epsilon_greedy import EpsilonGreedy
from backend.policies.exp3_ix import Exp3IX
from backend.policies.finite_horizon_kl import FiniteHorizonKL
from backend.policies.kl_ucb import KLUCB
from backend.policies.lin_ucb import LinUCB
from backend.policies.linear_thompson import LinearThompson
from backend.policies.softmax import Softmax
from backend.policies.squarecb import SquareCB
from backend.policies.thompson_sampling import ThompsonSampling
from backend.policies.top_two_thompson import TopTwoThompson
from backend.policies.ucb1 import UCB1
from backend.policies.uniform import Uniform

POLICIES: dict[str, Callable[..., Policy | ContextualPolicy]] = {
    "uniform": Uniform.for_reward,
    "epsilon_greedy": EpsilonGreedy.for_reward,
    "softmax": Softmax.for_reward,
    "ucb1": UCB1.for_reward,
    "kl_ucb": KLUCB.for_reward,
    "thompson_sampling": ThompsonSampling.for_reward,
    "top_two_thompson": TopTwoThompson.for_reward,
    "exp3_ix": Exp3IX.for_reward,
    "finite_horizon_kl": FiniteHorizonKL.for_reward,
    "linear_thompson": LinearThompson.for_reward,
    "lin_ucb": LinUCB.for_reward,
    "squarecb": SquareCB.for_reward,
}


def build_policy(spec: PolicySpec, reward: RewardSpec) -> Policy | ContextualPolicy:
    """The policy that ``spec`` names, validated.

    Raises:
        InvalidPolicy: no such policy, or a parameter it does not have or that is out of range.
    """
    factory = POLICIES.get(spec.type)
    if factory is None:
        raise InvalidPolicy(f"no policy '{spec.type}'; there are: {', '.join(POLICIES)}")
    allowed = dict(list(inspect.signature(factory, eval_str=True).parameters.items())[1:])
    if unknown := sorted(set(spec.params) - set(allowed)):
        has = f"its parameters are: {', '.join(allowed)}" if allowed else "it has no parameters"
        raise InvalidPolicy(f"{spec.type} does not know {', '.join(unknown)}; {has}")
    required = {name for name, parameter in allowed.items() if parameter.default is parameter.empty}
    if missing := sorted(required - set(spec.params)):
        needed = "; ".join(_allowed(factory, reward, name) for name in missing)
        raise InvalidPolicy(f"{spec.type} needs {', '.join(missing)} in its parameters: {needed}")
    params = dict(spec.params)
    for name, value in params.items():
        if allowed[name].annotation is Any:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            range_of = _allowed(factory, reward, name)
            raise InvalidPolicy(f"{name} must be a number, got {value!r:.40}: {range_of}")
        params[name] = _number(value)
    return factory(reward, **params)


def _number(value: float) -> float:
    """``value`` as a float; an integer that none can hold is infinite, which no range allows."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _allowed(factory: Callable[..., Any], reward: RewardSpec, name: str) -> str:
    """What the policy itself says of this parameter's range, when it refuses a value that is in none."""
    try:
        factory(reward, **{name: math.nan})
    except InvalidPolicy as refused:
        return str(refused).rpartition(", got ")[0] or str(refused)
    raise AssertionError(f"{name} takes NaN")
