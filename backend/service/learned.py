"""From blocks of time to the numbers that a policy decides with: forgetting and delay happen here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from backend.domain import EPOCH, Experiment, FloatArray
from backend.inference.delay import N_BINS, DelayDistribution
from backend.inference.forgetting import weights_by_age, weights_by_decisions
from backend.inference.observed import DECISIONS, N_SUMS, REWARDS, observe
from backend.policies.base import ContextualPolicy, Policy
from backend.service.history import Block, History, hour_of
from backend.statistics import ArmStatistics, ArmStats, LinearStats
from backend.store.policy_snapshots import Published

CHANGE = 0.01
"""Pulls that change by less than this part, without any news, are not published anew."""
ROUNDING = 1e-12
"""Relative; workers add sums of rewards in different portions."""


@dataclass(frozen=True, slots=True)
class Learned:
    """Plain sums over the log, and what policies learn from; ``linear`` for contextual ones."""

    statistics: ArmStatistics
    stats: ArmStats
    linear: LinearStats | None

    @classmethod
    def of(cls, history: History, experiment: Experiment, as_of: datetime) -> Learned:
        """Add the blocks of ``history`` up, as they count at ``as_of``."""
        starts = sorted(
            history.blocks
        )  # in one order everywhere, so that all workers get the same sums
        blocks = [history.blocks[at] for at in starts]
        sums = np.zeros((len(blocks), experiment.n_arms, N_SUMS))
        for i, block in enumerate(blocks):
            known = block.sums[: experiment.n_arms]
            sums[i, : len(known)] = known
        ages_s = _mean_ages_s(starts, blocks, experiment, as_of)
        weights = _weights(experiment, ages_s, sums[:, :, DECISIONS])
        come = _delays(starts, blocks, experiment, as_of).share_come(ages_s)
        observed = observe(sums, weights, come, experiment.reward.default_reward)
        n_decisions = float(sums[:, :, DECISIONS].sum())
        stats = ArmStats(
            observed.pulls,
            observed.reward_sum,
            observed.reward_sum_squares,
            observed.pending,
            observed.weight_sum,
            observed.weighted_reward_sum,
            n_decisions=n_decisions,
        )
        linear = None
        if history.contexts:
            linear = _linear(history, experiment, starts, sums, weights, come, stats)
        return cls(ArmStatistics.from_matrix(sums.sum(axis=0)[:, :4]), stats, linear)

    def differs_from(self, published: Published) -> bool:
        """Whether there is news: other sums, or more than CHANGE of what counts has been forgotten or is no longer pending."""
        old, new = published.statistics, self.statistics
        if not (
            np.array_equal(old.decisions, new.decisions)
            and np.array_equal(old.rewards, new.rewards)
            and np.allclose(old.reward_sum, new.reward_sum, rtol=ROUNDING, atol=0.0)
            and np.allclose(old.reward_sum_squares, new.reward_sum_squares, rtol=ROUNDING, atol=0.0)
        ):
            return True
        return not np.allclose(published.stats.pulls, self.stats.pulls, rtol=CHANGE, atol=CHANGE)

    def to_publish(self, policy: Policy | ContextualPolicy, before: Published) -> Published:
        """With what depends on the version before, and the model that the policy makes of it."""
        decided_since = self.stats.n_decisions - before.stats.n_decisions
        batch_size = max(decided_since, 1.0)
        model = None
        if isinstance(policy, ContextualPolicy) and self.linear is not None:
            model = policy.fit(replace(self.linear, batch_size=batch_size)).to_bytes()
        return Published(self.statistics, replace(self.stats, batch_size=batch_size), model)


def _mean_ages_s(
    starts: list[datetime], blocks: list[Block], experiment: Experiment, as_of: datetime
) -> FloatArray:
    """Shape (n_blocks,): from the middle of what has passed of each block."""
    begun = experiment.started_at or EPOCH
    spans = [
        (max(at, min(begun, at + b.width)), min(at + b.width, as_of))
        for at, b in zip(starts, blocks, strict=True)
    ]
    ages = [(as_of - first - (last - first) / 2).total_seconds() for first, last in spans]
    return np.maximum(np.array(ages, dtype=np.float64), 0.0)


def _weights(experiment: Experiment, ages_s: FloatArray, decisions: FloatArray) -> FloatArray:
    if experiment.decay_half_life_s is not None:
        by_age = weights_by_age(ages_s, experiment.decay_half_life_s)
        return np.repeat(by_age[:, None], experiment.n_arms, axis=1)
    if experiment.decay_half_life_decisions is not None:
        return weights_by_decisions(decisions, experiment.decay_half_life_decisions)
    return np.ones_like(decisions)


def _delays(
    starts: list[datetime], blocks: list[Block], experiment: Experiment, as_of: datetime
) -> DelayDistribution:
    window_s = float(experiment.reward.attribution_window_s)
    counts = np.array([block.delays for block in blocks]).reshape(-1, N_BINS)
    if not counts.any():
        return DelayDistribution.unknown(window_s)
    youngest = np.array(
        [
            max((as_of - at - b.width).total_seconds(), 0.0)
            for at, b in zip(starts, blocks, strict=True)
        ]
    )
    return DelayDistribution.estimate(counts, youngest, window_s)


def _linear(
    history: History,
    experiment: Experiment,
    starts: list[datetime],
    sums: FloatArray,
    weights: FloatArray,
    come: FloatArray,
    stats: ArmStats,
) -> LinearStats:
    """Regressions know hours only; what counts of an hour's unrewarded decisions is taken from its finer blocks."""
    default_reward = experiment.reward.default_reward
    first = next(iter(history.contexts.values()))
    n_arms, n_features = experiment.n_arms, first.reward_xty.shape[1]
    n_products = first.decision_xtx.shape[1]
    xtx, pending = np.zeros((2, n_arms, n_products))
    xty = np.zeros((n_arms, n_features))
    hours = [hour_of(at) for at in starts]
    corner = np.cumsum(np.arange(n_features + 1))[:-1]  # of the first column in a lower triangle
    for hour in sorted(history.contexts):
        block = history.contexts[hour]
        inside = np.array([h == hour for h in hours])
        n = (weights * sums[:, :, DECISIONS])[inside].sum(axis=0)
        rewarded = (weights * sums[:, :, REWARDS])[inside].sum(axis=0)
        mature = (weights * come[:, None] * sums[:, :, DECISIONS])[inside].sum(axis=0)
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
