"""Every setting of the service, read once from the environment; nothing else reads it."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from backend.errors import InvalidInput

SITE_DIR = Path(__file__).parent.parent / "site"


@dataclass(frozen=True, slots=True)
class Settings:
    """Names in the environment are these in upper case behind ``BANDSTAND_``, except ``DATABASE_URL``.

    Attributes:
        database_url: libpq connection URL of the PostgreSQL that holds everything.
        admin_key: an admin API key that ``backend.migrate`` makes sure of; at least 32 characters. Never stored plain.
        pool_size: most connections to PostgreSQL per worker.
        refresh_interval_s: how often a worker looks for new statistics, experiments and keys.
        guardrail_interval_s: how often guardrails are looked at.
        store_timeout_s: longest wait for PostgreSQL in one call.
        request_timeout_s: longest wait of a request for its commit.
        rate_limit: per API key, for example ``100/second``.
        rate_limit_storage_url: where limits are counted; ``window://`` is per worker, ``valkey://…`` is shared.
        cors_origins: exact origins that may call from a browser, comma-separated; none by default.
        trusted_proxies: how many proxies in front append to X-Forwarded-For.
        site_dir: the folder of the page served at ``/``.
    """

    database_url: str
    admin_key: str | None = None
    pool_size: int = 8
    refresh_interval_s: float = 0.5
    guardrail_interval_s: float = 10.0
    store_timeout_s: float = 5.0
    request_timeout_s: float = 15.0
    rate_limit: str = "1000000/minute"
    rate_limit_storage_url: str = "window://"
    cors_origins: tuple[str, ...] = ()
    trusted_proxies: int = 0
    site_dir: Path = SITE_DIR

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read and check all settings at once.

        Raises:
            InvalidInput: naming every variable that is missing or wrong.
        """
        errors: dict[str, list[str]] = {}
        values: dict[str, object] = {}
        for name, convert in _CONVERTERS.items():
            variable = name.upper() if name == "database_url" else f"BANDSTAND_{name.upper()}"
            text = environment.get(variable)
            if not text:
                if name == "database_url":
                    errors[variable] = ["Must be set to the URL of a PostgreSQL database."]
                continue
            try:
                values[name] = convert(text)
            except ValueError as exc:
                errors[variable] = [f"Cannot be used: {exc}."]
        if errors:
            raise InvalidInput(errors)
        return cls(**values)  # type: ignore[arg-type] # each converter gives its field's type


def _positive(text: str) -> float:
    value = float(text)
    if not 0.0 < value < float("inf"):
        raise ValueError(f"must be above 0, got {text}")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError(f"must be at least 1, got {text}")
    return value


def _proxies(text: str) -> int:
    value = int(text)
    if not 0 <= value <= 10:
        raise ValueError(f"must be from 0 to 10, got {text}")
    return value


def _key(text: str) -> str:
    if len(text) < 32:
        raise ValueError("must have at least 32 characters")
    return text


_CONVERTERS: dict[str, Callable[[str], object]] = {
    "database_url": str,
    "admin_key": _key,
    "pool_size": _count,
    "refresh_interval_s": _positive,
    "guardrail_interval_s": _positive,
    "store_timeout_s": _positive,
    "request_timeout_s": _positive,
    "rate_limit": str,
    "rate_limit_storage_url": str,
    "cors_origins": lambda text: tuple(o.strip() for o in text.split(",") if o.strip()),
    "trusted_proxies": _proxies,
    "site_dir": Path,
}
