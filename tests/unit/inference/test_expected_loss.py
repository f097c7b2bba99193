"""Expected loss, against closed forms and direct integration."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from backend.inference.expected_loss import expected_loss
from backend.inference.quadrature import BETA, GAMMA, NORMAL


def floats(*values):
    return np.array(values, dtype=np.float64)


def beta_loss(alpha, beta):
    return expected_loss(BETA, alpha, beta, alpha / (alpha + beta))


def test_two_uniform_posteriors():
    """The higher of two uniforms has mean 2/3, each alone 1/2."""
    assert beta_loss(floats(1, 1), floats(1, 1)) == pytest.approx([1 / 6, 1 / 6], abs=1e-12)


@pytest.mark.parametrize("n_arms", [2, 10, 1000])
def test_many_uniform_posteriors(n_arms):
    """The highest of K uniforms has mean K / (K + 1)."""
    loss = beta_loss(np.ones(n_arms), np.ones(n_arms))

    assert loss == pytest.approx(n_arms / (n_arms + 1) - 0.5, abs=1e-10)


def test_two_exponentials():
    """max = sum - min: 1 + 1/2 - 1/3 = 7/6, so losses of 1/6 and 2/3."""
    loss = expected_loss(GAMMA, floats(1, 1), floats(1, 2), floats(1, 0.5))

    assert loss == pytest.approx([1 / 6, 2 / 3], abs=1e-10)


@pytest.mark.parametrize(
    ("mean", "sd"),
    [
        (floats(0, 0.5), floats(1, 2)),
        (floats(3, 3), floats(1e-4, 1)),
        (floats(0, -6), floats(1, 1)),
        (floats(0, -1e-3), floats(1e-3, 2)),
    ],
)
def test_two_normals(mean, sd):
    """With D = X1 - X2, E[D] = d and sd s: E[max] - E[X1] = E[(-D)+] = s phi(d / s) - d Phi(-d / s)."""
    d, s = mean[0] - mean[1], np.hypot(*sd)
    expected = [
        s * stats.norm.pdf(d / s) - d * stats.norm.cdf(-d / s),
        s * stats.norm.pdf(d / s) + d * stats.norm.cdf(d / s),
    ]

    assert expected_loss(NORMAL, mean, sd, mean) == pytest.approx(expected, rel=1e-7)


def test_a_tiny_loss_keeps_its_digits():
    """Twelve standard deviations apart: s phi(12) - 12 s Phi(-12) = 1.0e-34 sqrt(2), far below rounding of the means."""
    mean, sd = floats(0, -12 * np.sqrt(2)), floats(1, 1)
    integral = integrate.quad(stats.norm.sf, 12, 20, epsabs=0.0)[0]

    loss = expected_loss(NORMAL, mean, sd, mean)[0]

    assert loss == pytest.approx(np.sqrt(2) * integral, rel=1e-5)


@pytest.mark.parametrize(
    ("alpha", "beta"),
    [
        (floats(3, 5, 2), floats(7, 9, 9)),
        (floats(1, 5e6), floats(1, 5e6)),
        (floats(1, 1e3, 1e5, 40), floats(1e7, 9e3, 1e6, 300)),
        (floats(0.5, 30), floats(0.5, 20)),
    ],
)
def test_betas_agree_with_direct_integration(alpha, beta):
    """E[max] = integral over [0, 1] of 1 - product of F, by SciPy's distribution functions."""
    law = stats.beta(alpha, beta)
    bends = np.clip(
        np.add.outer(np.linspace(-9, 9, 37), np.zeros(len(alpha))) * law.std() + law.mean(), 0, 1
    )
    edges = np.unique(np.concatenate([[0.0, 1.0], bends.ravel()]))
    highest = sum(
        integrate.quad(lambda x: 1.0 - np.prod(law.cdf(x)), low, high, epsabs=1e-13)[0]
        for low, high in pairwise(edges)
    )

    assert beta_loss(alpha, beta) == pytest.approx(highest - law.mean(), abs=1e-9)


def test_a_lone_arm_loses_nothing():
    assert beta_loss(floats(3), floats(2)).tolist() == [0.0]


def test_an_arm_above_all_others_loses_nothing():
    """Ten million trials each at 0.9 and at 0.1: further apart than numbers can show."""
    loss = beta_loss(floats(9e6, 1e6), floats(1e6, 9e6))

    assert loss == pytest.approx([0.0, 0.8], abs=1e-9)


counts = st.lists(st.tuples(st.integers(0, 10**7), st.floats(0.0, 1.0)), min_size=1, max_size=12)


@given(counts)
def test_losses_are_not_negative_and_differ_as_the_means(arms):
    """loss_a + mean_a = E[max] for every arm, which is at most 1."""
    n, rate = np.array(arms, dtype=np.float64).T
    alpha, beta = 1.0 + np.floor(n * rate), 1.0 + n - np.floor(n * rate)

    loss = beta_loss(alpha, beta)

    highest = loss + alpha / (alpha + beta)
    assert loss.min() >= 0.0
    assert highest == pytest.approx(np.full(len(n), highest[0]), abs=1e-12)
    assert highest[0] <= 1.0 + 1e-12
