"""Decisions."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load, validate

from backend.domain import MAX_ARMS, DecisionRequest, Reason
from backend.http.schemas.fields import AnyJson, Each, Flag, Key, Number, Time, Whole

MAX_BATCH = 1000
MAX_FEATURES = 200
MAX_FEATURE_LENGTH = 256


class Context(fields.Dict):
    """Features of the unit, known before the choice: numbers, strings, booleans; null is as good as missing."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(keys=fields.String(), values=AnyJson(), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not isinstance(value, dict):
            raise self.make_error("invalid")
        if len(value) > MAX_FEATURES:
            raise ValidationError(f"At most {MAX_FEATURES} features.")
        errors = {
            name: ["Must be a number, a string, a boolean or null."]
            for name, v in value.items()
            if not _is_feature(v)
        }
        if errors:
            raise ValidationError(errors)
        return value


def _is_feature(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= MAX_FEATURE_LENGTH
    return value is None or isinstance(value, bool | int | float)


class DecisionRequestSchema(Schema):
    """Whom to decide for."""

    unit_id = fields.String(
        required=True,
        validate=validate.Length(min=1, max=256),
        metadata={"description": "The visitor, account or request the choice is for."},
    )
    context = Context(allow_none=True)
    eligible_arms = fields.List(
        fields.String(),
        allow_none=True,
        validate=validate.Length(min=1, max=MAX_ARMS),
        metadata={"description": "Only these arms may be chosen."},
    )


class BatchElementSchema(DecisionRequestSchema):
    """Whom to decide for, and in which experiment."""

    experiment_key = Key(required=True)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> DecisionRequest:
        """A DecisionRequest."""
        return DecisionRequest(**data)


class BatchRequestSchema(Schema):
    """Many at once; a bad one does not spoil the others."""

    decisions = Each(BatchElementSchema, required=True, validate=validate.Length(1, MAX_BATCH))


class DecisionSchema(Schema):
    """A logged decision. The arm was drawn from ``probabilities``, and nothing else decided."""

    decision_id = fields.UUID()
    experiment_key = Key()
    unit_id = fields.String()
    arm_key = Key()
    payload = AnyJson(allow_none=True)
    propensity = Number(metadata={"description": "Entry of the arm in probabilities, in (0, 1]."})
    probabilities = fields.Dict(keys=fields.String(), values=Number())
    reason = fields.Enum(Reason, by_value=True)
    policy_version = Whole()
    redrawn_from = fields.UUID(
        allow_none=True,
        metadata={
            "description": "The decision that had drawn the unit's arm before, if that arm is no longer active."
        },
    )
    decided_at = Time()


class ProblemSchema(Schema):
    """An error, RFC 9457."""

    type = fields.String()
    title = fields.String()
    status = Whole()
    detail = fields.String()
    request_id = fields.String()
    errors = fields.Dict(keys=fields.String(), values=fields.List(fields.String()))


class BatchResultSchema(Schema):
    """What became of one element."""

    status = Whole()
    decision = fields.Nested(DecisionSchema)
    problem = fields.Nested(ProblemSchema)


class BatchResponseSchema(Schema):
    """One result an element, in order."""

    results = fields.List(fields.Nested(BatchResultSchema))


class LoggedRewardSchema(Schema):
    """A reward as it was taken."""

    metric = fields.String()
    reward = Number()
    occurred_at = Time(allow_none=True)
    received_at = Time()
    is_late = Flag()
    retracted_at = Time(allow_none=True)


class LoggedDecisionSchema(DecisionSchema):
    """A decision with what was asked, and its rewards."""

    context = Context(allow_none=True)
    eligible_arms = fields.List(fields.String(), allow_none=True)
    sticky_decision_id = fields.UUID(allow_none=True)
    rewards = fields.List(fields.Nested(LoggedRewardSchema))


class ObservedSchema(Schema):
    """What the policy learned from: after forgetting, and corrected for rewards still on their way."""

    pulls = Number(metadata={"description": "Decisions whose outcome counts."})
    reward_sum = Number()
    reward_sum_squares = Number()
    pending = Number(metadata={"description": "Decisions whose outcome was not known yet."})
    weight_sum = Number(metadata={"description": "Sum of their importance weights."})
    weighted_reward_sum = Number()


class ScoreSchema(Schema):
    """What a contextual policy predicted for the context."""

    mean = Number()
    standard_deviation = Number(metadata={"description": "Of the mean, not of a reward."})


class ArmStatisticsSchema(Schema):
    """What was known of an arm when it was decided."""

    arm_key = Key()
    status = fields.String()
    is_eligible = Flag()
    decisions = Whole()
    rewards = Whole()
    reward_sum = Number()
    reward_sum_squares = Number()
    observed = fields.Nested(ObservedSchema)
    score = fields.Nested(ScoreSchema, allow_none=True)
    policy_probability = Number()
    probability = Number()


class ExplanationSchema(Schema):
    """Everything that made a choice, enough to compute it again.

    The policy turns ``observed`` (of a contextual policy: ``score``) and ``prior`` into ``policy_probability``; floor, caps
    and control share make that ``probability``; the arm is the first at which the running sum of ``probability`` exceeds ``random_number``.
    """

    decision_id = fields.UUID()
    experiment_key = Key()
    experiment_version = Whole()
    policy_version = Whole()
    policy = fields.Dict(keys=fields.String())
    prior = fields.Dict(keys=fields.String())
    reward = fields.Dict(keys=fields.String())
    allocation = fields.Dict(keys=fields.String())
    status = fields.String(metadata={"description": "Of the experiment when it was decided."})
    seed = Whole(allow_none=True)
    context = Context(allow_none=True)
    eligible_arms = fields.List(fields.String(), allow_none=True)
    n_decisions = Number(metadata={"description": "Of the whole experiment so far."})
    batch_size = Number(metadata={"description": "Decisions between two policy versions."})
    statistics = fields.List(fields.Nested(ArmStatisticsSchema))
    probabilities = fields.Dict(keys=fields.String(), values=Number())
    random_number = Number()
    arm_key = Key()
    propensity = Number()
    reason = fields.Enum(Reason, by_value=True)
    sticky_decision_id = fields.UUID(allow_none=True)
    redrawn_from = fields.UUID(allow_none=True)
    is_reproduced = Flag(
        metadata={"description": "Computing it again gives the logged arm and propensity."}
    )
