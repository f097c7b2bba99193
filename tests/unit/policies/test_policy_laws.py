"""Laws that every policy without context in the registry keeps, whatever the reward.

A policy that is added to the registry is tested here without another line, as long as its parameters have defaults.
"""

import inspect
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.domain import PolicySpec, RewardSpec, RewardType
from backend.errors import InvalidPolicy
from backend.policies.base import Policy
from backend.policies.registry import POLICIES, build_policy
from backend.statistics import ArmStats

REWARDS = {
    "binary": RewardSpec(),
    "count": RewardSpec(type=RewardType.COUNT, min=None, max=None),
    "bounded": RewardSpec(type=RewardType.CONTINUOUS, min=-1.0, max=3.0, default_reward=None),
    "unbounded": RewardSpec(type=RewardType.CONTINUOUS, min=None, max=None, default_reward=None),
}
PARAMS = {"finite_horizon_kl": {"horizon": 20_000}}
REFUSED = {
    *((name, kind) for name in ("ucb1", "exp3_ix") for kind in ("count", "unbounded")),
    ("kl_ucb", "unbounded"),
}
NAMES = [
    name
    for name, factory in POLICIES.items()
    if "context_features" not in inspect.signature(factory).parameters
]
EVERY = [(name, kind) for name in NAMES for kind in REWARDS if (name, kind) not in REFUSED]
CLOSE = 1e-6
"""What ThompsonSampling.probabilities promises, and what sums in another order leave of an index."""

every_policy = pytest.mark.parametrize(("name", "kind"), EVERY)
every_learner = pytest.mark.parametrize(
    ("name", "kind"), [(name, kind) for name, kind in EVERY if name != "uniform"]
)


def policy_of(name, kind):
    return build_policy(PolicySpec(name, PARAMS.get(name, {})), REWARDS[kind])


def stats_of(kind, pulls, level, **more):
    """Statistics of arms whose mean reward is ``level`` of what this kind allows."""
    pulls, level = np.asarray(pulls, dtype=float), np.asarray(level, dtype=float)
    if kind == "binary":
        total = pulls * level
        return ArmStats(pulls, total, total, **more)
    if kind == "count":
        total = 3.0 * pulls * level
        return ArmStats(pulls, total, 3.0 * total, **more)
    mean = -1.0 + 4.0 * level
    return ArmStats(pulls, pulls * mean, pulls * (mean**2 + 0.25), **more)


def is_distribution(probabilities, n_arms):
    return (
        probabilities.shape == (n_arms,)
        and bool((probabilities >= 0.0).all())
        and abs(probabilities.sum() - 1.0) < 1e-9
    )


@pytest.mark.parametrize(("name", "kind"), sorted(REFUSED))
def test_refuses_what_it_cannot_learn_from(name, kind):
    """When it is made, and not at the first decision; the message says what it needs."""
    with pytest.raises(InvalidPolicy, match=f"{name} needs rewards in a known range"):
        policy_of(name, kind)


@every_policy
def test_is_a_policy(name, kind):
    """It has all that the service calls."""
    assert isinstance(policy_of(name, kind), Policy)


counts = st.one_of(st.just(0.0), st.floats(0.0, 5000.0), st.integers(0, 5000).map(float))
arms = st.lists(st.tuples(counts, st.floats(0.0, 1.0), counts), min_size=1, max_size=6)
batches = st.sampled_from([1.0, 2.5, 1000.0])


def drawn_stats(kind, arms, batch_size):
    """Statistics with pulls that need not be whole, pending decisions, and a batch."""
    pulls, level, pending = zip(*arms, strict=True)
    return stats_of(kind, pulls, level, pending=np.array(pending), batch_size=batch_size)


@every_policy
@settings(max_examples=25, deadline=None)
@given(arms=arms, batch_size=batches)
def test_gives_a_distribution_over_the_arms(name, kind, arms, batch_size):
    """One entry per arm, none negative, sum 1."""
    probabilities = policy_of(name, kind).probabilities(drawn_stats(kind, arms, batch_size))

    assert is_distribution(probabilities, len(arms))


@every_policy
@settings(max_examples=25, deadline=None)
@given(arms=arms, batch_size=batches, random=st.randoms(use_true_random=False))
def test_does_not_depend_on_the_order_of_arms(name, kind, arms, batch_size, random):
    """Reordering the arms reorders the vector, and nothing else."""
    order = list(range(len(arms)))
    random.shuffle(order)
    policy = policy_of(name, kind)

    straight = policy.probabilities(drawn_stats(kind, arms, batch_size))
    shuffled = policy.probabilities(drawn_stats(kind, [arms[i] for i in order], batch_size))

    assert shuffled == pytest.approx(straight[order], abs=CLOSE)


@every_policy
@pytest.mark.parametrize("batch_size", [1.0, 30.0, 1e5])
def test_identical_arms_are_equally_likely(name, kind, batch_size):
    """Arms 0 and 2 have the same data, arm 1 has less and worse."""
    stats = stats_of(kind, [40, 25, 40], [0.5, 0.2, 0.5], batch_size=batch_size)

    probabilities = policy_of(name, kind).probabilities(stats)

    assert probabilities[0] == pytest.approx(probabilities[2], abs=CLOSE)


@every_policy
@pytest.mark.parametrize("batch_size", [1.0, 1000.0])
@pytest.mark.parametrize("n_arms", [1, 2, 7, 1000])
def test_without_data_all_arms_are_alike(name, kind, n_arms, batch_size):
    """No pulls: 1 / n_arms each."""
    stats = stats_of(kind, [0] * n_arms, [0] * n_arms, batch_size=batch_size)

    probabilities = policy_of(name, kind).probabilities(stats)

    assert probabilities == pytest.approx(np.full(n_arms, 1.0 / n_arms), abs=CLOSE)


@every_policy
def test_arms_that_all_wait_for_their_first_outcome_are_alike(name, kind):
    """50 pending decisions each and no outcome: nothing tells them apart."""
    stats = stats_of(kind, [0] * 3, [0] * 3, pending=np.full(3, 50.0))

    assert policy_of(name, kind).probabilities(stats) == pytest.approx([1 / 3] * 3, abs=CLOSE)


@every_policy
@pytest.mark.parametrize("batch_size", [1.0, 1e4])
@pytest.mark.parametrize("level", ["all", "none", "mixed", "equal"])
@pytest.mark.parametrize("n_arms", [1, 2, 10, 1000])
def test_extremes_give_a_distribution_without_warnings(name, kind, n_arms, level, batch_size):
    """Arms of 0, 1 and up to 1e7 pulls, at the ends of what a reward may be, a part of them pending: warnings fail."""
    rng = np.random.default_rng(20240501)
    pulls = np.floor(10.0 ** rng.uniform(-1.0, 7.0, n_arms))
    levels = {"all": 1.0, "none": 0.0, "equal": 0.5, "mixed": rng.uniform(0.0, 1.0, n_arms)}
    stats = stats_of(
        kind,
        pulls,
        np.broadcast_to(levels[level], n_arms),
        pending=np.floor(pulls * rng.uniform(0.0, 0.5, n_arms)),
        batch_size=batch_size,
    )

    assert is_distribution(policy_of(name, kind).probabilities(stats), n_arms)


@every_policy
@pytest.mark.parametrize("pulls", [[1e7, 1e-9], [1e7, 0.0], [1e-9, 1e-9], [1e7, 1e7]])
def test_what_is_almost_forgotten_is_harmless(name, kind, pulls):
    """Forgetting leaves a billionth of a pull, beside a mature arm."""
    probabilities = policy_of(name, kind).probabilities(stats_of(kind, pulls, [0.5, 0.5]))

    assert is_distribution(probabilities, 2)


@every_policy
def test_constant_rewards_are_harmless(name, kind):
    """No spread at all among 1e7 rewards of 1."""
    pulls = np.array([1e7, 1e7, 1.0])

    probabilities = policy_of(name, kind).probabilities(ArmStats(pulls, pulls, pulls))

    assert is_distribution(probabilities, 3)


@every_policy
def test_is_pure(name, kind):
    """Asking twice gives the same vector and leaves the statistics alone."""
    stats = stats_of(kind, [30, 30, 10, 0], [0.2, 0.6, 0.9, 0], pending=np.array([0.0, 3, 9, 0]))
    before = replace(
        stats,
        pulls=stats.pulls.copy(),
        reward_sum=stats.reward_sum.copy(),
        pending=stats.pending.copy(),
    )
    policy = policy_of(name, kind)

    first, second = policy.probabilities(stats), policy.probabilities(stats)

    assert np.array_equal(first, second)
    for field in ("pulls", "reward_sum", "pending"):
        assert np.array_equal(getattr(stats, field), getattr(before, field))


@every_learner
@pytest.mark.parametrize("batch_size", [1.0, 100.0])
def test_what_learns_prefers_the_better_arm(name, kind, batch_size):
    """1,000 pulls each, at a fifth and at four fifths of the possible reward: the better arm must lead.

    Top-two Thompson sampling gives half of its traffic to the challenger.
    """
    stats = stats_of(kind, [1000, 1000], [0.2, 0.8], batch_size=batch_size)

    probabilities = policy_of(name, kind).probabilities(stats)

    assert probabilities[1] >= (0.5 - CLOSE if name == "top_two_thompson" else 0.9)


@every_learner
@settings(max_examples=25, deadline=None)
@given(
    pulls=st.floats(1.0, 1e5),
    levels=st.lists(st.floats(0.0, 1.0), min_size=2, max_size=6),
    batch_size=batches,
)
def test_with_equal_counts_a_better_arm_is_not_chosen_less(name, kind, pulls, levels, batch_size):
    """The vector never falls along rising means."""
    stats = stats_of(kind, [pulls] * len(levels), sorted(levels), batch_size=batch_size)

    probabilities = policy_of(name, kind).probabilities(stats)

    assert (np.diff(probabilities) >= -CLOSE).all()


@every_learner
@pytest.mark.parametrize("batch_size", [1.0, 1000.0])
def test_a_new_arm_gets_some_of_a_batch(name, kind, batch_size):
    """Beside two arms with 5,000 pulls each, neither nothing nor, of a thousand decisions, nearly all."""
    stats = stats_of(kind, [5000, 5000, 0], [0.5, 0.55, 0.0], batch_size=batch_size)

    probabilities = policy_of(name, kind).probabilities(stats)

    assert probabilities[2] > 1e-4


@every_policy
def test_its_prior_can_be_shown(name, kind):
    """``explain`` shows the prior as a plain JSON object of names and numbers (null: taken from the data)."""
    prior = policy_of(name, kind).prior()

    assert all(value is None or isinstance(value, str | float) for value in prior.values())
