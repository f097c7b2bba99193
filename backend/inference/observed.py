"""From sums in blocks of time to what counts: forgotten, and corrected for rewards still on their way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backend.domain import FloatArray

SUMS = (
    "decisions",
    "weight_sum",
    "root_weight_sum",
    "rewards",
    "rewarded_weight_sum",
    "rewarded_root_weight_sum",
    "reward_sum",
    "weighted_reward_sum",
    "root_weighted_reward_sum",
    "reward_sum_squares",
    "weighted_reward_sum_squares",
)
"""What is summed in each block for each arm: first over its decisions, then over its rewarded ones.

Each plainly, with the importance weight w = 1 / (propensity + implicit exploration), and with 1 / sqrt(propensity).
"""
DECISIONS, REWARDS = SUMS.index("decisions"), SUMS.index("rewards")
PLAIN = [SUMS.index(n) for n in ("decisions", "rewards", "reward_sum", "reward_sum_squares")]
"""The sums of ``ArmStatistics``."""


@dataclass(frozen=True, slots=True)
class Observed:
    """Sums over the decisions whose outcome counts; each array has shape (n_arms,).

    ``pulls`` is their number; ``pending`` that of those whose outcome is not known yet.
    """

    pulls: FloatArray
    weight_sum: FloatArray
    root_weight_sum: FloatArray
    reward_sum: FloatArray
    weighted_reward_sum: FloatArray
    root_weighted_reward_sum: FloatArray
    reward_sum_squares: FloatArray
    weighted_reward_sum_squares: FloatArray
    pending: FloatArray


def observe(
    sums: FloatArray, weights: FloatArray, come: FloatArray, default_reward: float | None
) -> Observed:
    """Add blocks up.

    Of n decisions at an age by which a share F of the rewards has come, n F count: as many as had their reward by now if
    they get one. A reward counts in full, so at least the rewarded decisions count. What remains is pending.

    Args:
        sums: shape (n_blocks, n_arms, len(SUMS)).
        weights: shape (n_blocks, n_arms), what is not forgotten, in [0, 1].
        come: shape (n_blocks,), share of the rewards that have come, in [0, 1].
        default_reward: what a decision without a reward counts as; None: only rewarded decisions count.
    """
    kept = np.einsum("ba,bas->sa", weights, sums)
    decisions, rewarded, rewards, squares = kept[:3], kept[3:6], kept[6:9], kept[9:]
    mature = np.einsum("b,ba,bas->sa", come, weights, sums[:, :, :3])
    counted = np.maximum(mature, rewarded)
    pending = np.maximum(decisions[0] - counted[0], 0.0)
    if default_reward is None:
        counted = rewarded
    else:
        unrewarded = counted - rewarded
        rewards = rewards + default_reward * unrewarded
        squares = squares + default_reward**2 * unrewarded[:2]
    return Observed(
        pulls=counted[0],
        weight_sum=counted[1],
        root_weight_sum=counted[2],
        reward_sum=rewards[0],
        weighted_reward_sum=rewards[1],
        root_weighted_reward_sum=rewards[2],
        reward_sum_squares=squares[0],
        weighted_reward_sum_squares=squares[1],
        pending=pending,
    )
