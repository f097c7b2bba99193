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
    "offset_sum",
    "rewarded_offset_sum",
)
"""What is summed in each block for each arm: first over its decisions, then over its rewarded ones.

Each plainly, with the importance weight w = 1 / (propensity + implicit exploration), and with 1 / sqrt(propensity). The
offsets are seconds from the start of the block to each decision, and to each rewarded one.
"""
DECISIONS, REWARDS = SUMS.index("decisions"), SUMS.index("rewards")
OFFSETS, REWARDED_OFFSETS = SUMS.index("offset_sum"), SUMS.index("rewarded_offset_sum")
PLAIN = [SUMS.index(n) for n in ("decisions", "rewards", "reward_sum", "reward_sum_squares")]
"""The sums of ``ArmStatistics``."""


REPETITIONS = 30
CONVERGED = 1e-9
SMALLEST = 1e-12
"""Keeps a denominator from being 0."""


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
    """Add blocks up. A rewarded decision counts in full, another one by ``settled_shares``; what remains is pending.

    Args:
        sums: shape (n_blocks, n_arms, len(SUMS)).
        weights: shape (n_blocks, n_arms), what is not forgotten, in [0, 1].
        come: shape (n_blocks, n_arms), share of the rewards that come within the age of the decisions that have none
            yet, in [0, 1].
        default_reward: what a decision without a reward counts as; None: only rewarded decisions count.
    """
    kept = np.einsum("ba,bas->sa", weights, sums[:, :, :OFFSETS])
    decisions, rewarded, rewards, squares = kept[:3], kept[3:6], kept[6:9], kept[9:]
    settled = settled_shares(sums, weights, come)
    unrewarded = np.einsum("ba,bas->sa", weights * settled, _open(sums))
    pending = np.maximum(decisions[0] - rewarded[0] - unrewarded[0], 0.0)
    counted = rewarded
    if default_reward is not None:
        counted = rewarded + unrewarded
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


def settled_shares(sums: FloatArray, weights: FloatArray, come: FloatArray) -> FloatArray:
    """How much a decision without a reward counts as one that will get none: shape (n_blocks, n_arms), in [0, 1].

    If a share q of an arm's decisions gets a reward at all, and F of these rewards come within some age, then of n decisions
    of that age n q F have theirs, and each of the others counts F (1 - q) / (1 - q F): n F count in all, of which q is
    rewarded. Where every decision gets a reward some day, none of the others counts. q is that share itself, found by
    repetition from above, so it is as consistent with what counts as can be.

    Args: as for ``observe``.
    """
    rewards = (weights * sums[:, :, REWARDS]).sum(axis=0)
    unrewarded = weights * _open(sums)[:, :, 0]
    shares = come
    for _ in range(REPETITIONS):
        counted = rewards + (unrewarded * shares).sum(axis=0)
        rewarded_share = np.divide(
            rewards, counted, out=np.zeros_like(rewards), where=counted > 0.0
        )
        before = shares
        shares = come * (1.0 - rewarded_share) / np.maximum(1.0 - rewarded_share * come, SMALLEST)
        if np.abs(shares - before).max(initial=0.0) < CONVERGED:
            break
    return np.minimum(shares, 1.0)


def _open(sums: FloatArray) -> FloatArray:
    """Decisions without a reward, in their three weights: shape (n_blocks, n_arms, 3)."""
    return np.maximum(sums[:, :, :3] - sums[:, :, 3:6], 0.0)
