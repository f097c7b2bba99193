"""The probability that each arm is the best: by quadrature, with no random draws.

Posteriors are independent across arms, so with densities f and distribution functions F

    P(arm i is best) = integral of f_i(t) * (product over j != i of F_j(t)) dt.

An increasing change of variable leaves the best arm the best. So Beta posteriors are integrated
over the logit and Gamma ones over the logarithm, where every density is smooth and log-concave on
the whole line: no singular end points, no boundary layers, whatever the parameters.

Gauss-Legendre panels need breakpoints that suit a mature arm beside a fresh one, whose widths may
differ 10,000 times. Each arm asks for some around its mode; rounding them to a dyadic lattice as
fine as the arm is narrow lets a thousand similar arms share a few dozen.

Source: Scott (2010), "A modern Bayesian look at the multi-armed bandit", whose probability that an
arm is optimal this is. Measured error: below 1e-9 for Normal posteriors, and for parameters from
0.5 to 1e7 of the others. Smaller ones cost accuracy: 2e-8 at 0.1, 1e-3 at 0.01.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

_ORDER = 8
_NODES, _WEIGHTS = legendre.leggauss(_ORDER)
# (values at the nodes) @ _CUMULATE = integrals, from -1 to each node, of their interpolant.
_CUMULATE = legendre.legval(
    _NODES, legendre.legint(np.linalg.inv(legendre.legvander(_NODES, _ORDER - 1)), lbnd=-1)
)

# An arm's breakpoints are its mode and where its log density has fallen this far. Under a normal
# density that is 1 to 8.2 standard deviations away; about 1e-15 lies beyond the last.
_FALLS = np.array([0.5, 1.125, 2.0, 3.125, 4.5, 8.0, 12.5, 18.0, 34.0])

_BLOCK = 1 << 15  # values in one array of working memory, which stays in the processor's cache
_SMALLEST_CDF = 1e-300  # its logarithm is finite


class _Outline(NamedTuple):
    """Where densities lie; each array has shape (n_arms,).

    ``width`` is the standard deviation of the normal density with the same curvature at ``mode``.
    A log density has fallen by x or more at ``mode - width * sqrt(2 x) - left * x``, and at
    ``mode + width * sqrt(2 x) + right * x``: normal at the centre, at most exponential tails.
    """

    mode: FloatArray
    width: FloatArray
    left: FloatArray
    right: FloatArray


class _Family(NamedTuple):
    """Two-parameter posteriors of a variable that ranges over the whole line."""

    outline: Callable[[FloatArray, FloatArray], _Outline]
    log_density: Callable[[FloatArray, FloatArray, FloatArray], FloatArray]  # about 0 at the mode


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
    return _probability_best(_BETA, alpha, beta)


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
    return _probability_best(_GAMMA, shape, rate)


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
    return _probability_best(_NORMAL, mean - mean.max(), sd)


def _check(first: FloatArray, second: FloatArray, positive: tuple[FloatArray, ...]) -> None:
    if first.ndim != 1 or first.size == 0 or first.shape != second.shape:
        raise ValueError(f"need two shapes (n_arms,), got {first.shape} and {second.shape}")
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ValueError("posterior parameters must be finite")
    if any(parameter.min() <= 0.0 for parameter in positive):
        raise ValueError("posterior parameters other than a normal mean must be above 0")


def _beta_outline(alpha: FloatArray, beta: FloatArray) -> _Outline:
    """Of logit(x), whose density is proportional to x**alpha * (1 - x)**beta."""
    left, right = 1.0 / alpha, 1.0 / beta
    return _Outline(np.log(alpha) - np.log(beta), np.sqrt(left + right), left, right)


def _beta_log_density(alpha: FloatArray, beta: FloatArray, t: FloatArray) -> FloatArray:
    peak = alpha * np.log1p(beta / alpha) + beta * np.log1p(alpha / beta)
    shared = np.log1p(np.exp(-np.abs(t)))  # -log(x) = shared + max(-t, 0)
    fallen = alpha * (shared + np.maximum(-t, 0.0)) + beta * (shared + np.maximum(t, 0.0))
    log_density: FloatArray = peak - fallen
    return log_density


def _gamma_outline(shape: FloatArray, rate: FloatArray) -> _Outline:
    """Of log(x), whose density is proportional to x**shape * exp(-rate * x)."""
    left = 1.0 / shape
    return _Outline(np.log(shape) - np.log(rate), np.sqrt(left), left, np.zeros_like(shape))


def _gamma_log_density(shape: FloatArray, rate: FloatArray, t: FloatArray) -> FloatArray:
    distance = t - (np.log(shape) - np.log(rate))
    log_density: FloatArray = shape * (distance - np.expm1(distance))
    return log_density


def _normal_outline(mean: FloatArray, sd: FloatArray) -> _Outline:
    return _Outline(mean, sd, np.zeros_like(sd), np.zeros_like(sd))


def _normal_log_density(mean: FloatArray, sd: FloatArray, t: FloatArray) -> FloatArray:
    log_density: FloatArray = -0.5 * ((t - mean) / sd) ** 2
    return log_density


_BETA = _Family(_beta_outline, _beta_log_density)
_GAMMA = _Family(_gamma_outline, _gamma_log_density)
_NORMAL = _Family(_normal_outline, _normal_log_density)


def _probability_best(family: _Family, first: FloatArray, second: FloatArray) -> FloatArray:
    """Integrate once per distinct arm, in sorted order, so ties and permutations are exact.

    An arm that lies below the lowest point of some other arm gets 0; it has at most about 1e-15.
    """
    distinct, inverse, counts = np.unique(
        first + 1j * second, return_inverse=True, return_counts=True
    )
    outline = family.outline(distinct.real, distinct.imag)
    points = _breakpoints(outline)
    floor = points[:, 0].max()
    kept = points[:, -1] > floor
    edges = _shared_edges(points[kept], outline.width[kept], floor)
    columns = distinct.real[kept, None], distinct.imag[kept, None]
    probabilities = np.zeros(len(distinct))
    with np.errstate(over="ignore", under="ignore"):  # exp(-inf) = 0 is the right density
        probabilities[kept] = _integrate(family, columns, points[kept], edges, counts[kept])
    shares: FloatArray = (probabilities / (counts @ probabilities))[inverse]
    return shares


def _breakpoints(outline: _Outline) -> FloatArray:
    """Each arm's own breakpoints, rising along the row: shape (n_arms, n_points)."""
    mode, width, left, right = (part[:, None] for part in outline)
    centre = width * np.sqrt(2.0 * _FALLS)
    lower = mode - centre - left * _FALLS
    return np.concatenate([lower[:, ::-1], mode, mode + centre + right * _FALLS], axis=1)


def _shared_edges(points: FloatArray, width: FloatArray, floor: float) -> FloatArray:
    """All arms' breakpoints above ``floor``, each moved by at most 0.36 of its arm's width."""
    spacing = np.exp2(np.floor(np.log2(width) - 0.5))[:, None]
    rounded = np.rint(points / spacing) * spacing
    ceiling = points[:, -1].max()
    inside = rounded[(rounded > floor) & (rounded < ceiling)]
    return np.unique(np.concatenate([[floor], inside, [ceiling]]))


def _integrate(
    family: _Family,
    columns: tuple[FloatArray, FloatArray],
    points: FloatArray,
    edges: FloatArray,
    counts: NDArray[np.intp],
) -> FloatArray:
    """Integral of f_i / F_i * (product of every F**count) over ``edges``: shape (n_arms,)."""
    half, nodes = _panels(edges)
    hazards = np.empty((len(points), nodes.size))
    log_all_below = np.zeros(nodes.size)
    step = max(1, _BLOCK // nodes.size)
    for block in (slice(start, start + step) for start in range(0, len(points), step)):
        log_density = partial(family.log_density, *(column[block] for column in columns))
        hazards[block], log_cdf = _hazards(log_density, points[block], edges)
        log_all_below += counts[block] @ log_cdf
    integrals: FloatArray = hazards @ (np.exp(log_all_below) * (half[:, None] * _WEIGHTS).ravel())
    return integrals


def _hazards(
    log_density: Callable[[FloatArray], FloatArray], points: FloatArray, edges: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """f / F and log F at the nodes of the panels between ``edges``: shape (n_arms, n_nodes).

    Densities are normalised by their own integral, of which the part below the first edge is
    taken on each arm's own panels.
    """
    below, _ = _masses(log_density, np.minimum(points, edges[0]))
    masses, heights = _masses(log_density, edges)
    reached = below.sum(axis=1, keepdims=True) + np.cumsum(masses, axis=1)
    cdf = heights @ _CUMULATE
    cdf *= 0.5 * np.diff(edges)[:, None]
    cdf += (reached - masses)[:, :, None]
    np.maximum(cdf, _SMALLEST_CDF, out=cdf)
    heights /= cdf
    cdf /= reached[:, -1:, None]
    return heights.reshape(len(points), -1), np.log(cdf, out=cdf).reshape(len(points), -1)


def _masses(
    log_density: Callable[[FloatArray], FloatArray], edges: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Each arm's integral over each panel, (n_arms, n_panels), and its density at their nodes."""
    half, nodes = _panels(edges)
    logs = log_density(nodes.reshape(-1, half.shape[-1] * _ORDER))
    heights = np.exp(logs, out=logs).reshape(-1, *nodes.shape[-2:])
    return half * (heights @ _WEIGHTS), heights


def _panels(edges: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Half-lengths, shape (..., n_panels), and nodes, shape (..., n_panels, order)."""
    half = 0.5 * np.diff(edges)
    return half, (edges[..., :-1] + half)[..., None] + half[..., None] * _NODES
