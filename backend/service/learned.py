"""From blocks of time to the numbers that a policy decides with: forgetting and delay happen here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from backend.domain import Experiment, FloatArray
from backend.inference.forgetting import weights_by_age, weights_by_decisions
from backend.inference.observed import PLAIN
from backend.policies.base import ContextualPolicy, Policy
from backend.service.history import History
from backend.service.regressions import linear_stats
from backend.service.timeline import Timeline
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
        timeline = Timeline.of(history, experiment, as_of)
        weights = _weights(experiment, timeline)
        observed = timeline.observed(experiment.reward.default_reward, weights)
        stats = ArmStats(
            observed.pulls,
            observed.reward_sum,
            observed.reward_sum_squares,
            observed.pending,
            observed.weight_sum,
            observed.weighted_reward_sum,
            n_decisions=float(timeline.decisions.sum()),
        )
        linear = None
        if history.contexts:
            linear = linear_stats(history, experiment, timeline, weights, stats)
        plain = timeline.sums.sum(axis=0)[:, PLAIN]
        return cls(ArmStatistics.from_matrix(plain), stats, linear)

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
        before, now = published.stats, self.stats
        return not (
            np.allclose(before.pulls, now.pulls, rtol=CHANGE, atol=CHANGE)
            and np.allclose(before.pending, now.pending, rtol=CHANGE, atol=1.0)
        )

    def to_publish(self, policy: Policy | ContextualPolicy, before: Published) -> Published:
        """With what depends on the version before, and the model that the policy makes of it."""
        decided_since = self.stats.n_decisions - before.stats.n_decisions
        batch_size = max(decided_since, 1.0)
        model = None
        if isinstance(policy, ContextualPolicy) and self.linear is not None:
            model = policy.fit(replace(self.linear, batch_size=batch_size)).to_bytes()
        return Published(self.statistics, replace(self.stats, batch_size=batch_size), model)


def _weights(experiment: Experiment, timeline: Timeline) -> FloatArray:
    """Shape (n_blocks, n_arms): what is not forgotten."""
    if experiment.decay_half_life_s is not None:
        return weights_by_age(timeline.ages_s, experiment.decay_half_life_s)
    if experiment.decay_half_life_decisions is not None:
        return weights_by_decisions(timeline.decisions, experiment.decay_half_life_decisions)
    return np.ones_like(timeline.decisions)
