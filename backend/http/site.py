"""The page at ``/`` and the documentation at ``/api/docs``: static files, nothing from elsewhere."""

import re
from base64 import b64encode
from functools import lru_cache
from hashlib import sha256
from http import HTTPStatus

from flask import Blueprint, Response, abort, request
from flask_swagger_ui import get_swaggerui_blueprint

from backend.http.auth import public
from backend.http.context import services

OPENAPI_URL = "/api/v1/openapi.json"
DOCS_URL = "/api/docs"
NONE = " 'none'"
INLINE_BLOCK = re.compile(r"<(script|style)>(.*?)</\1>", re.DOTALL)

blueprint = Blueprint("site", __name__)


@blueprint.get("/")
@public
def index() -> Response:
    """The first page; a browser runs nothing in it but its own inline blocks."""
    try:
        html = (services().settings.site_dir / "index.html").read_text("utf-8")
    except FileNotFoundError:
        abort(HTTPStatus.NOT_FOUND, "this service was installed without a page")
    response = Response(html, mimetype="text/html")
    response.headers["Content-Security-Policy"] = _content_security_policy(html)
    response.headers["Cache-Control"] = "no-cache"  # ask each time whether it changed
    response.add_etag()
    response.make_conditional(request)
    return response


@lru_cache(maxsize=1)
def _content_security_policy(html: str) -> str:
    sources = {"script": "", "style": ""}
    for kind, block in INLINE_BLOCK.findall(html):
        sources[kind] += f" 'sha256-{b64encode(sha256(block.encode()).digest()).decode()}'"
    return (
        "default-src 'none'; connect-src 'self'; img-src 'self' data:; "
        f"script-src{sources['script'] or NONE}; style-src{sources['style'] or NONE}; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )


def docs_blueprint() -> Blueprint:
    """Swagger UI over the generated OpenAPI document."""
    found: Blueprint = get_swaggerui_blueprint(
        DOCS_URL, OPENAPI_URL, config={"app_name": "Bandstand API", "persistAuthorization": False}
    )
    return found
