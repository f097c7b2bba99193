"""From sums in blocks of time to what a policy learns from: forgotten, and corrected for rewards still on their way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backend.domain import FloatArray

(
    DECISIONS,
    REWARDS,
    REWARD_SUM,
    REWARD_SUM_SQUARES,
    WEIGHT_SUM,
    REWARDED_WEIGHT_SUM,
    WEIGHTED_REWARD_SUM,
) = range(7)
N_SUMS = 7


@dataclass(frozen=True, slots=True)
class Observed:
    """What counts of each arm; arrays have shape (n_arms,), and the fields of ``ArmStats``."""

    pulls: FloatArray
    reward_sum: FloatArray
    reward_sum_squares: FloatArray
    pending: FloatArray
    weight_sum: FloatArray
    weighted_reward_sum: FloatArray


def observe(
    sums: FloatArray, weights: FloatArray, come: FloatArray, default_reward: float | None
) -> Observed:
    """Add blocks up.

    Of n decisions at an age by which a share F of the rewards has come, n F count: as many as had their reward by now if
    they get one. A reward counts in full, so at least the rewarded decisions count. What remains is pending.

    Args:
        sums: shape (n_blocks, n_arms, N_SUMS), in the order of the constants above.
        weights: shape (n_blocks, n_arms), what is not forgotten, in [0, 1].
        come: shape (n_blocks,), share of the rewards that have come, in [0, 1].
        default_reward: what a decision without a reward counts as; None: only rewarded decisions count.
    """
    kept = np.einsum("ba,bas->as", weights, sums)
    n_mature = _expected(sums[:, :, DECISIONS], weights, come)
    decisions, rewards = kept[:, DECISIONS], kept[:, REWARDS]
    if default_reward is None:
        return Observed(
            pulls=rewards,
            reward_sum=kept[:, REWARD_SUM],
            reward_sum_squares=kept[:, REWARD_SUM_SQUARES],
            pending=np.clip(decisions - np.maximum(n_mature, rewards), 0.0, None),
            weight_sum=kept[:, REWARDED_WEIGHT_SUM],
            weighted_reward_sum=kept[:, WEIGHTED_REWARD_SUM],
        )
    pulls = np.maximum(n_mature, rewards)
    unrewarded = pulls - rewards
    weight_sum = np.maximum(
        _expected(sums[:, :, WEIGHT_SUM], weights, come), kept[:, REWARDED_WEIGHT_SUM]
    )
    unrewarded_weight = weight_sum - kept[:, REWARDED_WEIGHT_SUM]
    return Observed(
        pulls=pulls,
        reward_sum=kept[:, REWARD_SUM] + default_reward * unrewarded,
        reward_sum_squares=kept[:, REWARD_SUM_SQUARES] + default_reward**2 * unrewarded,
        pending=np.maximum(decisions - pulls, 0.0),
        weight_sum=weight_sum,
        weighted_reward_sum=kept[:, WEIGHTED_REWARD_SUM] + default_reward * unrewarded_weight,
    )


def _expected(values: FloatArray, weights: FloatArray, come: FloatArray) -> FloatArray:
    total: FloatArray = np.einsum("ba,ba,b->a", values, weights, come)
    return total
