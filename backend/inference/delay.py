"""Delay: which share of the rewards of a decision of a given age has come by now.

A decision without a reward is not a failure yet. Delays of rewards are counted in bins that double, per block of decision
time. Young blocks can only have shown short delays, so a plain histogram would be biased towards those; the estimate
compares like with like: of the rewards that came within an edge, in blocks older than that edge, which share came in
the last bin (the reverse hazard of right-truncated data: Lagakos, Barraj and De Gruttola 1988; the same ratios as the
chain ladder of claims reserving, Mack 1993). Beyond the experiment's own age the ratios go on as the last two that were
seen: constant (a power law of time) or falling by the same factor from bin to bin (as those of lighter tails do); where
the last bins seen were silent, as small as their silence shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from backend.domain import FloatArray

N_BINS = 36
EDGES_S: FloatArray = np.exp2(np.arange(N_BINS, dtype=np.float64) - 6.0)
"""Upper edge of each bin in seconds: 1/64, 1/32, … 2^29 (17 years). The first bin begins at 0."""
PSEUDO_REWARDS = 1.0
"""Added to the denominator, and half of it to the numerator, of ratios that are continued: none seen is not none."""


def delay_bin(delay_s: float) -> int:
    """The bin of a delay in seconds: how many edges it has reached; negative delays go to the first one."""
    return min(int(np.searchsorted(EDGES_S, delay_s, side="right")), N_BINS - 1)


@dataclass(frozen=True)
class DelayDistribution:
    """P(delay <= edge) at every edge of ``EDGES_S``, given that a reward comes at all inside the window.

    Attributes:
        at_edges: shape (N_BINS,), non-decreasing, 1 from the attribution window on.
        window_s: the attribution window in seconds.
    """

    at_edges: FloatArray
    window_s: float

    @classmethod
    def estimate(
        cls, counts: FloatArray, youngest_ages_s: FloatArray, window_s: float
    ) -> DelayDistribution:
        """From the rewards that have come.

        Args:
            counts: shape (n_blocks, N_BINS), rewards of each block of decision time by bin of their delay.
            youngest_ages_s: shape (n_blocks,), age of the youngest decision that each block can hold.
            window_s: > 0; no reward counts after it.
        """
        last = min(int(np.searchsorted(EDGES_S, window_s)), N_BINS - 1)
        counts = np.maximum(
            counts, 0.0
        )  # of a reward that an older service counted and this one retracted
        if not counts[:, : last + 1].any():
            return cls.unknown(window_s)
        within = counts.cumsum(axis=1)
        is_older = youngest_ages_s[:, None] >= EDGES_S
        exposed = (within * is_older).sum(axis=0)
        in_bin = (counts * is_older).sum(axis=0)
        oldest = int(np.max(np.flatnonzero(exposed), initial=0))
        if (
            in_bin[oldest] == exposed[oldest]
        ):  # too young to compare: what came so far is all there is
            oldest = 0
            exposed, in_bin = within.sum(axis=0), counts.sum(axis=0)
        ratios = in_bin / np.maximum(exposed, 1.0)
        if oldest > 0:
            ratios[oldest + 1 :] = _continued(in_bin[: oldest + 1], exposed[: oldest + 1])
        ratios[last + 1 :] = 0.0
        later = np.concatenate([np.cumprod((1.0 - ratios)[::-1])[::-1][1:], [1.0]])
        later[last:] = 1.0
        return cls(later, window_s)

    @classmethod
    def unknown(cls, window_s: float) -> DelayDistribution:
        """Before any reward: nothing passes as come until the window has."""
        return cls(np.where(window_s <= EDGES_S, 1.0, 0.0), window_s)

    @cached_property
    def _knots(self) -> tuple[FloatArray, FloatArray]:
        inside = self.window_s > EDGES_S
        times = np.concatenate([[0.0], EDGES_S[inside], [self.window_s]])
        return times, np.concatenate([[0.0], self.at_edges[inside], [1.0]])

    def share_come(self, ages_s: FloatArray) -> FloatArray:
        """P(delay <= age), linear inside a bin; same shape as ``ages_s``, in [0, 1], 1 from the window on."""
        times, shares = self._knots
        come: FloatArray = np.interp(ages_s, times, shares)
        return come


def _continued(in_bin: FloatArray, exposed: FloatArray) -> FloatArray:
    """Ratios of the bins behind the last one that was seen, shape (N_BINS - n_seen,)."""
    n_unseen = N_BINS - len(in_bin)
    n_silent = int(np.argmax(np.append(in_bin[::-1] > 0.0, True)))  # the newest bins without any
    if n_silent > 1:
        silence = exposed[-n_silent:].sum()
        return np.full(n_unseen, PSEUDO_REWARDS / 2.0 / (silence + PSEUDO_REWARDS))
    smoothed = (in_bin[-2:] + PSEUDO_REWARDS / 2.0) / (exposed[-2:] + PSEUDO_REWARDS)
    factor = min(smoothed[1] / smoothed[0], 1.0)
    continued: FloatArray = smoothed[1] * factor ** np.arange(1.0, n_unseen + 1.0)
    return continued
