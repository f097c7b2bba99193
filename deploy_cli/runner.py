"""The only place that starts other programs."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from deploy_cli.errors import CommandFailed

Command = tuple[str, ...]

N_LINES_SHOWN = 20


class Runner:
    """Starts programs given as argument tuples, never through a shell."""

    def run(
        self, command: Command, *, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> str:
        """Run ``command`` to its end and return what it printed.

        Args:
            command: program and arguments.
            env: variables added to this process's environment; secrets go here.
            cwd: directory to run it in.
        Raises:
            CommandFailed: it could not be started or its exit code is not 0.
        """
        try:
            ended = subprocess.run(
                command,
                env=_environment(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
            )
        except OSError as error:
            raise _cannot_start(command, error) from error
        if ended.returncode != 0:
            lines = (ended.stderr or ended.stdout).splitlines()[-N_LINES_SHOWN:]
            raise CommandFailed(
                f"{_title(command)} ended with exit code {ended.returncode}", "\n".join(lines)
            )
        return ended.stdout

    def start(
        self,
        command: Command,
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> int:
        """Start ``command`` in a session of its own, so that it outlives us; return its pid.

        What it prints is appended to ``log``.

        Raises:
            CommandFailed: it could not be started.
        """
        with log.open("ab") as output:
            try:
                process = subprocess.Popen(
                    command,
                    env=_environment(env),
                    cwd=cwd,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                raise _cannot_start(command, error) from error
        process.returncode = 0  # meant to outlive us: keeps Popen from warning that it still runs
        return process.pid


def _environment(added: Mapping[str, str] | None) -> dict[str, str]:
    return {**os.environ, **(added or {})}


def _title(command: Command) -> str:
    return " ".join(Path(word).name if "/" in word else word for word in command[:3])


def _cannot_start(command: Command, error: OSError) -> CommandFailed:
    return CommandFailed(f"cannot start {command[0]}: {error.strerror}")
