"""Laws that every policy in the registry keeps, whatever the reward.

A policy that is added to the registry is tested here without another line, as long as its parameters have defaults.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.domain import PolicySpec, RewardSpec, RewardType
from backend.policies.registry import POLICIES, build_policy
from backend.statistics import ArmStats

REWARDS = {
    RewardType.BINARY: RewardSpec(),
    RewardType.COUNT: RewardSpec(type=RewardType.COUNT, min=None, max=None),
    RewardType.CONTINUOUS: RewardSpec(
        type=RewardType.CONTINUOUS, min=-1.0, max=3.0, default_reward=None
    ),
}
EVERY = [(name, kind) for name in POLICIES for kind in REWARDS]
CLOSE = 1e-6
"""What ThompsonSampling.probabilities promises; the others are exact."""

every_policy = pytest.mark.parametrize(("name", "kind"), EVERY)


def policy_of(name, kind):
    return build_policy(PolicySpec(name), REWARDS[kind])


def stats_of(kind, pulls, level):
    """Statistics of arms whose mean reward is ``level`` of what this kind allows."""
    pulls, level = np.asarray(pulls, dtype=float), np.asarray(level, dtype=float)
    if kind is RewardType.BINARY:
        total = np.floor(pulls * level)
        return ArmStats(pulls, total, total)
    if kind is RewardType.COUNT:
        total = np.floor(3.0 * pulls * level)
        return ArmStats(pulls, total, 3.0 * total)
    mean = -1.0 + 4.0 * level
    return ArmStats(pulls, pulls * mean, pulls * (mean**2 + 0.25))


arms = st.lists(
    st.tuples(st.integers(0, 5000), st.floats(0.0, 1.0)),
    min_size=1,
    max_size=6,
)


@every_policy
@settings(max_examples=25, deadline=None)
@given(arms=arms)
def test_gives_a_distribution_over_the_arms(name, kind, arms):
    """One entry per arm, none negative, sum 1."""
    stats = stats_of(kind, *zip(*arms, strict=True))

    probabilities = policy_of(name, kind).probabilities(stats)

    assert probabilities.shape == (len(arms),)
    assert (probabilities >= 0.0).all()
    assert probabilities.sum() == pytest.approx(1.0, abs=1e-9)


@every_policy
@settings(max_examples=25, deadline=None)
@given(arms=arms, random=st.randoms(use_true_random=False))
def test_does_not_depend_on_the_order_of_arms(name, kind, arms, random):
    """Reordering the arms reorders the vector, and nothing else."""
    order = list(range(len(arms)))
    random.shuffle(order)
    policy = policy_of(name, kind)

    straight = policy.probabilities(stats_of(kind, *zip(*arms, strict=True)))
    shuffled = policy.probabilities(stats_of(kind, *zip(*[arms[i] for i in order], strict=True)))

    assert shuffled == pytest.approx(straight[order], abs=CLOSE)


@every_policy
def test_identical_arms_are_equally_likely(name, kind):
    """Arms 0 and 2 have the same data, arm 1 has less and worse."""
    stats = stats_of(kind, [40, 25, 40], [0.5, 0.2, 0.5])

    probabilities = policy_of(name, kind).probabilities(stats)

    assert probabilities[0] == pytest.approx(probabilities[2], abs=CLOSE)


@every_policy
@pytest.mark.parametrize("n_arms", [1, 2, 7])
def test_without_data_all_arms_are_alike(name, kind, n_arms):
    """No pulls: 1 / n_arms each."""
    probabilities = policy_of(name, kind).probabilities(stats_of(kind, [0] * n_arms, [0] * n_arms))

    assert probabilities == pytest.approx(np.full(n_arms, 1.0 / n_arms), abs=CLOSE)


@every_policy
def test_is_pure(name, kind):
    """Asking twice gives the same vector and leaves the statistics alone."""
    stats = stats_of(kind, [30, 30, 10], [0.2, 0.6, 0.9])
    before = stats.reward_sum.copy()
    policy = policy_of(name, kind)

    first, second = policy.probabilities(stats), policy.probabilities(stats)

    assert np.array_equal(first, second)
    assert np.array_equal(stats.reward_sum, before)


@pytest.mark.parametrize("kind", REWARDS)
@pytest.mark.parametrize("name", [name for name in POLICIES if name != "uniform"])
def test_what_learns_prefers_the_better_arm(name, kind):
    """1,000 pulls each, at a fifth and at four fifths of the possible reward: the better arm must lead."""
    probabilities = policy_of(name, kind).probabilities(stats_of(kind, [1000, 1000], [0.2, 0.8]))

    assert probabilities[1] > 0.9


@every_policy
def test_its_prior_can_be_shown(name, kind):
    """``explain`` shows the prior as a plain JSON object of names and numbers."""
    prior = policy_of(name, kind).prior()

    assert all(isinstance(value, str | float) for value in prior.values())
