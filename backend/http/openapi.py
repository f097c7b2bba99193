"""What the OpenAPI document says of all operations alike: how errors look, and what a key in a path may be."""

from typing import Any

from flask_smorest import Api
from werkzeug.routing import BaseConverter

from backend.domain import Json
from backend.http.problems import MEDIA_TYPE
from backend.http.schemas.decisions import ProblemSchema
from backend.http.schemas.fields import KEY_PATTERN_ECMA

IDEMPOTENCY_KEY: Json = {
    "in": "header",
    "name": "Idempotency-Key",
    "schema": {"type": "string", "pattern": "^[ -~]{1,128}$"},
    "description": "For 24 hours the same key and request get the same answer, with Idempotent-Replayed: true.",
}
IF_MATCH: Json = {
    "in": "header",
    "name": "If-Match",
    "schema": {"type": "string"},
    "description": "The ETag of the version that is to be changed; 412 if it is no longer the current one.",
}


class KeyConverter(BaseConverter):
    """Keys in paths; what can be no key is not found without asking the database."""

    regex = "[a-z0-9][a-z0-9_-]{0,62}"


class DocumentedApi(Api):  # type: ignore[misc] # comes without types
    """flask-smorest with our errors in place of its own."""

    ERROR_SCHEMA = ProblemSchema

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.register_converter(
            KeyConverter, lambda _: {"type": "string", "pattern": KEY_PATTERN_ECMA}
        )

    def _register_responses(self) -> None:
        """Errors have a media type of their own."""
        self.DEFAULT_RESPONSE_CONTENT_TYPE = MEDIA_TYPE
        super()._register_responses()
        del self.DEFAULT_RESPONSE_CONTENT_TYPE
