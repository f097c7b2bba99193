"""Posteriors of the arms' means, calculated by hand."""

import numpy as np
import pytest

from backend.domain import RewardSpec, RewardType
from backend.inference.posteriors import BetaFamily, GammaFamily, NormalFamily, family_for
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
    """[10, 30]: the middle 20, a quarter of the width 5, squared 25; without a range 0 and 1."""
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
    """Without data: 0 -/+ 1.959964 standard deviations of 1."""
    interval = NormalFamily().posterior(stats(0, 0, 0)).interval(0.95)

    assert interval == pytest.approx(np.array([[-1.959964, 1.959964]]), abs=1e-6)


@pytest.mark.parametrize(
    ("kind", "family"),
    [
        (RewardType.BINARY, BetaFamily),
        (RewardType.COUNT, GammaFamily),
        (RewardType.CONTINUOUS, NormalFamily),
    ],
)
def test_each_kind_of_reward_has_its_family(kind, family):
    """Conjugate ones."""
    assert isinstance(family_for(RewardSpec(type=kind)), family)


@pytest.mark.parametrize("kind", RewardType)
def test_more_data_means_a_narrower_interval(kind):
    """100 times the data of the same mean and spread, at least 5 times narrower (the root of 100 is 10)."""
    family = family_for(RewardSpec(type=kind))

    few, many = (
        np.ptp(family.posterior(stats(10 * n, 5 * n, 5 * n)).interval(0.95)) for n in (1, 100)
    )

    assert many < few / 5
