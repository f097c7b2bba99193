"""Plans: what is assumed, and what would come of it."""

from typing import Any

from marshmallow import Schema, fields, post_load, validate

from backend.domain import AllocationSpec, PolicySpec, RewardType, default_floor
from backend.http.schemas.experiments import LARGEST_SEED, PolicySchema
from backend.http.schemas.fields import LARGEST, Flag, Key, Number, Whole
from backend.policies.simulation.scenario import AssumedArm, Scenario, assumed_reward

MAX_ARMS = 50
YEAR_S = 31_536_000
ANY_REWARD = validate.Range(-LARGEST, LARGEST)


class AssumedArmSchema(Schema):
    """An arm as it is supposed to be."""

    key = Key(required=True)
    mean = Number(
        required=True,
        validate=ANY_REWARD,
        metadata={
            "description": "Of one reward: a chance in [0, 1] for binary rewards, a rate in [0, 1e6] for counts."
        },
    )
    standard_deviation = Number(
        allow_none=True,
        load_default=None,
        validate=validate.Range(0, LARGEST, min_inclusive=False),
        metadata={"description": "Of one reward; continuous rewards need it, others have none."},
    )
    is_control = Flag(load_default=False)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> AssumedArm:
        """An AssumedArm."""
        return AssumedArm(**data)


class AssumedRewardSchema(Schema):
    """What is observed: one reward for every decision, Bernoulli, Poisson or normal by its type."""

    type = fields.Enum(RewardType, by_value=True, load_default=RewardType.BINARY)
    min = Number(
        allow_none=True,
        validate=ANY_REWARD,
        metadata={
            "description": "As the experiment will declare it; simulated rewards may pass it."
        },
    )
    max = Number(allow_none=True, validate=ANY_REWARD)


class PlannedAllocationSchema(Schema):
    """What is mixed into the policy's vector, as in an experiment. The even split has neither."""

    probability_floor = Number(
        validate=validate.Range(0, 1),
        metadata={"description": "Defaults to 0.01, or 0.5 / (number of arms) if that is less."},
    )
    control_share = Number(load_default=0.0, validate=validate.Range(0, 1))


class SimulationRequestSchema(Schema):
    """An experiment that has not begun, with the means that it is to find."""

    arms = fields.List(
        fields.Nested(AssumedArmSchema), required=True, validate=validate.Length(2, MAX_ARMS)
    )
    reward = fields.Nested(AssumedRewardSchema)
    policy = fields.Nested(
        PolicySchema,
        metadata={"description": "As in an experiment; not one that decides by context."},
    )
    allocation = fields.Nested(PlannedAllocationSchema)
    decisions_per_day = Whole(
        required=True,
        validate=validate.Range(1, 10_000_000),
        metadata={"description": "Traffic, spread evenly over the day."},
    )
    max_days = Whole(
        load_default=28,
        validate=validate.Range(1, 365),
        metadata={"description": "How long the experiment runs, decided or not."},
    )
    n_runs = Whole(
        load_default=200,
        validate=validate.Range(10, 2000),
        metadata={"description": "Repetitions. How many are allowed depends on updates and arms."},
    )
    update_interval_s = Number(
        load_default=1.0,
        validate=validate.Range(0.1, 86_400),
        metadata={"description": "Least time between two updates; there are at most 112."},
    )
    reward_delay_s = Number(
        load_default=0.0,
        validate=validate.Range(0, YEAR_S),
        metadata={"description": "Mean of the exponential time until an outcome is known."},
    )
    seed = Whole(
        load_default=1,
        validate=validate.Range(0, LARGEST_SEED),
        metadata={"description": "The same seed gives the same answer."},
    )

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Scenario:
        """A Scenario. Raises InvalidInput or InvalidPolicy."""
        reward = data.pop("reward", {"type": RewardType.BINARY})
        arms = tuple(data.pop("arms"))
        floor = {"probability_floor": default_floor(len(arms))}
        return Scenario(
            arms=arms,
            reward=assumed_reward(reward["type"], reward.get("min"), reward.get("max")),
            policy=data.pop("policy", PolicySpec()),
            allocation=AllocationSpec(**{**floor, **data.pop("allocation", {})}),
            **data,
        )


class TimeSchema(Schema):
    """When it was decided. Null: in too few runs before max_days ended."""

    share_decided = Number(metadata={"description": "Of the runs, before max_days ended."})
    median_days = Number(allow_none=True)
    quantiles_days = fields.Dict(
        keys=fields.String(),
        values=Number(allow_none=True),
        metadata={"description": "By quantile: 0.1, 0.5 and 0.9 of all runs."},
    )


class TimeToDecisionSchema(TimeSchema):
    """Of the policy, and of an even split."""

    even_split = fields.Nested(TimeSchema)


class MeanSchema(Schema):
    """A mean over the runs with its 95% interval."""

    mean = Number()
    interval = fields.List(Number())


class RegretSchema(Schema):
    """Reward lost against always the best arm, in units of the reward over max_days."""

    policy = fields.Nested(MeanSchema)
    even_split = fields.Nested(MeanSchema)
    saved = fields.Nested(
        MeanSchema, metadata={"description": "even_split - policy, run by run from the same seed."}
    )
    relative_saved = Number(
        allow_none=True,
        metadata={"description": "Saved part of the even split's regret; null if that is 0."},
    )


class WrongSchema(Schema):
    """How often an arm was named whose mean is not the highest."""

    probability = Number(metadata={"description": "Share of all runs, undecided ones included."})
    interval = fields.List(Number(), metadata={"description": "95%, by Wilson."})
    share_undecided = Number()


class WrongWinnerSchema(WrongSchema):
    """Of the policy, and of an even split."""

    even_split = fields.Nested(WrongSchema)


class CurvePointSchema(Schema):
    """Means over all runs at one moment."""

    day = Number(metadata={"description": "Since the start."})
    allocation = fields.Dict(
        keys=fields.String(), values=Number(), metadata={"description": "Probability of each arm."}
    )
    regret_policy = Number(metadata={"description": "Since the start."})
    regret_even_split = Number()
    share_decided = Number()
    share_decided_even_split = Number()


class StoppingRuleSchema(Schema):
    """Decided: this quantile of the value remaining is below this share of the winner's mean."""

    quantile = Number()
    threshold = Number()


class AssumptionsSchema(SimulationRequestSchema):
    """What was asked, with the defaults, and what follows from it."""

    n_decisions = Whole()
    n_updates = Whole(metadata={"description": "Of the policy's statistics, in one run."})
    n_looks = Whole(metadata={"description": "Moments when somebody looks if it is decided."})
    stopping_rule = fields.Nested(StoppingRuleSchema)


class SimulationSchema(Schema):
    """What to expect of the experiment."""

    time_to_decision = fields.Nested(TimeToDecisionSchema)
    regret = fields.Nested(
        RegretSchema,
        metadata={"description": "If the experiment goes on to the end, decided or not."},
    )
    regret_with_stopping = fields.Nested(
        RegretSchema,
        metadata={"description": "If from its decision on everybody gets the winner."},
    )
    wrong_winner = fields.Nested(WrongWinnerSchema)
    best_arm_key = Key(metadata={"description": "The arm with the highest mean, or the first."})
    n_runs = Whole()
    seed = Whole()
    curves = fields.List(fields.Nested(CurvePointSchema))
    notes = fields.List(
        fields.String(), metadata={"description": "What to know before reading the numbers."}
    )
    assumptions = fields.Nested(AssumptionsSchema)
