"""Is the process up, and can it serve."""

from http import HTTPStatus

from flask import Blueprint, Response

from backend.http.auth import public
from backend.http.context import services
from backend.http.json import json_response

blueprint = Blueprint("health", __name__, url_prefix="/api")


@blueprint.get("/healthz")
@public
def healthz() -> Response:
    """The process answers; nothing else is asked."""
    return json_response({"status": "up"})


@blueprint.get("/readyz")
@public
def readyz() -> Response:
    """Whether this worker can serve; 503 and which part cannot, if not."""
    problems = services().not_ready()
    if problems:
        status = HTTPStatus.SERVICE_UNAVAILABLE
        return json_response({"status": "not ready", "parts": problems}, status)
    return json_response({"status": "ready"})
