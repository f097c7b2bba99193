"""How much better each arm is than the control: relative and absolute, with intervals valid at every look."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backend.domain import FloatArray

LEVEL_PER_ARM = 0.975
"""Level of each arm's confidence sequence, so that both hold with probability 0.95 (Bonferroni)."""


@dataclass(frozen=True, slots=True)
class Lift:
    """Over the control; ``relative`` and ``absolute`` have shape (n_arms,), their intervals (n_arms, 2).

    ``relative`` is (arm - control) / control. NaN where it is not known; relative ones also where the control's mean may
    be 0 or less.
    """

    relative: FloatArray
    relative_interval: FloatArray
    absolute: FloatArray
    absolute_interval: FloatArray


def lift_over_control(means: FloatArray, sequences: FloatArray, control: int) -> Lift:
    """From estimates of the means and their confidence sequences.

    The intervals hold all lifts that two means inside their own intervals can have, so they are valid at every look with
    the probability that both are; they are wider than one made from the difference itself would be.

    Args:
        means: shape (n_arms,), unbiased means.
        sequences: shape (n_arms, 2), confidence sequences at ``LEVEL_PER_ARM``.
        control: position of the control arm. Its own lift is 0, for certain.
    """
    low, high = sequences[:, 0], sequences[:, 1]
    base, base_low, base_high = means[control], low[control], high[control]
    absolute = means - base
    absolute_interval = np.stack([low - base_high, high - base_low], axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = means / base - 1.0
        relative_interval = np.stack(
            [
                low / np.where(low >= 0.0, base_high, base_low) - 1.0,
                high / np.where(high >= 0.0, base_low, base_high) - 1.0,
            ],
            axis=1,
        )
    if not base_low > 0.0:
        relative, relative_interval = np.full_like(means, np.nan), np.full_like(sequences, np.nan)
    for values in (relative, relative_interval, absolute, absolute_interval):
        values[control] = 0.0
    return Lift(relative, relative_interval, absolute, absolute_interval)
