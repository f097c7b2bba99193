"""A PostgreSQL of our own in one directory, started as the invoking user."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import time
from pathlib import Path

from deploy_cli.argv import postgres as argv
from deploy_cli.errors import PostgresUnavailable
from deploy_cli.local import database, files, ports, processes
from deploy_cli.local.postgres_binaries import find_binaries, user_prefix
from deploy_cli.runner import Runner

NAME = "bandstand"
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
POLL_S = 0.05
N_LOG_LINES = 15
PASSING_TROUBLES = (
    "pre-existing shared memory block",  # children of a killed server are still leaving
    "Address already in use",  # somebody was quicker to take the port
)


class PostgresServer:
    """The server of one directory, whichever process started it.

    The directory keeps ``data/``, ``password`` (mode 0600), ``port`` and ``postgres.log``. It
    listens on 127.0.0.1 only, at a free port that it keeps as long as nobody takes it. Role and
    database are called ``bandstand``; the role is the superuser.
    """

    def __init__(self, directory: Path, runner: Runner | None = None) -> None:
        self.directory = directory.resolve()
        self.log_file = self.directory / "postgres.log"
        self._data = self.directory / "data"
        self._password_file = self.directory / "password"
        self._port_file = self.directory / "port"
        self._runner = runner or Runner()

    def start(self) -> str:
        """Start the server unless it runs, and return the URL of database ``bandstand``.

        Creates what is missing and mends what a crash left behind.

        Raises:
            PostgresUnavailable: it cannot be started, or does not answer within a minute.
        """
        if self.pid() is None:
            self._initialise()
            self._launch()
        database.ensure_database(self._url("postgres"), NAME)
        return self._url(NAME)

    def stop(self) -> str | None:
        """Shut down fast, which rolls open transactions back; say what was done, None if nothing.

        Killing it, if it does not stop in time, loses no committed data.
        """
        pid = self.pid()
        if pid is None:
            return None
        if processes.stop([pid], self._runner, signal.SIGINT, STOP_TIMEOUT_S):
            return f"PostgreSQL killed: it did not stop within {STOP_TIMEOUT_S:.0f} s"
        return "PostgreSQL stopped"

    def pid(self) -> int | None:
        """The running server's process id; None if it does not run."""
        pid = files.read_number(self._lock_file)
        return pid if processes.is_running(pid, self._runner, *self._marks) else None

    def port(self) -> int | None:
        """The port last used; None before the first start."""
        return files.read_number(self._port_file)

    @property
    def _lock_file(self) -> Path:
        return self._data / "postmaster.pid"

    @property
    def _marks(self) -> tuple[str, str]:
        return ("postgres", f"-D {self._data} ")

    def _url(self, name: str) -> str:
        password = self._password_file.read_text(encoding="utf-8").strip()
        return f"postgresql://{NAME}:{password}@{ports.HOST}:{self.port()}/{name}"

    def _initialise(self) -> None:
        """Have a whole data directory: it is made beside its place and moved there when done."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial = self.directory / "data.partial"
        shutil.rmtree(partial, ignore_errors=True)
        if (self._data / "PG_VERSION").exists():
            self._require_password()
            return
        self._discard_unfinished_data()
        files.write_private(self._password_file, secrets.token_urlsafe(24))
        prefix = user_prefix(self._runner)
        command = argv.initialise(find_binaries(), partial, NAME, self._password_file)
        self._runner.run((*prefix, *command))
        partial.rename(self._data)

    def _require_password(self) -> None:
        if not self._password_file.exists():
            raise PostgresUnavailable(
                f"{self._password_file} is missing, so nobody can log in to {self._data}",
                f"Put the file back, or move {self.directory} away to begin anew.",
            )

    def _discard_unfinished_data(self) -> None:
        """Remove a data directory without PG_VERSION, but never one that holds tables."""
        if any((self._data / "base").glob("*/*")) or (self._data / "global/pg_control").exists():
            raise PostgresUnavailable(
                f"{self._data} holds data but no PG_VERSION: it is damaged, or not PostgreSQL's",
                "Put it back from a copy, or move it away to begin with an empty database.",
            )
        if self._data.exists():
            shutil.rmtree(self._data)

    def _launch(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._is_launched(deadline):
            time.sleep(POLL_S)

    def _is_launched(self, deadline: float) -> bool:
        """Start the server once; False if it ended for a reason that passes."""
        binaries, prefix = find_binaries(), user_prefix(self._runner)
        port = self._choose_port()
        self._disown_lock_file()
        since = files.size(self.log_file)
        command = (*prefix, *argv.serve(binaries, self._data, port))
        pid = self._runner.start(command, log=self.log_file)
        while (complaint := database.complaint(self._url("postgres"))) is not None:
            said = "\n".join(files.last_lines(self.log_file, N_LOG_LINES, since=since))
            is_late = time.monotonic() > deadline
            if processes.has_ended(pid, self._runner):
                if not is_late and any(trouble in said for trouble in PASSING_TROUBLES):
                    return False
                raise PostgresUnavailable("PostgreSQL ended while starting", self._with_log(said))
            if is_late or "password authentication failed" in complaint:
                processes.stop([pid], self._runner, signal.SIGINT, STOP_TIMEOUT_S)
                raise PostgresUnavailable(
                    f"PostgreSQL does not let us in: {complaint}", self._with_log(said)
                )
            time.sleep(POLL_S)
        return True

    def _choose_port(self) -> int:
        port = self.port()
        if port is None or not ports.is_free(port):
            port = ports.free_port()
            files.write_private(self._port_file, f"{port}\n")
        return port

    def _disown_lock_file(self) -> None:
        """Keep the lock file of a killed server from stopping the next one.

        PostgreSQL takes any live process with the file's pid for a server, even if the number
        now belongs to another program. Its parent's pid, ours, it knows to ignore; the rest of
        the file stays, so that it still waits for the killed server's children.
        """
        if self._lock_file.exists():
            _, _, rest = self._lock_file.read_text(encoding="utf-8").partition("\n")
            files.write_private(self._lock_file, f"{os.getpid()}\n{rest}")

    def _with_log(self, said: str) -> str:
        return f"The end of {self.log_file}:\n{said}"
