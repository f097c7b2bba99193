"""From a policy's vector to the arm: floor, control share and eligibility are mixed in, then one number draws."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

import numpy as np

from backend.domain import BoolArray, FloatArray
from backend.errors import InvalidPolicy


def apply_floor(probabilities: FloatArray, floor: float) -> FloatArray:
    """Raise every arm's probability to at least ``floor``, keeping their order.

    Args:
        probabilities: shape (n_arms,), non-negative, sum 1.
        floor: in [0, 1 / n_arms].
    Returns:
        ``floor + (1 - n_arms * floor) * probabilities``, shape (n_arms,), sum 1.
    Raises:
        InvalidPolicy: ``floor`` is out of range.
    Source: mixing step of Exp3, gamma = n_arms * floor (Auer et al. 2002).
    """
    n_arms = len(probabilities)
    if not 0.0 <= floor * n_arms <= 1.0 + 1e-12:
        raise InvalidPolicy(f"floor must be in [0, 1/{n_arms}], got {floor:g}")
    return floor + max(0.0, 1.0 - n_arms * floor) * probabilities


def apply_caps(probabilities: FloatArray, caps: FloatArray) -> FloatArray:
    """Lower what exceeds its cap, and share the excess among the others in proportion.

    Args:
        probabilities: shape (n_arms,), non-negative, sum 1.
        caps: shape (n_arms,), in [0, 1]. Where they sum to less than 1 they cannot all hold; then they are kept in
            proportion.
    Returns:
        Shape (n_arms,), sum 1.
    """
    if caps.sum() <= 1.0:
        return caps / caps.sum() if caps.sum() > 0.0 else np.full(len(caps), 1.0 / len(caps))
    capped = np.zeros(len(caps), dtype=np.bool_)
    result = probabilities
    while (exceeding := result > caps * (1.0 + 1e-12)).any():
        capped |= exceeding
        left = 1.0 - caps[capped].sum()
        free = np.where(capped, 0.0, probabilities)
        if free.sum() == 0.0:  # only arms that the policy gives nothing are left to take it
            free = np.where(capped, 0.0, caps)
        result = np.where(capped, caps, left * (free / free.sum()))
    return result


@dataclass(frozen=True, slots=True)
class Allocation:
    """The vector that arms are drawn from.

    Attributes:
        probabilities: shape (n_arms,) over all arms of the experiment, 0 for those that cannot be chosen, sum 1.
        control_arm_id: the arm that ``control_share`` was given to, or None.
        control_share: the part of the control arm's probability that is its fixed share, in [0, 1].
    """

    probabilities: FloatArray
    control_arm_id: int | None
    control_share: float
    _cumulative: list[float] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_cumulative", np.cumsum(self.probabilities).tolist())

    def draw(self, random_number: float) -> int:
        """The first arm at which the running sum of the probabilities exceeds ``random_number`` in [0, 1)."""
        arm_id = bisect_right(self._cumulative, random_number)
        if arm_id < len(self._cumulative) and self.probabilities[arm_id] > 0.0:
            return arm_id
        return int(np.flatnonzero(self.probabilities)[-1])  # the sum fell short of 1 by rounding

    def is_control_share(self, arm_id: int, random_number: float) -> bool:
        """Whether ``random_number`` fell into the fixed share at the start of the control arm's interval."""
        if arm_id != self.control_arm_id:
            return False
        start = self._cumulative[arm_id - 1] if arm_id else 0.0
        return random_number - start < self.control_share


def allocate(
    policy_probabilities: FloatArray,
    eligible: BoolArray,
    *,
    floor: float,
    control_share: float,
    control_arm_id: int | None,
    caps: FloatArray | None = None,
) -> Allocation:
    """Mix floor, caps and control share into a policy's vector.

    Args:
        policy_probabilities: shape (n_eligible,), the policy's vector over the eligible arms.
        eligible: shape (n_arms,), at least one True.
        floor: least probability of every eligible arm before the control share is taken, in [0, 1 / n_eligible].
        control_share: given to the control arm first, in [0, 1]; the policy decides the rest. Without effect while
            the control arm is not eligible.
        control_arm_id: position of the control arm in ``eligible``, or None.
        caps: shape (n_arms,), most of each arm before the control share is given, in [0, 1]; None: no caps. A cap
            goes before the floor.
    """
    mixed = apply_floor(policy_probabilities, floor)
    if caps is not None:
        mixed = apply_caps(mixed, caps[eligible])
    probabilities = np.zeros(len(eligible))
    probabilities[eligible] = mixed
    if control_arm_id is None or not eligible[control_arm_id] or control_share == 0.0:
        return Allocation(probabilities, None, 0.0)
    probabilities *= 1.0 - control_share
    probabilities[control_arm_id] += control_share
    return Allocation(probabilities, control_arm_id, control_share)


def certain(arm_id: int, n_arms: int) -> Allocation:
    """The vector that always gives ``arm_id``."""
    return Allocation(np.eye(1, n_arms, arm_id)[0], None, 0.0)
