"""The Flask application: the only place where everything meets."""

from collections.abc import Callable
from typing import Any

from flask import Flask, Request
from flask.sessions import NullSession, SessionInterface
from flask_cors import CORS
from werkzeug.middleware.proxy_fix import ProxyFix

from backend import telemetry
from backend.http import (
    auth,
    context,
    decisions,
    evaluations,
    experiments,
    health,
    keys,
    limits,
    problems,
    results,
    rewards,
    simulations,
    site,
)
from backend.http.body import BoundedRequest
from backend.http.json import OrjsonProvider
from backend.http.openapi import DocumentedApi, KeyConverter
from backend.service.services import build_services
from backend.settings import Settings

API_BLUEPRINTS = [
    module.blueprint
    for module in (experiments, decisions, rewards, results, evaluations, simulations, keys)
]
BLUEPRINTS = [health.blueprint, site.blueprint, site.docs_blueprint()]


class SyncFlask(Flask):
    """Flask without a look at every function, in every request, whether it is a coroutine: none is."""

    request_class = BoundedRequest

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """As it is."""
        return func


class NoSessions(SessionInterface):
    """Requests carry keys, not cookies; nothing to open or save."""

    def open_session(self, app: Flask, request: Request) -> NullSession:
        """An empty session that refuses to be written."""
        return NO_SESSION


NO_SESSION = NullSession()


def create_app(settings: Settings) -> Flask:
    """The service, running: connected, refreshing and ready to write. Make it after the process has forked."""
    app = SyncFlask("bandstand", static_folder=None)
    app.json = OrjsonProvider(app)
    app.session_interface = NoSessions()
    app.url_map.converters["key"] = KeyConverter
    app.url_map.strict_slashes = False
    app.config.update(
        API_TITLE="Bandstand",
        API_VERSION="v1",
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX="/api/v1",
        OPENAPI_JSON_PATH="openapi.json",
    )
    telemetry.configure_logging()
    services = build_services(settings)
    app.extensions[context.EXTENSION] = services
    _add_routes(app)
    app.before_request(context.begin)
    app.after_request(context.finish)
    auth.authorize_requests(app, services.authenticate)
    limits.limit_requests(app, settings)
    problems.register_error_handlers(app)
    if settings.cors_origins:
        CORS(app, resources={"/api/*": {"origins": list(settings.cors_origins)}}, max_age=600)
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=1)  # type: ignore[method-assign]
    services.start()
    return app


def _add_routes(app: Flask) -> None:
    api = DocumentedApi(
        app,
        spec_kwargs={
            "info": {"description": "Adaptive experiments: decide, learn, report."},
            "security": [{"key": []}],
        },
    )
    api.spec.components.security_scheme("key", {"type": "http", "scheme": "bearer"})
    for blueprint in API_BLUEPRINTS:
        api.register_blueprint(blueprint)
    for plain in BLUEPRINTS:
        app.register_blueprint(plain)
    for endpoint in [e for e in app.view_functions if e.startswith(("api-docs.", "swagger_ui."))]:
        auth.open_to_all(app, endpoint)
