"""Building a policy from what an experiment says; every refusal names what is allowed."""

import pytest

from backend.domain import PolicySpec, RewardSpec
from backend.errors import InvalidPolicy
from backend.policies.epsilon_greedy import EpsilonGreedy
from backend.policies.registry import POLICIES, build_policy


def test_builds_by_name_with_parameters():
    """The parameters reach the policy."""
    assert build_policy(
        PolicySpec("epsilon_greedy", {"epsilon": 0.25}), RewardSpec()
    ) == EpsilonGreedy(0.25)


def test_an_unknown_name_is_answered_with_all_names():
    """A caller learns what there is."""
    with pytest.raises(InvalidPolicy, match="no policy 'epsilon'") as refused:
        build_policy(PolicySpec("epsilon"), RewardSpec())

    assert all(name in str(refused.value) for name in POLICIES)


@pytest.mark.parametrize(
    ("name", "hint"), [("epsilon_greedy", "parameters are: epsilon"), ("uniform", "no parameters")]
)
def test_an_unknown_parameter_is_refused(name, hint):
    """A misspelt parameter is an error, and not silence."""
    with pytest.raises(InvalidPolicy, match=f"does not know epsilonn; .*{hint}"):
        build_policy(PolicySpec(name, {"epsilonn": 0.1}), RewardSpec())


@pytest.mark.parametrize("value", [True, "0.1", None, [0.1]])
def test_a_parameter_that_is_no_number_is_refused(value):
    """``true`` is not 1, and digits in quotes are no number."""
    with pytest.raises(InvalidPolicy, match="epsilon must be a number"):
        build_policy(PolicySpec("epsilon_greedy", {"epsilon": value}), RewardSpec())


@pytest.mark.parametrize("epsilon", [-0.001, 1.001, float("inf"), float("nan")])
def test_epsilon_outside_its_range_is_refused(epsilon):
    """A share of the traffic is in [0, 1]."""
    with pytest.raises(InvalidPolicy, match=r"epsilon must be in \[0, 1\]"):
        build_policy(PolicySpec("epsilon_greedy", {"epsilon": epsilon}), RewardSpec())


@pytest.mark.parametrize("epsilon", [10**400, -(10**400)])
def test_an_integer_that_no_float_holds_is_out_of_range(epsilon):
    """JSON allows it; it must not be an error of another kind."""
    with pytest.raises(InvalidPolicy, match=r"epsilon must be in \[0, 1\]"):
        build_policy(PolicySpec("epsilon_greedy", {"epsilon": epsilon}), RewardSpec())


def test_a_required_parameter_is_asked_for():
    """A horizon cannot be guessed."""
    with pytest.raises(InvalidPolicy, match="finite_horizon_kl needs horizon in its parameters"):
        build_policy(PolicySpec("finite_horizon_kl"), RewardSpec())


@pytest.mark.parametrize(
    ("name", "params", "said"),
    [
        ("finite_horizon_kl", {}, r"needs horizon .* must be in \[1, 1e\+12\]"),
        ("epsilon_greedy", {"epsilon": "0.1"}, r"must be a number, got '0.1': .* in \[0, 1\]"),
        ("softmax", {"temperature": None}, r"must be a number, got None: .* in \[1e-09, 1e\+09\]"),
    ],
)
def test_whatever_is_wrong_the_message_says_the_range(name, params, said):
    """Missing, or no number at all."""
    with pytest.raises(InvalidPolicy, match=said):
        build_policy(PolicySpec(name, params), RewardSpec())
