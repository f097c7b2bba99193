"""Counts of an experiment, kept elsewhere, as a JSON document: read, and refused where they cannot be true."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

import numpy as np
import orjson

from backend.domain import MAX_ARMS, RewardSpec, RewardType
from backend.errors import InvalidInput
from backend.statistics import ArmStatistics

_LARGEST = {"decisions": 1e12, "rewards": 1e12, "reward_sum": 1e20, "reward_sum_squares": 1e30}
"""Of the sums of an arm, so that all that follows stays finite."""
_SUMS = tuple(_LARGEST)
_REWARD_FIELDS = ("type", "min", "max", "default_reward")
_LARGEST_REWARD = 1e15
_ROUNDING = 1e-9
"""Relative; what sums that were added up elsewhere may be off by."""


@dataclass(frozen=True, slots=True)
class Counts:
    """``statistics`` has one entry per arm key."""

    reward: RewardSpec
    arm_keys: tuple[str, ...]
    statistics: ArmStatistics


def read_counts(text: bytes) -> Counts:
    """From ``{"reward": {"type": …}, "arms": [{"arm_key": …, "decisions": …, "rewards": …, …}, …]}``.

    Unknown fields of arms are left alone, so that arms of ``/results`` can be pasted. For binary rewards
    ``reward_sum_squares`` may be left out.

    Raises:
        InvalidInput: it is not JSON, a field is missing or of the wrong kind, or the numbers contradict each other; the
            paths are those of the fields, ``arms[1].rewards``.
    """
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as exc:
        raise InvalidInput(
            {f"line {exc.lineno} column {exc.colno}": [f"is not JSON: {exc.msg}"]}
        ) from exc
    if not isinstance(document, dict):
        raise InvalidInput({"document": ['must be an object {"reward": …, "arms": […]}']})
    reward = _reward(document.get("reward"))
    arms = document.get("arms")
    if not isinstance(arms, list) or not 2 <= len(arms) <= MAX_ARMS:
        raise InvalidInput({"arms": [f"must be a list of 2 to {MAX_ARMS} arms"]})
    errors: dict[str, list[str]] = {}
    for i, arm in enumerate(arms):
        for name, message in _arm_errors(arm, reward):
            errors.setdefault(f"arms[{i}].{name}" if name else f"arms[{i}]", []).append(message)
    if errors:
        raise InvalidInput(errors)
    keys = tuple(arm["arm_key"] for arm in arms)
    for i, key in enumerate(keys):
        if (first := keys.index(key)) < i:
            raise InvalidInput(
                {
                    f"arms[{i}].arm_key": [
                        f"'{key}' is also that of arms[{first}]; keys must be unique"
                    ]
                }
            )
    sums = np.array([[float(_sum(arm, name, reward)) for name in _SUMS] for arm in arms])
    return Counts(reward, keys, ArmStatistics.from_matrix(sums))


def _reward(fields: Any) -> RewardSpec:
    """A continuous one has the bounds it is given; the default reward is 0 if that is a possible reward."""
    if not isinstance(fields, dict):
        raise InvalidInput({"reward": ['must be an object such as {"type": "binary"}']})
    if unknown := sorted(set(fields) - set(_REWARD_FIELDS)):
        raise InvalidInput(
            {f"reward.{unknown[0]}": [f"is not known; there are {', '.join(_REWARD_FIELDS)}"]}
        )
    kind = fields.get("type")
    if kind not in list(RewardType):
        raise InvalidInput({"reward.type": ["must be binary, count or continuous"]})
    for name in _REWARD_FIELDS[1:]:
        if fields.get(name) is not None and not _is_number(fields[name], _LARGEST_REWARD):
            raise InvalidInput(
                {f"reward.{name}": [f"must be null or a number of at most {_LARGEST_REWARD:g}"]}
            )
    spec = RewardSpec(type=RewardType(kind))
    if spec.type is RewardType.CONTINUOUS:
        spec = replace(spec, min=fields.get("min"), max=fields.get("max"))
    if spec.min is not None and spec.max is not None and not spec.min < spec.max:
        raise InvalidInput({"reward.min": ["must be below reward.max"]})
    default = fields.get("default_reward", None if spec.rejects(0.0) else 0.0)
    if default is not None and (why := spec.rejects(default)):
        raise InvalidInput({"reward.default_reward": [f"is not a possible reward: {why}"]})
    return replace(spec, default_reward=default)


def _arm_errors(arm: Any, reward: RewardSpec) -> Iterator[tuple[str, str]]:
    """Field and message of what is wrong with one arm."""
    if not isinstance(arm, dict):
        yield "", f"must be an object with arm_key, {', '.join(_SUMS)}"
        return
    if not isinstance(arm.get("arm_key"), str) or not arm["arm_key"]:
        yield "arm_key", "must be a string that is not empty"
    wrong = [
        name
        for name, largest in _LARGEST.items()
        if not _is_number(_sum(arm, name, reward), largest)
    ]
    for name in wrong:
        is_there = name in arm or _sum(arm, name, reward) is not None
        yield (
            name,
            f"{'must be' if is_there else 'is missing; give'} a number of at most {_LARGEST[name]:g}",
        )
    if not wrong:
        yield from _contradictions(reward, *(float(_sum(arm, name, reward)) for name in _SUMS))


def _contradictions(
    reward: RewardSpec, decisions: float, rewards: float, total: float, squares: float
) -> Iterator[tuple[str, str]]:
    for name, count in (("decisions", decisions), ("rewards", rewards)):
        if count < 0.0 or not count.is_integer():
            yield name, f"must be an integer >= 0, got {count:g}"
    if rewards > decisions:
        yield "rewards", f"must be at most decisions, {decisions:g}, got {rewards:g}"
    yield from _impossible_sum(reward, rewards, total)
    least = total**2 / rewards if rewards > 0.0 else 0.0
    slack = _ROUNDING * max(squares, least)
    if reward.type is RewardType.BINARY and squares != total:
        yield (
            "reward_sum_squares",
            f"must equal reward_sum, {total:g}, for binary rewards, got {squares:g}",
        )
    elif squares < least - slack:
        yield (
            "reward_sum_squares",
            f"must be at least reward_sum squared / rewards, {least:g}, got {squares:g}",
        )
    elif rewards == 0.0 and squares != 0.0:
        yield "reward_sum_squares", f"must be 0 without rewards, got {squares:g}"


def _impossible_sum(reward: RewardSpec, rewards: float, total: float) -> Iterator[tuple[str, str]]:
    if reward.type is not RewardType.CONTINUOUS and (total < 0.0 or not total.is_integer()):
        yield "reward_sum", f"must be an integer >= 0 for {reward.type} rewards, got {total:g}"
    elif reward.type is RewardType.BINARY and total > rewards:
        yield (
            "reward_sum",
            f"must be at most rewards, {rewards:g}, for binary rewards, got {total:g}",
        )
    elif rewards == 0.0 and total != 0.0:
        yield "reward_sum", f"must be 0 without rewards, got {total:g}"
    elif reward.type is RewardType.CONTINUOUS:
        slack = _ROUNDING * abs(total)
        if reward.min is not None and total < rewards * reward.min - slack:
            yield (
                "reward_sum",
                f"must be at least rewards x min, {rewards * reward.min:g}, got {total:g}",
            )
        if reward.max is not None and total > rewards * reward.max + slack:
            yield (
                "reward_sum",
                f"must be at most rewards x max, {rewards * reward.max:g}, got {total:g}",
            )


def _sum(arm: dict[str, Any], name: str, reward: RewardSpec) -> Any:
    if name == "reward_sum_squares" and name not in arm and reward.type is RewardType.BINARY:
        return arm.get("reward_sum")
    return arm.get(name)


def _is_number(value: Any, largest: float) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and isfinite(value) and abs(value) <= largest
