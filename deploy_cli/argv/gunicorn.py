"""The service's process."""

from __future__ import annotations

from pathlib import Path

from deploy_cli.runner import Command


def serve(python: str, checkout: Path, pid_file: Path) -> Command:
    """Serve the backend; address, workers and database come by environment.

    The control socket is off: its path is one for all of a user's gunicorns.
    """
    config = checkout / "backend" / "gunicorn.conf.py"
    options = ("-c", str(config), "--no-control-socket", *pid_option(pid_file))
    return (python, "-m", "gunicorn", *options, "backend.wsgi:app")


def pid_option(pid_file: Path) -> Command:
    """The part of the command line that tells one environment's service from another's."""
    return ("--pid", str(pid_file))
