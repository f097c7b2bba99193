"""Lists come in pages: ``{"items": […], "next_cursor": …}``."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from marshmallow import Schema, fields, validate

from backend.domain import Json

T = TypeVar("T")


class _PageQuerySchema(Schema):
    limit = fields.Integer(load_default=50, validate=validate.Range(1, 200))


class PageQuerySchema(_PageQuerySchema):
    """Which page of a list that is ordered by name."""

    cursor = fields.String(
        load_default=None,
        validate=validate.Regexp(r"^[A-Za-z0-9_]{1,40}\Z", error="Not a cursor of this list."),
        metadata={
            "description": "next_cursor of the page before.",
            "pattern": "^[A-Za-z0-9_]{1,40}$",
        },
    )


class NumberedPageQuerySchema(_PageQuerySchema):
    """Which page of a list that is ordered by number."""

    cursor = fields.Integer(
        load_default=None,
        validate=validate.Range(1, 2**31 - 1),
        metadata={"description": "next_cursor of the page before."},
    )


def page(found: Sequence[T], limit: int, cursor_of: Callable[[T], Any]) -> Json:
    """A page, given one item more than it holds if there are more."""
    items = found[:limit]
    has_more = len(found) > limit
    return {"items": items, "next_cursor": str(cursor_of(items[-1])) if has_more else None}
