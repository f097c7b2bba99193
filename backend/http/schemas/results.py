"""Results and series over time."""

from marshmallow import Schema, fields, validate

from backend.domain import PRIMARY_METRIC, ArmStatus, Status
from backend.http.schemas.experiments import GuardrailSchema
from backend.http.schemas.fields import Flag, Key, Number, Time, Whole
from backend.inference.recommendation import Action


class TotalsSchema(Schema):
    """Sums over all arms."""

    decisions = Whole()
    rewards = Whole()
    reward_sum = Number()
    pending = Whole(
        metadata={"description": "Decisions in the attribution window without a reward yet."}
    )


class Interval(fields.List):  # type: ignore[type-arg]
    """Lower and upper bound; null where there is none."""

    def __init__(self, description: str) -> None:
        super().__init__(
            Number(allow_none=True),
            metadata={"description": description, "minItems": 2, "maxItems": 2},
        )


class AbsoluteLiftSchema(Schema):
    """A difference of means."""

    estimate = Number(allow_none=True)
    interval = Interval("95%, valid at every look.")


class LiftSchema(Schema):
    """How much better than the control: (mean - control's mean) / control's mean, from the unbiased means.

    Null without a control arm, or where the control's mean may be 0 or less.
    """

    arm_key = Key(allow_none=True)
    estimate = Number(allow_none=True)
    interval = Interval("95%, valid at every look.")
    absolute = fields.Nested(AbsoluteLiftSchema)


class ArmResultSchema(Schema):
    """What is known of one arm."""

    arm_key = Key()
    status = fields.Enum(ArmStatus, by_value=True)
    decisions = Whole()
    rewards = Whole()
    reward_sum = Number()
    observed = Number(
        metadata={
            "description": "Decisions whose outcome counts by now: the others may still get a reward."
        }
    )
    reward_mean = Number(
        allow_none=True, metadata={"description": "Plain mean; biased by adaptive sampling."}
    )
    credible_interval = Interval("Central 95% of the posterior of the mean.")
    probability_best = Number(
        metadata={"description": "Posterior probability of the highest mean."}
    )
    expected_loss = Number(
        allow_none=True,
        metadata={
            "description": "What keeping this arm for good loses on average; null if retired."
        },
    )
    propensity = Number(
        metadata={
            "description": "Probability of being chosen now; of a policy with context, the mean so far."
        }
    )
    unbiased_mean = Number(
        allow_none=True, metadata={"description": "Weighted by logged propensities."}
    )
    unbiased_interval = Interval(
        "95%, for a look at a time fixed in advance; null for a policy with context."
    )
    confidence_sequence = Interval("95%, valid at every look.")
    lift_over_control = fields.Nested(LiftSchema)
    draws = Whole(metadata={"description": "Fresh draws of this arm."})
    expected_draws = Number(metadata={"description": "Sum of its logged probabilities."})


class ValueRemainingSchema(Schema):
    """How much better than the best arm so far the truly best one may be: a quantile over the posterior."""

    quantile = Number()
    absolute = Number()
    relative = Number(
        allow_none=True,
        metadata={"description": "To the best arm's mean; null when that may be 0 or less."},
    )


class SampleRatioSchema(Schema):
    """Whether arms come as often as the logged probabilities say; may be watched all the time."""

    p_value = Number()
    mismatch = Flag()


class GuardrailArmSchema(Schema):
    """One arm's values of a guardrail's metric."""

    arm_key = Key()
    values = Whole()
    mean = Number(allow_none=True)
    is_breached = Flag(
        metadata={"description": "Its always-valid interval lies beyond the threshold."}
    )
    breached_at = Time(allow_none=True, metadata={"description": "When the action was taken."})


class GuardrailReportSchema(GuardrailSchema):
    """A guardrail, and how each arm stands."""

    arms = fields.List(fields.Nested(GuardrailArmSchema))


class RecommendationSchema(Schema):
    """What to do, and what that claims."""

    action = fields.Enum(Action, by_value=True)
    arm_key = Key(allow_none=True)
    reason = fields.String()


class ResultsSchema(Schema):
    """What an experiment has learned."""

    experiment_key = Key()
    as_of = Time()
    status = fields.Enum(Status, by_value=True)
    policy_version = Whole()
    totals = fields.Nested(TotalsSchema)
    arms = fields.List(fields.Nested(ArmResultSchema))
    value_remaining = fields.Nested(ValueRemainingSchema)
    lift_over_control = fields.Nested(
        LiftSchema, metadata={"description": "Of the best arm that is not the control."}
    )
    sample_ratio = fields.Nested(SampleRatioSchema)
    guardrails = fields.List(fields.Nested(GuardrailReportSchema))
    recommendation = fields.Nested(RecommendationSchema)


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
