"""Errors as problem details (RFC 9457): one table from error to status, one shape for all of them."""

import re
from http import HTTPStatus

import structlog
from flask import Flask, Response, g
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from backend import errors
from backend.domain import Json, Replay
from backend.errors import BanditError
from backend.http.json import json_bytes

STATUS: dict[type[BanditError], HTTPStatus] = {
    errors.InvalidInput: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.InvalidPolicy: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.ExperimentNotFound: HTTPStatus.NOT_FOUND,
    errors.ArmNotFound: HTTPStatus.NOT_FOUND,
    errors.DecisionNotFound: HTTPStatus.NOT_FOUND,
    errors.RewardNotFound: HTTPStatus.NOT_FOUND,
    errors.KeyNotFound: HTTPStatus.NOT_FOUND,
    errors.ExperimentExists: HTTPStatus.CONFLICT,
    errors.ArmExists: HTTPStatus.CONFLICT,
    errors.WrongState: HTTPStatus.CONFLICT,
    errors.ExperimentChanged: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.StaleVersion: HTTPStatus.PRECONDITION_FAILED,
    errors.IdempotencyConflict: HTTPStatus.CONFLICT,
    errors.Unauthenticated: HTTPStatus.UNAUTHORIZED,
    errors.Forbidden: HTTPStatus.FORBIDDEN,
    errors.PlannerBusy: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.PlanTooSlow: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.StoreUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.StoreTooSlow: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.StoreConflict: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.StoreCircuitOpen: HTTPStatus.SERVICE_UNAVAILABLE,
}
MEDIA_TYPE = "application/problem+json"

log = structlog.get_logger(__name__)


def problem(
    status: int, name: str, title: str, detail: str, field_errors: Json | None = None
) -> Json:
    """The body of an error answer, without its request id."""
    body: Json = {
        "type": f"urn:bandstand:problem:{name}",
        "title": title,
        "status": int(status),
        "detail": detail,
    }
    if field_errors is not None:
        body["errors"] = field_errors
    return body


def problem_of(error: BanditError) -> Json:
    """As ``problem`` for one of our own errors; its title is the first line of its class's docstring."""
    title = (type(error).__doc__ or "").strip().splitlines()[0].rstrip(".")
    field_errors = error.errors if isinstance(error, errors.InvalidInput) else None
    return problem(
        STATUS[type(error)], _kebab(type(error).__name__), title, str(error) or title, field_errors
    )


def failure() -> Json:
    """As ``problem`` for an error that is none of the caller's business."""
    return problem(
        500,
        "internal-error",
        "Internal error",
        "the service failed; the request id finds it in its log",
    )


def register_error_handlers(app: Flask) -> None:
    """Every way out of a request that is not a plain answer."""
    app.register_error_handler(BanditError, _bandit_error)
    app.register_error_handler(Replay, _replay)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unexpected)


def _bandit_error(error: BanditError) -> Response:
    response = _respond(problem_of(error))
    if response.status_code == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _replay(replay: Replay) -> Response:
    response = Response(replay.body, replay.status, mimetype="application/json")
    response.headers["Idempotent-Replayed"] = "true"
    return response


def _http_error(error: HTTPException) -> Response:
    status = HTTPStatus(error.code or 500)
    if status < HTTPStatus.BAD_REQUEST:
        return Response(status=status, headers=dict(error.get_headers()))
    detail = error.description or status.description
    response = _respond(problem(status, _kebab(status.phrase), status.phrase, detail))
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        response.headers["Allow"] = ", ".join(error.valid_methods)
    return response


def _unexpected(error: Exception) -> Response:
    log.error("unexpected error", request_id=g.get("request_id"), exc_info=error)
    return _respond(failure())


def _respond(body: Json) -> Response:
    body = {**body, "request_id": g.get("request_id")}
    return Response(json_bytes(body), body["status"], content_type=MEDIA_TYPE)


def _kebab(name: str) -> str:
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name)
    return re.sub(r"[^a-z]+", "-", spaced.lower()).strip("-")
