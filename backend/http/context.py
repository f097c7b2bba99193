"""What a request can reach: the services of its app, and its own id."""

import re

from flask import Response, current_app, g, request
from uuid_utils import uuid4

from backend.service.services import Services

EXTENSION = "bandstand"
REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}\Z")


def services() -> Services:
    """The use cases."""
    found: Services = current_app.extensions[EXTENSION]
    return found


def begin() -> None:
    """Give the request an id: the caller's, if it sent a valid one."""
    sent = request.environ.get("HTTP_X_REQUEST_ID", "")
    g.request_id = sent if sent and REQUEST_ID.match(sent) else str(uuid4())


def finish(response: Response) -> Response:
    """Headers of every answer."""
    headers = response.headers
    headers.add("X-Request-Id", g.get("request_id", ""))
    headers.add("X-Content-Type-Options", "nosniff")
    if "Cache-Control" not in headers:
        headers.add("Cache-Control", "no-store")
    return response
