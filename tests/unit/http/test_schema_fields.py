"""Fields that take JSON at its word."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import Schema, ValidationError

from backend.http.pages import page
from backend.http.schemas.fields import (
    MAX_DEPTH,
    AnyJson,
    Each,
    Flag,
    Key,
    Number,
    Time,
    Whole,
    flatten,
)


def nested(depth):
    return [] if depth == 1 else [nested(depth - 1)]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (Number(), "1"),
        (Number(), True),
        (Number(), None),
        (Number(), float("nan")),
        (Number(), float("inf")),
        (Whole(), 1.0),
        (Whole(), "1"),
        (Whole(), False),
        (Flag(), 1),
        (Flag(), "true"),
        (Key(), "Upper"),
        (Key(), "-a"),
        (Key(), ""),
        (Key(), "a" * 64),
        (Key(), "a\n"),
        (Key(), 7),
        (Time(), 0),
        (Time(), "2026-01-31T09:30:00"),
        (Time(), "1999-12-31T23:59:59Z"),
        (Time(), "yesterday"),
        (AnyJson(), nested(MAX_DEPTH + 1)),
    ],
)
def test_refuses_what_merely_looks_right(field, value):
    """Digits in quotes, true for 1, a time without a zone, …"""
    with pytest.raises(ValidationError):
        field.deserialize(value)


@pytest.mark.parametrize(
    ("field", "value", "loaded"),
    [
        (Number(), 1, 1.0),
        (Whole(), 2**53, 2**53),
        (Flag(), False, False),
        (Key(), "a" * 63, "a" * 63),
        (Key(), "0-_", "0-_"),
        (Time(), "2026-01-31T11:30:00+02:00", datetime(2026, 1, 31, 9, 30, tzinfo=UTC)),
        (AnyJson(), nested(MAX_DEPTH), nested(MAX_DEPTH)),
    ],
)
def test_loads_what_is_right(field, value, loaded):
    """At the edges of what is allowed."""
    assert field.deserialize(value) == loaded


class Point(Schema):
    """Something in a list."""

    x = Whole(required=True)


def test_a_bad_element_stands_in_its_place():
    """The first and the last are as they should be."""
    good, unknown, wrong, other = Each(Point).deserialize([{"x": 1}, {"x": 1, "y": 2}, 7, {"x": 2}])

    assert (good, other) == ({"x": 1}, {"x": 2})
    assert isinstance(unknown, ValidationError)
    assert isinstance(wrong, ValidationError)


def test_no_list_is_an_error_of_the_field():
    """Not of its elements."""
    with pytest.raises(ValidationError):
        Each(Point).deserialize({"x": 1})


def test_nested_messages_become_paths():
    """The path leads to the field; what concerns a whole object carries that object's path."""
    messages = {"arms": {0: {"key": ["Bad."]}}, "reward": {"_schema": ["Odd."]}, "_schema": ["No."]}

    assert flatten(messages) == {"arms.0.key": ["Bad."], "reward": ["Odd."], "body": ["No."]}


@given(n_items=st.integers(0, 30), limit=st.integers(1, 10))
def test_pages_cover_a_list_once(n_items, limit):
    """Following next_cursor until it is null gives every item, in order, none twice."""
    items, seen, after = list(range(1, n_items + 1)), [], 0
    while True:
        found = page([i for i in items if i > after][: limit + 1], limit, lambda i: i)
        seen += found["items"]
        if found["next_cursor"] is None:
            break
        assert len(found["items"]) == limit
        after = int(found["next_cursor"])

    assert seen == items
