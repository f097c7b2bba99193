"""The page at ``/`` and the documentation at ``/api/docs``: static files, nothing from elsewhere."""

from flask import Blueprint, Response, send_from_directory
from flask_swagger_ui import get_swaggerui_blueprint

from backend.http.auth import public
from backend.http.context import services

OPENAPI_URL = "/api/v1/openapi.json"
DOCS_URL = "/api/docs"

blueprint = Blueprint("site", __name__)


@blueprint.get("/")
@public
def index() -> Response:
    """The first page."""
    return send_from_directory(services().settings.site_dir, "index.html")


def docs_blueprint() -> Blueprint:
    """Swagger UI over the generated OpenAPI document."""
    found: Blueprint = get_swaggerui_blueprint(
        DOCS_URL, OPENAPI_URL, config={"app_name": "Bandstand API", "persistAuthorization": False}
    )
    return found
