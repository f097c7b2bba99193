"""The blocks of one experiment in order of time, with their age and the share of their rewards that has come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from backend.domain import EPOCH, BoolArray, Experiment, FloatArray
from backend.inference.delay import N_BINS, DelayDistribution
from backend.inference.observed import DECISIONS, SUMS, Observed, observe
from backend.service.history import Block, History


@dataclass(frozen=True, slots=True)
class Timeline:
    """Blocks, oldest first.

    Attributes:
        starts: of each block; EPOCH for what has settled.
        sums: shape (n_blocks, n_arms, len(SUMS)).
        ages_s: shape (n_blocks,), mean age of its decisions in seconds.
        come: shape (n_blocks,), share of its rewards that has come, in [0, 1].
    """

    starts: list[datetime]
    sums: FloatArray
    ages_s: FloatArray
    come: FloatArray

    @classmethod
    def of(cls, history: History, experiment: Experiment, as_of: datetime) -> Timeline:
        """The blocks of ``history`` as they are at ``as_of``."""
        starts = sorted(
            history.blocks
        )  # everywhere in this order, so that all workers add up alike
        blocks = [history.blocks[at] for at in starts]
        sums = np.zeros((len(blocks), experiment.n_arms, len(SUMS)))
        for i, block in enumerate(blocks):
            known = block.sums[: experiment.n_arms]
            sums[i, : len(known)] = known
        bucket = timedelta(seconds=experiment.bucket_s)
        ends = [at + (block.width or bucket) for at, block in zip(starts, blocks, strict=True)]
        ages_s = _mean_ages_s(starts, ends, experiment.started_at or EPOCH, as_of)
        window_s = float(experiment.reward.attribution_window_s)
        come = _delays(ends, blocks, window_s, as_of).share_come(ages_s)
        return cls(starts, sums, ages_s, come)

    @property
    def decisions(self) -> FloatArray:
        """Shape (n_blocks, n_arms)."""
        return self.sums[:, :, DECISIONS]

    def only(self, mask: BoolArray) -> Timeline:
        """The blocks in ``mask``, shape (n_blocks,)."""
        starts = [at for at, is_in in zip(self.starts, mask, strict=True) if is_in]
        return Timeline(starts, self.sums[mask], self.ages_s[mask], self.come[mask])

    def observed(self, default_reward: float | None, weights: FloatArray | None = None) -> Observed:
        """What counts; ``weights`` of shape (n_blocks, n_arms) say what is not forgotten, None: nothing is."""
        kept = np.ones_like(self.decisions) if weights is None else weights
        return observe(self.sums, kept, self.come, default_reward)


def _mean_ages_s(
    starts: list[datetime], ends: list[datetime], begun: datetime, as_of: datetime
) -> FloatArray:
    """Shape (n_blocks,): from the middle of what has passed of each block since the experiment began."""
    ages = [
        (as_of - max(start, min(begun, end))) + (as_of - min(end, as_of))
        for start, end in zip(starts, ends, strict=True)
    ]
    return np.array([max(age.total_seconds() / 2.0, 0.0) for age in ages], dtype=np.float64)


def _delays(
    ends: list[datetime], blocks: list[Block], window_s: float, as_of: datetime
) -> DelayDistribution:
    counts = np.array([block.delays for block in blocks]).reshape(-1, N_BINS)
    if not counts.any():
        return DelayDistribution.unknown(window_s)
    youngest_s = [max((as_of - end).total_seconds(), 0.0) for end in ends]
    return DelayDistribution.estimate(counts, np.array(youngest_s), window_s)
