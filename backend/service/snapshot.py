"""What a worker knows: every running experiment with the statistics of its newest policy version.

Decisions read only this; a background loop keeps it fresh. All workers draw from the same vectors, because statistics
are published in the database under a number, and whoever sees a newer number adopts it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from backend.domain import BoolArray, Experiment, FloatArray, Json, Reason, Status
from backend.errors import ExperimentNotFound
from backend.policies.base import Policy
from backend.policies.propensity import Allocation, allocate, certain
from backend.policies.registry import build_policy
from backend.statistics import ArmStatistics
from backend.store import policy_snapshots, statistics
from backend.store.database import Connection, Database, Row
from backend.store.experiments import experiment_from_row, select_experiment

MAX_CACHED_VECTORS = 256


@dataclass(frozen=True, slots=True)
class Vector:
    """An allocation, with its probabilities by arm key as callers see them."""

    allocation: Allocation
    probabilities: Mapping[str, float]


@dataclass(slots=True)
class Snapshot:
    """One experiment with the statistics of one policy version.

    Vectors are computed once for each set of eligible arms.
    """

    experiment: Experiment
    policy_version: int
    statistics: ArmStatistics
    due_at: float = 0.0
    policy: Policy = field(init=False)
    arm_ids: Mapping[str, int] = field(init=False)
    has_active_arm: bool = field(init=False)
    _vectors: dict[tuple[int, ...] | None, Vector] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.policy = build_policy(self.experiment.policy, self.experiment.reward)
        self.arm_ids = {arm.key: i for i, arm in enumerate(self.experiment.arms)}
        self.has_active_arm = bool(self.experiment.active_arms().any())

    def vector(self, eligible_arm_ids: tuple[int, ...] | None, context: Json | None) -> Vector:
        """The vector over all arms, given the arms the caller allows (None: all). At least one must be active."""
        found = self._vectors.get(eligible_arm_ids)
        if found is None:
            found = self._compute(self.eligible(eligible_arm_ids), context)
            if len(self._vectors) >= MAX_CACHED_VECTORS:
                self._vectors.clear()
            self._vectors[eligible_arm_ids] = found
        return found

    def eligible(self, eligible_arm_ids: tuple[int, ...] | None) -> BoolArray:
        """Shape (n_arms,): active, and allowed by the caller."""
        active = self.experiment.active_arms()
        if eligible_arm_ids is None:
            return active
        allowed = np.zeros(self.experiment.n_arms, dtype=np.bool_)
        allowed[list(eligible_arm_ids)] = True
        return active & allowed

    def policy_probabilities(self, eligible: BoolArray, context: Json | None) -> FloatArray:
        """Shape (n_eligible,): the policy's own vector, before floor and control share."""
        default_reward = self.experiment.reward.default_reward
        stats = self.statistics.select(eligible).observed(default_reward)
        return self.policy.probabilities(stats, context)

    def _compute(self, eligible: BoolArray, context: Json | None) -> Vector:
        experiment = self.experiment
        if experiment.status is Status.PAUSED:
            return self._vector(certain(self._fallback_arm_id(eligible), experiment.n_arms))
        return self._vector(
            allocate(
                self.policy_probabilities(eligible, context),
                eligible,
                floor=experiment.allocation.probability_floor,
                control_share=experiment.allocation.control_share,
                control_arm_id=experiment.control_arm_id,
            )
        )

    def _fallback_arm_id(self, eligible: BoolArray) -> int:
        """What a paused experiment answers: the control arm, or else the first arm that is eligible."""
        control = self.experiment.control_arm_id
        if control is not None and eligible[control]:
            return control
        return int(np.flatnonzero(eligible)[0])

    def _vector(self, allocation: Allocation) -> Vector:
        keys = [arm.key for arm in self.experiment.arms]
        return Vector(allocation, dict(zip(keys, allocation.probabilities.tolist(), strict=True)))

    def reason(self, vector: Vector, arm_id: int, random_number: float) -> Reason:
        """Why the arm was drawn."""
        if self.experiment.status is Status.PAUSED:
            return Reason.PAUSED
        if vector.allocation.is_control_share(arm_id, random_number):
            return Reason.CONTROL
        return Reason.POLICY


class Snapshots:
    """The snapshots of one worker."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._by_key: dict[str, Snapshot] = {}
        self._by_id: dict[int, Snapshot] = {}
        self._sums = _Sums()
        self.loaded = threading.Event()

    def get(self, experiment_key: str) -> Snapshot:
        """The snapshot in memory; asks the database only for an experiment never heard of.

        Raises:
            ExperimentNotFound: there is no such experiment.
        """
        return self._by_key.get(experiment_key) or self.reload(experiment_key)

    def reload(self, experiment_key: str) -> Snapshot:
        """The experiment as it is in the database right now."""
        return self._database.transaction(lambda conn: self._reload(conn, experiment_key))

    def by_id(self, conn: Connection, experiment_id: int) -> Experiment:
        """The experiment with this id. Its key, arms' order and (once started) reward never change."""
        snapshot = self._by_id.get(experiment_id)
        if snapshot is not None:
            return snapshot.experiment
        row = conn.execute(SELECT_BY_ID, {"experiment_id": experiment_id}).fetchone()
        if row is None:
            raise ExperimentNotFound(f"there is no experiment with id {experiment_id}")
        return self._reload(conn, row["experiment_key"]).experiment

    def refresh(self) -> None:
        """Adopt what others published; publish what is due and changed."""
        known = {
            i: (snapshot.experiment.version, snapshot.policy_version)
            for i, snapshot in list(self._by_id.items())
        }
        for row in self._database.transaction(
            lambda conn: policy_snapshots.select_newer(conn, known)
        ):
            self._adopt(row)
        now = time.monotonic()
        due = [s for s in list(self._by_id.values()) if _is_running(s) and s.due_at <= now]
        if due:
            self._publish(due)
        self.loaded.set()

    def _reload(self, conn: Connection, experiment_key: str) -> Snapshot:
        row = policy_snapshots.select_latest(conn, experiment_key)
        if row is not None:
            return self._adopt(row)
        experiment = select_experiment(conn, experiment_key)
        return Snapshot(experiment, 0, ArmStatistics.zeros(experiment.n_arms))

    def _adopt(self, row: Row) -> Snapshot:
        experiment = experiment_from_row(row)
        snapshot = Snapshot(
            experiment,
            row["policy_version"],
            policy_snapshots.statistics_from(row["statistics"], experiment.n_arms),
            due_at=time.monotonic() + experiment.update_interval_s - row["age_s"],
        )
        return self._keep(snapshot)

    def _keep(self, snapshot: Snapshot) -> Snapshot:
        experiment = snapshot.experiment
        held = self._by_id.get(experiment.experiment_id)
        if held is not None and _order(held) > _order(snapshot):
            return held  # a slower query must not bring back an older state
        self._by_key[experiment.key] = self._by_id[experiment.experiment_id] = snapshot
        return snapshot

    def _publish(self, due: list[Snapshot]) -> None:
        self._sums.update(
            self._database.transaction(
                lambda conn: statistics.select_changed_blocks(conn, self._sums.horizon)
            )
        )
        for snapshot in due:
            sums = self._sums.totals(snapshot.experiment)
            snapshot.due_at = time.monotonic() + snapshot.experiment.update_interval_s
            if not np.array_equal(sums.to_matrix(), snapshot.statistics.to_matrix()):
                self._publish_one(snapshot, sums)

    def _publish_one(self, snapshot: Snapshot, sums: ArmStatistics) -> None:
        version = snapshot.policy_version + 1
        experiment = snapshot.experiment
        is_first = self._database.transaction(
            lambda conn: policy_snapshots.insert_snapshot(
                conn, experiment.experiment_id, version, sums
            )
        )
        if is_first:  # else another worker was quicker: adopted at the next refresh
            self._keep(Snapshot(experiment, version, sums, due_at=snapshot.due_at))


SELECT_BY_ID = "SELECT experiment_key FROM experiments WHERE experiment_id = %(experiment_id)s"


class _Sums:
    """Sums per experiment and hour, so that a refresh reads only the hours in which something changed."""

    def __init__(self) -> None:
        self.horizon = "0"
        self._blocks: dict[int, dict[datetime, FloatArray]] = {}

    def update(self, changed: tuple[str, list[Row]]) -> None:
        """Replace the hours that were read anew."""
        self.horizon, rows = changed
        fresh: dict[tuple[int, datetime], list[Row]] = {}
        for row in rows:
            fresh.setdefault((row["experiment_id"], row["block"]), []).append(row)
        for (experiment_id, block), arms in fresh.items():
            sums = np.zeros((max(row["arm_id"] for row in arms) + 1, 4))
            for row in arms:
                sums[row["arm_id"]] = [
                    row["decisions"],
                    row["rewards"],
                    row["reward_sum"],
                    row["reward_sum_squares"],
                ]
            self._blocks.setdefault(experiment_id, {})[block] = sums

    def totals(self, experiment: Experiment) -> ArmStatistics:
        """Sums over all hours."""
        totals = np.zeros((experiment.n_arms, 4))
        blocks = self._blocks.get(experiment.experiment_id, {})
        for block in sorted(
            blocks
        ):  # in one order everywhere, so that all workers get the same sums
            sums = blocks[block]
            totals[: len(sums)] += sums[: experiment.n_arms]
        return ArmStatistics.from_matrix(totals)


def _is_running(snapshot: Snapshot) -> bool:
    return snapshot.experiment.status in (Status.RUNNING, Status.PAUSED)


def _order(snapshot: Snapshot) -> tuple[int, int]:
    return snapshot.experiment.version, snapshot.policy_version
