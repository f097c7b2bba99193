"""Reading requests: the JSON body and the query, checked by schemas before a view sees them."""

from http import HTTPStatus
from typing import Any, NoReturn

import orjson
from flask import Request, abort
from flask_smorest import Blueprint as SmorestBlueprint
from marshmallow import Schema, ValidationError
from webargs.flaskparser import FlaskParser
from werkzeug.datastructures import MultiDict

from backend.errors import InvalidInput
from backend.http.schemas.fields import flatten

MAX_BODY_BYTES = 1024 * 1024


class StrictParser(FlaskParser):
    """webargs with strict JSON: wrong type 415, malformed 400, invalid 422, each as a problem."""

    DEFAULT_UNKNOWN_BY_LOCATION = {"json": None, "query": "raise"}  # noqa: RUF012 - as in the base class

    def load_json(self, req: Request, schema: Schema) -> Any:
        """The parsed body."""
        if not req.is_json:
            abort(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                "send a JSON body with Content-Type: application/json",
            )
        return parse_json(req.get_data())

    def load_querystring(self, req: Request, schema: Schema) -> MultiDict[str, str]:
        """The query's parameters."""
        if any("\x00" in value for value in req.args.values()):
            raise InvalidInput({"query": ["Must not contain the character NUL."]})
        return super().load_querystring(req, schema)  # type: ignore[no-any-return]

    def handle_error(
        self, error: ValidationError, req: Request, schema: Schema, **_: Any
    ) -> NoReturn:
        """Field errors as our own."""
        messages = error.messages
        inner = (
            messages.get("json", messages.get("query", messages))
            if isinstance(messages, dict)
            else messages
        )
        raise InvalidInput(flatten(inner)) from error


def parse_json(body: bytes) -> Any:
    """Strict JSON: no NaN, no invalid Unicode, no NUL characters. Aborts with 400 or raises InvalidInput."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        abort(HTTPStatus.BAD_REQUEST, f"the body is not valid JSON: {exc}")
    if b"\\u0000" in body and _has_nul(value):
        raise InvalidInput({"body": ["Strings must not contain the character NUL."]})
    return value


def _has_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, dict):
        return any(_has_nul(k) or _has_nul(v) for k, v in value.items())
    return isinstance(value, list) and any(_has_nul(inner) for inner in value)


class Blueprint(SmorestBlueprint):  # type: ignore[misc] # comes without types
    """A group of routes whose arguments are read strictly."""

    ARGUMENTS_PARSER = StrictParser()
