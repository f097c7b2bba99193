"""How far a supposed mean is from an observed one, for each kind of reward: what bounds an optimistic index.

A level is a supposed mean on the scale where its divergence is smooth everywhere: the logit of a chance, the
logarithm of a count's mean, or the mean itself. A level above an arm's own lies ``u`` above it, and with the
cumulant function A of an exponential family d = A(location + u) - A(location) - mean * u.

Source: Garivier and Cappe (2011), "The KL-UCB algorithm for bounded stochastic bandits and beyond", section 6.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np

from backend.domain import FloatArray

_SMALLEST_MEAN = 1e-12  # of a chance or a count, and the least distance of a chance from 1
_SMALLEST_DIVERGENCE = 1e-200
_CEILING = 600.0  # exp(_CEILING - log(_SMALLEST_MEAN)) does not overflow


class Divergence(Protocol):
    """Of one level from the means of all arms."""

    @property
    def locations(self) -> FloatArray:
        """Shape (n_arms,): the arms' own means on the scale of levels."""
        ...

    def at(self, level: float) -> tuple[FloatArray, FloatArray]:
        """d of a level that no location is above, and its derivative by the level: shape (n_arms,), >= 0."""
        ...

    def index_at_least(self, divergence: FloatArray) -> FloatArray:
        """Shape (n_arms,): a level that the largest one with this d (>= 0) is not below, by more than rounding."""
        ...

    def index_at_most(self, divergence: FloatArray) -> FloatArray:
        """Shape (n_arms,): a level that it is not above; levels end there."""
        ...


@dataclass(frozen=True, slots=True)
class BernoulliDivergence:
    """kl(m, q) = m log(m / q) + (1 - m) log((1 - m) / (1 - q)); it bounds every reward in [0, 1]."""

    means: FloatArray
    locations: FloatArray

    @classmethod
    def around(cls, means: FloatArray) -> Self:
        """Of arms with these means in [0, 1]; levels are logits."""
        inside = np.clip(means, _SMALLEST_MEAN, 1.0 - _SMALLEST_MEAN)
        return cls(inside, np.log(inside) - np.log1p(-inside))

    def at(self, level: float) -> tuple[FloatArray, FloatArray]:
        """log(1 - m + m exp(u)) - m u, and q - m."""
        above = level - self.locations
        tilt = self.means * np.expm1(above)
        slope = tilt * (1.0 - self.means) / (1.0 + tilt)
        return np.maximum(np.log1p(tilt) - self.means * above, 0.0), slope

    def index_at_least(self, divergence: FloatArray) -> FloatArray:
        """The logit of the q > m with (q - m)^2 / (q (1 - q)) = d: chi-square is never below kl."""
        m, d = self.means, np.maximum(divergence, _SMALLEST_DIVERGENCE)
        half = d * (0.5 - m)
        step = (half + np.sqrt(half**2 + d * (1.0 + d) * m * (1.0 - m))) / (1.0 + d)
        logit = 2.0 * np.log((m + step) / step) + np.log(d)
        return np.minimum(np.maximum(logit, self.locations), _CEILING)

    def index_at_most(self, divergence: FloatArray) -> FloatArray:
        """So near to 1 that no batch comes nearer, but where an arm never failed."""
        return np.full_like(divergence, _CEILING)


@dataclass(frozen=True, slots=True)
class PoissonDivergence:
    """kl(m, q) = m log(m / q) - m + q, of counts."""

    means: FloatArray
    locations: FloatArray

    @classmethod
    def around(cls, means: FloatArray) -> Self:
        """Of arms with these means >= 0; levels are logarithms."""
        above_zero = np.maximum(means, _SMALLEST_MEAN)
        return cls(above_zero, np.log(above_zero))

    def at(self, level: float) -> tuple[FloatArray, FloatArray]:
        """m (exp(u) - 1 - u), and q - m."""
        above = level - self.locations
        slope = self.means * np.expm1(above)
        return np.maximum(slope - self.means * above, 0.0), slope

    def index_at_least(self, divergence: FloatArray) -> FloatArray:
        """The logarithm of the q > m with (q - m)^2 / q = d: chi-square is never below kl."""
        half = 0.5 * divergence
        step = half + np.sqrt(half**2 + divergence * self.means)
        return np.log(self.means + step)

    def index_at_most(self, divergence: FloatArray) -> FloatArray:
        """The logarithm of the q > m with (q - m)^2 / (2 q) = d: that is never above kl."""
        step = divergence + np.sqrt(divergence**2 + 2.0 * divergence * self.means)
        return np.log(self.means + step)


@dataclass(frozen=True, slots=True)
class GaussianDivergence:
    """(q - m)^2 / (2 variance); levels are means.

    Attributes:
        locations, variances: shape (n_arms,); variances of one reward, > 0.
    """

    locations: FloatArray
    variances: FloatArray

    def at(self, level: float) -> tuple[FloatArray, FloatArray]:
        """u^2 / (2 variance), and u / variance."""
        above = level - self.locations
        slope = above / self.variances
        return 0.5 * above * slope, slope

    def index_at_least(self, divergence: FloatArray) -> FloatArray:
        """Exactly the index."""
        return self.locations + np.sqrt(2.0 * self.variances * divergence)

    def index_at_most(self, divergence: FloatArray) -> FloatArray:
        """Exactly the index."""
        return self.index_at_least(divergence)
