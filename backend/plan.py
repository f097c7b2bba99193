"""Simulate an experiment before it begins: ``python -m backend.plan < scenario.json``.

Reads one scenario, as ``Scenario.to_json`` writes it, and prints NDJSON: lines ``{"progress": 0.35}``, then one
``{"result": {…}}``. A program of its own, so that the service can run it beside its requests and end it at any moment.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import orjson

from backend.errors import BanditError
from backend.policies.simulation.plan import plan
from backend.policies.simulation.scenario import Scenario

NICENESS = 5
"""Decisions come before plans."""
N_STEPS = 100
"""Most lines of progress."""


class _Progress:
    """Prints the share that is done whenever it has grown by a step."""

    def __init__(self) -> None:
        self._n_steps = 0

    def __call__(self, share: float) -> None:
        if (n_steps := int(share * N_STEPS)) > self._n_steps:
            self._n_steps = n_steps
            _print({"progress": n_steps / N_STEPS})


def main() -> int:
    """Run as a command; 0 after the result, 2 with one line on stderr for no scenario, 1 when nobody reads any more."""
    os.nice(NICENESS)
    try:
        scenario = Scenario.from_json(orjson.loads(sys.stdin.buffer.read()))
    except (BanditError, KeyError, TypeError, ValueError) as exc:
        sys.stderr.write(f"plan: this is no scenario: {exc!r}\n")
        return 2
    try:
        _print({"result": plan(scenario, _Progress())})
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing to flush at exit
        return 1
    return 0


def _print(line: Any) -> None:
    sys.stdout.buffer.write(orjson.dumps(line) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main())
