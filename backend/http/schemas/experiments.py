"""Experiments and arms."""

from dataclasses import replace
from typing import Any

from marshmallow import Schema, fields, post_load, validate

from backend.domain import (
    FINE_BUCKET_S,
    MAX_ARMS,
    Aggregation,
    AllocationSpec,
    Arm,
    ArmStatus,
    Direction,
    Experiment,
    Guardrail,
    GuardrailAction,
    PolicySpec,
    RewardSpec,
    RewardType,
    Status,
    Stickiness,
    default_floor,
)
from backend.http.schemas.fields import LARGEST, AnyJson, Flag, Key, Number, Time, Whole

TEN_YEARS_S = 315_360_000
LARGEST_SEED = 2**53 - 1
"""Exact in every JSON implementation."""

MAX_GUARDRAILS = 20

NAME = validate.Length(min=1, max=200)
DESCRIPTION = validate.Length(max=10_000)
REWARD_RANGE = validate.Range(-LARGEST, LARGEST)


class ArmSchema(Schema):
    """One of the choices."""

    key = Key(required=True)
    name = fields.String(validate=NAME, metadata={"description": "Defaults to the key."})
    payload = AnyJson(
        load_default=None,
        allow_none=True,
        metadata={"description": "Any JSON; handed back with each decision."},
    )
    is_control = Flag(load_default=False)
    max_probability = Number(
        load_default=None,
        allow_none=True,
        validate=validate.Range(0, 1),
        metadata={
            "description": "Most that the policy may give this arm, before the control share; null: no cap."
        },
    )
    status = fields.Enum(ArmStatus, by_value=True, dump_only=True)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Arm:
        """An Arm."""
        return Arm(**{"name": data["key"], **data})


class ArmPatchSchema(Schema):
    """Fields of an arm that can change."""

    name = fields.String(validate=NAME)
    payload = AnyJson(allow_none=True)
    is_control = Flag()
    max_probability = Number(allow_none=True, validate=validate.Range(0, 1))
    status = fields.Enum(ArmStatus, by_value=True)


class PolicySchema(Schema):
    """Which policy decides."""

    type = fields.String(load_default="thompson_sampling", validate=validate.Length(min=1, max=63))
    params = fields.Dict(keys=fields.String(), values=AnyJson(allow_none=True), load_default=dict)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> PolicySpec:
        """A PolicySpec."""
        return PolicySpec(**data)


class RewardSpecPatchSchema(Schema):
    """Fields of the reward that can change while the experiment is a draft."""

    type = fields.Enum(RewardType, by_value=True)
    min = Number(allow_none=True, validate=REWARD_RANGE)
    max = Number(allow_none=True, validate=REWARD_RANGE)
    attribution_window_s = Whole(validate=validate.Range(1, TEN_YEARS_S))
    default_reward = Number(
        allow_none=True,
        validate=REWARD_RANGE,
        metadata={
            "description": "What a decision without a reward counts as; null: it is not learned from."
        },
    )
    aggregation = fields.Enum(Aggregation, by_value=True)


class RewardSpecSchema(RewardSpecPatchSchema):
    """What is observed."""

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> RewardSpec:
        """A RewardSpec. A continuous one has the bounds it is given, and no default outside of them."""
        if data.get("type") is RewardType.CONTINUOUS:
            data = {"min": None, "max": None, **data}
        spec = RewardSpec(**data)
        if "default_reward" not in data and spec.rejects(0.0):
            return replace(spec, default_reward=None)
        return spec


class AllocationPatchSchema(Schema):
    """Fields of the allocation that can change."""

    probability_floor = Number(
        validate=validate.Range(0, 1),
        metadata={
            "description": "Least probability of each arm. Defaults to 0.01, or 0.5 / (number of arms) if that is less."
        },
    )
    control_share = Number(validate=validate.Range(0, 1))
    stickiness = fields.Enum(Stickiness, by_value=True)
    sticky_ttl_s = Whole(allow_none=True, validate=validate.Range(1, TEN_YEARS_S))


class AllocationSchema(AllocationPatchSchema):
    """What is mixed into the policy's vector."""


class GuardrailSchema(Schema):
    """A secondary metric that no arm's mean may cross, and what happens to an arm that does."""

    metric = Key(required=True, metadata={"description": "Name of a secondary metric of rewards."})
    threshold = Number(required=True, validate=REWARD_RANGE)
    direction = fields.Enum(
        Direction,
        by_value=True,
        load_default=Direction.ABOVE,
        metadata={"description": "On which side of the threshold the mean is bad."},
    )
    action = fields.Enum(
        GuardrailAction,
        by_value=True,
        load_default=GuardrailAction.WARN,
        metadata={
            "description": "warn: an audit entry; cap: the arm gets at most max_probability; pause_arm: it gets nothing."
        },
    )
    max_probability = Number(allow_none=True, load_default=None, validate=validate.Range(0, 1))

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Guardrail:
        """A Guardrail."""
        return Guardrail(**data)


class _ChangeableSchema(Schema):
    """Fields that can be set at creation and changed later."""

    name = fields.String(validate=NAME)
    description = fields.String(validate=DESCRIPTION)
    policy = fields.Nested(PolicySchema)
    guardrails = fields.List(
        fields.Nested(GuardrailSchema),
        validate=validate.Length(max=MAX_GUARDRAILS),
        metadata={"description": "Secondary metrics that no arm's mean may cross."},
    )
    decay_half_life_s = Number(
        allow_none=True,
        validate=validate.Range(FINE_BUCKET_S, TEN_YEARS_S),
        metadata={
            "description": "Forget: after this many seconds a decision counts half. Costs regret when nothing changes."
        },
    )
    decay_half_life_decisions = Number(
        allow_none=True,
        validate=validate.Range(1, 1e9),
        metadata={
            "description": "Forget: after this many later decisions of its own arm a decision counts half."
        },
    )
    update_interval_s = Number(validate=validate.Range(0.1, 86_400))
    seed = Whole(
        allow_none=True,
        validate=validate.Range(0, LARGEST_SEED),
        metadata={
            "description": "Makes the n-th decision of the experiment use the n-th number of a fixed sequence. Costs a query a decision; meant for rehearsals."
        },
    )


class ExperimentSchema(_ChangeableSchema):
    """An experiment."""

    key = Key(required=True)
    arms = fields.List(
        fields.Nested(ArmSchema), required=True, validate=validate.Length(min=2, max=MAX_ARMS)
    )
    reward = fields.Nested(RewardSpecSchema)
    allocation = fields.Nested(AllocationSchema)
    status = fields.Enum(Status, by_value=True, dump_only=True)
    version = Whole(dump_only=True)
    created_at = Time(dump_only=True)
    updated_at = Time(dump_only=True)
    started_at = Time(dump_only=True, allow_none=True)
    stopped_at = Time(dump_only=True, allow_none=True)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Experiment:
        """An Experiment with the defaults filled in."""
        floor = {"probability_floor": default_floor(len(data["arms"]))}
        allocation = AllocationSpec(**{**floor, **data.pop("allocation", {})})
        arms, guardrails = tuple(data.pop("arms")), tuple(data.pop("guardrails", ()))
        return Experiment(
            **{"name": data["key"], **data}, arms=arms, guardrails=guardrails, allocation=allocation
        )


class ExperimentPatchSchema(_ChangeableSchema):
    """Fields to change; reward and allocation are merged field by field."""

    reward = fields.Nested(RewardSpecPatchSchema)
    allocation = fields.Nested(AllocationPatchSchema)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """The changes, with values as an Experiment has them."""
        if "guardrails" in data:
            data["guardrails"] = tuple(data["guardrails"])
        return data


class ExperimentPageSchema(Schema):
    """A page of experiments, newest first."""

    items = fields.List(fields.Nested(ExperimentSchema))
    next_cursor = fields.String(allow_none=True)


class AuditEntrySchema(Schema):
    """One change of an experiment."""

    version = Whole()
    at = Time()
    key_id = fields.String(metadata={"description": "The API key that made the change."})
    key_name = fields.String()
    action = fields.String()
    changes = fields.Dict(
        keys=fields.String(), metadata={"description": "By field: what it was (from) and is (to)."}
    )


class AuditPageSchema(Schema):
    """A page of the audit trail, newest first."""

    items = fields.List(fields.Nested(AuditEntrySchema))
    next_cursor = fields.String(allow_none=True)
