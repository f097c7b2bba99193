"""Sums of rewards have the moments that single rewards would give them."""

import numpy as np
import pytest

from backend.domain import RewardType
from backend.policies.simulation.outcomes import outcomes_of

N_DRAWS = 4000
COUNTS = np.array([50, 1, 0])


def draws(kind, means, spreads, rng):
    """Sums and sums of squares, each of shape (N_DRAWS, n_arms)."""
    draw = outcomes_of(kind, np.array(means), np.array(spreads))
    return np.array([draw(COUNTS, rng) for _ in range(N_DRAWS)]).transpose(1, 0, 2)


@pytest.mark.parametrize(
    ("kind", "mean", "spread", "variance"),
    [
        (RewardType.BINARY, 0.3, 0.0, 0.21),
        (RewardType.COUNT, 2.5, 0.0, 2.5),
        (RewardType.CONTINUOUS, -3.0, 2.0, 4.0),
    ],
)
def test_mean_and_variance(kind, mean, spread, variance, rng):
    """Of n rewards: sum n m with variance n v, squares n (v + m^2); 5 standard errors of 4,000 draws are 8%."""
    sums, squares = draws(kind, [mean] * 3, [spread] * 3, rng)

    error = 5 * np.sqrt(COUNTS * variance / N_DRAWS)
    assert (np.abs(sums.mean(axis=0) - COUNTS * mean) <= error).all()
    assert sums.var(axis=0) == pytest.approx(COUNTS * variance, rel=0.12)
    assert squares.mean(axis=0) == pytest.approx(COUNTS * (variance + mean**2), rel=0.08)


@pytest.mark.parametrize("kind", RewardType)
def test_single_rewards_and_none(kind, rng):
    """The square of one reward is its square; no decision brings nothing."""
    sums, squares = draws(kind, [0.4] * 3, [1.5] * 3, rng)

    assert squares[:, 1] == pytest.approx(sums[:, 1] ** 2)
    assert not sums[:, 2].any()
    assert not squares[:, 2].any()


def test_squares_are_never_too_small(rng):
    """Cauchy-Schwarz: n times the sum of squares is at least the squared sum."""
    for kind in RewardType:
        sums, squares = draws(kind, [0.4] * 3, [1.5] * 3, rng)
        assert (COUNTS * squares >= sums**2 * (1 - 1e-12)).all()
