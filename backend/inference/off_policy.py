"""What another policy would have earned, from a log with propensities: importance weighting and its intervals.

The behaviour policy wrote the log; the target policy is the one that is asked about. With w = target propensity /
behaviour propensity of the logged arm, r its reward and q a model of rewards:

- ``ips``: mean of w r (Horvitz and Thompson 1952). Unbiased if the target gives no probability to arms that the
  behaviour policy never chooses.
- ``snips``: sum of w r / sum of w (Hajek 1971; Swaminathan and Joachims 2015). Biased by O(1/n), steadier, and inside the
  range of the rewards.
- ``dr``: mean of sum_a target(a) q(a) + w (r - q(logged arm)) (Dudik, Langford and Li 2011). Unbiased whatever the
  model, if the model of each decision does not depend on that decision's own reward; the better the model, the narrower.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import sqrt

import numpy as np
from scipy.special import ndtri

from backend.domain import FloatArray

LEVEL = 0.95
SMALLEST_SAMPLE = 100.0
"""Effective sample size under which there is a warning."""
SMALLEST_SHARE = 0.01
"""Effective sample size under which there is a warning, as a share of the log."""
LARGEST_WEIGHT_ERROR = 5.0
"""Distance of the mean weight from 1, in standard errors, over which there is a warning."""

_Z = float(ndtri(0.5 + LEVEL / 2.0))


class Estimator(StrEnum):
    """How the value is estimated."""

    IPS = "ips"
    SNIPS = "snips"
    DR = "dr"


@dataclass(frozen=True, slots=True)
class WeightedLog:
    """What the estimators need of each decision; every array has shape (n,).

    Attributes:
        rewards: of the logged arm, finite.
        propensities: the behaviour policy's probability of the logged arm, in (0, 1].
        target_propensities: the target policy's probability of the logged arm, in [0, 1].
        predicted_rewards: the reward model's prediction for the logged arm.
        target_predicted_rewards: its prediction averaged over all arms with the target policy's probabilities.
    """

    rewards: FloatArray
    propensities: FloatArray
    target_propensities: FloatArray
    predicted_rewards: FloatArray
    target_predicted_rewards: FloatArray

    @property
    def n(self) -> int:
        """How many decisions."""
        return len(self.rewards)

    def weights(self) -> FloatArray:
        """Shape (n,): target over behaviour propensity."""
        return self.target_propensities / self.propensities


@dataclass(frozen=True, slots=True)
class Estimate:
    """The mean reward per decision under the target policy, with its 95% interval; None where there is none."""

    value: float | None
    interval: tuple[float | None, float | None]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Estimates from one log, and how far to trust them."""

    n: int
    effective_sample_size: float
    estimates: dict[Estimator, Estimate]
    warnings: list[str]


def evaluate(log: WeightedLog, estimators: Sequence[Estimator] = tuple(Estimator)) -> Evaluation:
    """All of ``estimators``, with the effective sample size and warnings."""
    weights = log.weights()
    n_effective = effective_sample_size(weights)
    estimates = {estimator: ESTIMATES[estimator](log) for estimator in estimators}
    warnings = [*_sample_warnings(weights, n_effective), *_width_warnings(estimates)]
    return Evaluation(log.n, n_effective, estimates, warnings)


def ips(log: WeightedLog) -> Estimate:
    """Inverse propensity scoring."""
    terms = log.weights() * log.rewards
    return _estimate(_mean(terms), terms)


def snips(log: WeightedLog) -> Estimate:
    """Self-normalised inverse propensity scoring; its interval by the delta method.

    The ratio's linearisation is w (r - value) / mean(w) (Owen, "Monte Carlo theory, methods and examples", section 9.2).
    None where no logged arm has probability under the target policy.
    """
    weights = log.weights()
    mean_weight = _mean(weights)
    if not mean_weight:
        return _estimate(None, weights)
    shares = weights / mean_weight
    value = float((shares * log.rewards).mean())
    return _estimate(value, shares * (log.rewards - value))


def dr(log: WeightedLog) -> Estimate:
    """Doubly robust: the reward model's value of the target policy, corrected by the weighted residuals.

    None where no logged arm has probability under the target policy: nothing corrects the model then.
    """
    if not log.target_propensities.any():
        return Estimate(None, (None, None))
    residuals = log.rewards - log.predicted_rewards
    terms = log.target_predicted_rewards + log.weights() * residuals
    return _estimate(_mean(terms), terms)


ESTIMATES: dict[Estimator, Callable[[WeightedLog], Estimate]] = {
    Estimator.IPS: ips,
    Estimator.SNIPS: snips,
    Estimator.DR: dr,
}


def effective_sample_size(weights: FloatArray) -> float:
    """(sum of w)^2 / sum of w^2 (Kish 1965): so many decisions of the target policy itself would tell as much.

    Args:
        weights: shape (n,), >= 0.
    Returns:
        In [0, n]; 0 without any positive weight.
    """
    largest = weights.max(initial=0.0)
    if largest == 0.0:
        return 0.0
    scaled = weights / largest
    return float(scaled.sum() ** 2 / (scaled**2).sum())


def _mean(values: FloatArray) -> float | None:
    return float(values.mean()) if len(values) else None


def _estimate(value: float | None, terms: FloatArray) -> Estimate:
    """``value`` with the normal interval of a mean of ``terms``; at least two are needed."""
    n = len(terms)
    if value is None or n < 2:
        return Estimate(value, (None, None))
    half_width = _Z * float(terms.std(ddof=1)) / sqrt(n)
    return Estimate(value, (value - half_width, value + half_width))


def _sample_warnings(weights: FloatArray, n_effective: float) -> list[str]:
    n = len(weights)
    if n == 0:
        return ["no decision with a known reward: there is nothing to estimate from"]
    if n_effective == 0.0:
        return ["the target policy gives no logged arm any probability: nothing is known of it"]
    warnings = []
    if n_effective < SMALLEST_SAMPLE:
        warnings.append(
            f"the effective sample size is {n_effective:.1f}, under {SMALLEST_SAMPLE:g}: "
            "values and intervals are unreliable"
        )
    if n_effective < SMALLEST_SHARE * n:
        warnings.append(
            f"the effective sample size is {n_effective:.1f}, under {SMALLEST_SHARE:.0%} of the {n} decisions: the "
            "target policy chooses what was hardly tried; values and intervals are unreliable"
        )
    mean = float(weights.mean())
    standard_error = float(weights.std(ddof=1)) / sqrt(n) if n > 1 else np.inf
    if abs(mean - 1.0) > LARGEST_WEIGHT_ERROR * standard_error + 1e-6:
        warnings.append(
            f"the importance weights average {mean:.4g}, not 1: the propensities are wrong, or the target policy "
            "chooses arms that were never tried"
        )
    return warnings


def _width_warnings(estimates: dict[Estimator, Estimate]) -> list[str]:
    flat = [name for name, e in estimates.items() if e.value is not None and _has_no_width(e)]
    if not flat:
        return []
    return [
        f"all that {', '.join(flat)} averages is equal: an interval without width claims nothing"
    ]


def _has_no_width(estimate: Estimate) -> bool:
    low, high = estimate.interval
    return low is not None and low == high
