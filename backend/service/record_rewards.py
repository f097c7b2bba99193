"""Take rewards for decisions, and take one back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from backend.domain import ApiKey, Claim, Reward, RewardResult
from backend.errors import RewardNotFound
from backend.service.commit import RewardItem
from backend.service.decide import Writer
from backend.service.log_rewards import as_learned, learn_difference
from backend.service.snapshot import Snapshots
from backend.store.audit import insert_audit
from backend.store.database import Connection, Database
from backend.store.decisions import select_decided
from backend.store.rewards import aggregate, lock_rewards, retract_rewards

RETRACTION_SHARD = -1
"""No writer's: a retraction holds its reward when it adds here, a writer adds before it locks rewards."""


class RecordRewards:
    """Records and retracts rewards."""

    def __init__(self, database: Database, snapshots: Snapshots, writer: Writer) -> None:
        self._database = database
        self._snapshots = snapshots
        self._writer = writer

    def batch(
        self, rewards: Sequence[Reward | RewardResult], claim: Claim | None = None
    ) -> Sequence[RewardResult]:
        """Log rewards, in one transaction; one result each, in order. Results given stay as they are.

        Raises:
            Replay: answered before under this Idempotency-Key.
            StoreUnavailable: nothing of it is confirmed to be stored.
        """
        return cast(Sequence[RewardResult], self._writer.submit(RewardItem(rewards, claim)))

    def retract(self, decision_id: str, metric: str, actor: ApiKey) -> None:
        """Take back the reward of a decision and metric: the statistics are as if it had never come.

        Raises:
            RewardNotFound: there is none.
        """
        self._database.transaction(
            lambda conn: self._retract(conn, decision_id, metric, actor), is_repeatable=False
        )

    def _retract(self, conn: Connection, decision_id: str, metric: str, actor: ApiKey) -> None:
        decision = select_decided(conn, [decision_id]).get(decision_id)
        rows = lock_rewards(conn, decision_id, metric)
        if decision is None or not retract_rewards(conn, decision_id, metric):
            raise RewardNotFound(f"decision {decision_id} has no reward for metric '{metric}'")
        experiment = self._snapshots.by_id(conn, decision["experiment_id"]).experiment
        value = aggregate(rows, experiment.reward.aggregation)
        if value is not None:
            reward = as_learned(decision, rows, metric)
            learn_difference(conn, reward, value, None, self._snapshots.by_id, RETRACTION_SHARD)
        insert_audit(
            conn,
            experiment_id=experiment.experiment_id,
            version=experiment.version,
            key_id=actor.key_id,
            key_name=actor.name,
            action="reward_retracted",
            changes={f"rewards.{decision_id}.{metric}": {"from": value, "to": None}},
        )
