"""Results and series over time."""

from marshmallow import Schema, fields, validate

from backend.domain import PRIMARY_METRIC
from backend.http.schemas.fields import Key, Number, Time, Whole


class TotalsSchema(Schema):
    """Sums over all arms."""

    decisions = Whole()
    rewards = Whole()
    reward_sum = Number()
    pending = Whole(
        metadata={"description": "Decisions in the attribution window without a reward yet."}
    )


class ArmResultSchema(Schema):
    """What is known of one arm."""

    arm_key = Key()
    decisions = Whole()
    rewards = Whole()
    reward_sum = Number()
    reward_mean = Number(allow_none=True)
    credible_interval = fields.List(
        Number(), metadata={"description": "Central 95% of the posterior of the mean."}
    )
    probability_best = Number(
        metadata={"description": "Posterior probability of the highest mean."}
    )
    expected_loss = Number(allow_none=True)
    propensity = Number(metadata={"description": "Probability of being chosen now."})
    unbiased_mean = Number(allow_none=True)
    confidence_sequence = fields.List(Number(allow_none=True))


class ResultsSchema(Schema):
    """What an experiment has learned. Null: this version does not report it yet."""

    experiment_key = Key()
    as_of = Time()
    policy_version = Whole()
    totals = fields.Nested(TotalsSchema)
    arms = fields.List(fields.Nested(ArmResultSchema))
    value_remaining = fields.Dict(keys=fields.String(), allow_none=True)
    lift_over_control = fields.Dict(keys=fields.String(), allow_none=True)
    sample_ratio = fields.Dict(keys=fields.String(), allow_none=True)
    recommendation = fields.Dict(keys=fields.String(), allow_none=True)


class SeriesQuerySchema(Schema):
    """How to cut time."""

    bucket = fields.String(load_default="hour", validate=validate.OneOf(["minute", "hour", "day"]))
    metric = Key(load_default=PRIMARY_METRIC)
    since = Time(
        load_default=None,
        metadata={"description": "Only buckets that begin at or after this time."},
    )


class SeriesPointSchema(Schema):
    """One arm in one bucket of the decisions' time."""

    bucket_start = Time()
    arm_key = Key()
    decisions = Whole()
    rewards = Whole()
    reward_sum = Number()
    mean_propensity = Number(allow_none=True)


class SeriesSchema(Schema):
    """All buckets that have data, oldest first."""

    experiment_key = Key()
    bucket = fields.String()
    metric = fields.String()
    items = fields.List(fields.Nested(SeriesPointSchema))
    next_cursor = fields.String(allow_none=True)


class PropensitiesSchema(Schema):
    """What a client needs to decide by itself for a short time."""

    experiment_key = Key()
    experiment_version = Whole()
    policy_version = Whole()
    status = fields.String()
    probabilities = fields.Dict(keys=fields.String(), values=Number())
    payloads = fields.Dict(keys=fields.String())
    control_share = Number()
    control_arm_key = Key(allow_none=True)
    max_age_s = Whole()
