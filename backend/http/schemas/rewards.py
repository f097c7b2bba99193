"""Rewards."""

from typing import Any

from marshmallow import Schema, fields, post_load, validate

from backend.domain import PRIMARY_METRIC, Reward, RewardStatus
from backend.http.schemas.fields import LARGEST, Each, Key, Number, Time

MAX_BATCH = 1000


class RewardSchema(Schema):
    """An observed value for a decision; larger is better."""

    decision_id = fields.UUID(required=True)
    reward = Number(required=True, validate=validate.Range(-LARGEST, LARGEST))
    metric = Key(load_default=PRIMARY_METRIC)
    occurred_at = Time(
        allow_none=True,
        load_default=None,
        metadata={"description": "When it happened; the time of receipt if not given."},
    )

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Reward:
        """A Reward."""
        return Reward(str(data["decision_id"]), data["reward"], data["metric"], data["occurred_at"])


class RewardsRequestSchema(Schema):
    """Many at once; a bad one does not spoil the others."""

    rewards = Each(RewardSchema, required=True, validate=validate.Length(1, MAX_BATCH))


class RewardResultSchema(Schema):
    """What became of one reward."""

    decision_id = fields.String(allow_none=True)
    status = fields.Enum(RewardStatus, by_value=True)
    detail = fields.String()


class RewardsResponseSchema(Schema):
    """One result a reward, in order."""

    results = fields.List(fields.Nested(RewardResultSchema))


class RetractQuerySchema(Schema):
    """Which reward to retract."""

    metric = Key(load_default=PRIMARY_METRIC)
