"""Fields that take JSON at its word: a number is a number, true is not 1, and a time has its zone."""

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from backend.domain import format_time

KEY_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,62}\Z"
KEY_PATTERN_ECMA = r"^[a-z0-9][a-z0-9_-]{0,62}$"
LARGEST = 1e15
"""Largest magnitude of a reward, so that sums of squares stay exact enough and finite."""
MAX_DEPTH = 32


class Number(fields.Float):
    """A finite JSON number; not a string of digits, not a boolean."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.make_error("invalid", input=value)
        if not math.isfinite(value):
            raise self.make_error("special")
        return float(value)


class Whole(fields.Integer):
    """A JSON integer."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.make_error("invalid", input=value)
        return value


class Flag(fields.Boolean):
    """true or false; nothing that merely looks like it."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class Key(fields.String):
    """The name of an experiment or arm in URLs and code."""

    def __init__(self, **kwargs: Any) -> None:
        message = "Must be 1 to 63 of a-z, 0-9, _ and -, beginning with a letter or digit."
        kwargs.setdefault("validate", validate.Regexp(KEY_PATTERN, error=message))
        metadata = {"pattern": KEY_PATTERN_ECMA, **kwargs.pop("metadata", {})}
        super().__init__(metadata=metadata, **kwargs)


class Time(fields.AwareDateTime):
    """RFC 3339 with a zone; written in UTC with microseconds and a Z."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(format="iso", **kwargs)

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return format_time(value)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        if not isinstance(value, str):
            raise self.make_error("invalid", input=value, obj_type=self.OBJ_TYPE)
        at = super()._deserialize(value, attr, data, **kwargs)
        if not 2000 <= at.year <= 2200:
            raise ValidationError("Must be between the years 2000 and 2200.")
        return at


class AnyJson(fields.Raw):
    """Any JSON value, not nested too deeply."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if _depth(value) > MAX_DEPTH:
            raise ValidationError(f"Must not be nested more than {MAX_DEPTH} levels deep.")
        return value


class Each(fields.List):  # type: ignore[type-arg] # its elements are whatever the schema makes
    """A list whose elements are judged one by one: a bad one becomes a ValidationError in its place.

    The errors of the list itself (no list, too short, too long) are those of the field.
    """

    def __init__(self, schema: type[Schema], **kwargs: Any) -> None:
        super().__init__(fields.Nested(schema), **kwargs)
        self._schema = schema()

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> list[Any]:
        if not isinstance(value, list):
            raise self.make_error("invalid")
        return [self._load(element) for element in value]

    def _load(self, element: Any) -> Any:
        try:
            return self._schema.load(element)
        except ValidationError as exc:
            return exc


def flatten(messages: Any, path: str = "") -> dict[str, list[str]]:
    """Marshmallow's nested messages as ``{"arms.0.key": ["…"]}``."""
    if isinstance(messages, Mapping):
        found: dict[str, list[str]] = {}
        for name, inner in messages.items():
            step = "" if name == "_schema" else str(name)
            found |= flatten(inner, ".".join(part for part in (path, step) if part))
        return found
    return {
        path or "body": [str(m) for m in (messages if isinstance(messages, list) else [messages])]
    }


def _depth(value: Any) -> int:
    level, depth = [value], 0
    while level and depth <= MAX_DEPTH:
        depth += 1
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return depth
