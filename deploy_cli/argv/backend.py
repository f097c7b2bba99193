"""The backend's own programs."""

from __future__ import annotations

from deploy_cli.runner import Command


def migrate(python: str) -> Command:
    """Bring the database's schema up to date; address and admin key come by environment."""
    return (python, "-m", "backend.migrate")
