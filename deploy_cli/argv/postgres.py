"""PostgreSQL's programs."""

from __future__ import annotations

from pathlib import Path

from deploy_cli.runner import Command

N_CONNECTIONS = 100


def as_ordinary_user(user_id: int) -> Command:
    """Prefix under which PostgreSQL, which refuses root, runs for root; files stay root's.

    PostgreSQL looks ``user_id`` up, so it must be a user that exists.
    """
    return ("unshare", "-U", f"--map-user={user_id}", f"--map-group={user_id}")


def initialise(binaries: Path, data: Path, superuser: str, password_file: Path) -> Command:
    """Create a database cluster in ``data`` that asks everybody for a password.

    The locale is C: it is the one that every platform has.
    """
    return (
        str(binaries / "initdb"),
        f"--pgdata={data}",
        f"--username={superuser}",
        f"--pwfile={password_file}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C",
    )


def serve(binaries: Path, data: Path, port: int) -> Command:
    """Serve ``data`` on 127.0.0.1 only, without a Unix socket, with durable commits."""
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": "",
        "max_connections": N_CONNECTIONS,
        "shared_buffers": "128MB",
        "fsync": "on",
        "synchronous_commit": "on",
        "log_timezone": "UTC",
        "timezone": "UTC",
    }
    options = (word for name, value in settings.items() for word in ("-c", f"{name}={value}"))
    return (str(binaries / "postgres"), "-D", str(data), *options)
