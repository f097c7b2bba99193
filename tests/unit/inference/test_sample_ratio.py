"""The sample-ratio test."""

import numpy as np
import pytest

from backend.inference.sample_ratio import ALPHA, sample_ratio


def floats(*values):
    return np.array(values, dtype=np.float64)


def even(n, excess):
    """n draws of two arms with probability 1/2 each, ``excess`` too many of the first."""
    half = n / 2
    return sample_ratio(
        floats(half + excess, half - excess), floats(half, half), floats(n / 4, n / 4)
    )


def test_no_data():
    result = sample_ratio(np.zeros(3), np.zeros(3), np.zeros(3))

    assert (result.p_value, result.mismatch) == (1.0, False)


def test_counts_as_expected():
    assert even(10_000, 0).p_value == 1.0


def test_two_percent_of_twenty_thousand():
    """400 decisions moved, standard deviation sqrt(5000) = 70.7: 5.66 of them; exp(-5.66^2 / 2) = 1.1e-7, and the mixture's price."""
    result = even(20_000, 400)

    assert result.mismatch
    assert 1e-7 < result.p_value < 1e-5


def test_what_one_look_would_call_significant_is_not():
    """1.96 standard deviations are nothing to a test that may look 20,000 times."""
    result = even(20_000, 1.96 * np.sqrt(5000))

    assert result.p_value == 1.0
    assert not result.mismatch


def test_more_or_fewer_is_alike_for_two_arms():
    assert even(20_000, 300).p_value == pytest.approx(even(20_000, -300).p_value, rel=1e-9)


def test_an_arm_that_never_comes():
    """Probability 0.01 each, 100,000 draws, none: 1,000 were expected, with a standard deviation of 31."""
    n = 1e5
    result = sample_ratio(floats(n, 0), floats(0.99 * n, 0.01 * n), floats(0.9801 * n, 1e-4 * n))

    assert result.p_value < 1e-100


def test_a_vector_without_choice_is_kept_exactly():
    """Probability 1 for one arm: variance 0, and nothing to test."""
    assert sample_ratio(floats(1e7, 0), floats(1e7, 0), floats(1e7, 0)).p_value == 1.0


def test_a_thousand_arms_and_ten_million_draws():
    """All within 2 standard deviations."""
    rng = np.random.default_rng(20240501)
    p = rng.dirichlet(np.ones(1000))
    n = 1e7
    drawn = rng.multinomial(10**7, p).astype(float)

    assert sample_ratio(drawn, n * p, n * p**2).p_value > ALPHA


def test_weights_that_move():
    """Even at first, then 0.9 and 0.1: the pooled share of 0.7 raises no alarm, an even split against it does."""
    expected, squares = floats(7000, 3000), floats(0.25 + 0.81, 0.25 + 0.01) * 5000

    assert sample_ratio(floats(7010, 2990), expected, squares).p_value == 1.0
    assert sample_ratio(floats(5000, 5000), expected, squares).mismatch
