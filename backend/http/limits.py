"""How often one caller may call.

Uses limits, the engine of flask-limiter, without that wrapper: resolving its rules anew in every request cost a fifth
of a decision (docs/adr/0006).
"""

import time
from http import HTTPStatus

import limits
from flask import Flask, Response, g, request
from limits import RateLimitItem
from limits.errors import ConfigurationError
from limits.storage import storage_from_string
from limits.strategies import FixedWindowRateLimiter
from werkzeug.exceptions import TooManyRequests

from backend.errors import InvalidInput
from backend.http import window_storage  # noqa: F401 - registers the scheme window://
from backend.settings import Settings

RETRY_AFTER_S = 1
"""When the service is not available, in seconds."""


def limit_requests(app: Flask, settings: Settings) -> None:
    """Count requests by API key, or by address where there is none; one too many is a 429 with Retry-After."""
    limiter, limit = _limiter(settings), _limit(settings)

    def count_request() -> None:
        caller = _caller()
        if not limiter.hit(limit, caller):
            g.limit_reset_at = limiter.get_window_stats(limit, caller).reset_time
            raise TooManyRequests(f"this limit was hit: {limit}")

    def add_headers(response: Response) -> Response:
        if response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            reset_s = max(1, int(g.limit_reset_at - time.time()) + 1)
            response.headers["Retry-After"] = str(reset_s)
            response.headers["RateLimit-Limit"] = str(limit.amount)
            response.headers["RateLimit-Remaining"] = "0"
            response.headers["RateLimit-Reset"] = str(reset_s)
        elif response.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
            response.headers["Retry-After"] = str(RETRY_AFTER_S)
        return response

    app.before_request(count_request)
    app.after_request(add_headers)


def _limiter(settings: Settings) -> FixedWindowRateLimiter:
    try:
        return FixedWindowRateLimiter(storage_from_string(settings.rate_limit_storage_url))
    except ConfigurationError as exc:
        raise InvalidInput(
            {"BANDSTAND_RATE_LIMIT_STORAGE_URL": [f"Cannot be used: {exc}"]}
        ) from exc


def _limit(settings: Settings) -> RateLimitItem:
    try:
        return limits.parse(settings.rate_limit)
    except ValueError as exc:
        raise InvalidInput(
            {"BANDSTAND_RATE_LIMIT": [f"Cannot be used: {exc}; write 100/second"]}
        ) from exc


def _caller() -> str:
    key = g.get("api_key")
    return key.key_id if key is not None else f"address {request.remote_addr}"
