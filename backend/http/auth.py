"""Who calls, and whether they may. Every route under /api says which role it needs, or that it needs none."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from flask import Flask, g, request

from backend.domain import ApiKey, Role
from backend.errors import Forbidden, Unauthenticated
from backend.service.manage_keys import Authenticate

ViewT = TypeVar("ViewT", bound=Callable[..., Any])
SCHEME = "bearer "


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
    return _secret_in(request.environ.get("HTTP_AUTHORIZATION", ""))


def authorize_requests(app: Flask, authenticate: Authenticate) -> None:
    """Before each request: find its key and compare its role with the route's.

    Refuses to start when a route has neither a role nor is marked public.
    """
    roles = required_roles(app)

    def authorize() -> None:
        environ = request.environ
        required = roles.get(request.endpoint or "")
        if required is None or environ["REQUEST_METHOD"] == "OPTIONS":
            return
        secret = _secret_in(environ.get("HTTP_AUTHORIZATION", ""))
        if not secret:
            raise Unauthenticated("send an API key: Authorization: Bearer KEY")
        g.api_key = key = authenticate(secret)
        if not key.role.includes(required):
            raise Forbidden(f"this needs a key with role {required}; yours is {key.role}")

    app.before_request(authorize)


def required_roles(app: Flask) -> dict[str, Role | None]:
    """The role that each endpoint needs, None for a public one. RuntimeError if an endpoint does not say."""
    unsaid = [e for e, view in app.view_functions.items() if not hasattr(view, "required_role")]
    if unsaid:
        raise RuntimeError(f"these routes do not say which role they need: {', '.join(unsaid)}")
    views: dict[str, Any] = dict(app.view_functions)
    return {endpoint: view.required_role for endpoint, view in views.items()}


def _secret_in(header: str) -> str:
    return header[len(SCHEME) :].strip() if header[: len(SCHEME)].lower() == SCHEME else ""
