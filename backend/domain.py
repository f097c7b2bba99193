"""The nouns of Bandstand: what an experiment, an arm, a decision and a reward are, and which values they allow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from backend.errors import ArmNotFound, InvalidInput

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
Json = dict[str, Any]

PRIMARY_METRIC = "primary"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BUCKET_S = 60
"""Width of a statistics bucket, in seconds of the decisions' time."""
FINE_BUCKET_S = 1
"""Width of those of an experiment that forgets, so that it can tell what came first; merged when they are old."""
MAX_ARMS = 1000
SMALLEST_RANGE = 1e-9
"""Least distance of a reward's min and max, relative to the larger of them (and of 1)."""
DEFAULT_FLOOR = 0.01
DEFAULT_FLOOR_MASS = 0.5
"""With so many arms that DEFAULT_FLOOR would take more than this share of the traffic, the default floor is lower."""


class Status(StrEnum):
    """An experiment's life cycle: draft -> running <-> paused -> stopped."""

    DRAFT = "draft"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"


class ArmStatus(StrEnum):
    """A paused arm can come back; a retired one cannot. Both keep their history."""

    ACTIVE = "active"
    PAUSED = "paused"
    RETIRED = "retired"


class Role(StrEnum):
    """What an API key may do; each includes the one before."""

    READER = "reader"
    WRITER = "writer"
    ADMIN = "admin"

    def includes(self, other: Role) -> bool:
        """Whether a key with this role may do what ``other`` may."""
        return RANKS[self] >= RANKS[other]


RANKS = {role: rank for rank, role in enumerate(Role)}


class Reason(StrEnum):
    """Why a decision got its arm."""

    POLICY = "policy"
    CONTROL = "control"
    STICKY = "sticky"
    PAUSED = "paused"


class Stickiness(StrEnum):
    """How long a unit keeps its arm."""

    NONE = "none"
    TTL = "ttl"
    UNTIL_REWARD = "until_reward"
    FOREVER = "forever"


class RewardType(StrEnum):
    """binary: 0 or 1; count: integers >= 0; continuous: finite numbers."""

    BINARY = "binary"
    COUNT = "count"
    CONTINUOUS = "continuous"


class Aggregation(StrEnum):
    """Which value counts when a decision gets several rewards of one metric."""

    FIRST = "first"
    LAST = "last"
    SUM = "sum"


def utc_now() -> datetime:
    """The current time, aware, in UTC."""
    return datetime.now(UTC)


class Direction(StrEnum):
    """On which side of its threshold a guardrail's metric is bad."""

    ABOVE = "above"
    BELOW = "below"


class GuardrailAction(StrEnum):
    """What happens to an arm that crosses a guardrail: noted, held to a share of the traffic, or paused."""

    WARN = "warn"
    CAP = "cap"
    PAUSE_ARM = "pause_arm"


@dataclass(frozen=True, slots=True)
class Guardrail:
    """A secondary metric whose mean must not cross ``threshold`` in an arm.

    ``max_probability`` is what the arm is held to by action ``cap``.
    """

    metric: str
    threshold: float
    direction: Direction = Direction.ABOVE
    action: GuardrailAction = GuardrailAction.WARN
    max_probability: float | None = None


@dataclass(frozen=True, slots=True)
class Arm:
    """One of the choices. ``payload`` is the caller's own JSON, handed back with each decision."""

    key: str
    name: str
    payload: Any = None
    is_control: bool = False
    status: ArmStatus = ArmStatus.ACTIVE
    max_probability: float | None = None
    """Most that the policy may give it; set by a guardrail, or by people. None: no cap."""


@dataclass(frozen=True, slots=True)
class PolicySpec:
    """Which policy decides, by its name in the registry, and its parameters."""

    type: str = "thompson_sampling"
    params: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RewardSpec:
    """What a primary reward may be, and what a decision without one counts as.

    ``default_reward`` None: decisions without a reward are not learned from at all.
    """

    type: RewardType = RewardType.BINARY
    min: float | None = 0.0
    max: float | None = 1.0
    attribution_window_s: int = 86_400
    default_reward: float | None = 0.0
    aggregation: Aggregation = Aggregation.FIRST

    def rejects(self, value: float) -> str | None:
        """Why ``value`` is no reward of this kind; None when it is one."""
        if self.type is RewardType.BINARY:
            return None if value in (0.0, 1.0) else f"a binary reward is 0 or 1, got {value:g}"
        if self.type is RewardType.COUNT:
            is_count = value >= 0 and float(value).is_integer()
            return None if is_count else f"a count reward is an integer >= 0, got {value:g}"
        if self.min is not None and value < self.min:
            return f"the reward {value:g} is below the experiment's min {self.min:g}"
        if self.max is not None and value > self.max:
            return f"the reward {value:g} is above the experiment's max {self.max:g}"
        return None


@dataclass(frozen=True, slots=True)
class AllocationSpec:
    """What is mixed into the policy's vector, and how long a unit keeps its arm."""

    probability_floor: float = DEFAULT_FLOOR
    control_share: float = 0.0
    stickiness: Stickiness = Stickiness.NONE
    sticky_ttl_s: int | None = None


@dataclass(frozen=True, slots=True)
class Experiment:
    """One experiment at one version. Its arms are known by position in the log (``arm_id``) and are never removed."""

    key: str
    arms: tuple[Arm, ...]
    name: str
    description: str = ""
    policy: PolicySpec = field(default_factory=PolicySpec)
    reward: RewardSpec = field(default_factory=RewardSpec)
    allocation: AllocationSpec = field(default_factory=AllocationSpec)
    guardrails: tuple[Guardrail, ...] = ()
    decay_half_life_s: float | None = None
    decay_half_life_decisions: float | None = None
    update_interval_s: float = 1.0
    seed: int | None = None
    status: Status = Status.DRAFT
    version: int = 1
    experiment_id: int = 0
    created_at: datetime = field(default_factory=utc_now)
    updated_at: datetime = field(default_factory=utc_now)
    started_at: datetime | None = None
    stopped_at: datetime | None = None

    @property
    def n_arms(self) -> int:
        """How many arms there are, whatever their status."""
        return len(self.arms)

    @property
    def forgets(self) -> bool:
        """Whether old decisions count less."""
        return self.decay_half_life_s is not None or self.decay_half_life_decisions is not None

    @property
    def bucket_s(self) -> int:
        """Width of its statistics buckets in seconds."""
        return FINE_BUCKET_S if self.forgets else BUCKET_S

    @property
    def control_arm_id(self) -> int | None:
        """Position of the control arm, if there is one."""
        return next((i for i, arm in enumerate(self.arms) if arm.is_control), None)

    def active_arms(self) -> BoolArray:
        """Shape (n_arms,): which arms can be chosen."""
        return np.array([arm.status is ArmStatus.ACTIVE for arm in self.arms], dtype=np.bool_)

    def caps(self) -> FloatArray | None:
        """Shape (n_arms,): most that the policy may give each arm; None when no arm has a cap."""
        if all(arm.max_probability is None for arm in self.arms):
            return None
        return np.array(
            [1.0 if a.max_probability is None else a.max_probability for a in self.arms]
        )

    def arm_id(self, arm_key: str) -> int:
        """Position of ``arm_key``. Raises ArmNotFound."""
        for arm_id, arm in enumerate(self.arms):
            if arm.key == arm_key:
                return arm_id
        raise ArmNotFound(f"experiment '{self.key}' has no arm '{arm_key}'")

    def with_arm(self, arm_id: int, arm: Arm) -> Self:
        """This experiment with one arm put in place (or appended, at ``n_arms``)."""
        return replace(self, arms=(*self.arms[:arm_id], arm, *self.arms[arm_id + 1 :]))


@dataclass(frozen=True, slots=True)
class DecisionRequest:
    """What a caller asks: an arm for this unit, of these arms if not of all."""

    experiment_key: str
    unit_id: str
    context: Json | None = None
    eligible_arms: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """The logged choice of an arm for a unit: immutable.

    ``probabilities`` has one entry per arm, in their order (0 for one that could not be chosen), and ``propensity``
    is the entry of the chosen arm. ``random_number`` in [0, 1) chose it: the first arm at which the running sum of
    ``probabilities`` exceeds it. A sticky decision carries all of these, and ``policy_version``, from
    ``sticky_decision_id``, the decision that drew the arm.
    """

    decision_id: str
    experiment: Experiment
    unit_id: str
    arm_id: int
    propensity: float
    probabilities: Mapping[str, float]
    reason: Reason
    policy_version: int
    random_number: float
    decided_at_us: int
    context: Json | None = None
    eligible_arm_ids: tuple[int, ...] | None = None
    sticky_decision_id: str | None = None
    redrawn_from: str | None = None
    importance_weight: float | None = None
    scores: Sequence[float] | None = None
    features: FloatArray | None = None

    @property
    def arm(self) -> Arm:
        """The chosen arm."""
        return self.experiment.arms[self.arm_id]

    @property
    def decided_at(self) -> datetime:
        """When it was decided, UTC."""
        return from_microseconds(self.decided_at_us)


@dataclass(frozen=True, slots=True)
class Reward:
    """One observed value for a decision. ``occurred_at`` None: the caller did not say; the time of receipt counts."""

    decision_id: str
    value: float
    metric: str = PRIMARY_METRIC
    occurred_at: datetime | None = None


class RewardStatus(StrEnum):
    """What became of a reward that was sent."""

    RECORDED = "recorded"
    DUPLICATE = "duplicate"
    LATE = "late"
    UNKNOWN_DECISION = "unknown_decision"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class RewardResult:
    """The answer to one reward, with what to know about it."""

    decision_id: str
    status: RewardStatus
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class ApiKey:
    """Who calls. The secret itself is never kept, only its hash."""

    key_id: str
    name: str
    role: Role
    created_at: datetime
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """A request under an Idempotency-Key, and how its answer will look.

    Attributes:
        key_id: the API key that sent it; each has its own Idempotency-Keys.
        idempotency_key: 1 to 128 characters.
        request_hash: of method, path and body.
        render: turns what the request gives into the status and body to keep for the next time.
    """

    key_id: str
    idempotency_key: str
    request_hash: bytes
    render: Callable[[Any], tuple[int, bytes]]


class Replay(Exception):
    """This request was answered before under its Idempotency-Key; here is that answer."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__("answered before")
        self.status = status
        self.body = body


def from_microseconds(microseconds: int) -> datetime:
    """The UTC time that many microseconds after 1970-01-01."""
    return EPOCH + timedelta(microseconds=microseconds)


def to_microseconds(at: datetime) -> int:
    """Microseconds from 1970-01-01 to ``at``, exactly."""
    since = at - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def format_time(at: datetime | None) -> str | None:
    """RFC 3339 in UTC with microseconds and a Z: ``2026-01-31T09:30:00.123456Z``."""
    if at is None:
        return None
    return at.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"


def default_floor(n_arms: int) -> float:
    """The probability floor of an experiment that names none: 0.01, or less where that would be over half the traffic."""
    return min(DEFAULT_FLOOR, DEFAULT_FLOOR_MASS / n_arms)


def check_experiment(experiment: Experiment) -> None:
    """Rules between the fields of an experiment. Raises InvalidInput naming every field that breaks one."""
    errors: dict[str, list[str]] = {}
    n_arms, allocation, reward = experiment.n_arms, experiment.allocation, experiment.reward
    keys = [arm.key for arm in experiment.arms]
    repeated = (
        sorted({key for key in keys if keys.count(key) > 1}) if len(set(keys)) < n_arms else []
    )
    if repeated:
        errors["arms"] = [f"Arm keys must be unique; repeated: {', '.join(repeated)}."]
    if sum(arm.is_control for arm in experiment.arms) > 1:
        errors.setdefault("arms", []).append("At most one arm can be the control.")
    if n_arms > MAX_ARMS:
        errors.setdefault("arms", []).append(f"At most {MAX_ARMS} arms.")
    if allocation.probability_floor * n_arms > 1.0 + 1e-12:
        errors["allocation.probability_floor"] = [
            f"Must be at most 1 / (number of arms) = {1 / n_arms:g} with {n_arms} arms."
        ]
    if allocation.control_share > 0 and experiment.control_arm_id is None:
        errors["allocation.control_share"] = ["Needs an arm with is_control true."]
    needs_ttl = allocation.stickiness is Stickiness.TTL
    if needs_ttl != (allocation.sticky_ttl_s is not None):
        errors["allocation.sticky_ttl_s"] = ["Goes with stickiness 'ttl', and only with it."]
    errors.update(_check_reward(reward))
    errors.update(_check_guardrails(experiment))
    if (
        experiment.decay_half_life_s is not None
        and experiment.decay_half_life_decisions is not None
    ):
        errors["decay_half_life_s"] = ["Give this or decay_half_life_decisions, not both."]
    if errors:
        raise InvalidInput(errors)


def _check_guardrails(experiment: Experiment) -> Mapping[str, list[str]]:
    errors: dict[str, list[str]] = {}
    metrics = [guardrail.metric for guardrail in experiment.guardrails]
    for i, guardrail in enumerate(experiment.guardrails):
        if guardrail.metric == PRIMARY_METRIC:
            errors[f"guardrails.{i}.metric"] = [
                "Must be a secondary metric; 'primary' is what the policy itself learns from."
            ]
        elif metrics.index(guardrail.metric) != i:
            errors[f"guardrails.{i}.metric"] = [f"'{guardrail.metric}' has a guardrail already."]
        is_cap = guardrail.action is GuardrailAction.CAP
        if is_cap != (guardrail.max_probability is not None):
            errors[f"guardrails.{i}.max_probability"] = [
                "Goes with action 'cap', and only with it."
            ]
    return errors


def _check_reward(reward: RewardSpec) -> Mapping[str, list[str]]:
    if reward.type is RewardType.BINARY and (
        reward.min not in (None, 0.0) or reward.max not in (None, 1.0)
    ):
        return {"reward.min": ["A binary reward is 0 or 1; leave reward.min and reward.max out."]}
    if reward.min is not None and reward.max is not None:
        least = SMALLEST_RANGE * max(1.0, abs(reward.min), abs(reward.max))
        if reward.max - reward.min < least:
            return {"reward.min": [f"Must be below reward.max, by at least {least:g}."]}
    if reward.default_reward is not None and (why := reward.rejects(reward.default_reward)):
        return {"reward.default_reward": [f"Not a possible reward: {why}."]}
    return {}
