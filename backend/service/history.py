"""What a worker has read of the statistics, in blocks of time.

Blocks are buckets for the last ten minutes, minutes for the last hour or two, and hours before. What is older than the attribution window has settled: it
changes no more, unless somebody retracts a reward, so it is kept as one sum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from typing import TypeVar

import numpy as np

from backend.domain import EPOCH, FloatArray
from backend.inference.delay import N_BINS
from backend.inference.observed import DECISIONS, OFFSETS, REWARDED_OFFSETS, REWARDS, SUMS
from backend.store.database import Row
from backend.store.statistics import Blocks, Changes

FINE_FOR = timedelta(minutes=10)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
CONTEXT_SUMS = ("decision_xtx", "reward_xtx", "reward_xty")


def blocks_at(now: datetime) -> Blocks:
    """How blocks are cut now."""
    return Blocks(fine_since=minute_of(now) - FINE_FOR, recent_since=hour_of(now) - HOUR)


@dataclass(slots=True)
class Block:
    """A stretch of time; ``width`` None: one bucket. ``sums`` has shape (n_arms seen, len(SUMS)), ``delays`` (N_BINS,)."""

    width: timedelta | None
    sums: FloatArray = field(default_factory=lambda: np.zeros((0, len(SUMS))))
    delays: FloatArray = field(default_factory=lambda: np.zeros(N_BINS))

    def add(self, other: Block, later: timedelta) -> None:
        """Take in another block, which begins so much ``later``."""
        sums = other.sums.copy()
        sums[:, OFFSETS] += later.total_seconds() * sums[:, DECISIONS]
        sums[:, REWARDED_OFFSETS] += later.total_seconds() * sums[:, REWARDS]
        self.sums = _sum(self.sums, sums)
        self.delays = self.delays + other.delays


@dataclass(slots=True)
class ContextBlock:
    """Sums for regressions in one hour: shapes (n_arms seen, n) with n = d (d + 1) / 2, the same, and (…, d)."""

    decision_xtx: FloatArray
    reward_xtx: FloatArray
    reward_xty: FloatArray

    def add(self, other: ContextBlock, _later: timedelta) -> None:
        """Take in another block, whenever it begins."""
        self.decision_xtx = _sum(self.decision_xtx, other.decision_xtx)
        self.reward_xtx = _sum(self.reward_xtx, other.reward_xtx)
        self.reward_xty = _sum(self.reward_xty, other.reward_xty)


class History:
    """The blocks of one experiment."""

    def __init__(self) -> None:
        self.blocks: dict[datetime, Block] = {}
        self.contexts: dict[datetime, ContextBlock] = {}
        self.settled_before = EPOCH

    def coarsen(self, cut: Blocks) -> None:
        """Make minutes of buckets, and hours of minutes, that are no longer recent."""
        self._merge(cut.recent_since, HOUR, hour_of)
        self._merge(cut.fine_since, MINUTE, minute_of)

    def _merge(
        self, before: datetime, width: timedelta, start_of: Callable[[datetime], datetime]
    ) -> None:
        finer = [
            at
            for at, b in self.blocks.items()
            if at < before and (b.width is None or b.width < width)
        ]
        for start, starts in groupby(sorted(finer), key=start_of):
            merged = Block(width)
            for at in starts:
                merged.add(self.blocks.pop(at), at - start)
            self.blocks[start] = merged

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
        self.cut = Blocks(EPOCH, EPOCH)
        self._by_id: dict[int, History] = {}

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

    def known(self) -> set[int]:
        """Ids of the experiments that there is a history of."""
        return set(self._by_id)

    def next_cut(self, now: datetime) -> Blocks:
        """How to cut blocks of what is read now; a clock that was set back does not make coarse blocks fine again."""
        cut = blocks_at(now)
        return Blocks(
            max(cut.fine_since, self.cut.fine_since), max(cut.recent_since, self.cut.recent_since)
        )

    def update(self, changes: Changes, cut: Blocks) -> tuple[set[int], set[int]]:
        """Put blocks that were read in place of what was known of them.

        Args:
            cut: as they were cut.
        Returns:
            The experiments in which anything changed; and those that must be read anew, because settled blocks of
            theirs changed.
        """
        self.horizon = changes.horizon
        if cut != self.cut:
            self.cut = cut
            for history in self._by_id.values():
                history.coarsen(cut)
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
        width = None if at >= self.cut.fine_since else MINUTE
        if at < self.cut.recent_since:
            width = HOUR
        return history.blocks.setdefault(at, Block(width))


BlockT = TypeVar("BlockT", Block, ContextBlock)


def _settle(blocks: dict[datetime, BlockT], before: datetime) -> None:
    old = sorted(at for at in blocks if at < before)
    if old:
        settled = blocks.pop(old[0])
        for at in old[1:]:
            settled.add(blocks.pop(at), at - old[0])
        blocks[EPOCH] = settled


def minute_of(at: datetime) -> datetime:
    """The full minute that ``at`` is in."""
    return at.replace(second=0, microsecond=0)


def hour_of(at: datetime) -> datetime:
    """The full hour that ``at`` is in."""
    return at.replace(minute=0, second=0, microsecond=0)


def _by_block(rows: Iterable[Row]) -> dict[tuple[int, datetime], list[Row]]:
    found: dict[tuple[int, datetime], list[Row]] = {}
    for row in rows:
        found.setdefault((row["experiment_id"], row["block"]), []).append(row)
    return found


def _put_contexts(history: History, at: datetime, rows: list[Row]) -> None:
    """Arrays of zeros alone may have been left out."""
    n_arms = max(row["arm_id"] for row in rows) + 1
    n_products = max(len(row[name]) for row in rows for name in ("decision_xtx", "reward_xtx"))
    n_features = int(((8 * n_products + 1) ** 0.5 - 1) / 2)
    sizes = (n_products, n_products, n_features)
    arrays = [np.zeros((n_arms, size)) for size in sizes]
    for row in rows:
        for array, name in zip(arrays, CONTEXT_SUMS, strict=True):
            array[row["arm_id"], : len(row[name])] += row[name]
    history.contexts[at] = ContextBlock(*arrays)


def _sum(a: FloatArray, b: FloatArray) -> FloatArray:
    """Of two arrays that may know different numbers of arms."""
    longer, shorter = (a, b) if len(a) >= len(b) else (b, a)
    total = longer.copy()
    total[: len(shorter)] += shorter
    return total
