"""One demo at a time, in the foreground or on its own."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from deploy_cli.errors import DemoRefused
from deploy_cli.local import files, processes
from deploy_cli.local.lock import FileLock, is_locked
from deploy_cli.program import command
from deploy_cli.runner import Command, Runner

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 15.0
POLL_S = 0.05
N_LOG_LINES = 20


def lock(home: Path) -> FileLock:
    """Held by a demo as long as it runs, whatever ends it."""
    return FileLock(_pid_file(home))


def log_file(home: Path) -> Path:
    """What a demo in the background prints."""
    return home / "demo.log"


def running_pid(home: Path) -> int | None:
    """The running demo's process id; None if none runs."""
    return files.read_number(_pid_file(home)) if is_locked(_pid_file(home)) else None


def start(home: Path, replay: Command, runner: Runner) -> int:
    """Run the demo's command line in the background; return its pid once it runs.

    Raises:
        DemoRefused: it ended at once, or does not begin in time.
    """
    log = log_file(home)
    since = files.size(log)
    pid = runner.start(replay, log=log)
    deadline = time.monotonic() + START_TIMEOUT_S
    while running_pid(home) != pid:
        if processes.has_ended(pid, runner) or time.monotonic() > deadline:
            said = files.last_lines(log, N_LOG_LINES, since=since)
            raise DemoRefused("the demo did not start", "\n".join(said))
        time.sleep(POLL_S)
    return pid


def stop(home: Path, runner: Runner) -> bool:
    """End the running demo; False if none runs."""
    pid = running_pid(home)
    if pid is None:
        return False
    processes.stop([pid], runner, signal.SIGTERM, STOP_TIMEOUT_S)
    return True


def advice() -> str:
    """How to end a demo that runs in the background."""
    return f"To end it: {command('demo --env local --stop')}"


def _pid_file(home: Path) -> Path:
    return home / "demo.pid"
