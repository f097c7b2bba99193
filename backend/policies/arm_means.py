"""Mean rewards of arms about which little is known yet."""

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


def _overall(stats: ArmStats, prior_mean: float) -> float:
    return float((stats.reward_sum.sum() + prior_mean) / (stats.pulls.sum() + 1.0))
