"""What the local environment remembers between runs: one file, readable by its owner only."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from deploy_cli.errors import HomeUnusable
from deploy_cli.local import files


@dataclass(frozen=True, slots=True)
class State:
    """Written by ``up``, read by every verb."""

    admin_key: str
    """Made once; the database keeps only its hash."""
    service_port: int
    database_url: str
    is_database_ours: bool
    """False if the last ``up`` was given a DATABASE_URL."""
    reader_key: str | None = None
    """For the page's address; None until the service has made one."""


def new_key() -> str:
    """An API key: ``bs_`` and 43 url-safe characters (256 random bits)."""
    return f"bs_{secrets.token_urlsafe(32)}"


def load(path: Path) -> State | None:
    """The remembered state; None if there is none.

    Raises:
        HomeUnusable: the file is damaged.
    """
    try:
        return State(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise HomeUnusable(
            f"{path} is damaged", "Put it back from a copy, or remove it; `up` makes new keys."
        ) from error


def save(path: Path, state: State) -> None:
    """Remember ``state``."""
    files.write_private(path, json.dumps(asdict(state), indent=2) + "\n")
