"""What gunicorn serves: ``backend.wsgi:app``."""

from backend.app import create_app
from backend.errors import InvalidInput
from backend.settings import Settings

try:
    app = create_app(Settings.from_environment())
except InvalidInput as exc:
    raise SystemExit(f"bandstand cannot start: {exc}") from None
