"""What a worker knows: every running experiment with the statistics of its newest policy version.

Decisions read only this; a background loop keeps it fresh. All workers draw from the same vectors, because statistics
are published in the database under a number, and whoever sees a newer number adopts it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from math import inf

import numpy as np

from backend.domain import (
    BoolArray,
    Experiment,
    FloatArray,
    Json,
    Reason,
    Status,
    utc_now,
)
from backend.errors import ExperimentNotFound
from backend.inference.linear_model import LinearModel
from backend.policies.base import ContextualPolicy, Policy
from backend.policies.exp3_ix import Exp3IX
from backend.policies.propensity import Allocation, allocate, certain
from backend.policies.registry import build_policy
from backend.service.history import Histories, blocks_at
from backend.service.learned import Learned
from backend.statistics import LinearStats, Scores
from backend.store import policy_snapshots, statistics
from backend.store.database import Connection, Database, Row
from backend.store.experiments import experiment_from_row, select_experiment
from backend.store.policy_snapshots import Published

RELEARN_S = 10.0
"""How often pending and forgotten decisions are weighed anew while nothing happens, in seconds."""
MAX_CACHED_VECTORS = 256


@dataclass(frozen=True, slots=True)
class Vector:
    """An allocation, with its probabilities by arm key as callers see them.

    Of a contextual policy also the scores it was made from, and the encoded context, shape (n_features,).
    """

    allocation: Allocation
    probabilities: Mapping[str, float]
    scores: Sequence[float] | None = None
    features: FloatArray | None = None


@dataclass(slots=True)
class Snapshot:
    """One experiment with the numbers of one policy version.

    Vectors are computed once for each set of eligible arms; of a contextual policy, for each decision.
    """

    experiment: Experiment
    policy_version: int
    published: Published
    due_at: float = 0.0
    policy: Policy | ContextualPolicy = field(init=False)
    model: LinearModel | None = field(init=False, default=None)
    arm_ids: Mapping[str, int] = field(init=False)
    has_active_arm: bool = field(init=False)
    _active: BoolArray = field(init=False)
    _caps: FloatArray | None = field(init=False)
    _vectors: dict[tuple[int, ...] | None, Vector] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.policy = build_policy(self.experiment.policy, self.experiment.reward)
        if isinstance(self.policy, ContextualPolicy):
            self.model = _model(self.policy, self.published, self.experiment.n_arms)
        self.arm_ids = {arm.key: i for i, arm in enumerate(self.experiment.arms)}
        self._active, self._caps = self.experiment.active_arms(), self.experiment.caps()
        self.has_active_arm = bool(self._active.any())

    def vector(self, eligible_arm_ids: tuple[int, ...] | None, context: Json | None) -> Vector:
        """The vector over all arms, given the arms the caller allows (None: all). At least one must be active.

        Raises:
            InvalidInput: the policy needs a context, and this one does not fit the declared features.
        """
        found = self._vectors.get(eligible_arm_ids)
        if found is None:
            eligible = self.eligible(eligible_arm_ids)
            if self.is_contextual:
                return self._decide_for(context, eligible)
            found = self._compute(eligible)
            if len(self._vectors) >= MAX_CACHED_VECTORS:
                self._vectors.clear()
            self._vectors[eligible_arm_ids] = found
        return found

    @property
    def is_contextual(self) -> bool:
        """Whether the vector depends on the unit's context."""
        return self.model is not None and self.experiment.status is not Status.PAUSED

    def features_of(self, context: Json | None) -> FloatArray | None:
        """The encoded context, shape (n_features,); None when the policy uses none. Raises InvalidInput."""
        if not isinstance(self.policy, ContextualPolicy):
            return None
        return self.policy.context_features.encode(context)

    def _decide_for(self, context: Json | None, eligible: BoolArray) -> Vector:
        features = self.features_of(context)
        assert features is not None
        assert self.model is not None
        scores = self.model.scores(features)
        scores = scores if eligible.all() else scores.select(eligible)
        return replace(self.vector_from(scores, eligible), features=features)

    def vector_from(self, scores: Scores, eligible: BoolArray) -> Vector:
        """The vector that a contextual policy makes of these scores."""
        assert isinstance(self.policy, ContextualPolicy)
        return self._allocate(self.policy.probabilities(scores), eligible, scores.to_array())

    def eligible(self, eligible_arm_ids: tuple[int, ...] | None) -> BoolArray:
        """Shape (n_arms,): active, and allowed by the caller."""
        if eligible_arm_ids is None:
            return self._active
        allowed = np.zeros(self.experiment.n_arms, dtype=np.bool_)
        allowed[list(eligible_arm_ids)] = True
        return self._active & allowed

    def policy_probabilities(
        self, eligible: BoolArray, scores: Sequence[float] | None
    ) -> FloatArray:
        """Shape (n_eligible,): the policy's own vector, before floor, caps and control share."""
        if isinstance(self.policy, ContextualPolicy):
            assert scores is not None
            return self.policy.probabilities(Scores.from_array(scores))
        return self.policy.probabilities(self.published.stats.select(eligible))

    def importance_weight(self, propensity: float) -> float | None:
        """What a reward is multiplied with in importance-weighted sums; None: 1 / propensity."""
        if not isinstance(self.policy, Exp3IX):
            return None
        return 1.0 / (propensity + self.policy.implicit_exploration(self.published.stats))

    def _compute(self, eligible: BoolArray) -> Vector:
        if self.experiment.status is Status.PAUSED:
            return self._vector(certain(self._fallback_arm_id(eligible), self.experiment.n_arms))
        return self._allocate(self.policy_probabilities(eligible, None), eligible, None)

    def _allocate(
        self, probabilities: FloatArray, eligible: BoolArray, scores: Sequence[float] | None
    ) -> Vector:
        experiment = self.experiment
        allocation = allocate(
            probabilities,
            eligible,
            floor=experiment.allocation.probability_floor,
            control_share=experiment.allocation.control_share,
            control_arm_id=experiment.control_arm_id,
            caps=self._caps,
        )
        return self._vector(allocation, scores)

    def _fallback_arm_id(self, eligible: BoolArray) -> int:
        """What a paused experiment answers: the control arm, or else the first arm that is eligible."""
        control = self.experiment.control_arm_id
        if control is not None and eligible[control]:
            return control
        return int(np.flatnonzero(eligible)[0])

    def _vector(self, allocation: Allocation, scores: Sequence[float] | None = None) -> Vector:
        probabilities = dict(zip(self.arm_ids, allocation.probabilities.tolist(), strict=True))
        return Vector(allocation, probabilities, scores)

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
        self._histories = Histories()
        self._anew: set[int] = set()
        self._learned_at: dict[int, float] = {}
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

    def experiments(self) -> list[Experiment]:
        """All that this worker knows of."""
        return [snapshot.experiment for snapshot in list(self._by_id.values())]

    def by_id(self, conn: Connection, experiment_id: int) -> Snapshot:
        """Of the experiment with this id: its key, arms' order and (once started) reward and features never change."""
        snapshot = self._by_id.get(experiment_id)
        if snapshot is not None:
            return snapshot
        row = conn.execute(SELECT_BY_ID, {"experiment_id": experiment_id}).fetchone()
        if row is None:
            raise ExperimentNotFound(f"there is no experiment with id {experiment_id}")
        return self._reload(conn, row["experiment_key"])

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
        self._read_changes()
        now = time.monotonic()
        for snapshot in list(self._by_id.values()):
            if _goes_on(snapshot) and snapshot.due_at <= now and self._is_to_learn(snapshot, now):
                self._publish(snapshot)
        self.loaded.set()

    def _reload(self, conn: Connection, experiment_key: str) -> Snapshot:
        row = policy_snapshots.select_latest(conn, experiment_key)
        if row is not None:
            return self._adopt(row)
        experiment = select_experiment(conn, experiment_key)
        return Snapshot(experiment, 0, Published.empty(experiment.n_arms))

    def _adopt(self, row: Row) -> Snapshot:
        experiment = experiment_from_row(row)
        snapshot = Snapshot(
            experiment,
            row["policy_version"],
            Published.from_row(row, experiment.n_arms, experiment.reward.default_reward),
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

    def _read_changes(self) -> None:
        """Read what changed of the statistics; of experiments that settled and changed nevertheless, everything."""
        going_on = {i for i, snapshot in list(self._by_id.items()) if _goes_on(snapshot)}
        self._histories.forget(self._histories.known() - going_on)
        if not going_on:
            return
        self._anew |= {
            i
            for i in going_on
            if self._by_id[i].experiment.forgets and self._histories.is_settled(i)
        }
        while True:
            anew, cut = set(self._anew), self._histories.next_cut(utc_now())
            read = partial(
                statistics.select_changes, since=self._histories.horizon, blocks=cut, anew=anew
            )
            changes = self._database.transaction(read)
            self._histories.forget(anew)
            changed, stale = self._histories.update(changes, cut)
            self._anew = (self._anew - anew) | stale
            for experiment_id in changed:
                self._learned_at.pop(experiment_id, None)
            if not self._anew:
                return

    def _is_to_learn(self, snapshot: Snapshot, now: float) -> bool:
        """Whether something changed, or enough time passed for what is forgotten or pending to have changed."""
        return now - self._learned_at.get(snapshot.experiment.experiment_id, -inf) >= RELEARN_S

    def _publish(self, snapshot: Snapshot) -> None:
        """Publish what follows from the statistics by now, if it differs from what is published."""
        experiment, as_of = snapshot.experiment, utc_now()
        history = self._histories.get(experiment.experiment_id)
        if not experiment.forgets:
            window = timedelta(seconds=experiment.reward.attribution_window_s)
            history.settle(blocks_at(as_of - window).recent_since)
        learned = Learned.of(history, experiment, as_of)
        self._learned_at[experiment.experiment_id] = time.monotonic()
        snapshot.due_at = time.monotonic() + experiment.update_interval_s
        if not learned.differs_from(snapshot.published):
            return
        version = snapshot.policy_version + 1
        published = learned.to_publish(snapshot.policy, snapshot.published)
        is_first = self._database.transaction(
            lambda conn: policy_snapshots.insert_snapshot(
                conn, experiment.experiment_id, version, published
            )
        )
        if is_first:  # else another worker was quicker: adopted at the next refresh
            self._keep(Snapshot(experiment, version, published, due_at=snapshot.due_at))


SELECT_BY_ID = "SELECT experiment_key FROM experiments WHERE experiment_id = %(experiment_id)s"


def _model(policy: ContextualPolicy, published: Published, n_arms: int) -> LinearModel:
    """The published model; before there is one, that of no data."""
    n_features = policy.context_features.n_features
    if published.model is None:
        return policy.fit(LinearStats.zeros(n_arms, n_features))
    return LinearModel.from_bytes(published.model, n_features).with_new_arms(n_arms)


def _goes_on(snapshot: Snapshot) -> bool:
    return snapshot.experiment.status in (Status.RUNNING, Status.PAUSED)


def _order(snapshot: Snapshot) -> tuple[int, int]:
    return snapshot.experiment.version, snapshot.policy_version
