"""Closed forms of mixtures, against integration over the prior on lambda, and Ville's inequality."""

import numpy as np
import pytest
from scipy import integrate, special, stats

from backend.inference.mixture_martingales import (
    log_beta_binomial,
    log_gamma_exponential,
    log_gamma_poisson,
)

DEVIATIONS = [(-3.0, 2.0), (0.0, 0.5), (4.0, 3.0), (30.0, 60.0)]


def floats(*values):
    return np.array(values, dtype=np.float64)


@pytest.mark.parametrize(("total", "n", "mean"), [(3, 10, 0.2), (0, 4, 0.5), (2.6, 7, 0.1)])
def test_beta_binomial(total, n, mean):
    """Average over q of q^s (1 - q)^(n - s), over that of the mean: also for totals that are no integers."""

    def ratio(q):
        return (
            (q / mean) ** total
            * ((1 - q) / (1 - mean)) ** (n - total)
            * stats.beta.pdf(q, 0.5, 0.5)
        )

    expected = integrate.quad(ratio, 0, 0.5)[0] + integrate.quad(ratio, 0.5, 1)[0]

    evidence = np.exp(log_beta_binomial(floats(total), floats(n), floats(mean)))

    assert evidence == pytest.approx([expected], rel=1e-6)


def test_beta_binomial_by_hand():
    """One success against mean 1/2: Jeffreys' mixture gives it probability 1/2 as well, so evidence 1."""
    assert log_beta_binomial(floats(1), floats(1), floats(0.5)) == pytest.approx([0.0], abs=1e-12)


@pytest.mark.parametrize(("deviation", "variance"), DEVIATIONS)
def test_gamma_exponential(deviation, variance):
    """psi(lambda) = -ln(1 - lambda) - lambda; 1 - lambda has a Gamma(rho, rho) law, cut off at 1."""
    rho = 2.5

    def mixed(rest):
        psi = -np.log(rest) - (1 - rest)
        density = stats.gamma.pdf(rest, rho, scale=1 / rho) / stats.gamma.cdf(1, rho, scale=1 / rho)
        return np.exp((1 - rest) * deviation - psi * variance) * density

    expected = integrate.quad(mixed, 0, 1, epsabs=0)[0]

    evidence = np.exp(log_gamma_exponential(floats(deviation), floats(variance), rho))

    assert evidence == pytest.approx([expected], rel=1e-6)


@pytest.mark.parametrize(("deviation", "variance"), DEVIATIONS)
def test_gamma_poisson(deviation, variance):
    """psi(lambda) = e^lambda - 1 - lambda; e^lambda has a Gamma(rho, rho) law, cut off below 1."""
    rho = 2.5

    def mixed(theta):
        psi = theta - 1 - np.log(theta)
        density = stats.gamma.pdf(theta, rho, scale=1 / rho) / stats.gamma.sf(1, rho, scale=1 / rho)
        return np.exp(np.log(theta) * deviation - psi * variance) * density

    expected = integrate.quad(mixed, 1, 3, epsabs=0)[0] + integrate.quad(mixed, 3, 60, epsabs=0)[0]

    evidence = np.exp(log_gamma_poisson(floats(deviation), floats(variance), rho))

    assert evidence == pytest.approx([expected], rel=1e-6)


@pytest.mark.parametrize("mixture", [log_gamma_exponential, log_gamma_poisson])
def test_no_data_is_no_evidence(mixture):
    """It starts at 1; a deviation below what is possible has evidence 0."""
    assert mixture(floats(0), floats(0), 2.5) == pytest.approx([0.0], abs=1e-12)
    assert mixture(floats(-1e3), floats(1), 2.5).tolist() == [-np.inf]


@pytest.mark.parametrize("mixture", [log_gamma_exponential, log_gamma_poisson])
def test_huge_samples_stay_finite(mixture):
    """Variance up to 1e7: at five standard deviations about 5^2 / 2 less the price ln sqrt(1e7 / rho) of the mixture."""
    evidence = mixture(5 * np.sqrt(1e7) * floats(-1, 0, 1), np.full(3, 1e7), 2.5)

    assert not np.isnan(evidence).any()
    assert evidence[0] < evidence[1] < 0.0 < evidence[2] < 12.5


def test_ville():
    """Fair coins watched for 1,000 tosses: evidence ever reaches 20 in at most 5% of 2,000 runs; 0.015 is 3 standard errors."""
    rng = np.random.default_rng(20240501)
    tosses = np.cumsum(rng.random((2000, 1000)) < 0.5, axis=1).astype(float)
    n = np.arange(1.0, 1001.0)
    excess, variance = tosses - n / 2, np.broadcast_to(n / 4, tosses.shape)

    for log_evidence in (
        log_beta_binomial(tosses, n, floats(0.5)),
        log_gamma_exponential(excess, variance, 2.5),
        log_gamma_poisson(excess, variance, 2.5),
    ):
        assert np.mean(log_evidence.max(axis=1) >= special.log1p(19.0)) <= 0.065
