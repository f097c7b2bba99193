"""How much better than the arm that looks best the truly best one may be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import optimize

from backend.domain import FloatArray
from backend.inference.quadrature import (
    Arms,
    Family,
    distinct_arms,
    hazards_and_log_cdfs,
    nodes_and_weights,
    shared_edges,
)

_FURTHEST = 60.0
"""Largest log(1 + relative value remaining) that is looked for."""


@dataclass(frozen=True, slots=True)
class ValueRemaining:
    """Quantile of the value remaining in the experiment, over the posterior.

    Attributes:
        quantile: which one, in (0, 1).
        absolute: of (highest mean - mean of the arm that is probably best), >= 0, in units of the reward.
        relative: of that difference divided by the arm's mean, >= 0. None when it has no bound: an outcome in which
            the arm's mean is not above 0 counts as infinite.
    """

    quantile: float
    absolute: float
    relative: float | None


def value_remaining(
    family: Family,
    first: FloatArray,
    second: FloatArray,
    best: int,
    *,
    quantile: float = 0.95,
    offset: float = 0.0,
) -> ValueRemaining:
    """Value remaining when arm ``best`` is kept for good; by quadrature, with no random draws.

    With M the highest of the other arms' means and theta the arm's own, P(M - theta <= d) is the integral of
    f(x) F_M(x + d) dx; F_M is tabulated once, and the d for the given probability is found by Brent's method.

    Args:
        first, second: parameters of ``family``, shape (n_arms,).
        best: the arm with the highest probability of being best.
        offset: an arm's mean is ``offset`` plus the family's value.
    Source: Scott (2010), "A modern Bayesian look at the multi-armed bandit", section 4.3; Scott (2015), "Multi-armed
    bandit experiments in the online service economy": stop when the 95th percentile is below 1% of the arm's value.
    """
    is_rival = np.arange(len(first)) != best
    if not is_rival.any():
        return ValueRemaining(quantile, 0.0, 0.0)
    own, _ = distinct_arms(family, first[[best]], second[[best]])
    rivals, _ = distinct_arms(family, first[is_rival], second[is_rival])
    gap = _Gap(family, own, _Maximum.of(family, rivals), offset)
    return ValueRemaining(quantile, gap.absolute(quantile), gap.relative(quantile))


@dataclass(frozen=True, slots=True)
class _Maximum:
    """Distribution function of the highest of several means, tabulated at rising ``nodes``.

    ``edges`` are those of the panels that resolve it; below the first it is 0 and above the last 1, within 1e-12.
    """

    edges: FloatArray
    nodes: FloatArray
    cdf: FloatArray
    density: FloatArray

    @classmethod
    def of(cls, family: Family, arms: Arms) -> _Maximum:
        low = float(arms.points[:, 0].max())
        arms = arms.select(arms.points[:, -1] > low)
        edges = shared_edges(arms, low, float(arms.points[:, -1].max()))
        nodes, _ = nodes_and_weights(edges)
        hazard, log_cdf = np.zeros(nodes.size), np.zeros(nodes.size)
        for block, hazards, log_cdfs in hazards_and_log_cdfs(family, arms, edges):
            hazard += arms.copies[block] @ hazards
            log_cdf += arms.copies[block] @ log_cdfs
        with np.errstate(under="ignore"):
            cdf = np.exp(np.minimum(log_cdf, 0.0))
            return cls(edges, nodes, cdf, hazard * cdf)

    def at(self, t: FloatArray) -> FloatArray:
        """Cubic Hermite interpolation: values and derivatives are both known."""
        right = np.clip(np.searchsorted(self.nodes, t), 1, self.nodes.size - 1)
        left = right - 1
        step = self.nodes[right] - self.nodes[left]
        share = np.clip((t - self.nodes[left]) / step, 0.0, 1.0)
        rest = 1.0 - share
        with np.errstate(under="ignore"):
            cdf: FloatArray = (
                rest**2 * (1.0 + 2.0 * share) * self.cdf[left]
                + share**2 * (1.0 + 2.0 * rest) * self.cdf[right]
                + share * rest * step * (rest * self.density[left] - share * self.density[right])
            )
        return cdf


@dataclass(frozen=True, slots=True)
class _Gap:
    """The distribution of M - theta, and of (M - theta) / theta."""

    family: Family
    own: Arms
    rival: _Maximum
    offset: float

    def absolute(self, quantile: float) -> float:
        furthest = self._value(self.rival.edges[-1:]) - self._value(self.own.points[0, :1])

        def missing(distance: float) -> float:
            return quantile - self._chance(lambda x: x + distance, lambda x: x - distance)

        return _root(missing, max(float(furthest[0]), 0.0))

    def relative(self, quantile: float) -> float | None:
        def missing(log_ratio: float) -> float:
            ratio = np.exp(log_ratio)
            return quantile - self._chance(
                lambda x: np.where(x > 0.0, x * ratio, -np.inf), lambda x: x / ratio
            )

        furthest = 1e-6
        while missing(furthest) > 0.0:
            furthest *= 4.0
            if furthest > _FURTHEST:
                return None
        return float(np.expm1(_root(missing, furthest)))

    def _value(self, t: FloatArray) -> FloatArray:
        return self.offset + self.family.value(t)

    def _chance(
        self,
        reach: Callable[[FloatArray], FloatArray],
        unreach: Callable[[FloatArray], FloatArray],
    ) -> float:
        """P(M <= reach(theta)), for a rising function and its inverse."""
        edges = self._edges(unreach)
        nodes, weights = nodes_and_weights(edges)
        log_density = self.family.log_density(self.own.first, self.own.second, nodes)
        with np.errstate(under="ignore", over="ignore", divide="ignore"):
            mass = np.exp(log_density) * weights
            reached = self.rival.at(self.family.position(reach(self._value(nodes)) - self.offset))
            return float(mass @ reached / mass.sum())

    def _edges(self, unreach: Callable[[FloatArray], FloatArray]) -> FloatArray:
        """The arm's own breakpoints, those of M where theta meets them, and where theta is 0."""
        own = self.own.points[0]
        values = np.append(unreach(self._value(self.rival.edges)), 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            met = self.family.position(values - self.offset)
        return np.unique(np.concatenate([own, met[(met > own[0]) & (met < own[-1])]]))


def _root(missing: Callable[[float], float], furthest: float) -> float:
    """Where the falling function ``missing`` crosses 0 in [0, furthest]; 0 if it starts below."""
    if furthest <= 0.0 or missing(0.0) <= 0.0:
        return 0.0
    return float(optimize.brentq(missing, 0.0, furthest, xtol=1e-12 * furthest, rtol=1e-6))
