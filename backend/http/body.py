"""Reading requests: the JSON body and the query, checked by schemas before a view sees them."""

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any, NoReturn, TypeVar, cast

import orjson
from flask import Request, abort, request
from flask_smorest import Blueprint as SmorestBlueprint
from gunicorn.http.errors import ParseException
from marshmallow import Schema, ValidationError
from webargs.flaskparser import FlaskParser
from werkzeug.datastructures import MultiDict

from backend.errors import InvalidInput
from backend.http.schemas.fields import flatten

MAX_BODY_BYTES = 1024 * 1024

ViewT = TypeVar("ViewT", bound=Callable[..., Any])


class BoundedRequest(Request):
    """A request that reads no more of its body than shows that there is too much.

    One byte more than allowed, because a body without a length is cut off in silence.
    """

    max_content_length = MAX_BODY_BYTES + 1


class QueryParser(FlaskParser):
    """webargs for the query: what does not fit is a 422 like any other."""

    DEFAULT_UNKNOWN_BY_LOCATION = {"query": "raise"}  # noqa: RUF012 - as in the base class

    def load_querystring(self, req: Request, schema: Schema) -> MultiDict[str, str]:
        """The query's parameters."""
        try:
            has_nul = any("\x00" in value for value in req.args.values())
        except UnicodeDecodeError as exc:
            raise InvalidInput({"query": ["Must be ASCII, percent-encoded."]}) from exc
        if has_nul:
            raise InvalidInput({"query": ["Must not contain the character NUL."]})
        return super().load_querystring(req, schema)  # type: ignore[no-any-return]

    def handle_error(
        self, error: ValidationError, req: Request, schema: Schema, **_: Any
    ) -> NoReturn:
        """Field errors as our own."""
        messages = error.messages
        inner = messages.get("query", messages) if isinstance(messages, dict) else messages
        raise InvalidInput(flatten(inner)) from error


class Blueprint(SmorestBlueprint):  # type: ignore[misc] # comes without types
    """A group of routes whose arguments are read strictly."""

    ARGUMENTS_PARSER = QueryParser()

    def body(self, schema: Schema) -> Callable[[ViewT], ViewT]:
        """Give the view the request's JSON body as ``schema`` loads it, and document it so."""

        def decorate(view: ViewT) -> ViewT:
            @wraps(view)
            def loaded(**path: Any) -> Any:
                return view(load_body(schema), **path)

            documented = self.arguments(schema)(view)
            loaded._apidoc = documented._apidoc  # type: ignore[attr-defined] # what flask-smorest documents from
            return cast(ViewT, loaded)

        return decorate


def load_body(schema: Schema) -> Any:
    """The JSON body of this request: 415 for another type, 400 malformed, 422 when it does not fit ``schema``."""
    if request.environ.get("CONTENT_TYPE") != "application/json" and not request.is_json:
        abort(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "send a JSON body with Content-Type: application/json",
        )
    try:
        return schema.load(parse_json(read_body()))
    except ValidationError as exc:
        raise InvalidInput(flatten(exc.messages)) from exc


def read_body() -> bytes:
    """The bytes of this request's body: 413 for too many, 400 for chunks that are none."""
    try:
        body = request.get_data()
    except (OSError, ParseException):
        abort(HTTPStatus.BAD_REQUEST, "the body could not be read to its end")
    if len(body) > MAX_BODY_BYTES:
        abort(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return body


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
    """Without recursion: a body may be nested more deeply than Python's stack."""
    waiting = [value]
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, str):
            if "\x00" in inner:
                return True
        elif isinstance(inner, dict):
            waiting += [*inner, *inner.values()]
        elif isinstance(inner, list):
            waiting += inner
    return False
