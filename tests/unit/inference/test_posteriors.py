"""Posteriors of the arms' means, calculated by hand."""

import numpy as np
import pytest

from backend.domain import RewardSpec, RewardType
from backend.inference.posteriors import (
    BetaFamily,
    GammaFamily,
    NormalFamily,
    PooledNormalFamily,
    family_for,
)
from backend.statistics import ArmStats


def stats(pulls, reward_sum, reward_sum_squares):
    return ArmStats(*(np.array([x], dtype=float) for x in (pulls, reward_sum, reward_sum_squares)))


def test_beta_after_three_of_four():
    """Beta(1 + 3, 1 + 1): mean 4/6."""
    posterior = BetaFamily().posterior(stats(4, 3, 3))

    assert posterior.alpha == pytest.approx([4.0])
    assert posterior.beta == pytest.approx([2.0])
    assert posterior.mean() == pytest.approx([4 / 6])


def test_the_interval_of_a_uniform_posterior():
    """Beta(1, 1) is uniform: its central 95% is [0.025, 0.975]."""
    interval = BetaFamily().posterior(stats(0, 0, 0)).interval(0.95)

    assert interval == pytest.approx(np.array([[0.025, 0.975]]))


def test_beta_never_has_negative_failures():
    """Sums that rounding or a retraction under way took past the pulls are cut off at them."""
    posterior = BetaFamily().posterior(stats(2, 3, 3))

    assert posterior.beta == pytest.approx([1.0])


def test_gamma_after_five_events_in_four_pulls():
    """Gamma(1 + 5, 1 + 4): mean 6/5."""
    posterior = GammaFamily().posterior(stats(4, 5, 9))

    assert posterior.mean() == pytest.approx([1.2])


def test_the_interval_of_an_exponential_posterior():
    """Gamma(1, 1) is exponential: quantile p is -ln(1 - p), so [0.025318, 3.688879] for 95%."""
    interval = GammaFamily().posterior(stats(0, 0, 0)).interval(0.95)

    assert interval == pytest.approx(np.array([[-np.log(0.975), -np.log(0.025)]]))


def test_normal_prior_follows_the_range():
    """[10, 30]: the middle 20, a quarter of the width 5, squared 25; without both ends 0 and 1."""
    assert NormalFamily.for_range(10.0, 30.0) == NormalFamily(20.0, 25.0)
    assert NormalFamily.for_range(None, 30.0) == NormalFamily(0.0, 1.0)


def test_normal_after_three_rewards():
    """Rewards 1, 2, 3 on a prior of mean 0, variance 1, worth one.

    Mean (0 + 6) / 4 = 1.5. Spread 14 - 3 * 4 = 2, shift 1 * 3 * 4 / 4 = 3, variance (2 + 2 + 3) / 5 = 1.4, over
    weight 4: 0.35.
    """
    posterior = NormalFamily().posterior(stats(3, 6, 14))

    assert posterior.mean() == pytest.approx([1.5])
    assert posterior.standard_deviation == pytest.approx([np.sqrt(0.35)])


def test_the_interval_of_a_normal_posterior():
    """Without data a Student t with 2 degrees of freedom: t = sqrt(2) (2 p - 1) / sqrt(4 p (1 - p)), 4.302653 at 0.975."""
    interval = NormalFamily().posterior(stats(0, 0, 0)).interval(0.95)

    assert interval == pytest.approx(np.array([[-4.302653, 4.302653]]), abs=1e-6)


def arms(*rewards):
    """Statistics of one list of rewards per arm."""
    return ArmStats(
        np.array([len(own) for own in rewards], dtype=float),
        np.array([sum(own) for own in rewards], dtype=float),
        np.array([sum(y * y for y in own) for own in rewards], dtype=float),
    )


def test_the_pooled_prior_is_like_all_rewards():
    """1, 3 and 5, 7: mean 4, variance (9 + 1 + 1 + 9) / 4 = 5."""
    assert PooledNormalFamily().pooled(arms([1, 3], [5, 7])) == NormalFamily(4.0, 5.0)


@pytest.mark.parametrize(
    ("rewards", "expected"),
    [
        (([], []), NormalFamily(0.0, 1.0)),
        (([7.0], []), NormalFamily(7.0, 49.0)),
        (([0.0], [0.0, 0.0]), NormalFamily(0.0, 1.0)),
        (([0.1, 0.1, 0.1], [0.1]), NormalFamily(0.1, 0.1**2)),
    ],
)
def test_rewards_without_spread_show_no_scale(rewards, expected):
    """Then their square stands for the variance, or 1."""
    prior = PooledNormalFamily().pooled(arms(*rewards))

    assert (prior.mean, prior.variance) == pytest.approx((expected.mean, expected.variance))


def test_a_pooled_posterior_follows_the_unit_of_the_rewards():
    """y -> 1e6 + 1000 y moves means and intervals alike, and leaves the probabilities."""
    plain = PooledNormalFamily().posterior(arms([1, 3, 2], [5, 7], []))
    moved = PooledNormalFamily().posterior(
        arms([1_001_000, 1_003_000, 1_002_000], [1_005_000, 1_007_000], [])
    )

    assert moved.mean() == pytest.approx(1e6 + 1000 * plain.mean(), rel=1e-12)
    assert moved.interval(0.95) == pytest.approx(1e6 + 1000 * plain.interval(0.95), rel=1e-9)
    assert moved.probability_best() == pytest.approx(plain.probability_best(), abs=1e-6)
    assert moved.expected_loss() == pytest.approx(1000 * plain.expected_loss(), rel=1e-6)


def test_an_arm_without_data_is_believed_to_be_like_the_others():
    """Its mean is the pooled one, 4; a fresh arm far from 0 is neither hopeless nor a sure winner."""
    posterior = PooledNormalFamily().posterior(arms([1, 3] * 50, [5, 7] * 50, []))

    assert posterior.mean()[2] == pytest.approx(4.0)
    assert 0.1 < posterior.probability_best()[2] < 0.3


def test_forgotten_pulls_may_be_fractions():
    """A quarter of one reward of 8, prior mean 0, weight 1: mean (0.25 * 8) / 1.25 = 1.6."""
    posterior = NormalFamily().posterior(stats(0.25, 2.0, 16.0))

    assert posterior.mean() == pytest.approx([1.6])


@pytest.mark.parametrize("kind", RewardType)
def test_loss_and_value_remaining_of_two_equal_arms(kind):
    """Both arms lose alike; what may be left is positive, and a share of a mean of about 0.5."""
    posterior = family_for(RewardSpec(type=kind)).posterior(arms([0, 1] * 500, [0, 1] * 500))

    loss, left = posterior.expected_loss(), posterior.value_remaining(0.95)

    assert loss[0] == loss[1] > 0.0
    assert left.absolute > loss[0]
    assert left.relative == pytest.approx(left.absolute / 0.5, rel=0.1)


def test_loss_of_two_normals():
    """Location 0 and scale s each: E[max] = s / sqrt(pi); all values are about 1e9 and lose no digits."""
    posterior = NormalFamily(1e9, 1.0).posterior(arms([], []))

    assert posterior.expected_loss() == pytest.approx([1 / np.sqrt(np.pi)] * 2, rel=1e-9)


@pytest.mark.parametrize(
    ("kind", "family"),
    [
        (RewardType.BINARY, BetaFamily),
        (RewardType.COUNT, GammaFamily),
        (RewardType.CONTINUOUS, PooledNormalFamily),
    ],
)
def test_each_kind_of_reward_has_its_family(kind, family):
    """Conjugate ones; the prior of continuous rewards is pooled."""
    assert isinstance(family_for(RewardSpec(type=kind)), family)


def test_a_declared_range_is_believed_until_there_are_data():
    """[0, 1e6] before any reward; after two of about 5 nothing is left of it, however wide it was."""
    family = family_for(RewardSpec(type=RewardType.CONTINUOUS, min=0, max=1e6))

    before, after = family.posterior(arms([], [])), family.posterior(arms([4.0, 6.0], [5.0]))

    assert before.mean() == pytest.approx([5e5, 5e5])
    assert after.mean() == pytest.approx([5.0, 5.0])
    assert after.standard_deviation.max() < 2.0


def test_equal_rewards_inside_a_range_leave_its_variance():
    """Three zeros in [0, 1]: the mean is 0, the variance still a sixteenth."""
    family = PooledNormalFamily.for_range(0.0, 1.0)

    assert family.pooled(arms([0.0, 0.0], [0.0])) == NormalFamily(0.0, 0.0625)


def test_priors_are_told():
    """As JSON, for explanations."""
    assert BetaFamily().prior() == {"family": "beta", "alpha": 1.0, "beta": 1.0}
    assert GammaFamily().prior() == {"family": "gamma", "shape": 1.0, "rate": 1.0}
    assert NormalFamily(2.0, 3.0).prior()["variance"] == 3.0
    assert PooledNormalFamily.for_range(0.0, 4.0).prior() == {
        "family": "normal",
        "mean": 2.0,
        "variance": 1.0,
        "weight": 1.0,
        "pooled": "mean and variance of all rewards so far",
    }


@pytest.mark.parametrize("kind", RewardType)
def test_more_data_means_a_narrower_interval(kind):
    """100 times the data of the same mean and spread, at least 5 times narrower (the root of 100 is 10)."""
    family = family_for(RewardSpec(type=kind))

    few, many = (
        np.ptp(family.posterior(stats(10 * n, 5 * n, 5 * n)).interval(0.95)) for n in (1, 100)
    )

    assert many < few / 5
