"""Plan an experiment: simulate it in a process of its own, so that no request waits for the processor."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import orjson

from backend.domain import Json
from backend.errors import PlannerBusy, PlanTooSlow
from backend.policies.simulation.scenario import Scenario

TIME_LIMIT_S = 60.0
PLANNER = (sys.executable, "-m", "backend.plan")
ROOT = Path(__file__).parents[2]
"""Where ``backend`` is imported from."""
INHERITED = ("PATH", "LD_LIBRARY_PATH")
"""What the planner needs of our environment; the rest, with its secrets, stays here."""


class PlanExperiment:
    """Runs one plan at a time."""

    def __init__(
        self, command: Sequence[str] = PLANNER, time_limit_s: float = TIME_LIMIT_S
    ) -> None:
        self._command = command
        self._time_limit_s = time_limit_s
        self._lock = threading.Lock()
        self._running: Plan | None = None

    def start(self, scenario: Scenario) -> Plan:
        """Begin to simulate. Whoever starts a plan closes it.

        Raises:
            PlannerBusy: another plan is running in this worker.
        """
        with self._lock:
            if self._running is not None and self._running.is_running():
                raise PlannerBusy("this worker computes another plan; try again when it is done")
            self._running = Plan(
                self._command, orjson.dumps(scenario.to_json()), self._time_limit_s
            )
            return self._running


class Plan:
    """A simulation that is under way; it ends when it is done, closed, or out of time."""

    def __init__(self, command: Sequence[str], scenario: bytes, time_limit_s: float) -> None:
        self._time_limit_s = time_limit_s
        self._is_too_slow = False
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._timer = threading.Timer(time_limit_s, self._give_up)
        self._timer.daemon = True
        self._timer.start()
        assert self._process.stdin is not None
        with suppress(BrokenPipeError), self._process.stdin as stdin:  # it may have failed already
            stdin.write(scenario)

    def is_running(self) -> bool:
        """Whether its process is still there."""
        return self._process.poll() is None

    def events(self) -> Iterator[Json]:
        """``{"progress": share}`` again and again, then ``{"result": {…}}``, when the next plan can start.

        Raises:
            PlanTooSlow: the time limit was reached.
            RuntimeError: the planner failed; what it said is in our log.
        """
        assert self._process.stdout is not None
        for line in self._process.stdout:
            event = orjson.loads(line)
            if "result" in event:
                self.close()
                yield event
                return
            yield event
        if self._is_too_slow:
            raise PlanTooSlow(
                f"the plan took longer than {self._time_limit_s:g} s; ask for fewer runs or arms"
            )
        raise RuntimeError(f"the planner ended with {self._process.wait()} and no result")

    def close(self) -> None:
        """End the process, if it runs, and free what it held. Safe to call again."""
        self._timer.cancel()
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _give_up(self) -> None:
        self._is_too_slow = True
        self._process.kill()


def _environment() -> dict[str, str]:
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    return {**inherited, "OPENBLAS_NUM_THREADS": "1"}
