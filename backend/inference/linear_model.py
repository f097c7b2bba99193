"""One ridge regression per arm, with what it does not know.

Rewards are regressed on the encoded context, arm by arm (disjoint models). The coefficients' prior is normal: those of
the features around 0, the intercepts around the mean of all rewards so far. Its width is in units of what is learned:
before an arm has data, its mean reward in a typical context is within about three residual standard deviations of what
the experiment earns. So adding a constant to every reward, or multiplying all by one, changes no choice.

Source: Bishop, "Pattern Recognition and Machine Learning" (2006), section 3.3, Bayesian linear regression.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np

from backend.domain import BoolArray, FloatArray, Json
from backend.statistics import LinearStats, Scores

RIDGE = 0.1
"""Precision of the prior of a coefficient, in units of one decision with a typical context."""
SMALLEST_RELATIVE_SD = 1e-9
"""Least residual standard deviation, relative to the size of the rewards."""
TIE = 1e-9
"""Indices that differ by less than this many standard deviations are alike."""
ROUNDING = 1e-13
"""And those that differ by less than this relative to their size, as they may if their arms have the same data."""


@dataclass(frozen=True, slots=True)
class LinearModel:
    """Every arm's coefficients and their uncertainty.

    Attributes:
        coefficients: shape (n_arms, n_features); an arm's mean reward in context x is ``x @ coefficients[arm]``.
        spread: shape (n_arms, n_features, n_features), lower triangular: the standard deviation of that mean is the
            length of ``spread[arm] @ x``. It is the residual standard deviation times the inverse Cholesky factor of
            the precision.
        n_decisions: of the experiment, when it was fitted.
        level: the mean reward that an arm without data is believed to bring.
        prior_sd: the standard deviation of each of its coefficients.
    """

    coefficients: FloatArray
    spread: FloatArray
    n_decisions: float
    level: float
    prior_sd: float
    _rows: FloatArray = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        n_features = self.coefficients.shape[1]
        rows = np.concatenate([self.spread.reshape(-1, n_features), self.coefficients])
        object.__setattr__(self, "_rows", rows)

    @classmethod
    def fit(cls, stats: LinearStats) -> Self:
        """The posterior of every arm's coefficients.

        The prior variance of a coefficient is s^2 / ridge, with s^2 the residual variance and ridge = 0.1 times the
        mean of x'x, so that the variance of an arm's mean in a typical context is 10 s^2, however many features there are.
        The residual variance is one for all arms: (y'y - y'X (X'X + ridge I)^-1 X'y) / n summed over them, y being
        rewards less their mean over all arms; its expectation is that variance if the prior holds. Pending decisions
        narrow the coefficients' distribution as if their rewards had come as predicted.

        Args:
            stats: of all arms; sums over encoded contexts.
        """
        seen = stats.xtx + stats.pending_xtx
        ridge = _ridge(seen.sum(axis=0))
        factors = _inverse_factors(stats.xtx, ridge)
        n_rewards = stats.pulls.sum()
        level = float(stats.xty[:, 0].sum() / n_rewards) if n_rewards > 0.0 else 0.0
        whitened = np.matvec(factors, stats.xty - level * stats.xtx[:, 0, :])
        coefficients = np.vecmat(whitened, factors)
        coefficients[:, 0] += level
        residual_sd = _residual_sd(whitened, stats, level)
        if stats.pending_xtx.any():
            factors = _inverse_factors(seen, ridge)
        prior_sd = residual_sd / math.sqrt(ridge)
        return cls(coefficients, residual_sd * factors, float(stats.n_decisions), level, prior_sd)

    @staticmethod
    def prior() -> Json:
        """What is believed of an arm before it has data, as JSON."""
        return {
            "family": "normal",
            "mean": "mean of all rewards",
            "variance_in_a_typical_context": f"{1.0 / RIDGE:g} times the residual variance",
        }

    @property
    def n_arms(self) -> int:
        """How many arms."""
        return len(self.coefficients)

    def scores(self, features: FloatArray) -> Scores:
        """Of every arm for one encoded context, shape (n_features,)."""
        n_arms, n_features = self.coefficients.shape
        values = self._rows @ features
        whitened = values[:-n_arms].reshape(n_arms, n_features)
        deviations = np.sqrt(np.vecdot(whitened, whitened))
        return Scores(values[-n_arms:], deviations, self.n_decisions)

    def select(self, mask: BoolArray) -> Self:
        """Only the arms in ``mask``."""
        return replace(self, coefficients=self.coefficients[mask], spread=self.spread[mask])

    def with_new_arms(self, n_arms: int) -> Self:
        """This model for ``n_arms`` arms: those added since it was fitted have the prior."""
        n_new, n_features = n_arms - self.n_arms, self.coefficients.shape[1]
        if n_new <= 0:
            return self
        coefficients = np.zeros((n_new, n_features))
        coefficients[:, 0] = self.level
        spread = np.repeat(self.prior_sd * np.eye(n_features)[None], n_new, axis=0)
        return replace(
            self,
            coefficients=np.concatenate([self.coefficients, coefficients]),
            spread=np.concatenate([self.spread, spread]),
        )

    def to_bytes(self) -> bytes:
        """float64: n_decisions, level, prior_sd, the coefficients, the lower triangles of ``spread``."""
        rows, columns = np.tril_indices(self.coefficients.shape[1])
        triangles = self.spread[:, rows, columns]
        head = np.array([self.n_decisions, self.level, self.prior_sd])
        parts = [head, self.coefficients.ravel(), triangles.ravel()]
        return np.concatenate(parts).astype("<f8").tobytes()

    @classmethod
    def from_bytes(cls, data: bytes, n_features: int) -> Self:
        """From what ``to_bytes`` gave for a model of so many features. Raises ValueError when it is of another shape."""
        rows, columns = np.tril_indices(n_features)
        values = np.frombuffer(data, "<f8")
        n_decisions, level, prior_sd = values[:3].tolist()
        n_arms, rest = divmod(len(values) - 3, n_features + len(rows))
        if rest:
            raise ValueError(f"no linear model of {n_features} features has {len(values)} numbers")
        coefficients, triangles = np.split(values[3:], [n_arms * n_features])
        spread = np.zeros((n_arms, n_features, n_features))
        spread[:, rows, columns] = triangles.reshape(n_arms, -1)
        return cls(
            coefficients.reshape(n_arms, n_features).copy(), spread, n_decisions, level, prior_sd
        )


def nearly_best(index: FloatArray, standard_deviation: FloatArray) -> BoolArray:
    """Shape (n_arms,): which arms have the highest index, those alike that only rounding tells apart."""
    slack = TIE * standard_deviation.max() + ROUNDING * np.abs(index).max()
    best: BoolArray = index >= index.max() - slack
    return best


def _ridge(total: FloatArray) -> float:
    """From the sum of x x' over all decisions, shape (d, d); its first entry is their number."""
    return RIDGE * float(np.trace(total) / total[0, 0]) if total[0, 0] > 0.0 else RIDGE


def _inverse_factors(xtx: FloatArray, ridge: float) -> FloatArray:
    """W with W' W = inverse of ``xtx + ridge I``, lower triangular; shape (n_arms, d, d)."""
    precision = xtx + ridge * np.eye(xtx.shape[-1])
    inverse: FloatArray = np.linalg.inv(np.linalg.cholesky(precision))
    return np.tril(inverse)


def _residual_sd(whitened: FloatArray, stats: LinearStats, level: float) -> float:
    """Standard deviation of a reward around its prediction; above 0 even if all rewards are alike, or there are none."""
    n_rewards, squares = stats.pulls.sum(), stats.reward_sum_squares.sum()
    if n_rewards <= 0.0 or squares <= 0.0:
        return 1.0
    around = squares - level**2 * n_rewards
    variance = max(around - np.vdot(whitened, whitened), 0.0) / n_rewards
    return float(np.sqrt(max(variance, SMALLEST_RELATIVE_SD**2 * squares / n_rewards)))
