"""Read one decision back, and recompute how it came about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from backend.domain import (
    Decision,
    Experiment,
    FloatArray,
    Json,
    Reason,
    Status,
    to_microseconds,
)
from backend.errors import DecisionNotFound
from backend.service.snapshot import Snapshot, Vector
from backend.statistics import Scores
from backend.store.database import Connection, Database, Row
from backend.store.decisions import select_decision
from backend.store.experiments import select_at_version
from backend.store.policy_snapshots import Published, select_snapshot
from backend.store.rewards import select_rewards

TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class LoggedDecision:
    """A decision as it was logged, its rewards (retracted ones too), and what its arm was drawn from.

    For a sticky decision ``snapshot``, ``vector``, ``eligible_arm_ids``, ``context`` and ``scores`` are those of the
    decision that drew.
    """

    decision: Decision
    rewards: Sequence[Row]
    snapshot: Snapshot
    vector: Vector
    eligible_arm_ids: tuple[int, ...] | None
    context: Json | None
    scores: Sequence[float] | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """The numbers that made a choice.

    ``policy_probabilities`` has shape (n_arms,): before floor and control share, 0 for arms that could not be chosen.
    ``is_reproduced``: drawing again from the recomputed vector with the logged number gives the logged arm and
    propensity.
    """

    logged: LoggedDecision
    prior: Json
    policy_probabilities: FloatArray
    is_reproduced: bool


class ExplainDecision:
    """Reads the log."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, decision_id: str) -> LoggedDecision:
        """Raises DecisionNotFound."""
        return self._database.transaction(lambda conn: _load(conn, decision_id))

    def explain(self, decision_id: str) -> Explanation:
        """Raises DecisionNotFound."""
        logged = self.get(decision_id)
        decision, snapshot = logged.decision, logged.snapshot
        eligible = snapshot.eligible(logged.eligible_arm_ids)
        policy_probabilities = np.zeros(snapshot.experiment.n_arms)
        if snapshot.experiment.status is not Status.PAUSED:
            policy_probabilities[eligible] = snapshot.policy_probabilities(eligible, logged.scores)
        allocation = logged.vector.allocation
        return Explanation(
            logged=logged,
            prior=snapshot.policy.prior(),
            policy_probabilities=policy_probabilities,
            is_reproduced=allocation.draw(decision.random_number) == decision.arm_id
            and abs(allocation.probabilities[decision.arm_id] - decision.propensity) <= TOLERANCE,
        )


def _load(conn: Connection, decision_id: str) -> LoggedDecision:
    row = _select(conn, decision_id)
    drawn = _select(conn, row["sticky_decision_id"]) if row["sticky_decision_id"] else row
    experiment = select_at_version(conn, row["experiment_id"], row["experiment_version"])
    snapshot = _snapshot(conn, drawn)
    eligible_arm_ids, scores = _arm_ids(drawn), drawn["scores"]
    if scores is None:
        vector = snapshot.vector(eligible_arm_ids, drawn["context"])
    else:
        eligible = snapshot.eligible(eligible_arm_ids)
        vector = snapshot.vector_from(Scores.from_array(scores), eligible)
    decision = Decision(
        decision_id=str(row["decision_id"]),
        experiment=experiment,
        unit_id=row["unit_id"],
        arm_id=row["arm_id"],
        propensity=row["propensity"],
        probabilities={arm.key: vector.probabilities.get(arm.key, 0.0) for arm in experiment.arms},
        reason=Reason(row["reason"]),
        policy_version=row["policy_version"],
        random_number=row["random_number"],
        decided_at_us=to_microseconds(row["decided_at"]),
        context=row["context"],
        eligible_arm_ids=_arm_ids(row),
        sticky_decision_id=_text(row["sticky_decision_id"]),
        redrawn_from=_text(row["redrawn_from"]),
        scores=row["scores"],
    )
    return LoggedDecision(
        decision=decision,
        rewards=select_rewards(conn, decision_id),
        snapshot=snapshot,
        vector=vector,
        eligible_arm_ids=eligible_arm_ids,
        context=drawn["context"],
        scores=scores,
    )


def _select(conn: Connection, decision_id: str) -> Row:
    row = select_decision(conn, decision_id)
    if row is None:
        raise DecisionNotFound(f"there is no decision {decision_id}")
    return row


def _snapshot(conn: Connection, drawn: Row) -> Snapshot:
    """The experiment and statistics as they were when the arm was drawn."""
    experiment: Experiment = select_at_version(
        conn, drawn["experiment_id"], drawn["experiment_version"]
    )
    row = select_snapshot(conn, drawn["experiment_id"], drawn["policy_version"])
    published = Published.from_row(row, experiment.n_arms, experiment.reward.default_reward)
    return Snapshot(experiment, drawn["policy_version"], replace(published, model=None))


def _text(decision_id: object) -> str | None:
    return None if decision_id is None else str(decision_id)


def _arm_ids(row: Row) -> tuple[int, ...] | None:
    return None if row["eligible_arm_ids"] is None else tuple(row["eligible_arm_ids"])
