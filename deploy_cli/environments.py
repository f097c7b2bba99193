"""What every environment can do; one class per kind of environment fulfils it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from deploy_cli import targets


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where an environment is and how to get in."""

    api_url: str
    site_url: str
    admin_key: str
    database_url: str


@dataclass(frozen=True, slots=True)
class Part:
    """The state of one part of an environment."""

    name: str
    is_up: bool
    detail: str
    is_needed: bool = True
    """False for a part without which the environment still counts as up."""


class Environment(Protocol):
    """The verbs of ``deploy-cli``. Those that take a while yield lines of progress."""

    @property
    def home(self) -> Path:
        """Directory on this machine for what belongs to the environment."""

    def up(self) -> Iterator[str]:
        """Bring everything up; do nothing where it runs already."""

    def down(self) -> Iterator[str]:
        """Stop everything and keep the data."""

    def status(self) -> list[Part]:
        """Look at every part."""

    def outputs(self) -> Outputs:
        """Say where things are.

        Raises:
            EnvironmentNotCreated: there was no ``up`` yet.
        """

    def log_lines(self, n_lines: int, *, is_following: bool) -> Iterator[str]:
        """The service's last ``n_lines`` log lines, then new ones as they come if following."""


def load(name: str) -> Environment:
    """The environment called ``name``, one of ``targets.ENVIRONMENTS``."""
    return {"local": _load_local}[name]()


def _load_local() -> Environment:
    from deploy_cli.local.environment import LocalEnvironment
    from deploy_cli.runner import Runner

    return LocalEnvironment(targets.load_local(os.environ), Runner())
