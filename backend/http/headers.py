"""Headers that change how a request is carried out: If-Match and Idempotency-Key."""

import hashlib
import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from flask import Response, abort, request

from backend.domain import Claim
from backend.http.auth import actor
from backend.http.body import read_body

ETAG = re.compile(r'(?:W/)?"(\d{1,9})"\Z')
IDEMPOTENCY_KEY = re.compile(r"[\x20-\x7e]{1,128}\Z")


def expected_version() -> int | None:
    """The version in If-Match; None where the caller names none. A tag that is no version matches nothing."""
    sent = request.headers.get("If-Match")
    if sent is None or sent.strip() == "*":
        return None
    match = ETAG.match(sent.strip())
    return int(match.group(1)) if match else -1


def with_version(response: Response, version: int) -> Response:
    """The answer with its version as ETag."""
    response.headers["ETag"] = f'"{version}"'
    return response


def claim(render: Callable[[Any], tuple[int, bytes]]) -> Claim | None:
    """The request's Idempotency-Key, with how its answer will look; None where it has none."""
    sent = request.environ.get("HTTP_IDEMPOTENCY_KEY")
    if sent is None:
        return None
    if not IDEMPOTENCY_KEY.match(sent):
        abort(
            HTTPStatus.BAD_REQUEST, "Idempotency-Key must have 1 to 128 printable ASCII characters"
        )
    body = hashlib.sha256(read_body())
    address = f"{request.method} {request.path}?".encode() + request.query_string
    identity = address + b" " + body.hexdigest().encode()
    return Claim(actor().key_id, sent, hashlib.sha256(identity).digest(), render)
