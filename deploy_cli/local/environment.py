"""The verbs on this machine."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http import HTTPStatus

from deploy_cli.api import Api
from deploy_cli.argv import backend
from deploy_cli.demo import background
from deploy_cli.environments import Outputs, Part
from deploy_cli.errors import (
    ApiRefused,
    EnvironmentBusy,
    EnvironmentNotCreated,
    HomeUnusable,
    PostgresUnavailable,
)
from deploy_cli.local import database, files, ports, state
from deploy_cli.local.lock import FileLock
from deploy_cli.local.postgres import PostgresServer
from deploy_cli.local.service import Service
from deploy_cli.local.state import State
from deploy_cli.local.summary import summary
from deploy_cli.program import command
from deploy_cli.runner import Runner
from deploy_cli.targets import LocalTarget

DEFAULT_PORT = 8080
LOCK_TIMEOUT_S = 180.0
RELEASE_TIMEOUT_S = 10.0
"""A client that was just calling may hold the service's port as its own for a moment."""


class LocalEnvironment:
    """An embedded PostgreSQL and one gunicorn, with everything they keep in one directory."""

    def __init__(self, target: LocalTarget, runner: Runner) -> None:
        self.home = target.home
        self._target = target
        self._runner = runner
        self._postgres = PostgresServer(self.home / "postgres", runner)
        self._service = Service(self.home, target.checkout, runner)
        self._state_file = self.home / "state.json"
        self._lock_file = self.home / "lock"

    def up(self) -> Iterator[str]:
        """Bring up what is down, mend what is broken; then say where things are."""
        self._create_home()
        with self._alone():
            before = state.load(self._state_file)
            port = self._target.port or (before.service_port if before else DEFAULT_PORT)
            if self._runs_as(before, port):
                yield "Everything runs already."
            else:
                yield from self._start(before, port)
            self._service.wait_until_ready(port)
            yield summary(self.outputs(), self._reader_key())

    def down(self) -> Iterator[str]:
        """Stop the demo, the service and our PostgreSQL, in this order; data stays."""
        if not self.home.exists():
            yield "Nothing to stop."
            return
        with self._alone():
            n_stopped = 0
            for done in self._stopped_parts():
                n_stopped += 1
                yield done
            yield "Everything is down; data is kept." if n_stopped else "Nothing runs."

    def status(self) -> list[Part]:
        """Database, service and demo; the demo is not needed for the environment to be up."""
        known = state.load(self._state_file)
        if known is None:
            return [Part("local", is_up=False, detail=f"not created: {command('up --env local')}")]
        return [self._database_part(known), self._service_part(known), self._demo_part()]

    def outputs(self) -> Outputs:
        """Addresses and admin key, as the last ``up`` left them.

        Raises:
            EnvironmentNotCreated: there was no ``up`` yet.
        """
        known = self._known()
        site_url = f"http://{ports.HOST}:{known.service_port}/"
        return Outputs(
            api_url=f"{site_url}api/v1",
            site_url=site_url,
            admin_key=known.admin_key,
            database_url=known.database_url,
        )

    def log_lines(self, n_lines: int, *, is_following: bool) -> Iterator[str]:
        """The service's log.

        Raises:
            EnvironmentNotCreated: the service never ran.
        """
        self._known()
        log = self._service.log_file
        yield from files.last_lines(log, n_lines)
        if is_following:
            yield from files.follow(log)

    def _create_home(self) -> None:
        try:
            self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock_file.touch(mode=0o600)
        except OSError as error:
            message = f"cannot keep data in {self.home}: {error.strerror}"
            raise HomeUnusable(
                message, "Set BANDSTAND_HOME to a directory you may write to."
            ) from error

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep two runs of this tool from working on the environment at once."""
        lock = FileLock(self._lock_file)
        if not lock.try_acquire(LOCK_TIMEOUT_S):
            raise EnvironmentBusy(
                f"another deploy-cli has worked on {self.home} for {LOCK_TIMEOUT_S:.0f} s",
                f"Its process id is in {self._lock_file}; wait for it or end it.",
            )
        try:
            yield
        finally:
            lock.release()

    def _known(self) -> State:
        known = state.load(self._state_file)
        if known is None:
            raise EnvironmentNotCreated(
                f"there is no local environment in {self.home} yet",
                f"Create it: {command('up --env local')}",
            )
        return known

    def _runs_as(self, before: State | None, port: int) -> bool:
        """Whether service and database run already, as they are asked for now."""
        if before is None or self._service.pid() is None or before.service_port != port:
            return False
        if self._target.database_url is not None:
            return before.database_url == self._target.database_url
        return before.is_database_ours and self._postgres.pid() is not None

    def _start(self, before: State | None, port: int) -> Iterator[str]:
        """Start the database and, anew, the service; what hinders is found before a thing stops."""
        if self._target.database_url is not None:
            _require_answer(self._target.database_url)
        if before is None or before.service_port != port:
            ports.require_free(port, self._runner)
        if done := self._service.stop():
            yield f"{done}, to be started again"
        ports.require_free(port, self._runner, RELEASE_TIMEOUT_S)
        if self._target.database_url is not None:
            yield "using the PostgreSQL of DATABASE_URL"
        elif self._postgres.pid() is None:
            yield "starting PostgreSQL"
        database_url = self._target.database_url or self._postgres.start()
        now = self._remember(before, port, database_url)
        yield self._migrate(now).strip()
        yield "starting the service"
        self._service.start(port, database_url)

    def _remember(self, before: State | None, port: int, database_url: str) -> State:
        """Keep what this run uses; keys are made only once."""
        now = State(
            admin_key=before.admin_key if before else state.new_key(),
            reader_key=before.reader_key if before else None,
            service_port=port,
            database_url=database_url,
            is_database_ours=self._target.database_url is None,
        )
        state.save(self._state_file, now)
        return now

    def _migrate(self, now: State) -> str:
        env = {"DATABASE_URL": now.database_url, "BANDSTAND_ADMIN_KEY": now.admin_key}
        command = backend.migrate(sys.executable)
        return self._runner.run(command, env=env, cwd=self._target.checkout)

    def _reader_key(self) -> str:
        """A key that can read and nothing else; a new one if the service does not know the old."""
        known = self._known()
        api_url = self.outputs().api_url
        if known.reader_key is not None and self._is_accepted(api_url, known.reader_key):
            return known.reader_key
        with Api(api_url, known.admin_key) as api:
            made = api.post("/keys", {"name": "local page", "role": "reader"})
        reader_key = str(made["key"])
        state.save(self._state_file, replace(known, reader_key=reader_key))
        return reader_key

    def _is_accepted(self, api_url: str, key: str) -> bool:
        with Api(api_url, key) as api:
            try:
                api.get("/experiments?limit=1")
            except ApiRefused as refusal:
                if refusal.status == HTTPStatus.UNAUTHORIZED:
                    return False
                raise
        return True

    def _stopped_parts(self) -> Iterator[str]:
        if background.stop(self.home, self._runner):
            yield "demo stopped"
        if done := self._service.stop():
            yield done
        if done := self._postgres.stop():
            yield done

    def _database_part(self, known: State) -> Part:
        place = database.place(known.database_url)
        if known.is_database_ours and self._postgres.pid() is None:
            return Part("database", is_up=False, detail=f"PostgreSQL at {place} is not running")
        complaint = database.complaint(known.database_url)
        owner = "our own" if known.is_database_ours else "from DATABASE_URL"
        detail = f"PostgreSQL at {place}, {owner}" if complaint is None else complaint
        return Part("database", is_up=complaint is None, detail=detail)

    def _service_part(self, known: State) -> Part:
        pid = self._service.pid()
        if pid is None:
            return Part(
                "service", is_up=False, detail=f"not running; log: {self._service.log_file}"
            )
        complaint = self._service.complaint(known.service_port)
        detail = complaint or f"{self.outputs().site_url} (process {pid})"
        return Part("service", is_up=complaint is None, detail=detail)

    def _demo_part(self) -> Part:
        pid = background.running_pid(self.home)
        detail = f"process {pid}" if pid else "not running"
        return Part("demo", is_up=pid is not None, detail=detail, is_needed=False)


def _require_answer(database_url: str) -> None:
    complaint = database.complaint(database_url)
    if complaint is not None:
        raise PostgresUnavailable(
            f"the PostgreSQL of DATABASE_URL ({database.place(database_url)}) does not let us in",
            f"{complaint}\nMend the address, or unset DATABASE_URL to use an embedded PostgreSQL.",
        )
