"""Top-two Thompson sampling: the formula by hand, in fractions, and where one arm is nearly certain."""

from fractions import Fraction

import numpy as np
import pytest

from backend.domain import PolicySpec, RewardSpec
from backend.errors import InvalidPolicy
from backend.policies.registry import build_policy
from backend.policies.thompson_sampling import ThompsonSampling
from backend.policies.top_two_thompson import TopTwoThompson, challenger_probabilities
from backend.statistics import ArmStats


def stats(pulls, reward_sum):
    total = np.array(reward_sum, dtype=float)
    return ArmStats(np.array(pulls, dtype=float), total, total)


def in_fractions(best):
    """sum over j != i of a_j a_i / (1 - a_j), without rounding."""
    return [
        float(sum(b * a / (1 - b) for j, b in enumerate(best) if j != i))
        for i, a in enumerate(best)
    ]


def test_two_arms_by_hand():
    """Beta(2, 1) and Beta(1, 2): P(best) 5/6 and 1/6. A leader's challenger is the other: 0.8 a + 0.2 (1 - a)."""
    policy = TopTwoThompson.for_reward(RewardSpec(), beta=0.8)

    probabilities = policy.probabilities(stats([1, 1], [1, 0]))

    assert probabilities == pytest.approx([0.7, 0.3])


@pytest.mark.parametrize(
    "best",
    [
        [Fraction(1, 2), Fraction(1, 3), Fraction(1, 6)],
        [Fraction(97, 100), Fraction(1, 50), Fraction(1, 100), Fraction(0)],
        [1 - Fraction(3, 10**9), Fraction(2, 10**9), Fraction(1, 10**9)],
        [1 - Fraction(3, 10**12), Fraction(2, 10**12), Fraction(1, 10**12)],
    ],
    ids=["even", "one with none", "nearly certain", "more nearly certain"],
)
def test_challengers_are_those_of_the_formula(best):
    """Also where 1 - a_j has few digits. What is too small to be seen, 1e-15, shifts them by 1e-3 at 1e-12."""
    found = challenger_probabilities(np.array([float(value) for value in best]))

    assert found == pytest.approx(in_fractions(best), abs=1e-3 if best[1] < 1e-10 else 1e-6)


def test_challengers_of_a_certain_leader_share():
    """P(best) 1, 0, 0: the leader is never a challenger, and nothing tells the others apart."""
    assert challenger_probabilities(np.array([0.0, 1.0, 0.0])) == pytest.approx([0.5, 0.0, 0.5])


def test_frequencies_of_the_procedure_itself():
    """Draw a leader, draw again until another: 200,000 times; 0.005 is over four standard errors."""
    rng = np.random.default_rng(20240501)
    best = np.array([0.6, 0.3, 0.1])
    draws = rng.choice(3, size=(200_000, 40), p=best)
    leader = draws[:, 0]
    challenger = draws[np.arange(len(draws)), (draws != leader[:, None]).argmax(axis=1)]

    frequencies = np.bincount(challenger, minlength=3) / len(draws)

    assert challenger_probabilities(best) == pytest.approx(frequencies, abs=0.005)


def test_beta_one_is_thompson_sampling():
    """No challenger."""
    data = stats([30, 40, 50], [10, 15, 14])

    found = TopTwoThompson.for_reward(RewardSpec(), beta=1.0).probabilities(data)

    assert found == pytest.approx(ThompsonSampling.for_reward(RewardSpec()).probabilities(data))


def test_a_lone_arm_has_no_challenger():
    """Probability 1."""
    policy = TopTwoThompson.for_reward(RewardSpec())

    assert policy.probabilities(stats([5], [2])).tolist() == [1.0]


def test_half_the_traffic_goes_to_challengers_for_ever():
    """A million pulls each at 0.9, 0.5 and 0.4: the leader keeps beta = 0.5."""
    policy = TopTwoThompson.for_reward(RewardSpec())

    probabilities = policy.probabilities(stats([1e6] * 3, [9e5, 5e5, 4e5]))

    assert probabilities[0] == pytest.approx(0.5, abs=1e-6)


@pytest.mark.parametrize("beta", [0.0, -0.1, 1.01, float("nan")])
def test_beta_out_of_range_is_refused(beta):
    """A share of the traffic above 0."""
    with pytest.raises(InvalidPolicy, match=r"beta must be in \(0, 1\]"):
        build_policy(PolicySpec("top_two_thompson", {"beta": beta}), RewardSpec())
