"""How an optimistic index spreads the decisions that are made before the statistics change.

An index policy takes the arm with the highest index: a mean, raised by what is not known about it. As a vector that
would be 0 and 1, everybody would get one arm until the statistics change, and no propensity could be used to
estimate anything. Here the vector is what the index itself would do with the next ``batch_size`` decisions, if each
were counted for its arm at once while the means stayed: the highest index is brought down until it meets the second,
then both, and so on, like water that fills a vessel. A batch of one is nearly the arm with the highest index.

An index is the largest q with n * d(m, q) <= budget(n): n counts pulls and pending decisions, d is a divergence
(``divergences.py``), m the arm's mean. The level that a batch brings the indices down to needs only its inverse, the
count n at which an arm's index is at the level. So no index is ever computed.

Source: the counting of pending decisions: Desautels, Krause and Burdick (2014), "Parallelizing
exploration-exploitation tradeoffs", section 4 (GP-BUCB's hallucinated observations).
"""

import math
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np

from backend.domain import FloatArray
from backend.policies.divergences import Divergence
from backend.statistics import ArmStats

_MOST_STEPS = 200
_TOLERANCE = 1e-9  # of the batch, before the vector is divided by its sum
_SMALLEST_DIVERGENCE = 1e-100  # its inverse, and that times a slope, are finite


class Exploration(Protocol):
    """How far an index may rise above its arm's mean."""

    def budget(self, counts: FloatArray) -> FloatArray:
        """n * d(m, index) for arms with these counts n >= 1; shape (n_arms,), >= 0, never rising with n."""
        ...

    def counts(self, divergence: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The inverse: at which count an arm's index is this far (> 0) from its mean.

        Returns:
            The counts n, and by how many percent they fall when ``divergence`` rises by one; both of shape (n_arms,).
        """
        ...


@dataclass(frozen=True, slots=True)
class SharedBudget:
    """The same budget for every arm, whatever its count: n * d(m, index) = ``total`` > 0."""

    total: float

    @classmethod
    def at(cls, n_decisions: float) -> Self:
        """ln t at the time t, at least 1."""
        return cls(math.log(max(n_decisions, math.e)))

    def budget(self, counts: FloatArray) -> FloatArray:
        """``total`` for each."""
        return np.full_like(counts, self.total)

    def counts(self, divergence: FloatArray) -> tuple[FloatArray, FloatArray]:
        """total / d, which falls by as many percent as d rises."""
        return self.total / divergence, np.ones_like(divergence)


def index_shares(divergence: Divergence, exploration: Exploration, stats: ArmStats) -> FloatArray:
    """Each arm's share of the next ``batch_size`` decisions.

    Arms that lack a first pull (or part of one, where data are forgotten) come first, in proportion to what they
    lack. Where every index has come down to the highest mean, the rest goes to the arms with that mean, in equal parts.

    Returns:
        Shape (n_arms,), non-negative, sum 1.
    """
    extra, rest = first_pulls(stats)
    if rest > 0.0:
        extra += _fill(divergence, exploration, stats.pulls + stats.pending + extra, rest)
    shares: FloatArray = extra / extra.sum()
    return shares


def first_pulls(stats: ArmStats) -> tuple[FloatArray, float]:
    """What of the next ``batch_size`` decisions goes to arms that lack a first pull, and what is left for all.

    Returns:
        Shape (n_arms,), in proportion to what each lacks of one pull or pending decision, and the rest, >= 0.
    """
    lacking = np.maximum(1.0 - stats.pulls - stats.pending, 0.0)
    total = float(lacking.sum())
    if total <= stats.batch_size:
        return lacking, stats.batch_size - total
    lacking *= stats.batch_size / total
    return lacking, 0.0


def _fill(
    divergence: Divergence, exploration: Exploration, taken: FloatArray, amount: float
) -> FloatArray:
    """Extra counts that bring the highest indices down to one level and add up to about ``amount``.

    Newton's method for the level, inside a bracket, on (sum of the raised counts) ** -1/2, which is nearly linear:
    near a mean a divergence grows with the square of the distance.
    """
    top = low = float(divergence.locations.max())
    level, high = _bracket(divergence, exploration, taken, amount)
    extra, slope = _extra(divergence, exploration, taken, level)
    if extra.sum() < amount:
        level, high = top, level
        extra, slope = _extra(divergence, exploration, taken, level)
        if (left := amount - extra.sum()) >= 0.0:
            best = divergence.locations == top
            extra += left * best / best.sum()
            return extra

    trial = extra
    for _ in range(_MOST_STEPS):
        excess = float(trial.sum()) - amount
        if excess >= 0.0:
            low, extra = level, trial
        else:
            high = level
        if abs(excess) <= _TOLERANCE * amount:
            return trial
        raised = float(taken[trial > 0.0].sum())
        level = _step(level, raised + excess + amount, raised + amount, slope)
        if not low < level < high:
            level = 0.5 * (low + high)
            if not low < level < high:
                break
        trial, slope = _extra(divergence, exploration, taken, level)
    return extra


def _bracket(
    divergence: Divergence, exploration: Exploration, taken: FloatArray, amount: float
) -> tuple[float, float]:
    """Levels that the batch can reach and cannot pass, but for rounding: one arm takes it all, all take equal parts."""
    alone, together = taken + amount, taken + amount / len(taken)
    lowest = divergence.index_at_least(exploration.budget(alone) / alone)
    highest = divergence.index_at_most(exploration.budget(together) / together)
    return float(lowest.max()), float(highest.max())


def _step(level: float, raised: float, target: float, slope: float) -> float:
    """Where the tangent of raised ** -1/2 reaches target ** -1/2; NaN where nothing is raised."""
    if slope == 0.0:
        return math.nan
    return level - 2.0 * raised / slope * (math.sqrt(raised / target) - 1.0)


def _extra(
    divergence: Divergence, exploration: Exploration, taken: FloatArray, level: float
) -> tuple[FloatArray, float]:
    """What each arm lacks to have its index at ``level``, and the slope of their sum."""
    distance, slope = divergence.at(level)
    distance = np.maximum(distance, _SMALLEST_DIVERGENCE)
    counts, elasticity = exploration.counts(distance)
    extra = np.maximum(counts - taken, 0.0)
    falls = elasticity * counts * slope / distance
    return extra, -float(falls[extra > 0.0].sum())
