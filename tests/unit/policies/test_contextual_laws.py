"""Laws that every contextual policy keeps."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.domain import RewardSpec
from backend.errors import InvalidPolicy
from backend.policies.base import ContextualPolicy
from backend.policies.lin_ucb import LinUCB
from backend.policies.linear_thompson import LinearThompson
from backend.policies.squarecb import SquareCB
from backend.statistics import LinearStats, Scores

POLICIES = {"linear_thompson": LinearThompson, "lin_ucb": LinUCB, "squarecb": SquareCB}
FEATURES = [
    {"name": "age", "type": "numeric", "min": 0, "max": 100},
    {"name": "country", "type": "categorical", "levels": ["de", "fr"]},
]
CONTEXT = {"age": 80, "country": "fr"}

every_policy = pytest.mark.parametrize("name", POLICIES)


def policy_of(name):
    return POLICIES[name].for_reward(RewardSpec(), context_features=FEATURES)


def stats_of(policy, sizes, seed=0, scale=1.0, n_pending=0, effects=None):
    """So many rewards per arm, of noise 1 and linear in the context (by ``effects``); some pending for the first arm."""
    rng = np.random.default_rng(seed)
    n_features = policy.context_features.n_features
    stats = replace(
        LinearStats.zeros(len(sizes), n_features), n_decisions=float(sum(sizes) + n_pending)
    )
    for arm, size in enumerate(sizes):
        x = contexts(policy, rng, size)
        effect = np.linspace(0.1, 0.2 + 0.1 * arm, n_features) if effects is None else effects[arm]
        y = scale * (x @ effect + rng.normal(size=size))
        stats.xtx[arm], stats.xty[arm], stats.reward_sum_squares[arm] = x.T @ x, x.T @ y, y @ y
    x = contexts(policy, rng, n_pending)
    stats.pending_xtx[0] = x.T @ x
    return stats


def contexts(policy, rng, size):
    ages, countries = rng.integers(0, 101, size).tolist(), rng.choice(["de", "fr"], size).tolist()
    rows = [
        policy.context_features.encode({"age": age, "country": country})
        for age, country in zip(ages, countries, strict=True)
    ]
    return np.array(rows).reshape(size, policy.context_features.n_features)


def vector(policy, stats, context=CONTEXT):
    return policy.probabilities(policy.fit(stats).scores(policy.context_features.encode(context)))


sizes = st.lists(st.integers(0, 60), min_size=1, max_size=6)


@every_policy
@settings(max_examples=25, deadline=None)
@given(sizes=sizes, seed=st.integers(0, 10**6), n_pending=st.integers(0, 40))
def test_gives_a_distribution_over_the_arms(name, sizes, seed, n_pending):
    """One entry per arm, none negative, sum 1."""
    policy = policy_of(name)

    probabilities = vector(policy, stats_of(policy, sizes, seed, n_pending=n_pending))

    assert probabilities.shape == (len(sizes),)
    assert (probabilities >= 0.0).all()
    assert probabilities.sum() == pytest.approx(1.0, abs=1e-9)


@every_policy
@settings(max_examples=25, deadline=None)
@given(sizes=sizes, seed=st.integers(0, 10**6), random=st.randoms(use_true_random=False))
def test_does_not_depend_on_the_order_of_arms(name, sizes, seed, random):
    """Reordering the arms reorders the vector, and nothing else."""
    policy = policy_of(name)
    order = list(range(len(sizes)))
    random.shuffle(order)
    stats = stats_of(policy, sizes, seed)

    straight, shuffled = vector(policy, stats), vector(policy, stats.select(np.array(order)))

    assert shuffled == pytest.approx(straight[order], abs=1e-6)


@every_policy
@pytest.mark.parametrize("n_arms", range(2, 12))
def test_identical_arms_are_equally_likely(name, n_arms):
    """The same data for all but the last arm, which has less; wherever an arm stands in the arrays."""
    policy = policy_of(name)
    stats = stats_of(policy, [50, 3])
    stats = stats.select(np.array([0] * (n_arms - 1) + [1]))

    probabilities = vector(policy, stats)

    assert probabilities[:-1] == pytest.approx(np.full(n_arms - 1, probabilities[0]), abs=1e-9)


@every_policy
@pytest.mark.parametrize("n_arms", [1, 2, 7])
def test_without_data_all_arms_are_alike(name, n_arms):
    """No rewards, nothing pending: 1 / n_arms each."""
    policy = policy_of(name)

    probabilities = vector(policy, stats_of(policy, [0] * n_arms))

    assert probabilities == pytest.approx(np.full(n_arms, 1.0 / n_arms), abs=1e-9)


@every_policy
@pytest.mark.parametrize("scale", [1e-6, 1e3, 1e12])
def test_the_unit_of_rewards_does_not_matter(name, scale):
    """Euros or cents: the same vector."""
    policy = policy_of(name)

    before = vector(policy, stats_of(policy, [40, 20, 0]))
    after = vector(policy, stats_of(policy, [40, 20, 0], scale=scale))

    assert after == pytest.approx(before, abs=1e-6)


@every_policy
def test_the_better_arm_leads_in_its_context(name):
    """Two arms, each better by 2 for one country, with 500 noisy rewards of standard deviation 1 each."""
    policy = policy_of(name)
    stats = stats_of(policy, [500, 500], effects=[[0.0, 0.0, 2.0, 0.0], [0.0, 0.0, 0.0, 2.0]])

    german = vector(policy, stats, {"age": 50, "country": "de"})
    french = vector(policy, stats, {"age": 50, "country": "fr"})

    assert german[0] > 0.9
    assert french[1] > 0.9


@every_policy
@pytest.mark.parametrize("n_arms", [1, 2, 100])
@pytest.mark.parametrize("most", [1.0, 1e3, 1e7])
def test_extremes_give_a_distribution(name, n_arms, most):
    """Up to 1e7 decisions an arm, beside fresh ones; ages all alike, so that features are collinear; rewards to 1e9."""
    policy = policy_of(name)
    rng = np.random.default_rng(7)
    x = policy.context_features.encode({"age": 50, "country": "fr"})
    pulls = np.where(np.arange(n_arms) % 3 == 1, 0.0, np.geomspace(1.0, most, n_arms))
    means = 1e9 * rng.random(n_arms)
    stats = LinearStats(
        xtx=pulls[:, None, None] * np.outer(x, x),
        xty=(pulls * means)[:, None] * x,
        reward_sum_squares=pulls * means**2 * 1.01,
        pending_xtx=0.1 * pulls[:, None, None] * np.outer(x, x),
        n_decisions=float(pulls.sum()),
    )

    for context in (CONTEXT, {"age": 0, "country": "de"}):
        probabilities = vector(policy, stats, context)
        assert (probabilities >= 0.0).all()
        assert probabilities.sum() == pytest.approx(1.0, abs=1e-9)


@every_policy
def test_logged_scores_give_the_same_vector(name):
    """Bit for bit: a decision can be explained from its log."""
    policy = policy_of(name)
    scores = policy.fit(stats_of(policy, [20, 10, 5])).scores(
        policy.context_features.encode(CONTEXT)
    )

    again = Scores.from_array(scores.to_array())

    assert np.array_equal(policy.probabilities(again), policy.probabilities(scores))


@every_policy
def test_is_what_a_contextual_policy_is(name):
    """It has the protocol's methods, and a prior that is a JSON object of names and numbers."""
    policy = policy_of(name)

    assert isinstance(policy, ContextualPolicy)
    assert all(isinstance(value, str | float) for value in policy.prior().values())


@every_policy
def test_malformed_features_are_refused_when_it_is_made(name):
    """Not at decision time."""
    with pytest.raises(InvalidPolicy, match="context_features must be a list of objects"):
        POLICIES[name].for_reward(RewardSpec(), context_features="age")
