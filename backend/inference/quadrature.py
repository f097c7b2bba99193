"""Integrals over the posteriors of many arms at once: by quadrature, with no random draws.

An increasing change of variable leaves the best arm the best. So Beta posteriors are integrated
over the logit and Gamma ones over the logarithm, where every density is smooth and log-concave on
the whole line: no singular end points, no boundary layers, whatever the parameters.

Gauss-Legendre panels need breakpoints that suit a mature arm beside a fresh one, whose widths may
differ 10,000 times. Each arm asks for some around its mode; rounding them to a dyadic lattice as
fine as the arm is narrow lets a thousand similar arms share a few dozen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple, Self

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import NDArray
from scipy import special

from backend.domain import BoolArray, FloatArray

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


class Outline(NamedTuple):
    """Where densities lie; each array has shape (n_arms,).

    ``width`` is the standard deviation of the normal density with the same curvature at ``mode``.
    A log density has fallen by x or more at ``mode - width * sqrt(2 x) - left * x``, and at
    ``mode + width * sqrt(2 x) + right * x``: normal at the centre, at most exponential tails.
    """

    mode: FloatArray
    width: FloatArray
    left: FloatArray
    right: FloatArray


class Family(NamedTuple):
    """Two-parameter posteriors, by an increasing function t of the arm's mean that ranges over the whole line.

    ``log_density`` takes both parameters and t, and is about 0 at the mode. ``value`` is the arm's mean at t,
    ``slope`` its derivative, and ``position`` the t of a mean inside the family's range.
    """

    outline: Callable[[FloatArray, FloatArray], Outline]
    log_density: Callable[[FloatArray, FloatArray, FloatArray], FloatArray]
    value: Callable[[FloatArray], FloatArray]
    slope: Callable[[FloatArray], FloatArray]
    position: Callable[[FloatArray], FloatArray]


class Arms(NamedTuple):
    """Distinct posteriors: ``first``, ``second``, ``copies``, ``width`` (n_arms,), ``points`` (n_arms, n_points).

    ``copies`` is how many arms share the posterior; ``points`` are its breakpoints, rising along the row, with about
    1e-15 of the probability beyond the first and the last.
    """

    first: FloatArray
    second: FloatArray
    copies: FloatArray
    points: FloatArray
    width: FloatArray

    def select(self, mask: BoolArray) -> Self:
        """Only those in ``mask``."""
        return type(self)(*(part[mask] for part in self))


def distinct_arms(
    family: Family, first: FloatArray, second: FloatArray
) -> tuple[Arms, NDArray[np.intp]]:
    """Each posterior once, in sorted order, so that ties and permutations are exact; and which one each arm has."""
    distinct, inverse, count = np.unique(
        first + 1j * second, return_inverse=True, return_counts=True
    )
    outline = family.outline(distinct.real, distinct.imag)
    points = _breakpoints(outline)
    copies = count.astype(np.float64)
    arms = Arms(distinct.real.copy(), distinct.imag.copy(), copies, points, outline.width)
    return arms, inverse


def shared_edges(arms: Arms, low: float, high: float) -> FloatArray:
    """From ``low`` to ``high``, all arms' breakpoints between, each moved by at most 0.36 of its arm's width."""
    spacing = np.exp2(np.floor(np.log2(arms.width) - 0.5))[:, None]
    rounded = np.rint(arms.points / spacing) * spacing
    inside = rounded[(rounded > low) & (rounded < high)]
    return np.unique(np.concatenate([[low], inside, [high]]))


def nodes_and_weights(edges: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Of the panels between ``edges``: integral of g = weights @ g(nodes); both of shape (n_nodes,)."""
    half, nodes = _panels(edges)
    return nodes.ravel(), (half[:, None] * _WEIGHTS).ravel()


def hazards_and_log_cdfs(
    family: Family, arms: Arms, edges: FloatArray
) -> Iterator[tuple[slice, FloatArray, FloatArray]]:
    """f / F and log F at the nodes, each (n_block, n_nodes), for one block of arms after another.

    The last edge is at or above every arm's last breakpoint: densities are normalised by their own integral up to it.
    """
    step = max(1, _BLOCK // (_ORDER * (edges.size - 1)))
    for start in range(0, len(arms.first), step):
        block = slice(start, start + step)
        log_density = partial(family.log_density, arms.first[block, None], arms.second[block, None])
        yield block, *_hazards(log_density, arms.points[block], edges)


def _hazards(
    log_density: Callable[[FloatArray], FloatArray], points: FloatArray, edges: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """f / F and log F at the nodes of the panels between ``edges``: shape (n_arms, n_nodes).

    Densities are normalised by their own integral, of which the part below the first edge is
    taken on each arm's own panels.
    """
    with np.errstate(over="ignore", under="ignore"):  # exp(-inf) = 0 is the right density
        below, _ = _masses(log_density, np.minimum(points, edges[0]))
        masses, heights = _masses(log_density, edges)
        reached = below.sum(axis=1, keepdims=True) + np.cumsum(masses, axis=1)
        cdf = heights @ _CUMULATE
        cdf *= 0.5 * np.diff(edges)[:, None]
        cdf += (reached - masses)[:, :, None]
        np.maximum(cdf, _SMALLEST_CDF, out=cdf)
        heights /= cdf
        cdf /= reached[:, -1:, None]
        log_cdf = np.log(cdf, out=cdf)
    return heights.reshape(len(points), -1), log_cdf.reshape(len(points), -1)


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


def _breakpoints(outline: Outline) -> FloatArray:
    """Each arm's own breakpoints, rising along the row: shape (n_arms, n_points)."""
    mode, width, left, right = (part[:, None] for part in outline)
    centre = width * np.sqrt(2.0 * _FALLS)
    lower = mode - centre - left * _FALLS
    return np.concatenate([lower[:, ::-1], mode, mode + centre + right * _FALLS], axis=1)


def _beta_outline(alpha: FloatArray, beta: FloatArray) -> Outline:
    """Of logit(x), whose density is proportional to x**alpha * (1 - x)**beta."""
    left, right = 1.0 / alpha, 1.0 / beta
    return Outline(np.log(alpha) - np.log(beta), np.sqrt(left + right), left, right)


def _beta_log_density(alpha: FloatArray, beta: FloatArray, t: FloatArray) -> FloatArray:
    peak = alpha * np.log1p(beta / alpha) + beta * np.log1p(alpha / beta)
    shared = np.log1p(np.exp(-np.abs(t)))  # -log(x) = shared + max(-t, 0)
    fallen = alpha * (shared + np.maximum(-t, 0.0)) + beta * (shared + np.maximum(t, 0.0))
    log_density: FloatArray = peak - fallen
    return log_density


def _logistic(t: FloatArray) -> FloatArray:
    x: FloatArray = special.expit(t)
    return x


def _logistic_slope(t: FloatArray) -> FloatArray:
    slope: FloatArray = special.expit(t) * special.expit(-t)
    return slope


def _logit(x: FloatArray) -> FloatArray:
    t: FloatArray = special.logit(np.clip(x, 0.0, 1.0))
    return t


def _gamma_outline(shape: FloatArray, rate: FloatArray) -> Outline:
    """Of log(x), whose density is proportional to x**shape * exp(-rate * x)."""
    left = 1.0 / shape
    return Outline(np.log(shape) - np.log(rate), np.sqrt(left), left, np.zeros_like(shape))


def _gamma_log_density(shape: FloatArray, rate: FloatArray, t: FloatArray) -> FloatArray:
    distance = t - (np.log(shape) - np.log(rate))
    log_density: FloatArray = shape * (distance - np.expm1(distance))
    return log_density


def _normal_outline(mean: FloatArray, sd: FloatArray) -> Outline:
    return Outline(mean, sd, np.zeros_like(sd), np.zeros_like(sd))


def _normal_log_density(mean: FloatArray, sd: FloatArray, t: FloatArray) -> FloatArray:
    log_density: FloatArray = -0.5 * ((t - mean) / sd) ** 2
    return log_density


def _identity(t: FloatArray) -> FloatArray:
    return t


BETA = Family(_beta_outline, _beta_log_density, _logistic, _logistic_slope, _logit)
GAMMA = Family(_gamma_outline, _gamma_log_density, np.exp, np.exp, np.log)
NORMAL = Family(_normal_outline, _normal_log_density, _identity, np.ones_like, _identity)
