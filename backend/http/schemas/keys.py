"""API keys."""

from marshmallow import Schema, fields, validate

from backend.domain import Role
from backend.http.schemas.fields import Time


class KeyRequestSchema(Schema):
    """A key to be made."""

    name = fields.String(required=True, validate=validate.Length(min=1, max=200))
    role = fields.Enum(Role, by_value=True, required=True)


class KeySchema(Schema):
    """A key, without its secret."""

    key_id = fields.String()
    name = fields.String()
    role = fields.Enum(Role, by_value=True)
    created_at = Time()


class NewKeySchema(KeySchema):
    """A key that was just made."""

    key = fields.String(
        metadata={"description": "The secret; shown only now. Send it as: Authorization: Bearer …"}
    )


class KeyPageSchema(Schema):
    """A page of valid keys."""

    items = fields.List(fields.Nested(KeySchema))
    next_cursor = fields.String(allow_none=True)
