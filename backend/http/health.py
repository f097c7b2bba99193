"""Is the process up, and can it serve."""

from http import HTTPStatus

from flask import Blueprint, Response

from backend.http.auth import public
from backend.http.context import services
from backend.http.json import json_bytes, json_response
from backend.http.problems import MEDIA_TYPE, problem

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
    parts = services().not_ready()
    if parts:
        status = HTTPStatus.SERVICE_UNAVAILABLE
        detail = "; ".join(f"{part}: {why}" for part, why in parts.items())
        body = {**problem(status, "not-ready", "This worker cannot serve", detail), "parts": parts}
        return Response(json_bytes(body), status, content_type=MEDIA_TYPE)
    return json_response({"status": "ready"})
