"""The page at ``/`` and the documentation at ``/api/docs``: static files, nothing from elsewhere."""

import re
from base64 import b64encode
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from flask import Blueprint, Response, send_from_directory
from flask_swagger_ui import get_swaggerui_blueprint

from backend.http.auth import public
from backend.http.context import services

OPENAPI_URL = "/api/v1/openapi.json"
DOCS_URL = "/api/docs"
NOTHING = "'none'"
INLINE_BLOCK = re.compile(r"<(script|style)>(.*?)</\1>", re.DOTALL)

blueprint = Blueprint("site", __name__)


@blueprint.get("/")
@public
def index() -> Response:
    """The first page; a browser runs nothing in it but its own inline blocks."""
    page = services().settings.site_dir.absolute() / "index.html"
    response = send_from_directory(page.parent, page.name)
    response.headers["Content-Security-Policy"] = _content_security_policy(
        page, page.stat().st_mtime_ns
    )
    return response


@lru_cache(maxsize=1)
def _content_security_policy(page: Path, modified_ns: int) -> str:
    """What ``page`` may do. ``modified_ns`` is there so that a changed page is read again."""
    hashes: dict[str, list[str]] = {"script": [], "style": []}
    for kind, text in INLINE_BLOCK.findall(page.read_text("utf-8")):
        digest = b64encode(sha256(text.encode()).digest()).decode()
        hashes[kind].append(f"'sha256-{digest}'")
    return "; ".join(
        [
            "default-src 'none'",
            "connect-src 'self'",
            "img-src 'self' data:",
            f"script-src {' '.join(hashes['script']) or NOTHING}",
            f"style-src {' '.join(hashes['style']) or NOTHING}",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        ]
    )


def docs_blueprint() -> Blueprint:
    """Swagger UI over the generated OpenAPI document."""
    found: Blueprint = get_swaggerui_blueprint(
        DOCS_URL, OPENAPI_URL, config={"app_name": "Bandstand API", "persistAuthorization": False}
    )
    return found
