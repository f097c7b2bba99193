"""Who calls, and whether they may. Every route under /api says which role it needs, or that it needs none."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from flask import Flask, current_app, g, request

from backend.domain import ApiKey, Role
from backend.errors import Forbidden, Unauthenticated
from backend.http.context import services

ViewT = TypeVar("ViewT", bound=Callable[..., Any])
SCHEME = "Bearer "


def requires(role: Role) -> Callable[[ViewT], ViewT]:
    """Mark a view as needing a key with this role, or one that includes it."""

    def mark(view: ViewT) -> ViewT:
        view.required_role = role  # type: ignore[attr-defined]
        return view

    return mark


def public(view: ViewT) -> ViewT:
    """Mark a view as open to everybody."""
    view.required_role = None  # type: ignore[attr-defined]
    return view


def open_to_all(app: Flask, endpoint: str) -> None:
    """Mark a library's route as open to everybody."""
    view = app.view_functions[endpoint]

    @wraps(view)
    def opened(**arguments: Any) -> Any:
        return view(**arguments)

    app.view_functions[endpoint] = public(opened)


def actor() -> ApiKey:
    """The key of the current request."""
    key: ApiKey = g.api_key
    return key


def caller_secret() -> str:
    """The secret that the current request was sent with."""
    header: str = request.environ.get("HTTP_AUTHORIZATION", "")
    return header[len(SCHEME) :].strip() if header.startswith(SCHEME) else ""


def authorize() -> None:
    """Before each request: find its key and compare its role with the route's."""
    if request.endpoint is None or request.method == "OPTIONS":
        return
    required: Role | None = required_role(current_app, request.endpoint)
    if required is None:
        return
    secret = caller_secret()
    if not secret:
        raise Unauthenticated("send an API key: Authorization: Bearer KEY")
    g.api_key = key = services().authenticate(secret)
    if not key.role.includes(required):
        raise Forbidden(f"this needs a key with role {required}; yours is {key.role}")


def required_role(app: Flask, endpoint: str) -> Role | None:
    """The role an endpoint needs; AttributeError if nobody said."""
    view: Any = app.view_functions[endpoint]
    role: Role | None = view.required_role
    return role


def check_routes(app: Flask) -> None:
    """Refuse to start when a route has neither a role nor is marked public."""
    for endpoint, view in app.view_functions.items():
        if not hasattr(view, "required_role"):
            raise RuntimeError(f"route '{endpoint}' does not say which role it needs")
