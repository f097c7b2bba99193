"""Context: which features of a unit a policy may use, of which type, and how they become numbers.

Declared as ``policy.params.context_features``, a list of objects:

    {"name": "age", "type": "numeric", "min": 0, "max": 100, "outside": "clip" | "error", "default": 35}
    {"name": "country", "type": "categorical", "levels": ["de", "fr"], "unknown": "error" | "ignore", "default": "de"}
    {"name": "is_member", "type": "boolean", "default": false}

``outside``, ``unknown`` and ``default`` may be left out: a number outside its range is clipped, an unknown level is an
error, and a feature without a default must be in every context. A context with a feature that is not declared is
refused, because it may be one that is misspelt.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np

from backend.domain import SMALLEST_RANGE, FloatArray, Json
from backend.errors import InvalidInput, InvalidPolicy

MAX_ENCODED_FEATURES = 100
"""Most encoded features of an experiment, the intercept included."""
MAX_NAME_LENGTH = 63
MAX_LEVEL_LENGTH = 256
MAX_SHOWN_LEVELS = 20
"""Most levels that an error message lists."""
LARGEST = 1e15
"""Largest magnitude of a numeric feature's min and max."""
INTERCEPT = "intercept"

Columns = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class NumericFeature:
    """A number, scaled from [minimum, maximum] to [-1, 1]."""

    FIELDS: ClassVar = ("min", "max", "outside", "default")

    name: str
    minimum: float
    maximum: float
    outside: str = "clip"
    default: float | None = None

    def __post_init__(self) -> None:
        for bound, value in (("min", self.minimum), ("max", self.maximum)):
            if not -LARGEST <= value <= LARGEST:
                raise _invalid(
                    self.name, f"{bound} must be in [{-LARGEST:g}, {LARGEST:g}], got {value!r:.40}"
                )
        least = SMALLEST_RANGE * max(1.0, abs(self.minimum), abs(self.maximum))
        if not self.maximum - self.minimum >= least:
            got = f"got min {self.minimum:g} and max {self.maximum:g}"
            raise _invalid(self.name, f"min must be below max, by at least {least:g}, {got}")
        if self.outside not in ("clip", "error"):
            raise _invalid(
                self.name, f"outside must be 'clip' or 'error', got {self.outside!r:.40}"
            )
        if self.default is not None and not self.minimum <= self.default <= self.maximum:
            allowed = f"[{self.minimum:g}, {self.maximum:g}]"
            raise _invalid(self.name, f"default must be in {allowed}, got {self.default!r:.40}")

    @classmethod
    def parse(cls, name: str, declared: Json) -> Self:
        """From its JSON. Raises InvalidPolicy."""
        default = declared.get("default")
        return cls(
            name,
            _number(name, declared, "min"),
            _number(name, declared, "max"),
            declared.get("outside", "clip"),
            None if default is None else _number(name, declared, "default"),
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """Its name."""
        return (self.name,)

    def encode(self, value: Any) -> Columns:
        """-1 at the minimum, 1 at the maximum."""
        if type(value) is not float and type(value) is not int:
            raise ValueError(f"Must be a number, got {_kind(value)}.")
        if not self.minimum <= value <= self.maximum:
            value = self._inside(value)
        return (2.0 * ((value - self.minimum) / (self.maximum - self.minimum)) - 1.0,)

    def _inside(self, value: float) -> float:
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError("Must be a finite number.")
        if self.outside == "error":
            raise ValueError(f"Must be in [{self.minimum:g}, {self.maximum:g}], got {value!r:.40}.")
        return self.minimum if value < self.minimum else self.maximum


@dataclass(frozen=True, slots=True)
class CategoricalFeature:
    """One of a few strings: a column a level, 1 in its own and 0 in the others."""

    FIELDS: ClassVar = ("levels", "unknown", "default")

    name: str
    levels: tuple[str, ...]
    unknown: str = "error"
    default: str | None = None
    _columns_of: dict[str, Columns] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 1 <= len(self.levels) < MAX_ENCODED_FEATURES:
            allowed = f"1 to {MAX_ENCODED_FEATURES - 1} strings"
            raise _invalid(self.name, f"levels must be {allowed}, got {len(self.levels)}")
        for level in self.levels:
            if not isinstance(level, str) or not 1 <= len(level) <= MAX_LEVEL_LENGTH:
                allowed = f"a string of 1 to {MAX_LEVEL_LENGTH} characters"
                raise _invalid(self.name, f"each level must be {allowed}, got {level!r:.40}")
        if repeated := sorted({x for x in self.levels if self.levels.count(x) > 1}):
            raise _invalid(self.name, f"levels must be unique; repeated: {', '.join(repeated)}")
        if self.unknown not in ("error", "ignore"):
            raise _invalid(
                self.name, f"unknown must be 'error' or 'ignore', got {self.unknown!r:.40}"
            )
        if self.default is not None and self.default not in self.levels:
            raise _invalid(
                self.name, f"default must be one of {self._named()}, got {self.default!r:.40}"
            )
        rows = np.eye(len(self.levels)).tolist()
        one_hot = {level: tuple(row) for level, row in zip(self.levels, rows, strict=True)}
        object.__setattr__(self, "_columns_of", one_hot)

    @classmethod
    def parse(cls, name: str, declared: Json) -> Self:
        """From its JSON. Raises InvalidPolicy."""
        levels = declared.get("levels")
        if not isinstance(levels, list):
            raise _invalid(name, f"levels must be a list of strings, got {_kind(levels)}")
        unknown = declared.get("unknown", "error")
        return cls(name, tuple(levels), unknown, declared.get("default"))

    @property
    def columns(self) -> tuple[str, ...]:
        """``name=level`` for each level."""
        return tuple(f"{self.name}={level}" for level in self.levels)

    def encode(self, value: Any) -> Columns:
        """1 in the column of the level; all 0 for an unknown one that is ignored."""
        found = self._columns_of.get(value) if isinstance(value, str) else None
        if found is not None:
            return found
        if isinstance(value, str) and self.unknown == "ignore":
            return (0.0,) * len(self.levels)
        raise ValueError(f"Must be one of {self._named()}, got {value!r:.40}.")

    def _named(self) -> str:
        shown = ", ".join(f"{level!r:.40}" for level in self.levels[:MAX_SHOWN_LEVELS])
        return shown if len(self.levels) <= MAX_SHOWN_LEVELS else f"{shown}, …"


@dataclass(frozen=True, slots=True)
class BooleanFeature:
    """true or false: 1 or 0."""

    FIELDS: ClassVar = ("default",)

    name: str
    default: bool | None = None

    def __post_init__(self) -> None:
        if self.default is not None and not isinstance(self.default, bool):
            raise _invalid(self.name, f"default must be true or false, got {_kind(self.default)}")

    @classmethod
    def parse(cls, name: str, declared: Json) -> Self:
        """From its JSON. Raises InvalidPolicy."""
        return cls(name, declared.get("default"))

    @property
    def columns(self) -> tuple[str, ...]:
        """Its name."""
        return (self.name,)

    def encode(self, value: Any) -> Columns:
        """1 for true."""
        if value is True:
            return (1.0,)
        if value is False:
            return (0.0,)
        raise ValueError(f"Must be true or false, got {_kind(value)}.")


Feature = NumericFeature | CategoricalFeature | BooleanFeature
TYPES: dict[str, type[Feature]] = {
    "numeric": NumericFeature,
    "categorical": CategoricalFeature,
    "boolean": BooleanFeature,
}


@dataclass(frozen=True, slots=True)
class ContextFeatures:
    """The declared features of an experiment, in order.

    Attributes:
        names: of the encoded features: ``intercept``, then ``age``, ``country=de``, ``country=fr``, and so on.
    """

    features: tuple[Feature, ...]
    names: tuple[str, ...] = field(init=False)
    _declared: frozenset[str] = field(init=False, repr=False, compare=False)
    _encoders: tuple[tuple[str, Callable[[Any], Columns], Columns | None], ...] = field(
        init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        keys = [feature.name for feature in self.features]
        if not keys:
            raise InvalidPolicy("context_features must declare at least one feature")
        columns = (INTERCEPT, *(name for feature in self.features for name in feature.columns))
        if len(columns) > MAX_ENCODED_FEATURES:
            raise InvalidPolicy(
                f"context_features must encode to at most {MAX_ENCODED_FEATURES} features (the intercept, one a "
                f"numeric or boolean, one a level), got {len(columns)}"
            )
        if repeated := sorted({key for key in keys if keys.count(key) > 1}):
            names = ", ".join(repeated)
            raise InvalidPolicy(f"context_features must have unique names; repeated: {names}")
        encoders = tuple((f.name, f.encode, _default_columns(f)) for f in self.features)
        object.__setattr__(self, "names", columns)
        object.__setattr__(self, "_declared", frozenset(keys))
        object.__setattr__(self, "_encoders", encoders)

    @classmethod
    def parse(cls, declared: Any) -> Self:
        """From the JSON of ``policy.params.context_features``.

        Raises:
            InvalidPolicy: it is malformed; the message says which feature, what is wrong and what is allowed.
        """
        if not isinstance(declared, list):
            raise InvalidPolicy(
                f"context_features must be a list of objects, got {_kind(declared)}"
            )
        return cls(tuple(_parse(position, one) for position, one in enumerate(declared)))

    @property
    def n_features(self) -> int:
        """How many encoded features, the intercept included."""
        return len(self.names)

    def encode(self, context: Json | None) -> FloatArray:
        """Shape (n_features,): the intercept, which is 1, then every feature's columns, in [-1, 1].

        Raises:
            InvalidInput: naming, as ``context.age``, every feature that is missing without a default, of the wrong type,
                not allowed, or not declared.
        """
        given = context or {}
        encoded = [1.0]
        errors: dict[str, list[str]] = {}
        for name, encode, default in self._encoders:
            value = given.get(name)
            if value is not None:
                try:
                    encoded += encode(value)
                except ValueError as why:
                    errors[f"context.{name}"] = [str(why)]
            elif default is not None:
                encoded += default
            else:
                errors[f"context.{name}"] = ["Missing, and no default is declared for it."]
        if not given.keys() <= self._declared:
            declared = ", ".join(name for name, _, _ in self._encoders)
            for name in sorted(given.keys() - self._declared):
                errors[f"context.{name}"] = [f"Not a declared feature; there are: {declared}."]
        if errors:
            raise InvalidInput(errors)
        return np.array(encoded)

    def only_declared(self, context: Json | None) -> Json:
        """``context`` without features that are not declared here: one that was logged under another declaration."""
        return {name: v for name, v in (context or {}).items() if name in self._declared}


def _default_columns(feature: Feature) -> Columns | None:
    return None if feature.default is None else feature.encode(feature.default)


def _parse(position: int, declared: Any) -> Feature:
    where = f"context_features[{position}]"
    if not isinstance(declared, dict):
        raise InvalidPolicy(f"{where} must be an object, got {_kind(declared)}")
    name = declared.get("name")
    if not isinstance(name, str) or not 1 <= len(name) <= MAX_NAME_LENGTH:
        allowed = f"a string of 1 to {MAX_NAME_LENGTH} characters"
        raise InvalidPolicy(f"{where}: name must be {allowed}, got {name!r:.80}")
    kind = declared.get("type")
    feature_type = TYPES.get(kind) if isinstance(kind, str) else None
    if feature_type is None:
        raise _invalid(name, f"type must be one of {', '.join(TYPES)}, got {kind!r:.40}")
    allowed_fields = ("name", "type", *feature_type.FIELDS)
    if unknown := [key for key in declared if key not in allowed_fields]:
        has = f"a {kind} feature has: {', '.join(allowed_fields)}"
        raise _invalid(name, f"no such field: {', '.join(unknown)}; {has}")
    return feature_type.parse(name, declared)


def _number(name: str, declared: Json, field_name: str) -> float:
    value = declared.get(field_name)
    if type(value) is float or type(value) is int:
        return value
    raise _invalid(name, f"{field_name} must be a number, got {_kind(value)}")


def _kind(value: Any) -> str:
    """What JSON calls a value of this type."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a string"
    return "a list" if isinstance(value, list) else "an object"


def _invalid(name: str, why: str) -> InvalidPolicy:
    return InvalidPolicy(f"context feature '{name}': {why}")
