"""Off-policy evaluations."""

from marshmallow import Schema, fields, validate

from backend.http.schemas.experiments import PolicySchema
from backend.http.schemas.fields import Key, Number, Time, Whole
from backend.inference.off_policy import Estimator


class EvaluationRequestSchema(Schema):
    """Which policy, and how its value is to be estimated."""

    policy = fields.Nested(PolicySchema, required=True)
    estimators = fields.List(
        fields.Enum(Estimator, by_value=True),
        load_default=list(Estimator),
        validate=validate.Length(min=1, max=20),
        metadata={"description": "All of them if not given."},
    )


class EstimateSchema(Schema):
    """Mean reward per decision; null where it cannot be estimated."""

    value = Number(allow_none=True)
    interval = fields.List(Number(allow_none=True), metadata={"description": "95%."})


class EvaluationSchema(Schema):
    """What the policy would have earned, had it learned along the same log."""

    experiment_key = Key()
    as_of = Time()
    policy = fields.Nested(PolicySchema)
    n = Whole(metadata={"description": "Decisions whose reward is known."})
    effective_sample_size = Number()
    estimates = fields.Dict(keys=fields.String(), values=fields.Nested(EstimateSchema))
    logged_policy_value = Number(
        allow_none=True, metadata={"description": "Mean reward of the same decisions."}
    )
    warnings = fields.List(fields.String())
