"""The launcher, on real servers: what it makes, what it keeps, and what it mends."""

import os
import signal
import socket
import stat
import time
from pathlib import Path

import psycopg
import pytest

from deploy_cli.errors import PostgresUnavailable
from deploy_cli.local import postgres_binaries
from deploy_cli.local.postgres import PostgresServer


@pytest.fixture
def server(tmp_path):
    """A server of its own, stopped whatever the test does."""
    server = PostgresServer(tmp_path / "postgres")
    yield server
    server.stop()


def remember(database_url: str, note: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("CREATE TABLE IF NOT EXISTS note (text text)")
        conn.execute("INSERT INTO note VALUES (%s)", (note,))


def remembered(database_url: str) -> list[str]:
    with psycopg.connect(database_url) as conn:
        return [text for (text,) in conn.execute("SELECT text FROM note")]


def kill_9(server: PostgresServer) -> None:
    pid = server.pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    while server.pid() is not None:
        time.sleep(0.01)


def test_data_and_url_survive_stop_and_start(server):
    """The port and the password stay, so a URL noted down stays good."""
    url = server.start()
    remember(url, "kept")

    assert server.stop() == "PostgreSQL stopped"
    assert server.start() == url
    assert remembered(url) == ["kept"]


def test_starting_twice_is_starting_once(server):
    server.start()
    pid = server.pid()

    server.start()

    assert server.pid() == pid


def test_stopping_what_does_not_run_says_nothing_was_done(server):
    assert server.stop() is None


def test_listens_on_this_machine_only_and_is_durable(server):
    with psycopg.connect(server.start()) as conn:
        shown = {
            name: conn.execute(f"SHOW {name}").fetchone()[0]
            for name in (
                "listen_addresses",
                "unix_socket_directories",
                "fsync",
                "synchronous_commit",
            )
        }

    assert shown == {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "fsync": "on",
        "synchronous_commit": "on",
    }


def test_secrets_are_private_and_on_no_command_line(server):
    url = server.start()
    password_file = server.directory / "password"
    password = password_file.read_text()

    assert stat.S_IMODE(password_file.stat().st_mode) == 0o600
    assert stat.S_IMODE((server.directory / "data").stat().st_mode) == 0o700
    assert password in url
    assert password.encode() not in Path(f"/proc/{server.pid()}/cmdline").read_bytes()


def test_a_wrong_password_is_refused(server):
    url = server.start().replace((server.directory / "password").read_text(), "guess")

    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url)


def test_kill_9_loses_nothing_and_start_mends(server):
    """The lock file of the killed server still names a pid; starting again replays the log."""
    url = server.start()
    remember(url, "committed")
    kill_9(server)

    assert server.start() == url
    assert remembered(url) == ["committed"]


def test_a_pid_given_to_another_program_is_no_server(server):
    """After a reboot the lock file's pid may be anybody's: here it is this test's."""
    url = server.start()
    remember(url, "kept")
    kill_9(server)
    lock_file = server.directory / "data" / "postmaster.pid"
    _, _, rest = lock_file.read_text().partition("\n")
    lock_file.write_text(f"{os.getppid()}\n{rest}")

    assert server.pid() is None
    assert server.stop() is None
    assert remembered(server.start()) == ["kept"]


def test_a_taken_port_is_exchanged_for_another(server):
    server.start()
    port = server.port()
    server.stop()
    with socket.socket() as taker:
        taker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taker.bind(("127.0.0.1", port))
        taker.listen()

        with psycopg.connect(server.start()) as conn:
            assert conn.info.port == server.port() != port


def test_a_directory_left_half_made_is_made_again(server):
    """An initdb that was killed leaves its directory beside the place, or an empty one in it."""
    partial = server.directory / "data.partial" / "base"
    partial.mkdir(parents=True)
    (server.directory / "data" / "pg_wal").mkdir(parents=True)

    remember(server.start(), "works")

    assert not (server.directory / "data.partial").exists()


def test_a_directory_that_holds_data_is_never_removed(server):
    server.start()
    server.stop()
    (server.directory / "data" / "PG_VERSION").unlink()

    with pytest.raises(PostgresUnavailable, match="holds data but no PG_VERSION"):
        server.start()
    assert (server.directory / "data" / "global" / "pg_control").exists()


def test_a_lost_password_is_said(server):
    server.start()
    server.stop()
    (server.directory / "password").unlink()

    with pytest.raises(PostgresUnavailable, match="password is missing"):
        server.start()


def test_another_password_than_the_servers_is_said_at_once(server):
    server.start()
    server.stop()
    (server.directory / "password").write_text("another")

    with pytest.raises(PostgresUnavailable, match="does not let us in"):
        server.start()
    assert server.pid() is None


def test_a_server_that_ends_at_once_shows_its_log(server):
    server.start()
    server.stop()
    (server.directory / "data" / "postgresql.conf").write_text("no_such_setting = 1\n")

    with pytest.raises(PostgresUnavailable, match="ended while starting") as failed:
        server.start()
    assert "no_such_setting" in failed.value.hint


def test_without_the_package_the_one_on_path_is_used(monkeypatch, tmp_path):
    for name in ("initdb", "postgres"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setattr(postgres_binaries, "find_spec", lambda _name: None)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert postgres_binaries.find_binaries() == tmp_path


def test_without_any_postgres_the_ways_out_are_named(monkeypatch, tmp_path):
    monkeypatch.setattr(postgres_binaries, "find_spec", lambda _name: None)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(PostgresUnavailable) as failed:
        postgres_binaries.find_binaries()
    assert "DATABASE_URL" in failed.value.hint
