"""TCP ports on 127.0.0.1."""

from __future__ import annotations

import shutil
import socket
import time

from deploy_cli.argv import system
from deploy_cli.errors import CommandFailed, PortTaken
from deploy_cli.runner import Runner

HOST = "127.0.0.1"
POLL_S = 0.1


def is_free(port: int) -> bool:
    """Whether we could listen on ``port``; ports of ended connections count as free.

    Raises:
        PortTaken: the system does not let us use this port at all.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except PermissionError as error:
            raise PortTaken(f"port {port} is not open to ordinary users", _hint(port)) from error
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def require_free(port: int, runner: Runner, wait_s: float = 0.0) -> None:
    """Complain if another program uses the service's port, and does not leave it within ``wait_s`` seconds.

    Raises:
        PortTaken: it does; names the program if that is cheaply known.
    """
    deadline = time.monotonic() + wait_s
    while not is_free(port):
        if time.monotonic() < deadline:
            time.sleep(POLL_S)
            continue
        raise PortTaken(f"port {port} is taken{_by_whom(port, runner)}", _hint(port))


def _hint(port: int) -> str:
    other = port + 1 if 1024 <= port < 65535 else 8080
    return f"Stop what uses it, or choose another port, for example BANDSTAND_PORT={other}."


def _by_whom(port: int, runner: Runner) -> str:
    if shutil.which("lsof") is None:
        return ""
    try:
        fields = runner.run(system.listener(port)).splitlines()
    except CommandFailed:  # nothing found, or not ours to see
        return ""
    pid = next((field[1:] for field in fields if field.startswith("p")), "?")
    name = next((field[1:] for field in fields if field.startswith("c")), "?")
    return f" by {name} (process {pid})"
