"""What a request can reach: the services of its app, and its own id."""

import re
from uuid import uuid4

from flask import Response, current_app, g, request

from backend.service.services import Services

EXTENSION = "bandstand"
REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}\Z")


def services() -> Services:
    """The use cases."""
    found: Services = current_app.extensions[EXTENSION]
    return found


def begin() -> None:
    """Give the request an id: the caller's, if it sent a valid one."""
    sent = request.headers.get("X-Request-Id", "")
    g.request_id = sent if REQUEST_ID.match(sent) else str(uuid4())


def finish(response: Response) -> Response:
    """Headers of every answer."""
    response.headers["X-Request-Id"] = g.get("request_id", "")
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers.setdefault("Cache-Control", "no-store")
    return response
