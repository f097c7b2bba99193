"""Declared features, what is refused in them, and what a context becomes."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.context_features import ContextFeatures
from backend.errors import InvalidInput, InvalidPolicy

AGE = {"name": "age", "type": "numeric", "min": 0, "max": 100}
COUNTRY = {"name": "country", "type": "categorical", "levels": ["de", "fr"]}
MEMBER = {"name": "is_member", "type": "boolean"}


def encode(declared, context):
    return ContextFeatures.parse(declared).encode(context).tolist()


def errors_of(declared, context):
    with pytest.raises(InvalidInput) as raised:
        ContextFeatures.parse(declared).encode(context)
    return raised.value.errors


def test_encodes_each_type_in_the_order_declared():
    """Intercept; 75 is half way from the middle of 0...100 to its end; fr is the second of two levels; true is 1."""
    features = ContextFeatures.parse([AGE, COUNTRY, MEMBER])

    encoded = features.encode({"is_member": True, "country": "fr", "age": 75})

    assert encoded.tolist() == [1.0, 0.5, 0.0, 1.0, 1.0]
    assert encoded.dtype == np.float64
    assert features.names == ("intercept", "age", "country=de", "country=fr", "is_member")
    assert features.n_features == 5


@pytest.mark.parametrize(
    ("value", "expected"), [(0, -1.0), (100, 1.0), (50, 0.0), (-7, -1.0), (10**400, 1.0)]
)
def test_a_number_is_scaled_and_clipped_to_its_range(value, expected):
    """The ends of 0...100 become -1 and 1; what lies outside counts as the nearer end, however large."""
    assert encode([AGE], {"age": value}) == [1.0, expected]


@given(st.floats(-1e15, 1e15), st.floats(1e-3, 1e6), st.floats(0.0, 1.0))
def test_an_encoded_number_never_leaves_its_interval(low, width, part):
    """Whatever the range, -1 <= encoded <= 1, also after rounding."""
    width = max(width, 2e-9 * abs(low))
    high = min(low + width, 1e15)
    low = min(low, high - width)
    value = min(max(low + part * (high - low), low), high)

    (_, encoded) = encode([{**AGE, "min": low, "max": high}], {"age": value})

    assert -1.0 <= encoded <= 1.0


def test_a_number_outside_its_range_can_be_an_error():
    """``outside: error``: 101 is refused, 100 is not."""
    declared = [{**AGE, "outside": "error"}]

    assert encode(declared, {"age": 100}) == [1.0, 1.0]
    assert errors_of(declared, {"age": 101}) == {"context.age": ["Must be in [0, 100], got 101."]}


def test_an_unknown_level_is_an_error_unless_it_is_ignored():
    """``unknown: ignore`` encodes it as none of the levels."""
    assert errors_of([COUNTRY], {"country": "it"}) == {
        "context.country": ["Must be one of 'de', 'fr', got 'it'."]
    }
    assert encode([{**COUNTRY, "unknown": "ignore"}], {"country": "it"}) == [1.0, 0.0, 0.0]


def test_a_long_list_of_levels_is_shown_in_part():
    """Of 30 levels the message names the first 20."""
    levels = [f"level-{i}" for i in range(30)]

    (message,) = errors_of([{**COUNTRY, "levels": levels}], {"country": "it"})["context.country"]

    assert "'level-19', …" in message
    assert "level-20" not in message


@pytest.mark.parametrize("context", [None, {}, {"age": None, "country": None, "is_member": None}])
def test_a_missing_feature_takes_its_default(context):
    """35 of 0...100 is -0.3; de is the first level; false, which is a default like any other, is 0."""
    declared = [
        {**AGE, "default": 35},
        {**COUNTRY, "default": "de"},
        {**MEMBER, "default": False},
    ]

    assert encode(declared, context) == pytest.approx([1.0, -0.3, 1.0, 0.0, 0.0])


@pytest.mark.parametrize("context", [None, {}, {"age": None}])
def test_a_missing_feature_without_default_is_an_error(context):
    """Absent and null alike."""
    assert errors_of([AGE], context) == {
        "context.age": ["Missing, and no default is declared for it."]
    }


def test_an_undeclared_feature_is_an_error():
    """A misspelt key is an error, not silence, even where the right one has a default."""
    declared = [{**AGE, "default": 35}, MEMBER]

    assert errors_of(declared, {"aeg": 20, "is_member": True}) == {
        "context.aeg": ["Not a declared feature; there are: age, is_member."]
    }


def test_a_context_logged_under_another_declaration_can_be_cut_to_this_one():
    """What is not declared goes, what is stays; no context at all is an empty one."""
    features = ContextFeatures.parse([AGE, MEMBER])

    assert features.only_declared({"age": 3, "page": "home"}) == {"age": 3}
    assert features.only_declared(None) == {}


def test_every_error_of_a_context_is_named_at_once():
    """One wrong type, one missing, one unknown level, one undeclared."""
    declared = [AGE, COUNTRY, MEMBER]

    assert set(errors_of(declared, {"age": "old", "country": "it", "page": 1})) == {
        "context.age",
        "context.country",
        "context.is_member",
        "context.page",
    }


@pytest.mark.parametrize(
    ("declared", "value", "message"),
    [
        (AGE, "35", "Must be a number, got a string."),
        (AGE, True, "Must be a number, got a boolean."),
        (AGE, math.nan, "Must be a finite number."),
        (AGE, -math.inf, "Must be a finite number."),
        (AGE, [1], "Must be a number, got a list."),
        (AGE, {}, "Must be a number, got an object."),
        (COUNTRY, 3, "Must be one of 'de', 'fr', got 3."),
        ({**COUNTRY, "unknown": "ignore"}, 3, "Must be one of 'de', 'fr', got 3."),
        (COUNTRY, ["de"], "Must be one of 'de', 'fr', got ['de']."),
        (MEMBER, 1, "Must be true or false, got a number."),
        (MEMBER, "true", "Must be true or false, got a string."),
    ],
)
def test_a_value_of_the_wrong_type_is_an_error(declared, value, message):
    """JSON's types are taken at their word: true is not 1, and "35" is not 35."""
    assert errors_of([declared], {declared["name"]: value}) == {
        f"context.{declared['name']}": [message]
    }


LEVELS = [f"l{i}" for i in range(100)]


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        (None, "context_features must be a list of objects, got nothing"),
        ({"age": "numeric"}, "context_features must be a list of objects, got an object"),
        ([], "context_features must declare at least one feature"),
        ([AGE, "x"], r"context_features\[1\] must be an object, got a string"),
        (
            [{"type": "numeric"}],
            r"context_features\[0\]: name must be a string of 1 to 63 char.*None",
        ),
        ([{**AGE, "name": ""}], "name must be a string of 1 to 63 characters, got ''"),
        ([{**AGE, "name": "x" * 64}], "name must be a string of 1 to 63 characters, got 'xxx"),
        ([{**AGE, "name": 7}], "name must be a string of 1 to 63 characters, got 7"),
        ([AGE, MEMBER, AGE], "must have unique names; repeated: age"),
        ([{**AGE, "type": "number"}], "'age': type must be one of numeric, cat.*, got 'number'"),
        (
            [{**AGE, "type": ["numeric"]}],
            "'age': type must be one of numeric, categorical, boolean",
        ),
        ([{"name": "age"}], "'age': type must be one of numeric, categorical, boolean, got None"),
        (
            [{**AGE, "mx": 3}],
            "'age': no such field: mx; a numeric feature has: name, type, min, max",
        ),
        (
            [{**MEMBER, "levels": []}],
            "no such field: levels; a boolean feature has: name, type, def",
        ),
        (
            [{"name": "age", "type": "numeric", "max": 1}],
            "'age': min must be a number, got nothing",
        ),
        ([{**AGE, "max": True}], "'age': max must be a number, got a boolean"),
        ([{**AGE, "min": math.nan}], r"'age': min must be in \[-1e\+15, 1e\+15\], got nan"),
        ([{**AGE, "max": math.inf}], r"'age': max must be in \[-1e\+15, 1e\+15\], got inf"),
        ([{**AGE, "max": 10**400}], r"'age': max must be in \[-1e\+15, 1e\+15\], got 1000"),
        ([{**AGE, "min": 100}], "'age': min must be below max, by at least 1e-07, got min 100 and"),
        ([{**AGE, "min": 101}], "'age': min must be below max"),
        ([{**AGE, "outside": "wrap"}], "'age': outside must be 'clip' or 'error', got 'wrap'"),
        ([{**AGE, "default": "35"}], "'age': default must be a number, got a string"),
        ([{**AGE, "default": 101}], r"'age': default must be in \[0, 100\], got 101"),
        ([{**AGE, "default": math.nan}], r"'age': default must be in \[0, 100\], got nan"),
        ([{"name": "c", "type": "categorical"}], "'c': levels must be a list of strings, got noth"),
        ([{**COUNTRY, "levels": "de"}], "levels must be a list of strings, got a string"),
        ([{**COUNTRY, "levels": []}], "'country': levels must be 1 to 99 strings, got 0"),
        ([{**COUNTRY, "levels": LEVELS}], "'country': levels must be 1 to 99 strings, got 100"),
        ([{**COUNTRY, "levels": ["de", 1]}], "each level must be a string of 1 to 256 .*, got 1"),
        ([{**COUNTRY, "levels": ["de", ""]}], "each level must be a string of 1 to 256 .*, got ''"),
        (
            [{**COUNTRY, "levels": ["x" * 257]}],
            "each level must be a string of 1 to 256 characters",
        ),
        ([{**COUNTRY, "levels": ["de", "de"]}], "'country': levels must be unique; repeated: de"),
        ([{**COUNTRY, "unknown": []}], r"unknown must be 'error' or 'ignore', got \[\]"),
        ([{**COUNTRY, "default": "it"}], "default must be one of 'de', 'fr', got 'it'"),
        ([{**COUNTRY, "default": ["de"]}], r"default must be one of 'de', 'fr', got \['de'\]"),
        ([{**MEMBER, "default": 0}], "'is_member': default must be true or false, got a number"),
    ],
)
def test_a_malformed_declaration_is_refused(declared, message):
    """The message names the feature, what is wrong and what is allowed."""
    with pytest.raises(InvalidPolicy, match=message):
        ContextFeatures.parse(declared)


def test_the_number_of_encoded_features_is_limited():
    """Intercept, 98 levels and a boolean are 100; with one more boolean 101, which is refused."""
    categorical = {**COUNTRY, "levels": LEVELS[:98]}

    assert ContextFeatures.parse([categorical, MEMBER]).n_features == 100
    with pytest.raises(InvalidPolicy, match=r"at most 100 features .*, got 101"):
        ContextFeatures.parse([categorical, MEMBER, {**MEMBER, "name": "b"}])
