"""The blocks of one experiment in order of time, with their age and the share of their rewards that has come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from backend.domain import BoolArray, Experiment, FloatArray
from backend.inference.delay import N_BINS, DelayDistribution
from backend.inference.observed import (
    DECISIONS,
    OFFSETS,
    REWARDED_OFFSETS,
    REWARDS,
    SUMS,
    Observed,
    observe,
)
from backend.service.history import Block, History


@dataclass(frozen=True, slots=True)
class Timeline:
    """Blocks, oldest first.

    Attributes:
        starts: of each block; EPOCH for what has settled.
        sums: shape (n_blocks, n_arms, len(SUMS)).
        ages_s: shape (n_blocks, n_arms), mean age of the decisions in seconds.
        come: shape (n_blocks, n_arms), share of the rewards that come within the mean age of the decisions that have
            none yet, in [0, 1].
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
        start_ages_s = np.array([(as_of - at).total_seconds() for at in starts]).reshape(-1, 1)
        n, offsets = sums[:, :, DECISIONS], sums[:, :, OFFSETS]
        n_open, open_offsets = n - sums[:, :, REWARDS], offsets - sums[:, :, REWARDED_OFFSETS]
        ages_s = _mean_ages(start_ages_s, offsets, n)
        bucket = timedelta(seconds=experiment.bucket_s)
        ends = [at + (block.width or bucket) for at, block in zip(starts, blocks, strict=True)]
        window_s = float(experiment.reward.attribution_window_s)
        delays = _delays(ends, blocks, window_s, as_of)
        come = delays.share_come(_mean_ages(start_ages_s, open_offsets, n_open))
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


def _mean_ages(start_ages_s: FloatArray, offset_sums: FloatArray, counts: FloatArray) -> FloatArray:
    """Shape (n_blocks, n_arms): age of the block's start less the mean offset; the start's where there is nothing."""
    ages: FloatArray = np.maximum(start_ages_s - offset_sums / np.maximum(counts, 1.0), 0.0)
    return ages


def _delays(
    ends: list[datetime], blocks: list[Block], window_s: float, as_of: datetime
) -> DelayDistribution:
    counts = np.array([block.delays for block in blocks]).reshape(-1, N_BINS)
    if not counts.any():
        return DelayDistribution.unknown(window_s)
    youngest_s = [max((as_of - end).total_seconds(), 0.0) for end in ends]
    return DelayDistribution.estimate(counts, np.array(youngest_s), window_s)
