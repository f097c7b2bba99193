"""The probability that each arm is the best: by quadrature, with no random draws.

Posteriors are independent across arms, so with densities f and distribution functions F

    P(arm i is best) = integral of f_i(t) * (product over j != i of F_j(t)) dt.

Source: Scott (2010), "A modern Bayesian look at the multi-armed bandit", whose probability that an
arm is optimal this is. Measured error: below 1e-9 for Normal posteriors, and for parameters from
0.5 to 1e7 of the others. Smaller ones cost accuracy: 2e-8 at 0.1, 1e-3 at 0.01.
"""

import numpy as np

from backend.domain import FloatArray
from backend.inference.quadrature import (
    BETA,
    GAMMA,
    NORMAL,
    Arms,
    Family,
    distinct_arms,
    hazards_and_log_cdfs,
    nodes_and_weights,
    shared_edges,
)


def probability_best_beta(alpha: FloatArray, beta: FloatArray) -> FloatArray:
    """The probability, for each arm, that its Beta(alpha, beta) posterior is the largest.

    Args:
        alpha, beta: shape (n_arms,), above 0.
    Returns:
        shape (n_arms,), non-negative, sum 1; identical arms get identical values.
    Raises:
        ValueError: the shapes differ, there is no arm, or a parameter is out of range.
    """
    _check(alpha, beta, positive=(alpha, beta))
    return _probability_best(BETA, alpha, beta)


def probability_best_gamma(shape: FloatArray, rate: FloatArray) -> FloatArray:
    """The probability, for each arm, that its Gamma(shape, rate) posterior is the largest.

    Args:
        shape, rate: shape (n_arms,), above 0; the mean is ``shape / rate``.
    Returns:
        shape (n_arms,), non-negative, sum 1; identical arms get identical values.
    Raises:
        ValueError: the shapes differ, there is no arm, or a parameter is out of range.
    """
    _check(shape, rate, positive=(shape, rate))
    return _probability_best(GAMMA, shape, rate)


def probability_best_normal(mean: FloatArray, sd: FloatArray) -> FloatArray:
    """The probability, for each arm, that its Normal(mean, sd) posterior is the largest.

    Args:
        mean: shape (n_arms,).
        sd: shape (n_arms,), standard deviations, above 0.
    Returns:
        shape (n_arms,), non-negative, sum 1; identical arms get identical values.
    Raises:
        ValueError: the shapes differ, there is no arm, or a parameter is out of range.
    """
    _check(mean, sd, positive=(sd,))
    return _probability_best(NORMAL, mean - mean.max(), sd)


def _check(first: FloatArray, second: FloatArray, positive: tuple[FloatArray, ...]) -> None:
    if first.ndim != 1 or first.size == 0 or first.shape != second.shape:
        raise ValueError(f"need two shapes (n_arms,), got {first.shape} and {second.shape}")
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ValueError("posterior parameters must be finite")
    if any(parameter.min() <= 0.0 for parameter in positive):
        raise ValueError("posterior parameters other than a normal mean must be above 0")


def _probability_best(family: Family, first: FloatArray, second: FloatArray) -> FloatArray:
    """An arm that lies below the lowest point of some other arm gets 0; it has at most about 1e-15."""
    arms, inverse = distinct_arms(family, first, second)
    floor = float(arms.points[:, 0].max())
    kept = arms.points[:, -1] > floor
    probabilities = np.zeros(len(arms.first))
    probabilities[kept] = _integrate(family, arms.select(kept), floor)
    shares: FloatArray = (probabilities / (arms.copies @ probabilities))[inverse]
    return shares


def _integrate(family: Family, arms: Arms, floor: float) -> FloatArray:
    """Integral above ``floor`` of f_i / F_i * (product of every F**count): shape (n_arms,)."""
    edges = shared_edges(arms, floor, float(arms.points[:, -1].max()))
    nodes, weights = nodes_and_weights(edges)
    hazards = np.empty((len(arms.first), nodes.size))
    log_all_below = np.zeros(nodes.size)
    for block, hazard, log_cdf in hazards_and_log_cdfs(family, arms, edges):
        hazards[block] = hazard
        log_all_below += arms.copies[block] @ log_cdf
    with np.errstate(under="ignore"):
        integrals: FloatArray = hazards @ (np.exp(log_all_below) * weights)
    return integrals
