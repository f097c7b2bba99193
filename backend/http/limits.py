"""How often one caller may call."""

import time
from http import HTTPStatus

from flask import Flask, Response, g, request
from flask_limiter import HeaderNames, Limiter

from backend.settings import Settings

RETRY_AFTER_S = 1
"""When the service is not available, in seconds."""


def limit_requests(app: Flask, settings: Settings) -> None:
    """Count requests by API key, or by address where there is none; over the limit is a 429 with Retry-After."""
    app.after_request(_tidy_headers)
    Limiter(
        key_func=_caller,
        app=app,
        default_limits=[settings.rate_limit],
        strategy="fixed-window",
        storage_uri=settings.rate_limit_storage_url,
        in_memory_fallback_enabled=not settings.rate_limit_storage_url.startswith("memory:"),
        headers_enabled=True,
        retry_after="delta-seconds",
        header_name_mapping={
            HeaderNames.LIMIT: "RateLimit-Limit",
            HeaderNames.REMAINING: "RateLimit-Remaining",
            HeaderNames.RESET: "RateLimit-Reset",
        },
    )


def _tidy_headers(response: Response) -> Response:
    """RateLimit-Reset in seconds from now, and Retry-After only where the caller should wait."""
    if reset := response.headers.get("RateLimit-Reset"):
        response.headers["RateLimit-Reset"] = str(max(0, int(reset) - int(time.time())))
    if response.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    elif response.status_code != HTTPStatus.TOO_MANY_REQUESTS:
        response.headers.pop("Retry-After", None)
    return response


def _caller() -> str:
    key = g.get("api_key")
    return key.key_id if key is not None else f"address {request.remote_addr}"
