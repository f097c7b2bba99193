"""The planner decides where the product's value remaining does."""

import numpy as np
import pytest

from backend.inference.posteriors import BetaFamily, GammaFamily, NormalFamily
from backend.policies.simulation.stopping import (
    QUANTILE,
    THRESHOLD,
    chance_of_enough,
    winner_of,
)
from backend.statistics import ArmStats

FAMILIES = [BetaFamily(), GammaFamily(), NormalFamily(mean=0.5, variance=0.25)]


def posterior_of(family, pulls, means):
    pulls, means = np.array(pulls, dtype=float), np.array(means)
    return family.posterior(ArmStats(pulls, pulls * means, pulls * means))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("gap", [0.0, 0.0005, 0.002, 0.02])
@pytest.mark.parametrize("n", [0, 20, 1000, 30_000, 10_000_000])
def test_decides_where_the_value_remaining_is_small(family, gap, n):
    """Three arms about 0.1, one with a quarter of the data; no case here lies on the border."""
    posterior = posterior_of(family, [n, n, n // 4], [0.1, 0.1 + gap, 0.1 - gap])
    remaining = posterior.value_remaining(QUANTILE).relative

    is_decided = remaining is not None and remaining < THRESHOLD

    assert (winner_of(posterior) is not None) == is_decided


def test_the_winner_has_the_highest_mean():
    """0.3 against 0.1 after 2,000 each."""
    assert winner_of(posterior_of(BetaFamily(), [2000, 2000], [0.1, 0.3])) == 1


def test_a_chance_by_hand():
    """Normal means 1 and 1 with deviations s: P(M / 1.01 <= theta) = Phi(0.01 / (s sqrt(1 + 1.01^2) ) ) after scaling.

    (theta - M / 1.01) has mean 1 - 1 / 1.01 = 0.0099010 and deviation s sqrt(1 + 1 / 1.01^2); with s = 0.005 its chance
    of being above 0 is Phi(1.40711) = 0.92031.
    """
    pulls = np.array([1e4, 1e4])
    posterior = NormalFamily(mean=1.0, variance=0.25, weight=1e-9).posterior(
        ArmStats(pulls, pulls, pulls * 1.25)
    )

    assert posterior.standard_deviation == pytest.approx([0.005, 0.005], rel=1e-3)
    assert chance_of_enough(posterior, 0) == pytest.approx(0.92031, abs=2e-4)


def test_nothing_is_decided_about_means_below_zero():
    """A share of a negative mean bounds nothing, however much is known."""
    pulls = np.array([1e6, 1e6])
    posterior = NormalFamily().posterior(ArmStats(pulls, pulls * [-1.0, -2.0], pulls * [2.0, 5.0]))

    assert winner_of(posterior) is None
    assert posterior.value_remaining(QUANTILE).relative is None
