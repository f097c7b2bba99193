"""JSON by orjson: strict on the way in, fast on the way out."""

from typing import Any

import orjson
from flask import Response
from flask.json.provider import JSONProvider

OPTIONS = orjson.OPT_SERIALIZE_NUMPY


def json_bytes(value: Any) -> bytes:
    """``value`` as UTF-8 JSON. NaN and infinities become null."""
    return orjson.dumps(value, option=OPTIONS)


def json_response(value: Any, status: int = 200) -> Response:
    """An answer with ``value`` as its body."""
    return Response(json_bytes(value), status, content_type="application/json")


class OrjsonProvider(JSONProvider):
    """Makes Flask's own JSON the same."""

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        """As text."""
        return json_bytes(obj).decode()

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """Strict: no NaN, no trailing commas, no invalid Unicode."""
        return orjson.loads(s)
