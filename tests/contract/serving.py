"""The service as it runs in earnest: a gunicorn master with two gevent workers."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy_cli.local.ports import HOST, free_port
from tests.conftest import ADMIN_KEY

CHECKOUT = Path(__file__).parent.parent.parent
N_WORKERS = 2
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 30.0
REQUEST_TIMEOUT_S = 20.0


@dataclass(frozen=True)
class Answer:
    """One HTTP answer, read to its end."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Gunicorn:
    """Starts, asks, kills and stops the service's processes."""

    def __init__(self, database_url: str, directory: Path) -> None:
        self.database_url = database_url
        self.port = free_port()
        self._log = directory / "service.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Return when both workers can serve."""
        environment = {
            **os.environ,
            "DATABASE_URL": self.database_url,
            "BANDSTAND_BIND": f"{HOST}:{self.port}",
            "WEB_CONCURRENCY": str(N_WORKERS),
        }
        command = (sys.executable, "-m", "gunicorn", "-c", "backend/gunicorn.conf.py")
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                (*command, "backend.wsgi:app"),
                cwd=CHECKOUT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        wait_for(lambda: self.log().count("Booting worker") >= N_WORKERS, self.log)
        wait_for(self._is_ready, self.log)

    def stop(self) -> None:
        """End whatever is left of it."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            for pid in self.workers():
                os.kill(pid, signal.SIGKILL)
            self._process.kill()
            self._process.wait()
        self._process = None

    def terminate(self) -> float:
        """SIGTERM to the master; how many seconds it took to end."""
        assert self._process is not None
        began_at = time.monotonic()
        self._process.terminate()
        self._process.wait(STOP_TIMEOUT_S)
        self._process = None
        return time.monotonic() - began_at

    def kill_a_worker(self) -> int:
        """kill -9 of the first worker; its process id."""
        pid = self.workers()[0]
        os.kill(pid, signal.SIGKILL)
        return pid

    def workers(self) -> list[int]:
        """Process ids of the master's children."""
        assert self._process is not None
        master = self._process.pid
        children = Path(f"/proc/{master}/task/{master}/children")
        return [int(pid) for pid in children.read_text(encoding="ascii").split()]

    def log(self) -> str:
        """What it has printed."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """One request as an admin, on a connection of its own."""
        sent = {"Authorization": f"Bearer {ADMIN_KEY}", **(headers or {})}
        if body is not None:
            sent["Content-Type"] = "application/json"
        connection = http.client.HTTPConnection(HOST, self.port, timeout=REQUEST_TIMEOUT_S)
        try:
            payload = None if body is None else json.dumps(body).encode()
            connection.request(method, path, payload, sent)
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    def running(self, key: str, n_arms: int = 3, **fields: Any) -> None:
        """Create and start an experiment with arms a, b, c…"""
        arms = [{"key": chr(ord("a") + i), "is_control": i == 0} for i in range(n_arms)]
        body = {"key": key, "arms": arms, **fields}
        assert self.ask("POST", "/api/v1/experiments", body).status == 201
        assert self.ask("POST", f"/api/v1/experiments/{key}/start").status == 200

    def _is_ready(self) -> bool:
        try:
            return self.ask("GET", "/api/readyz").status == 200
        except OSError:
            return False


def wait_for(condition: Any, describe: Any, timeout_s: float = START_TIMEOUT_S) -> None:
    """Return when ``condition`` holds; AssertionError with ``describe()`` when it does not in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, describe()
        time.sleep(0.05)
