"""Logs of any system as NDJSON: one decision a line, oldest first, into columns.

    {"arm_key": "a", "propensity": 0.25, "reward": 1, "context": {"age": 0.3}, "target_propensity": 0.4,
     "predicted_reward": 0.2, "target_predicted_reward": 0.3}

The first three must be there; ``context`` where the policy asks for features; ``target_propensity`` where no policy is
given, and with it, in all lines or in none, both predictions of a reward model of one's own. Other fields are ignored.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from backend.context_features import ContextFeatures
from backend.domain import SMALLEST_RANGE, FloatArray, Json, RewardSpec, RewardType
from backend.errors import InvalidInput

LARGEST_REWARD = 1e15
SMALLEST_PROPENSITY = 1e-100
"""So that no weighted square leaves the range of floating-point numbers."""


@dataclass(frozen=True, slots=True)
class LogFile:
    """A log in columns; arrays have shape (n,), ``features`` (n, n_features).

    Attributes:
        arm_keys: in the order of their first appearance; ``arm_ids`` are positions in it.
        target_propensities: None in a log that is read for a policy.
        predicted_rewards, target_predicted_rewards: None where the log has no predictions.
        features: None for a policy that is not contextual.
    """

    arm_keys: list[str]
    arm_ids: NDArray[np.int64]
    propensities: FloatArray
    rewards: FloatArray
    target_propensities: FloatArray | None
    predicted_rewards: FloatArray | None
    target_predicted_rewards: FloatArray | None
    features: FloatArray | None


def read_for_policy(
    lines: Iterable[bytes], reward: RewardSpec | None, features: ContextFeatures | None
) -> LogFile:
    """A log whose target propensities are to be computed.

    Raises:
        InvalidInput: a line is malformed, has a value out of range, a reward that ``reward`` rejects or a context
            that cannot be encoded, or there is none; the message names the line.
    """
    columns = _Columns(reward)
    encoded = array("d")
    for number, record in _records(lines):
        try:
            columns.add(record)
            if features is not None:
                encoded.extend(features.encode(features.only_declared(_context(record))))
        except (ValueError, InvalidInput) as why:
            raise _at(number, why) from why
    columns.check_not_empty()
    return LogFile(
        *columns.arrays(),
        None,
        None,
        None,
        None if features is None else np.array(encoded).reshape(-1, features.n_features),
    )


def read_with_target(lines: Iterable[bytes], reward: RewardSpec | None) -> LogFile:
    """A log that carries the target's propensities. Raises InvalidInput as ``read_for_policy``."""
    columns = _Columns(reward)
    target_propensities, predicted, target_predicted = array("d"), array("d"), array("d")
    for number, record in _records(lines):
        try:
            columns.add(record)
            target = _number(record, "target_propensity")
            if not 0.0 <= target <= 1.0:
                raise ValueError(f"target_propensity must be in [0, 1], got {target:g}")  # noqa: TRY301
            target_propensities.append(target)
            if "predicted_reward" in record or predicted:
                predicted.append(_reward(record, "predicted_reward"))
                target_predicted.append(_reward(record, "target_predicted_reward"))
            if len(predicted) not in (0, len(target_propensities)):
                raise ValueError("predicted_reward is here, but not in the lines before")  # noqa: TRY301
        except ValueError as why:
            raise _at(number, why) from why
    columns.check_not_empty()
    return LogFile(
        *columns.arrays(),
        np.array(target_propensities),
        np.array(predicted) if predicted else None,
        np.array(target_predicted) if predicted else None,
        None,
    )


def infer_reward(rewards: FloatArray) -> RewardSpec:
    """Binary if every reward is 0 or 1; else continuous between the least and the largest that were seen.

    Args:
        rewards: shape (n,), at least one.
    """
    if np.isin(rewards, (0.0, 1.0)).all():
        return RewardSpec()
    low, high = float(rewards.min()), float(rewards.max())
    if high - low < SMALLEST_RANGE * max(1.0, abs(low), abs(high)):
        return RewardSpec(RewardType.CONTINUOUS, None, None)
    return RewardSpec(RewardType.CONTINUOUS, low, high)


class _Columns:
    """The part that every log has, as it is read."""

    def __init__(self, reward: RewardSpec | None) -> None:
        self._reward = reward
        self._arms: dict[str, int] = {}
        self._arm_ids = array("q")
        self._propensities = array("d")
        self._rewards = array("d")

    def add(self, record: Json) -> None:
        """Raises ValueError saying what is wrong."""
        arm_key = record.get("arm_key")
        if not isinstance(arm_key, str):
            raise ValueError("arm_key must be a string")  # noqa: TRY004 -- a value to report
        propensity = _number(record, "propensity")
        if not SMALLEST_PROPENSITY <= propensity <= 1.0:
            raise ValueError(f"propensity must be in (0, 1], got {propensity:g}")
        reward = _reward(record, "reward")
        if self._reward is not None and (why := self._reward.rejects(reward)):
            raise ValueError(why)
        self._arm_ids.append(self._arms.setdefault(arm_key, len(self._arms)))
        self._propensities.append(propensity)
        self._rewards.append(reward)

    def check_not_empty(self) -> None:
        """Raises InvalidInput."""
        if not self._rewards:
            raise InvalidInput({"log": ["it is empty: one decision a line is needed"]})

    def arrays(self) -> tuple[list[str], NDArray[np.int64], FloatArray, FloatArray]:
        """arm_keys, arm_ids, propensities, rewards."""
        columns = np.array(self._propensities), np.array(self._rewards)
        return list(self._arms), np.array(self._arm_ids, dtype=np.int64), *columns


def _records(lines: Iterable[bytes]) -> Iterable[tuple[int, Json]]:
    for number, line in enumerate(lines, start=1):
        if line.isspace():
            continue
        try:
            record = orjson.loads(line)
        except orjson.JSONDecodeError as exc:
            raise _at(number, f"not valid JSON: {exc.msg} at column {exc.colno}") from exc
        if not isinstance(record, dict):
            raise _at(number, "must be a JSON object")
        yield number, record


def _number(record: Json, name: str) -> float:
    value = record.get(name)
    if type(value) is float or type(value) is int:
        return float(value)
    raise ValueError(f"{name} is missing" if value is None else f"{name} must be a number")


def _reward(record: Json, name: str) -> float:
    value = _number(record, name)
    if abs(value) > LARGEST_REWARD:
        limit = f"[{-LARGEST_REWARD:g}, {LARGEST_REWARD:g}]"
        raise ValueError(f"{name} must be in {limit}, got {value:g}")
    return value


def _context(record: Json) -> Json | None:
    context: Any = record.get("context")
    if context is not None and not isinstance(context, dict):
        raise ValueError("context must be an object")
    return context


def _at(number: int, why: object) -> InvalidInput:
    return InvalidInput({f"line {number}": [str(why)]})
