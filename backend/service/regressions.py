"""From sums of contexts per hour to the regressions of a contextual policy.

Regressions know hours only. Which part of an hour's decisions counts, and which is pending or forgotten, is taken from
the finer blocks of its plain sums.
"""

from __future__ import annotations

import numpy as np

from backend.domain import Experiment, FloatArray
from backend.inference.observed import DECISIONS, REWARDS
from backend.service.history import History, hour_of
from backend.service.timeline import Timeline
from backend.statistics import ArmStats, LinearStats


def linear_stats(
    history: History,
    experiment: Experiment,
    timeline: Timeline,
    weights: FloatArray,
    stats: ArmStats,
) -> LinearStats:
    """What a contextual policy learns from.

    Args:
        weights: shape (n_blocks, n_arms), what is not forgotten of each block of ``timeline``.
        stats: what policies without context learn from.
    """
    sums = timeline.sums
    default_reward = experiment.reward.default_reward
    first = next(iter(history.contexts.values()))
    n_arms, n_features = experiment.n_arms, first.reward_xty.shape[1]
    n_products = first.decision_xtx.shape[1]
    xtx, pending = np.zeros((2, n_arms, n_products))
    xty = np.zeros((n_arms, n_features))
    hours = [hour_of(at) for at in timeline.starts]
    come = timeline.come[:, None]
    corner = np.cumsum(np.arange(n_features + 1))[:-1]  # of the first column in a lower triangle
    for hour in sorted(history.contexts):
        block = history.contexts[hour]
        inside = np.array([h == hour for h in hours])
        n = (weights * sums[:, :, DECISIONS])[inside].sum(axis=0)
        rewarded = (weights * sums[:, :, REWARDS])[inside].sum(axis=0)
        mature = (weights * come * sums[:, :, DECISIONS])[inside].sum(axis=0)
        raw = sums[inside].sum(axis=0)
        unrewarded = raw[:, DECISIONS] - raw[:, REWARDS]
        counted = np.maximum(mature, rewarded)
        of_rewarded = _ratio(rewarded, raw[:, REWARDS])
        of_unrewarded = _ratio(counted - rewarded, unrewarded)
        still_pending = _ratio(np.maximum(n - counted, 0.0), unrewarded)
        known = len(block.decision_xtx)
        of_rewarded, of_unrewarded, still_pending = (
            part[:known, None] for part in (of_rewarded, of_unrewarded, still_pending)
        )
        open_xtx = block.decision_xtx - block.reward_xtx
        xtx[:known] += of_rewarded * block.reward_xtx
        xty[:known] += of_rewarded * block.reward_xty
        if default_reward is not None:
            xtx[:known] += of_unrewarded * open_xtx
            xty[:known] += default_reward * of_unrewarded * open_xtx[:, corner]
        pending[:known] += still_pending * open_xtx
    return LinearStats(
        _square(xtx, n_features),
        xty,
        stats.reward_sum_squares,
        _square(pending, n_features),
        stats.n_decisions,
    )


def _ratio(part: FloatArray, whole: FloatArray) -> FloatArray:
    ratio: FloatArray = np.clip(part / np.maximum(whole, 1e-300), 0.0, 1.0)
    return ratio


def _square(triangles: FloatArray, n_features: int) -> FloatArray:
    """Symmetric matrices, shape (n, d, d), from lower triangles, shape (n, d (d + 1) / 2)."""
    full = np.zeros((len(triangles), n_features, n_features))
    rows, columns = np.tril_indices(n_features)
    full[:, rows, columns] = triangles
    full[:, columns, rows] = triangles
    return full
