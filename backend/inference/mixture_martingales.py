"""Test martingales with a closed form: evidence against a hypothesis that may be looked at as often as one likes.

Each is non-negative, starts at 1 and does not rise in expectation while the hypothesis holds, so it ever reaches 1 / alpha
with probability at most alpha (Ville 1939). Each averages, over a prior on its parameter lambda, processes of the form
exp(lambda s - psi(lambda) v), with s the deviation from the hypothesis and v the variance collected so far.

Source: Robbins (1970); Howard, Ramdas, McAuliffe and Sekhon (2021), "Time-uniform, nonparametric, nonasymptotic confidence
sequences", propositions 7, 9 and 10.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from backend.domain import FloatArray

_PRIOR = 0.5
"""Both parameters of the Beta prior: Jeffreys', which costs no more near 0 and 1 than in the middle."""


def log_beta_binomial(total: FloatArray, n: FloatArray, mean: FloatArray) -> FloatArray:
    """Against n observations in [0, 1] having conditional mean ``mean``, given their ``total``; all broadcast.

    For 0/1 observations the likelihood ratio of a Beta(1/2, 1/2) mixture to ``mean``. Any observations in [0, 1] have at
    most the moment generating function of 0/1 ones with the same mean, so it holds for them too.
    """
    total = np.clip(total, 0.0, n)
    rest = n - total
    log_evidence: FloatArray = (
        special.betaln(_PRIOR + total, _PRIOR + rest)
        - special.betaln(_PRIOR, _PRIOR)
        - special.xlogy(total, mean)
        - special.xlog1py(rest, -mean)
    )
    return log_evidence


def log_gamma_exponential(deviation: FloatArray, variance: FloatArray, scale: float) -> FloatArray:
    """Against a sum of observations in a range of width 1 not exceeding its expectation, by ``deviation``; all broadcast.

    Args:
        variance: sum of squared distances from predictions made before each observation, >= 0.
        scale: rho > 0; the evidence is strongest around variance 9 rho.
    """
    shape, rate = variance + scale, deviation + variance + scale
    is_inside = rate > 0.0
    rate = np.where(is_inside, rate, 1.0)
    with np.errstate(divide="ignore", under="ignore"):
        log_evidence = (
            scale * np.log(scale)
            - special.gammaln(scale)
            - np.log(special.gammainc(scale, scale))
            + special.gammaln(shape)
            + np.log(special.gammainc(shape, rate))
            - shape * np.log(rate)
            + deviation
            + variance
        )
    return np.where(is_inside, log_evidence, -np.inf)


def log_gamma_poisson(deviation: FloatArray, variance: FloatArray, scale: float) -> FloatArray:
    """Against a sum of conditionally centred terms, each at most 1, not exceeding 0, by ``deviation``; all broadcast.

    Args:
        variance: sum of their conditional variances, >= 0.
        scale: rho > 0; the evidence is strongest around variance 9 rho.
    """
    shape, rate = deviation + variance + scale, variance + scale
    is_inside = shape > 0.0
    shape = np.where(is_inside, shape, 1.0)
    with np.errstate(divide="ignore", under="ignore"):
        log_evidence = (
            scale * np.log(scale)
            - special.gammaln(scale)
            - np.log(special.gammaincc(scale, scale))
            + special.gammaln(shape)
            + np.log(special.gammaincc(shape, rate))
            - shape * np.log(rate)
            + variance
        )
    return np.where(is_inside, log_evidence, -np.inf)
