"""The service's processes: one gunicorn master and its workers."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import requests

from deploy_cli.argv import gunicorn
from deploy_cli.errors import ServiceNotReady
from deploy_cli.local import files, ports, processes
from deploy_cli.runner import Runner

READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 40.0
PROBE_TIMEOUT_S = 2.0
POLL_S = 0.1
N_LOG_LINES = 20
N_WORKERS = "2"


class Service:
    """The service of one home directory, whichever process started it."""

    def __init__(self, home: Path, checkout: Path, runner: Runner) -> None:
        self.log_file = home / "service.log"
        self._pid_file = home / "service.pid"
        self._checkout = checkout
        self._runner = runner
        self._started: int | None = None
        self._log_start = 0

    def pid(self) -> int | None:
        """The master's process id; None if it does not run."""
        pid = files.read_number(self._pid_file)
        return pid if processes.is_running(pid, self._runner, *self._marks) else None

    def start(self, port: int, database_url: str) -> None:
        """Start it on 127.0.0.1:``port`` without waiting for it.

        ``WEB_CONCURRENCY`` in the environment says how many workers (2).
        """
        self._pid_file.unlink(missing_ok=True)
        env = {
            "DATABASE_URL": database_url,
            "BANDSTAND_BIND": f"{ports.HOST}:{port}",
            "WEB_CONCURRENCY": os.environ.get("WEB_CONCURRENCY") or N_WORKERS,
        }
        command = gunicorn.serve(sys.executable, self._checkout, self._pid_file)
        self._log_start = files.size(self.log_file)
        self._started = self._runner.start(command, env=env, cwd=self._checkout, log=self.log_file)

    def stop(self) -> str | None:
        """Stop the master and any worker that outlived one; say what was done, None if nothing."""
        master = self.pid()
        running = processes.find(self._runner, *self._marks)
        if not running:
            return None
        asked = running if master is None else [master]
        was_killed = processes.stop(asked, self._runner, signal.SIGTERM, STOP_TIMEOUT_S)
        left = processes.find(self._runner, *self._marks)
        was_killed |= bool(left) and processes.stop(left, self._runner, signal.SIGKILL, 1.0)
        if was_killed:
            return f"service killed: it did not stop within {STOP_TIMEOUT_S:.0f} s"
        return "service stopped" if master else "service stopped: workers of a killed master"

    def wait_until_ready(self, port: int) -> None:
        """Return when the service can serve.

        Raises:
            ServiceNotReady: it ended, or cannot serve within a minute.
        """
        deadline = time.monotonic() + READY_TIMEOUT_S
        pid = self._started or self.pid()
        while (complaint := self.complaint(port)) is not None:
            if pid is None or processes.has_ended(pid, self._runner):
                raise ServiceNotReady("the service ended while starting", self._end_of_log())
            if time.monotonic() > deadline:
                raise ServiceNotReady(f"the service is not ready: {complaint}", self._end_of_log())
            time.sleep(POLL_S)

    def complaint(self, port: int) -> str | None:
        """Why the service cannot serve; None if it can."""
        try:
            with requests.Session() as session:
                session.trust_env = False  # no proxy stands between us and this machine
                answer = session.get(
                    f"http://{ports.HOST}:{port}/api/readyz", timeout=PROBE_TIMEOUT_S
                )
        except requests.RequestException:
            return "it does not answer"
        return (
            None if answer.ok else f"it answers {answer.status_code}: {answer.text.strip()[:500]}"
        )

    @property
    def _marks(self) -> tuple[str, str]:
        return ("gunicorn", " ".join(gunicorn.pid_option(self._pid_file)) + " ")

    def _end_of_log(self) -> str:
        lines = files.last_lines(self.log_file, N_LOG_LINES, since=self._log_start)
        return "\n".join((f"The end of {self.log_file}:", *lines))
