"""The whole local environment: the tool's own processes, a real PostgreSQL, the real service."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
import requests

from deploy_cli.local import files, processes
from deploy_cli.local.ports import free_port
from deploy_cli.local.postgres import PostgresServer
from deploy_cli.local.service import Service
from deploy_cli.runner import Runner
from deploy_cli.targets import CHECKOUT

pytestmark = pytest.mark.slow

RUNNER = Runner()


class Local:
    """``deploy-cli VERB --env local`` with a home and a port of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = free_port()
        self.service = Service(home, CHECKOUT, RUNNER)
        self.postgres = PostgresServer(home / "postgres")

    def start(self, *words: str, **env: str) -> subprocess.Popen[str]:
        settings = {"BANDSTAND_HOME": str(self.home), "BANDSTAND_PORT": str(self.port), **env}
        inherited = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
        return subprocess.Popen(
            [sys.executable, "-m", "deploy_cli", *words, "--env", "local"],
            env=inherited | settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *words: str, expected: int = 0, **env: str) -> str:
        process = self.start(*words, **env)
        shown, _ = process.communicate(timeout=120)
        assert process.returncode == expected, shown
        return shown

    def outputs(self) -> dict[str, str]:
        return json.loads(self.run("outputs", "--json"))

    def get(self, path: str) -> requests.Response:
        outputs = self.outputs()
        headers = {"Authorization": f"Bearer {outputs['admin_key']}"}
        return requests.get(outputs["api_url"] + path, headers=headers, timeout=10)

    def replayed(self) -> int:
        return self.get("/experiments/get-out-the-vote/results").json()["totals"]["rewards"]


@pytest.fixture
def local(tmp_path):
    local = Local(tmp_path / "home")
    yield local
    local.run("down")


def kill_9(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    while not processes.has_ended(pid, RUNNER):
        time.sleep(0.01)


def test_the_whole_loop(local):
    """up, outputs, a small demo, status, down; up again keeps all that was learned."""
    shown = local.run("up")
    outputs = local.outputs()

    assert f"http://127.0.0.1:{local.port}/#key=bs_" in shown
    assert outputs["admin_key"] not in shown
    assert outputs == {
        "api_url": f"http://127.0.0.1:{local.port}/api/v1",
        "site_url": f"http://127.0.0.1:{local.port}/",
        "admin_key": outputs["admin_key"],
        "database_url": outputs["database_url"],
    }
    with psycopg.connect(outputs["database_url"]) as conn:
        assert conn.execute("SELECT 1").fetchone() == (1,)

    shown = local.run("demo", "--people=200", "--rate=200", "--seed=1")
    assert "200 people replayed" in shown
    assert local.get("/experiments/get-out-the-vote").json()["status"] == "running"
    assert local.replayed() == 200
    assert json.loads(local.run("status", "--json"))["is_up"] is True

    assert "data is kept" in local.run("down")
    assert "Nothing runs." in local.run("down")
    assert json.loads(local.run("status", "--json", expected=1))["is_up"] is False
    assert local.outputs() == outputs

    local.run("up")
    assert local.outputs() == outputs
    assert local.replayed() == 200


def test_up_again_changes_nothing(local):
    """Two at once, too: the second waits for the first and finds everything running."""
    both = [local.start("up"), local.start("up")]
    shown = [process.communicate(timeout=120)[0] for process in both]
    pids = (local.service.pid(), local.postgres.pid())

    assert [process.returncode for process in both] == [0, 0], shown
    assert sum("Everything runs already." in text for text in shown) == 1
    assert "Everything runs already." in local.run("up")
    assert (local.service.pid(), local.postgres.pid()) == pids


def test_up_mends_what_was_killed(local):
    """Master gone and workers left; database gone; a pid file that names another program."""
    local.run("up")

    kill_9(local.service.pid())
    local.run("status", expected=1)
    local.run("up")
    local.run("status")

    kill_9(local.postgres.pid())
    local.run("status", expected=1)
    local.run("up")
    local.run("status")

    local.run("down")
    (local.home / "service.pid").write_text(f"{os.getpid()}\n")
    assert "Nothing runs." in local.run("down")
    local.run("up")
    local.run("status")


def test_a_taken_port_is_found_before_anything_starts(local):
    with socket.socket() as taker:
        taker.bind(("127.0.0.1", local.port))
        taker.listen()
        shown = local.run("up", expected=1)

    assert f"port {local.port} is taken" in shown
    assert "BANDSTAND_PORT=" in shown
    assert local.postgres.pid() is None


def test_another_port_moves_the_running_service(local):
    local.run("up")
    local.port = free_port()

    local.run("up")

    assert local.outputs()["site_url"] == f"http://127.0.0.1:{local.port}/"
    assert local.run("status").count(" up ") == 2


def test_a_given_database_is_used_and_left_alone(local, tmp_path):
    """A new, empty one in the place of the old gets keys of its own, too."""
    given = PostgresServer(tmp_path / "given")
    try:
        local.run("up", DATABASE_URL=given.start())
        assert local.outputs()["database_url"] == given.start()
        assert local.postgres.pid() is None
        local.run("status")

        with psycopg.connect(given.start(), autocommit=True) as conn:
            conn.execute("CREATE DATABASE other")
        other = given.start().removesuffix("bandstand") + "other"
        local.run("up", DATABASE_URL=other)
        assert local.get("/experiments").json()["items"] == []

        local.run("down")
        assert given.pid() is not None
    finally:
        given.stop()


def test_a_database_that_does_not_answer_is_said(local):
    url = f"postgresql://me:secret@127.0.0.1:{free_port()}/name"

    shown = local.run("up", DATABASE_URL=url, expected=1)

    assert "does not let us in" in shown
    assert "secret" not in shown


def test_a_service_that_cannot_start_shows_its_log(local):
    shown = local.run("up", expected=1, WEB_CONCURRENCY="many")

    assert "the service ended while starting" in shown
    assert "many" in shown


def test_the_demo_in_the_background(local):
    """One at a time; it outlasts a killed service, and --stop ends it between two batches."""
    local.run("up")
    assert "learns which letter works" in local.run("demo", "--detach", "--rate=50")
    assert "a demo runs already" in local.run("demo", expected=1)
    assert "A demo runs already" in local.run("demo", "--detach")
    assert "demo       up" in local.run("status")

    kill_9(local.service.pid())
    local.run("up")
    before = local.replayed()
    deadline = time.monotonic() + 30
    while local.replayed() == before and time.monotonic() < deadline:
        time.sleep(0.2)
    assert local.replayed() > before

    assert "Demo stopped." in local.run("demo", "--stop")
    assert "No demo runs." in local.run("demo", "--stop")
    totals = local.get("/experiments/get-out-the-vote/results").json()["totals"]
    assert totals["decisions"] == totals["rewards"]
    assert "people replayed in this run" in (local.home / "demo.log").read_text()


def test_a_paused_experiment_is_said(local):
    local.run("up")
    local.run("demo", "--people=10")
    outputs = local.outputs()
    requests.post(
        f"{outputs['api_url']}/experiments/get-out-the-vote/pause",
        headers={"Authorization": f"Bearer {outputs['admin_key']}"},
        timeout=10,
    ).raise_for_status()

    assert "is paused" in local.run("demo", expected=1)
    assert "is paused" in local.run("demo", "--detach", expected=1)


def test_logs_are_shown_and_followed(local):
    local.run("up")
    assert len(local.run("logs", "--lines=2").splitlines()) == 2

    following = local.start("logs", "-f", "--lines=0")
    time.sleep(1.0)
    with (local.home / "service.log").open("a") as log:
        log.write("a new line\n")
    assert following.stdout.readline() == "a new line\n"
    following.send_signal(signal.SIGINT)
    following.communicate(timeout=10)
    assert following.returncode == 130


def test_what_is_kept_is_private(local):
    local.run("up")

    assert local.home.stat().st_mode & 0o077 == 0
    assert (local.home / "state.json").stat().st_mode & 0o077 == 0
    secrets = [local.outputs()["admin_key"], (local.home / "postgres" / "password").read_text()]
    ours = processes.find(RUNNER, str(local.home))
    assert ours
    for pid in ours:
        words = Path(f"/proc/{pid}/cmdline").read_text()
        assert not any(secret in words for secret in secrets)
    assert not any(secret in (local.home / "service.log").read_text() for secret in secrets)
    assert files.size(local.home / "postgres" / "postgres.log") > 0
