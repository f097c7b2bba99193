"""Which decisions of a log can be judged: those up to the first whose outcome is not known yet.

A decision without a reward may still get one. To leave out such decisions alone would keep, of the newest, only those
with a reward; so the log is read up to the first of them. Once nearly all rewards of a decision's age have come, by the
experiment's own delays and at the latest when the attribution window has passed, no reward means the default one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

import numpy as np

from backend.context_features import ContextFeatures
from backend.domain import ArmStatus, BoolArray, Experiment, FloatArray
from backend.errors import InvalidInput
from backend.inference.delay import EDGES_S, N_BINS, DelayDistribution
from backend.policies.replay import LoggedDecisions
from backend.service.history import blocks_at
from backend.store.database import Connection, Row
from backend.store.evaluation_log import select_delays
from backend.store.rewards import aggregate

SETTLED_SHARE = 0.95
"""Share of the rewards that have come once a decision counts as settled."""
BLOCK = 50
"""Decisions that are judged at once."""

SetKey = tuple[int, tuple[int, ...] | None]


def settled_after(conn: Connection, experiment: Experiment, as_of: datetime) -> timedelta:
    """The age at which SETTLED_SHARE of the rewards that come at all have come."""
    window_s = float(experiment.reward.attribution_window_s)
    rows = select_delays(conn, experiment.experiment_id, blocks_at(as_of).recent_since)
    delays = _distribution(rows, as_of, window_s) if rows else DelayDistribution.unknown(window_s)
    ages_s = np.append(EDGES_S[window_s > EDGES_S], window_s)
    first = int(np.argmax(delays.share_come(ages_s) >= SETTLED_SHARE))
    return timedelta(seconds=float(ages_s[first]))


def _distribution(rows: list[Row], as_of: datetime, window_s: float) -> DelayDistribution:
    ends = sorted({row["ends_at"] for row in rows})
    position = {at: i for i, at in enumerate(ends)}
    counts = np.zeros((len(ends), N_BINS))
    for row in rows:
        counts[position[row["ends_at"]], row["delay_bin"]] = row["n"]
    ages_s = np.array([max((as_of - at).total_seconds(), 0.0) for at in ends])
    return DelayDistribution.estimate(counts, ages_s, window_s)


class KnownRewards:
    """Turns rows of the log into blocks of decisions, and counts what it leaves out."""

    def __init__(
        self,
        experiment: Experiment,
        arm_statuses: dict[int, list[str]],
        settled_at: datetime,
        features: ContextFeatures | None,
    ) -> None:
        self._experiment = experiment
        self._arm_statuses = arm_statuses
        self._settled_at = settled_at
        self._features = features
        self._sets: dict[SetKey, BoolArray] = {}
        self._n_open = 0
        self._n_unrewarded = 0
        self._n_other_context = 0

    def blocks(self, rows: Iterable[Row]) -> Iterator[LoggedDecisions]:
        """Decisions whose outcome is known, oldest first."""
        block: list[tuple[Row, float, FloatArray | None]] = []
        for row in rows:
            reward = self._reward(row)
            if reward is None:
                continue
            try:
                features = self._encode(row)
            except InvalidInput:
                self._n_other_context += 1
                continue
            block.append((row, reward, features))
            if len(block) == BLOCK:
                yield self._decisions(block)
                block = []
        if block:
            yield self._decisions(block)

    def warnings(self) -> list[str]:
        """What was left out, and why."""
        counts = (
            (
                self._n_open,
                "the newest {} decisions are left out: rewards of the oldest of them may still come",
            ),
            (self._n_unrewarded, "{} decisions without a reward are left out: there is no default"),
            (
                self._n_other_context,
                "{} decisions are left out: their context lacks a feature that the policy needs",
            ),
        )
        return [text.format(n) for n, text in counts if n]

    def _reward(self, row: Row) -> float | None:
        """What the decision counts as; None if it does not."""
        spec = self._experiment.reward
        reward = aggregate(row["rewards"] or [], spec.aggregation)
        if spec.default_reward is None:
            self._n_unrewarded += reward is None
            return reward
        is_open = reward is None and row["decided_at"] > self._settled_at
        if self._n_open or is_open:
            self._n_open += 1
            return None
        return spec.default_reward if reward is None else reward

    def _encode(self, row: Row) -> FloatArray | None:
        features = self._features
        return None if features is None else features.encode(features.only_declared(row["context"]))

    def _decisions(self, block: list[tuple[Row, float, FloatArray | None]]) -> LoggedDecisions:
        rows = [row for row, _, _ in block]
        keys = [_set_key(row) for row in rows]
        position = {key: i for i, key in enumerate(dict.fromkeys(keys))}
        encoded = [features for _, _, features in block if features is not None]
        return LoggedDecisions(
            np.array([row["arm_id"] for row in rows]),
            np.array([row["propensity"] for row in rows]),
            np.array([reward for _, reward, _ in block]),
            np.array([position[key] for key in keys]),
            np.stack([self._eligible(key) for key in position]),
            np.stack(encoded) if encoded else None,
        )

    def _eligible(self, key: SetKey) -> BoolArray:
        """Shape (n_arms,): active at that version, and allowed by the caller."""
        found = self._sets.get(key)
        if found is None:
            version, allowed = key
            statuses = self._arm_statuses[version]
            found = np.zeros(self._experiment.n_arms, dtype=np.bool_)
            found[: len(statuses)] = [status == ArmStatus.ACTIVE for status in statuses]
            if allowed is not None:
                found &= np.isin(np.arange(len(found)), allowed)
            self._sets[key] = found
        return found


def _set_key(row: Row) -> SetKey:
    allowed = row["eligible_arm_ids"]
    return row["experiment_version"], None if allowed is None else tuple(allowed)
