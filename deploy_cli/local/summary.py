"""What ``up`` says when all is up."""

from __future__ import annotations

from deploy_cli.environments import Outputs
from deploy_cli.program import command


def summary(outputs: Outputs, reader_key: str) -> str:
    """Where things are, and the commands one wants next."""
    rows = {
        "page": f"{outputs.site_url}#key={reader_key}",
        "API": outputs.api_url,
        "API docs": f"{outputs.site_url}api/docs",
        "admin key": command("outputs --env local"),
        "logs": command("logs --env local -f"),
        "status": command("status --env local"),
        "stop": command("down --env local"),
    }
    lines = (f"  {name:<10} {value}" for name, value in rows.items())
    return "\n".join(("", "Bandstand is ready.", "", *lines, ""))
