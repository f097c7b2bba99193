"""The environments that can be deployed to, resolved and validated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy_cli.errors import InvalidSetting

ENVIRONMENTS = ("local",)
CHECKOUT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class LocalTarget:
    """This machine."""

    home: Path
    """Absolute directory of all local data (``BANDSTAND_HOME``)."""
    port: int | None
    """Port asked for (``BANDSTAND_PORT``); None keeps the last one used."""
    database_url: str | None
    """A PostgreSQL to use instead of the embedded one (``DATABASE_URL``)."""
    checkout: Path = CHECKOUT
    """Directory that holds ``backend/``."""


def load_local(environ: Mapping[str, str]) -> LocalTarget:
    """Resolve the local environment from environment variables; empty ones count as unset.

    Raises:
        InvalidSetting: one of them cannot be used.
    """
    home = environ.get("BANDSTAND_HOME") or str(CHECKOUT / ".bandstand")
    return LocalTarget(
        home=Path(home).expanduser().resolve(),
        port=_port(environ.get("BANDSTAND_PORT") or None),
        database_url=_database_url(environ.get("DATABASE_URL") or None),
    )


def _port(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65535):
        raise InvalidSetting(f"BANDSTAND_PORT is {text!r}, not a port", "Use 1 to 65535.")
    return int(text)


def _database_url(text: str | None) -> str | None:
    if text is not None and not text.startswith(("postgresql://", "postgres://")):
        raise InvalidSetting(
            "DATABASE_URL is not the address of a PostgreSQL",
            "Write postgresql://USER:PASSWORD@HOST:PORT/DATABASE, or unset it.",
        )
    return text
