"""Each arm's mean reward with a 95% interval that adaptive sampling does not spoil.

A bandit stops sampling an arm when it looks bad, so the plain mean is biased downwards and its interval does not
cover. Weighting each reward Y of an arm by 1 / sqrt(e), with e the logged propensity, makes every decision contribute
the same conditional variance to sum of (Y - mu) / sqrt(e) over the arm's decisions, whatever the policy did: a
martingale to which the central limit theorem applies.

Source: Hadad, Hirshberg, Zhan, Wager and Athey (2021), "Confidence intervals for policy evaluation in adaptive
experiments", variance-stabilising weights h = sqrt(e); in the self-normalised form of Zhang, Janson and Murphy (2021),
"Statistical inference with M-estimators on adaptively collected data". The variance under each mu is the realised
sum of (Y - mu)^2 / e, so the interval is the set of mu that are not rejected (Fieller 1954), not mu +/- an error.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from backend.domain import FloatArray, RewardSpec, RewardType

LEVEL = 0.95
_CONSTANT = 1e-14
"""Rewards with a smaller share of their squares around their mean are equal, but for rounding."""


@dataclass(frozen=True, slots=True)
class PropensitySums:
    """Sums over each arm's decisions with a known outcome Y; arrays have shape (n_arms,).

    ``e`` is the logged propensity of the arm that was chosen, in (0, 1].
    """

    root_weight: FloatArray
    """Sum of 1 / sqrt(e)."""
    root_weighted_reward: FloatArray
    """Sum of Y / sqrt(e)."""
    weight: FloatArray
    """Sum of 1 / e."""
    weighted_reward: FloatArray
    """Sum of Y / e."""
    weighted_reward_squares: FloatArray
    """Sum of Y^2 / e."""


@dataclass(frozen=True, slots=True)
class UnbiasedMeans:
    """``mean`` has shape (n_arms,), NaN without data; ``interval`` (n_arms, 2), NaN where there is no bound."""

    mean: FloatArray
    interval: FloatArray


def unbiased_means(sums: PropensitySums, reward: RewardSpec) -> UnbiasedMeans:
    """Estimate sum(Y / sqrt(e)) / sum(1 / sqrt(e)), with all mu that the data do not reject.

    Binary rewards have the variance mu (1 - mu), so the interval is Wilson's with the effective sample size
    sum(1 / sqrt(e))^2 / sum(1 / e); it works for arms without any success, too. For others the variance under mu is
    estimated, with the quantile of the Student t; as long as rewards show no spread, or the effective sample size is below
    the squared quantile, nothing is excluded and the interval is the range of the rewards.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = sums.root_weighted_reward / sums.root_weight
        effective = sums.root_weight**2 / sums.weight
        if reward.type is RewardType.BINARY:
            return UnbiasedMeans(mean, _wilson(mean, effective))
        interval = _fieller(sums, mean, effective)
    low = 0.0 if reward.type is RewardType.COUNT else reward.min
    high = None if reward.type is RewardType.COUNT else reward.max
    bounds = np.array([np.nan if low is None else low, np.nan if high is None else high])
    interval = np.where(np.isnan(interval), bounds, interval)
    return UnbiasedMeans(
        mean, interval if low is None and high is None else np.clip(interval, low, high)
    )


def population_means(sums: PropensitySums) -> FloatArray:
    """Mean over all units where the propensity depends on the unit: sum(Y / e) / sum(1 / e), shape (n_arms,).

    There the variance-stabilising weights would count units the more, the likelier they got the arm. These do not, and
    have no interval: its variance needs sums with 1 / e^2. NaN without data.

    Source: the self-normalised estimator of Hajek (1971).
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        return sums.weighted_reward / sums.weight


def _wilson(mean: FloatArray, effective: FloatArray) -> FloatArray:
    """All mu with effective * (mean - mu)^2 <= z^2 mu (1 - mu)."""
    step = special.ndtri(0.5 + LEVEL / 2.0) ** 2 / effective
    middle = (mean + step / 2.0) / (1.0 + step)
    half = np.sqrt(step * (np.maximum(mean * (1.0 - mean), 0.0) + step / 4.0)) / (1.0 + step)
    known = np.stack([middle - half, middle + half], axis=1)
    return np.clip(np.where(np.isnan(known), [0.0, 1.0], known), 0.0, 1.0)


def _fieller(sums: PropensitySums, mean: FloatArray, effective: FloatArray) -> FloatArray:
    """All mu with (sum (Y - mu) / sqrt(e))^2 <= t^2 sum (Y - mu)^2 / e: between the roots of a quadratic, if it has two.

    With nu the distance of mu from the weighted mean sum(Y / e) / sum(1 / e), d that of the estimate, s^2 the weighted
    variance about the weighted mean and k = t^2 / effective: (1 - k) nu^2 - 2 d nu + d^2 - k s^2 <= 0.
    """
    centre = sums.weighted_reward / sums.weight
    spread = sums.weighted_reward_squares - sums.weighted_reward * centre
    freedom = np.maximum(effective - 1.0, 1.0)
    k = special.stdtrit(freedom, 0.5 + LEVEL / 2.0) ** 2 / effective
    distance = mean - centre
    half = np.sqrt(k * (distance**2 + (1.0 - k) * spread / sums.weight))
    middle = centre + distance / (1.0 - k)
    roots = np.stack([middle - half / (1.0 - k), middle + half / (1.0 - k)], axis=1)
    has_roots = (k < 1.0) & (spread > _CONSTANT * sums.weighted_reward_squares)
    return np.where(has_roots[:, None], roots, np.nan)
