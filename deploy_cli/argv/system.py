"""Questions to the operating system."""

from __future__ import annotations

from deploy_cli.runner import Command


def list_processes() -> Command:
    """Every process's id and whole command line, one a line."""
    return ("ps", "-A", "-ww", "-o", "pid=,command=")


def listener(port: int) -> Command:
    """Id and name of what listens on a TCP port, as lines ``p123`` and ``cname``."""
    return ("lsof", "-nP", "-w", f"-iTCP:{port}", "-sTCP:LISTEN", "-Fpc")
