"""From sums of contexts per hour to the regressions of a contextual policy.

Regressions know hours only. Which part of an hour's decisions counts, and which is pending or forgotten, is taken from
the finer blocks of its plain sums.
"""

from __future__ import annotations

from datetime import datetime

import numpy as np

from backend.domain import Experiment, FloatArray
from backend.inference.observed import DECISIONS, REWARDS, settled_shares
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
    default_reward = experiment.reward.default_reward
    hours = sorted(history.contexts)
    n_arms, n_features = experiment.n_arms, history.contexts[hours[0]].reward_xty.shape[1]
    xtx, pending = np.zeros((2, n_arms, n_features * (n_features + 1) // 2))
    xty = np.zeros((n_arms, n_features))
    corner = np.cumsum(np.arange(n_features + 1))[:-1]  # of the first column in a lower triangle
    for hour, share in zip(hours, _shares(hours, timeline, weights), strict=True):
        block = history.contexts[hour]
        known = min(len(block.decision_xtx), n_arms)
        of_rewarded, of_unrewarded, still_pending = share[:, :known, None]
        rewarded_xtx = block.reward_xtx[:known]
        open_xtx = block.decision_xtx[:known] - rewarded_xtx
        xtx[:known] += of_rewarded * rewarded_xtx
        xty[:known] += of_rewarded * block.reward_xty[:known]
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


def _shares(hours: list[datetime], timeline: Timeline, weights: FloatArray) -> FloatArray:
    """Shape (n_hours, 3, n_arms): what counts of the rewarded, of the unrewarded, and what of these is pending."""
    position = {hour: i for i, hour in enumerate(hours)}
    groups = np.array([position.get(hour_of(at), len(hours)) for at in timeline.starts], dtype=int)
    rewarded = timeline.sums[:, :, REWARDS]
    unrewarded = timeline.sums[:, :, DECISIONS] - rewarded
    settled = settled_shares(timeline.sums, weights, timeline.come)
    parts = (
        rewarded,
        unrewarded,
        weights * rewarded,
        weights * unrewarded * settled,
        weights * unrewarded * (1.0 - settled),
    )
    totals = np.zeros((len(parts), len(hours) + 1, rewarded.shape[1]))
    for total, part in zip(totals, parts, strict=True):
        np.add.at(total, groups, part)
    all_rewarded, all_unrewarded, counted, settled_unrewarded, pending = totals[:, :-1]
    return np.stack(
        [
            _ratio(counted, all_rewarded),
            _ratio(settled_unrewarded, all_unrewarded),
            _ratio(pending, all_unrewarded),
        ],
        axis=1,
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
