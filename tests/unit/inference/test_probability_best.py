"""The probability of being best, against hand calculations, laws and direct integration.

Direct integration means P(i best) = integral over u in (0, 1) of the product over j != i of
F_j(Q_i(u)), with Q_i the quantile function of arm i: adaptive, on the original scale, with SciPy's
distribution functions. The code under test uses none of these.
"""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from backend.inference.probability_best import (
    probability_best_beta,
    probability_best_gamma,
    probability_best_normal,
)

PRECISE = 1e-9  # what the module's docstring promises


def gamma(shape, rate):
    return stats.gamma(shape, scale=1.0 / np.asarray(rate))


FAMILIES = [probability_best_beta, probability_best_gamma, probability_best_normal]

# In standard deviations of every other arm: where the integrand may bend.
STEPS = np.array([-8.0, -6.0, -4.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0])


def integrated(distribution, first, second, arm: int) -> float:
    """P(``arm`` best) by adaptive integration over its own probability scale."""
    own = distribution(first[arm], second[arm])
    rest = distribution(np.delete(first, arm), np.delete(second, arm))
    bends = np.unique(np.outer(STEPS, rest.std()) + rest.mean())
    if bends.size > 200:
        bends = np.quantile(bends, np.linspace(0.0, 1.0, 24))
    tails = 10.0 ** np.arange(-12.0, 0.0)
    edges = np.unique(np.concatenate([[0.0, 0.5, 1.0], tails, 1 - tails, own.cdf(bends)]))
    edges = edges[np.concatenate([[True], np.diff(edges) > 1e-13])]
    edges[-1] = 1.0

    def all_below(u: float) -> float:
        return float(np.prod(rest.cdf(own.ppf(u))))

    pieces = [
        integrate.quad(all_below, low, high, epsabs=1e-11, epsrel=1e-7)[0]
        for low, high in pairwise(edges)
    ]
    return float(np.sum(pieces))


def floats(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float64)


# --- Hand calculations -------------------------------------------------------------------------


def test_one_success_against_one_failure():
    """P(Beta(2,1) > Beta(1,2)) = integral of 2x (1 - (1-x)**2) dx = 4/3 - 1/2 = 5/6."""
    probabilities = probability_best_beta(floats(2, 1), floats(1, 2))

    assert probabilities == pytest.approx([5 / 6, 1 / 6], abs=PRECISE)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_lone_arm_is_best(family):
    assert family(floats(3), floats(2)).tolist() == [1.0]


@pytest.mark.parametrize(
    "alpha",
    [
        floats(0.5, 1, 3),
        floats(1, 1e7),
        floats(5, 98.5),
        floats(0.5, 1, 30, 1e3, 1e5, 1e7, 1e7 + 1),
        np.random.default_rng(1).uniform(0.5, 50.0, 1000),
        10.0 ** np.random.default_rng(2).uniform(-0.3, 7.0, 1000),
    ],
    ids=["three", "far apart", "near", "seven", "1000-fresh", "1000-mixed"],
)
def test_powers_share_in_proportion(alpha):
    """Beta(a, 1) has F(x) = x**a, so P(i best) = integral of a_i x**(sum a - 1) = a_i / sum a."""
    probabilities = probability_best_beta(alpha, np.ones_like(alpha))

    assert probabilities == pytest.approx(alpha / alpha.sum(), abs=PRECISE)


@pytest.mark.parametrize("n_arms", [2, 10, 1000])
def test_identical_arms_but_one(n_arms):
    """Against n - 1 copies of Beta(1, 1), Beta(2, 1) wins with 2 / (n + 1): one share in two."""
    alpha = np.ones(n_arms)
    alpha[0] = 2.0

    probabilities = probability_best_beta(alpha, np.ones(n_arms))

    assert probabilities[0] == pytest.approx(2 / (n_arms + 1), abs=PRECISE)
    assert np.unique(probabilities[1:]).size == 1


@pytest.mark.parametrize(
    ("mean", "sd"),
    [
        (floats(1, 0), floats(1, 1)),
        (floats(0.3, 0.299), floats(1e-4, 2.0)),
        (floats(-5, 40), floats(30, 1e-3)),
        (floats(1e6, 1e6 + 1e-3), floats(1e-3, 3e-3)),
        (floats(0, 0), floats(1e-9, 1e9)),
    ],
)
def test_two_normals(mean, sd):
    """X - Y is Normal(m1 - m2, sqrt(s1**2 + s2**2)), so P(X > Y) = Phi of their ratio."""
    expected = stats.norm.cdf((mean[0] - mean[1]) / np.hypot(*sd))

    probabilities = probability_best_normal(mean, sd)

    assert probabilities == pytest.approx([expected, 1 - expected], abs=PRECISE)


@pytest.mark.parametrize("rate", [floats(1, 3), floats(1e-6, 1e-3), floats(1e7, 2e-3)])
def test_two_exponentials(rate):
    """The larger of two exponentials is the one whose rival, rate r2, rings first: r2 / sum."""
    probabilities = probability_best_gamma(np.ones(2), rate)

    assert probabilities == pytest.approx(rate[::-1] / rate.sum(), abs=PRECISE)


@pytest.mark.parametrize(
    ("shape", "rate"),
    [
        (floats(0.5, 0.5), floats(1, 2)),
        (floats(1, 1e7), floats(1, 1e7)),
        (floats(1e7, 1.0003e7), floats(1e4, 1e4)),
        (floats(0.5, 1e5), floats(2, 1e7)),
    ],
)
def test_two_gammas(shape, rate):
    """r1 X / (r1 X + r2 Y) is Beta(s1, s2), and X > Y when it exceeds r1 / (r1 + r2)."""
    expected = stats.beta.sf(rate[0] / rate.sum(), *shape)

    probabilities = probability_best_gamma(shape, rate)

    assert probabilities == pytest.approx([expected, 1 - expected], abs=PRECISE)


# --- Direct integration ------------------------------------------------------------------------

BETAS = {
    "no data": (floats(1, 1, 1), floats(1, 1, 1)),
    "below one": (floats(0.5, 0.5, 1), floats(0.5, 0.7, 1)),
    "fresh beside mature": (floats(1, 5e6), floats(1, 5e6)),
    "fresh beside always": (floats(1, 1 + 1e7), floats(1, 1)),
    "fresh beside never": (floats(1, 1), floats(1, 1 + 1e7)),
    "all three ends": (floats(1, 1 + 1e7, 1, 5e6), floats(1, 1, 1 + 1e7, 5e6)),
    "near one": (floats(1 + 1e7, 1e7 - 5, 1, 0.5, 30), floats(1, 2, 1, 0.5, 1)),
    "near zero": (floats(1, 3, 1, 0.5), floats(1e7, 1e7, 1e3, 1e7)),
    "mature": (floats(5e6, 5.001e6, 4.9999e6, 50), floats(5e6, 5e6, 5e6, 52)),
    "every age": (0.2 * floats(10, 1e3, 1e5, 1e7), 0.8 * floats(10, 1e3, 1e5, 1e7)),
}


@pytest.mark.parametrize(("alpha", "beta"), BETAS.values(), ids=BETAS.keys())
def test_betas_agree_with_direct_integration(alpha, beta):
    expected = [integrated(stats.beta, alpha, beta, arm) for arm in range(alpha.size)]

    assert probability_best_beta(alpha, beta) == pytest.approx(expected, abs=PRECISE)


@pytest.mark.parametrize(
    ("shape", "rate"),
    [
        (floats(0.5, 1, 3, 20), floats(1, 1, 4, 25)),
        (floats(1, 1e3, 1e7), floats(1e-3, 1, 1e4)),
        (0.7 * floats(1, 1e2, 1e4, 1e6), floats(1, 1e2, 1e4, 1e6)),
    ],
)
def test_gammas_agree_with_direct_integration(shape, rate):
    expected = [integrated(gamma, shape, rate, arm) for arm in range(shape.size)]

    assert probability_best_gamma(shape, rate) == pytest.approx(expected, abs=PRECISE)


@pytest.mark.parametrize(
    ("mean", "sd"),
    [
        (floats(0, 0.5, 1), floats(1, 1, 1)),
        (floats(0.1, 0, -0.3, 2), floats(1e-4, 1e-2, 1, 30)),
        (np.linspace(-1, 1, 5), np.geomspace(10, 1e-3, 5)),
    ],
)
def test_normals_agree_with_direct_integration(mean, sd):
    expected = [integrated(stats.norm, mean, sd, arm) for arm in range(mean.size)]

    assert probability_best_normal(mean, sd) == pytest.approx(expected, abs=PRECISE)


@pytest.mark.parametrize("means", [(0.4, 0.5), (0.5, 0.5)], ids=["spread", "equal"])
def test_a_thousand_arms(means):
    """Pulls from 1 to 1e7; two arms are compared with direct integration."""
    rng = np.random.default_rng(20240501)
    pulls = 10.0 ** rng.uniform(0.0, 7.0, 1000)
    rewards = np.floor(pulls * rng.uniform(*means, 1000))
    alpha, beta = 1.0 + rewards, 1.0 + pulls - rewards

    probabilities = probability_best_beta(alpha, beta)

    assert probabilities.sum() == pytest.approx(1.0, abs=1e-14)
    for arm in np.argsort(probabilities)[[-1, -50]]:
        expected = integrated(stats.beta, alpha, beta, arm)
        assert probabilities[arm] == pytest.approx(expected, abs=PRECISE)


# --- Laws --------------------------------------------------------------------------------------

pulls = st.one_of(st.integers(0, 50), st.integers(0, 10**7))
rates = st.one_of(st.sampled_from([0.0, 0.5, 1.0]), st.floats(0.0, 1.0))
priors = st.sampled_from([0.5, 1.0])


@st.composite
def betas(draw) -> tuple[np.ndarray, np.ndarray]:
    """alpha and beta of 1 to 12 arms, of 0 to 1e7 trials each."""
    arms = draw(st.lists(st.tuples(pulls, rates, priors), min_size=1, max_size=12))
    n, rate, prior = np.array(arms, dtype=np.float64).T
    successes = np.floor(n * rate)
    return prior + successes, prior + n - successes


@given(betas())
def test_sums_to_one(posteriors):
    for family in FAMILIES:
        probabilities = family(*posteriors)

        assert probabilities.shape == posteriors[0].shape
        assert probabilities.min() >= 0.0
        assert probabilities.sum() == pytest.approx(1.0, abs=1e-14)


@given(betas(), st.randoms(use_true_random=False))
def test_the_order_of_arms_is_nothing(posteriors, random):
    order = list(range(posteriors[0].size))
    random.shuffle(order)
    for family in FAMILIES:
        shuffled = family(*(parameter[order] for parameter in posteriors))

        assert shuffled.tolist() == family(*posteriors)[order].tolist()


@given(betas(), st.integers(2, 4))
def test_identical_arms_are_equal(posteriors, copies):
    for family in FAMILIES:
        probabilities = family(*(np.tile(parameter, copies) for parameter in posteriors))

        repeats = probabilities.reshape(copies, -1)
        assert (repeats == repeats[0]).all()


@given(betas(), st.integers(1, 1000))
def test_more_successes_never_hurt(posteriors, extra):
    alpha, beta = posteriors
    better = alpha.copy()
    better[0] += extra

    before, after = probability_best_beta(alpha, beta), probability_best_beta(better, beta)

    assert after[0] >= before[0] - PRECISE
    assert (after[1:] <= before[1:] + PRECISE).all()


@given(betas())
def test_mirrored_pair_of_betas(posteriors):
    """Exchanging success and failure exchanges the better and the worse of two arms."""
    alpha, beta = (np.resize(parameter, 2) for parameter in posteriors)

    assert probability_best_beta(alpha, beta) == pytest.approx(
        probability_best_beta(beta, alpha)[::-1], abs=PRECISE
    )


@given(betas(), st.floats(1e-3, 1e3))
def test_the_unit_of_the_reward_is_nothing(posteriors, unit):
    """Scaling every posterior leaves the probabilities, but for the rounding of its parameters."""
    first, second = posteriors

    assert probability_best_gamma(first, second * unit) == pytest.approx(
        probability_best_gamma(first, second), abs=PRECISE
    )
    assert probability_best_normal(first * unit, second * unit) == pytest.approx(
        probability_best_normal(first, second), abs=PRECISE
    )


# --- Refusals ----------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("first", "second"),
    [
        (floats(1, 2), floats(1)),
        (floats(), floats()),
        (np.ones((2, 2)), np.ones((2, 2))),
        (floats(1, 2), floats(1, 0)),
        (floats(1, 2), floats(-1, 1)),
        (floats(1, 2), floats(np.nan, 1)),
        (floats(np.inf, 2), floats(1, 1)),
    ],
)
def test_bad_parameters_are_refused(family, first, second):
    with pytest.raises(ValueError, match=r"shapes|finite|above 0"):
        family(first, second)


@pytest.mark.parametrize("family", [probability_best_beta, probability_best_gamma])
def test_first_parameter_must_be_positive_too(family):
    with pytest.raises(ValueError, match="above 0"):
        family(floats(0, 1), floats(1, 1))


def test_a_normal_mean_may_be_negative():
    assert probability_best_normal(floats(-1, -1), floats(1, 1)).tolist() == [0.5, 0.5]
