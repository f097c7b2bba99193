"""The small parts of the local environment, each with the real thing under it."""

import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time

import pytest

from deploy_cli.errors import CommandFailed, HomeUnusable, PortTaken, PostgresUnavailable
from deploy_cli.local import database, files, ports, postgres_binaries, processes, state
from deploy_cli.local.lock import FileLock, is_locked
from deploy_cli.runner import Runner

RUNNER = Runner()


@pytest.fixture
def sleeper():
    """Start Python programs marked by a word on their command line; none outlives the test."""
    started = []

    def start(mark: str, program: str = "import time; print('up', flush=True); time.sleep(60)"):
        command = [sys.executable, "-c", program, mark]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        started.append(process)
        process.stdout.readline()
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_process_is_known_by_its_command_line_not_by_its_number(sleeper):
    pid = sleeper("mark-of-ours").pid

    assert processes.is_running(pid, RUNNER, "mark-of-ours ")
    assert not processes.is_running(pid, RUNNER, "mark-of-others")
    assert not processes.is_running(None, RUNNER)
    assert processes.find(RUNNER, "python", "mark-of-ours ") == [pid]


@pytest.mark.parametrize("has_proc", [True, False])
def test_a_killed_process_has_ended_though_nobody_waited_for_it(sleeper, monkeypatch, has_proc):
    """With /proc and, where there is none, with ps."""
    monkeypatch.setattr(processes, "_has_proc", lambda: has_proc)
    process = sleeper("mark-of-a-zombie")
    assert processes.find(RUNNER, "mark-of-a-zombie ") == [process.pid]

    assert processes.stop([process.pid], RUNNER, signal.SIGTERM, 5.0) is False

    assert processes.has_ended(process.pid, RUNNER)
    assert processes.find(RUNNER, "mark-of-a-zombie ") == []


def test_who_does_not_listen_is_killed(sleeper):
    deaf = (
        "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    )
    pid = sleeper("mark-of-the-deaf", deaf).pid

    assert processes.stop([pid], RUNNER, signal.SIGTERM, 0.3) is True
    assert processes.has_ended(pid, RUNNER)


def test_a_free_port_is_free_and_a_taken_one_names_its_taker():
    with socket.socket() as taker:
        taker.bind(("127.0.0.1", 0))
        taker.listen()
        port = taker.getsockname()[1]

        assert ports.is_free(ports.free_port())
        with pytest.raises(PortTaken, match=f"port {port} is taken") as taken:
            ports.require_free(port, RUNNER)

    assert f"BANDSTAND_PORT={port + 1}" in taken.value.hint
    ports.require_free(port, RUNNER)


def test_a_program_that_fails_shows_the_end_of_what_it_said(tmp_path):
    program = "import sys; [print(n, file=sys.stderr) for n in range(99)]; sys.exit(3)"

    with pytest.raises(CommandFailed, match="exit code 3") as failed:
        RUNNER.run((sys.executable, "-c", program))
    assert failed.value.hint.splitlines()[0] == "79"
    with pytest.raises(CommandFailed, match="cannot start /no/such"):
        RUNNER.run(("/no/such",))
    with pytest.raises(CommandFailed, match="cannot start /no/such"):
        RUNNER.start(("/no/such",), log=tmp_path / "log")


def test_a_started_program_has_a_session_of_its_own_and_appends_to_its_log(tmp_path):
    log = tmp_path / "log"
    log.write_text("before\n")
    program = "import os; print(os.environ['ADDED'], os.getsid(0) == os.getpid())"

    pid = RUNNER.start((sys.executable, "-c", program), log=log, env={"ADDED": "given"})
    while not processes.has_ended(pid, RUNNER):
        time.sleep(0.01)

    assert log.read_text() == "before\ngiven True\n"


def test_a_lock_is_held_by_one_and_let_go_by_death(tmp_path, sleeper):
    path = tmp_path / "lock"
    holder = (
        "import pathlib, sys, time; from deploy_cli.local.lock import FileLock;"
        f"held = FileLock(pathlib.Path({str(path)!r})); print(held.try_acquire(), flush=True);"
        "time.sleep(60)"
    )
    assert not is_locked(path)
    process = sleeper("holder", holder)

    assert is_locked(path)
    assert files.read_number(path) == process.pid
    assert not FileLock(path).try_acquire(timeout_s=0.2)

    process.kill()
    mine = FileLock(path)
    assert mine.try_acquire(timeout_s=5.0)
    assert files.read_number(path) == os.getpid()
    mine.release()
    assert not is_locked(path)


def test_private_files_are_private_and_replaced_at_once(tmp_path):
    path = tmp_path / "secret"
    path.write_text("old")
    path.chmod(0o644)

    files.write_private(path, "new")

    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("new", 0o600)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("text", ["", "x", "\n12"])
def test_a_damaged_pid_file_holds_no_number(tmp_path, text):
    (tmp_path / "pid").write_text(text)

    assert files.read_number(tmp_path / "pid") is None
    assert files.read_number(tmp_path / "none") is None


def test_last_lines_of_a_long_log(tmp_path, monkeypatch):
    """Blocks of 16 bytes, so that lines cross their borders."""
    monkeypatch.setattr(files, "BLOCK_BYTES", 16)
    log = tmp_path / "log"
    lines = [f"line number {number}" for number in range(50)]
    log.write_text("".join(f"{line}\n" for line in lines))

    assert files.last_lines(log, 7) == lines[-7:]
    assert files.last_lines(log, 99) == lines
    assert files.last_lines(log, 0) == []
    assert files.last_lines(tmp_path / "none", 5) == []
    assert files.last_lines(log, 99, since=log.stat().st_size - 15) == lines[-1:]


def test_following_a_log_gives_whole_lines_and_survives_truncation(tmp_path, monkeypatch):
    log = tmp_path / "log"
    log.write_text("old\n")
    writes = iter(["first\nsec", "ond\n", None, "anew\n"])

    def write_instead_of_sleeping(_seconds: float) -> None:
        text = next(writes)
        if text is None:
            log.write_text("")
        else:
            with log.open("a") as file:
                file.write(text)

    monkeypatch.setattr(files, "sleep", write_instead_of_sleeping)
    followed = files.follow(log)

    assert [next(followed) for _ in range(3)] == ["first", "second", "anew"]


def test_state_is_kept_as_it_was_and_privately(tmp_path):
    path = tmp_path / "state.json"
    known = state.State(state.new_key(), 8080, "postgresql://host/name", is_database_ours=False)

    assert state.load(path) is None
    state.save(path, known)

    assert state.load(path) == known
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"admin_key": 1, "other": 2}'])
def test_damaged_state_is_said(tmp_path, text):
    (tmp_path / "state.json").write_text(text)

    with pytest.raises(HomeUnusable, match="is damaged"):
        state.load(tmp_path / "state.json")


def test_keys_look_like_keys_and_differ():
    key = state.new_key()

    assert key.startswith("bs_")
    assert len(key) == 3 + 43
    assert key != state.new_key()


def test_a_place_holds_no_password():
    assert database.place("postgresql://me:secret@host:5433/name") == "host:5433/name"
    assert database.place("postgresql:///name") == "localhost:5432/name"


def test_an_absent_database_is_complained_about_without_its_password():
    port = ports.free_port()

    complaint = database.complaint(f"postgresql://me:secret@127.0.0.1:{port}/name")

    assert "refused" in complaint
    assert "secret" not in complaint


def test_root_that_may_not_step_down_is_told_the_ways_out(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(postgres_binaries.postgres, "as_ordinary_user", lambda _user_id: ("false",))

    with pytest.raises(PostgresUnavailable, match="refuses to run as root") as failed:
        postgres_binaries.user_prefix(RUNNER)
    assert "DATABASE_URL" in failed.value.hint


def test_an_ordinary_user_needs_no_prefix(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    assert postgres_binaries.user_prefix(RUNNER) == ()


def test_a_port_that_is_left_in_time_is_free():
    """Held for half a second; waiting five is enough, waiting none is not."""
    with socket.socket() as holder:
        holder.bind((ports.HOST, 0))
        port = holder.getsockname()[1]
        with pytest.raises(PortTaken):
            ports.require_free(port, RUNNER)
        threading.Timer(0.5, holder.close).start()

        ports.require_free(port, RUNNER, wait_s=5.0)
