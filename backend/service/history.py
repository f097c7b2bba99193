"""What a worker has read of the statistics, in blocks of time.

Blocks are buckets for the last hour or two and hours before. What is older than the attribution window has settled: it
changes no more, unless somebody retracts a reward, so it is kept as one sum.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from typing import TypeVar

import numpy as np

from backend.domain import EPOCH, FloatArray
from backend.inference.delay import N_BINS
from backend.inference.observed import SUMS
from backend.store.database import Row
from backend.store.statistics import Changes

HOUR = timedelta(hours=1)
CONTEXT_SUMS = ("decision_xtx", "reward_xtx", "reward_xty")


def recent_since(now: datetime) -> datetime:
    """The full hour from which on blocks are buckets."""
    return hour_of(now) - HOUR


@dataclass(slots=True)
class Block:
    """A bucket, or a full hour. ``sums`` has shape (n_arms seen, len(SUMS)), ``delays`` (N_BINS,)."""

    is_hour: bool
    sums: FloatArray = field(default_factory=lambda: np.zeros((0, len(SUMS))))
    delays: FloatArray = field(default_factory=lambda: np.zeros(N_BINS))

    def add(self, other: Block) -> None:
        """Take in another block."""
        self.sums = _sum(self.sums, other.sums)
        self.delays = self.delays + other.delays


@dataclass(slots=True)
class ContextBlock:
    """Sums for regressions in one hour: shapes (n_arms seen, n) with n = d (d + 1) / 2, the same, and (…, d)."""

    decision_xtx: FloatArray
    reward_xtx: FloatArray
    reward_xty: FloatArray

    def add(self, other: ContextBlock) -> None:
        """Take in another block."""
        self.decision_xtx = _sum(self.decision_xtx, other.decision_xtx)
        self.reward_xtx = _sum(self.reward_xtx, other.reward_xtx)
        self.reward_xty = _sum(self.reward_xty, other.reward_xty)


class History:
    """The blocks of one experiment."""

    def __init__(self) -> None:
        self.blocks: dict[datetime, Block] = {}
        self.contexts: dict[datetime, ContextBlock] = {}
        self.settled_before = EPOCH

    def merge_hours(self, before: datetime) -> None:
        """Make hours of buckets that are no longer recent."""
        buckets = [at for at, b in self.blocks.items() if not b.is_hour and at < before]
        for hour, starts in groupby(sorted(buckets), key=hour_of):
            merged = Block(is_hour=True)
            for at in starts:
                merged.add(self.blocks.pop(at))
            self.blocks[hour] = merged

    def settle(self, before: datetime) -> None:
        """Keep one sum, at EPOCH, of what began before the full hour ``before``."""
        if before > self.settled_before:
            self.settled_before = before
            _settle(self.blocks, before)
            _settle(self.contexts, before)


class Histories:
    """The history of every experiment that goes on."""

    def __init__(self) -> None:
        self.horizon = "0"
        self._by_id: dict[int, History] = {}
        self._recent_since = EPOCH

    def get(self, experiment_id: int) -> History:
        """That of one experiment; empty when nothing happened yet."""
        return self._by_id.setdefault(experiment_id, History())

    def is_settled(self, experiment_id: int) -> bool:
        """Whether old blocks of it were added up."""
        return experiment_id in self._by_id and self._by_id[experiment_id].settled_before > EPOCH

    def forget(self, experiment_ids: Iterable[int]) -> None:
        """Drop what is known, to read it anew."""
        for experiment_id in experiment_ids:
            self._by_id.pop(experiment_id, None)

    def update(self, changes: Changes, since: datetime) -> tuple[set[int], set[int]]:
        """Put blocks that were read in place of what was known of them.

        Args:
            since: ``recent_since`` that they were read with.
        Returns:
            The experiments in which anything changed; and those that must be read anew, because settled blocks of
            theirs changed.
        """
        self.horizon = changes.horizon
        if since > self._recent_since:
            self._recent_since = since
            for history in self._by_id.values():
                history.merge_hours(since)
        changed: set[int] = set()
        stale: set[int] = set()
        for rows, put in (
            (changes.sums, self._put_sums),
            (changes.delays, self._put_delays),
            (changes.contexts, _put_contexts),
        ):
            for (experiment_id, at), block in _by_block(rows).items():
                history = self.get(experiment_id)
                changed.add(experiment_id)
                if at < history.settled_before:
                    stale.add(experiment_id)
                else:
                    put(history, at, block)
        return changed, stale

    def _put_sums(self, history: History, at: datetime, rows: list[Row]) -> None:
        sums = np.zeros((max(row["arm_id"] for row in rows) + 1, len(SUMS)))
        for row in rows:
            sums[row["arm_id"]] = [row[name] for name in SUMS]
        self._block(history, at).sums = sums

    def _put_delays(self, history: History, at: datetime, rows: list[Row]) -> None:
        delays = np.zeros(N_BINS)
        for row in rows:
            delays[: len(row["counts"])] += row["counts"]
        self._block(history, at).delays = delays

    def _block(self, history: History, at: datetime) -> Block:
        return history.blocks.setdefault(at, Block(is_hour=at < self._recent_since))


BlockT = TypeVar("BlockT", Block, ContextBlock)


def _settle(blocks: dict[datetime, BlockT], before: datetime) -> None:
    old = sorted(at for at in blocks if at < before)
    if old:
        settled = blocks.pop(old[0])
        for at in old[1:]:
            settled.add(blocks.pop(at))
        blocks[EPOCH] = settled


def hour_of(at: datetime) -> datetime:
    """The full hour that ``at`` is in."""
    return at.replace(minute=0, second=0, microsecond=0)


def _by_block(rows: Iterable[Row]) -> dict[tuple[int, datetime], list[Row]]:
    found: dict[tuple[int, datetime], list[Row]] = {}
    for row in rows:
        found.setdefault((row["experiment_id"], row["block"]), []).append(row)
    return found


def _put_contexts(history: History, at: datetime, rows: list[Row]) -> None:
    n_arms = max(row["arm_id"] for row in rows) + 1
    arrays = [np.zeros((n_arms, len(rows[0][name]))) for name in CONTEXT_SUMS]
    for row in rows:
        for array, name in zip(arrays, CONTEXT_SUMS, strict=True):
            array[row["arm_id"]] += row[name]
    history.contexts[at] = ContextBlock(*arrays)


def _sum(a: FloatArray, b: FloatArray) -> FloatArray:
    """Of two arrays that may know different numbers of arms."""
    longer, shorter = (a, b) if len(a) >= len(b) else (b, a)
    total = longer.copy()
    total[: len(shorter)] += shorter
    return total
