"""Mean rewards of arms about which little is known yet."""

from dataclasses import replace

import numpy as np

from backend.domain import FloatArray, RewardSpec
from backend.inference.posteriors import family_for
from backend.statistics import ArmStatistics, ArmStats


def prior_mean(reward: RewardSpec) -> float:
    """What a decision is believed to earn before any data."""
    no_data = ArmStatistics.zeros(1).observed(None)
    return float(family_for(reward).posterior(no_data).mean()[0])


def shrunk_means(stats: ArmStats, prior_mean: float) -> FloatArray:
    """The mean of each arm, as if it had one more pull that earned the mean of all arms; shape (n_arms,).

    Args:
        prior_mean: counts as one pull in the mean of all arms.
    """
    return (stats.reward_sum + _overall(stats, prior_mean)) / (stats.pulls + 1.0)


def lagged_means(stats: ArmStats, prior_mean: float) -> FloatArray:
    """The mean of each arm; where outcomes lag behind decisions, drawn towards the mean of all arms.

    An arm whose only reward was a success would keep the highest index however many decisions are pending. So where
    decisions are pending, or more than one is made before the next change, its mean is taken as if it had one more
    pull (at most) that earned the mean of all arms. Without any lag these are the plain means.

    Args:
        prior_mean: counts as one pull in the mean of all arms.
    Returns:
        Shape (n_arms,); the mean of all arms where there is no pull.
    """
    weight = (stats.pending + (stats.batch_size - 1.0)).clip(0.0, 1.0)
    weight[stats.pulls <= 0.0] = 1.0
    means: FloatArray = (stats.reward_sum + weight * _overall(stats, prior_mean)) / (
        stats.pulls + weight
    )
    return means


def with_expected_outcomes(stats: ArmStats) -> ArmStats:
    """Pending decisions as if they had brought what their arm is believed to bring; none are pending then.

    Without them a posterior is as wide as if they had not been made: a new arm with rare, slow rewards would get nearly
    all traffic until its first outcomes are known. What an arm is believed to bring is its mean with one more pull that
    brought the mean of all arms. As long as no outcome of any arm is known, nothing is believed.
    """
    pulls = float(stats.pulls.sum())
    if pulls <= 0.0 or not stats.pending.any():
        return stats
    more = stats.pulls + 1.0
    means = (stats.reward_sum + stats.reward_sum.sum() / pulls) / more
    squares = (stats.reward_sum_squares + stats.reward_sum_squares.sum() / pulls) / more
    return replace(
        stats,
        pulls=stats.pulls + stats.pending,
        reward_sum=stats.reward_sum + stats.pending * means,
        reward_sum_squares=stats.reward_sum_squares + stats.pending * squares,
        pending=np.zeros_like(stats.pending),
    )


def _overall(stats: ArmStats, prior_mean: float) -> float:
    return float((stats.reward_sum.sum() + prior_mean) / (stats.pulls.sum() + 1.0))
