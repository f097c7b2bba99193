"""Run wrk, the closed-loop load generator, with one of the scripts in ``lua/``."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from processes import HERE
from progress import CannotMeasure

CONNECTIONS = 64
THREADS = 2
TIMEOUT_S = 5
MISSING = "wrk is not on PATH. Install it with `apt-get install wrk` (Debian, Ubuntu) or `brew install wrk`."


@dataclass(frozen=True, slots=True)
class Target:
    """Where a load goes: a service, one of its experiments, a key that may write."""

    origin: str
    experiment_key: str
    key: str = "none"

    @property
    def port(self) -> int:
        """The port of ``origin``."""
        return urlsplit(self.origin).port or 80


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of wrk saw."""

    answers: int
    """Complete HTTP responses."""
    failures: int
    """Responses with a status of 400 or more."""
    socket_errors: int
    """Failed connects, reads and writes, and answers that took too long (``TIMEOUT_S``)."""
    correct: int
    """Decisions answered with 201, or rewards answered as recorded."""
    seconds: float
    p50_ms: float
    p99_ms: float
    exhausted: bool
    """The decision ids ran out before the time did, so ``seconds`` ends with the last answer."""

    @property
    def rate(self) -> float:
        """Correct decisions or rewards a second."""
        return self.correct / self.seconds


def is_installed() -> bool:
    """Whether wrk can be run here."""
    return shutil.which("wrk") is not None


def run(
    script: str,
    target: Target,
    seconds: int,
    label: str,
    *,
    batch_size: int,
    ids: Path,
) -> Run:
    """Load ``target`` with ``lua/script`` for ``seconds`` and read the result it prints.

    Args:
        label: makes the units of this run differ from those of every other.
        batch_size: elements per request, for the scripts that send several.
        ids: file of decision ids, for the script that sends rewards.
    """
    argv = ["wrk", f"-t{THREADS}", f"-c{CONNECTIONS}", f"-d{seconds}s", f"--timeout={TIMEOUT_S}s"]
    finished = subprocess.run(
        [*argv, "-s", str(HERE / "lua" / script), target.origin],
        env={**os.environ, **_script_environment(target, label, batch_size, ids)},
        capture_output=True,
        text=True,
        check=False,
    )
    found = _result(finished.stdout)
    if not found or not found.correct:
        raise CannotMeasure(
            f"{target.origin} answered nothing as asked to {script}: {found}\n"
            f"{finished.stdout}{finished.stderr}"
        )
    return found


def _result(printed: str) -> Run | None:
    """What ``done`` in ``lua/common.lua`` printed; None if wrk did not get that far."""
    for line in printed.splitlines():
        if line.startswith("RESULT "):
            return Run(**json.loads(line.removeprefix("RESULT ")))
    return None


def _script_environment(target: Target, label: str, batch_size: int, ids: Path) -> dict[str, str]:
    """What the Lua scripts read; the key goes this way to stay out of the process list."""
    return {
        "LUA_PATH": f"{HERE / 'lua'}/?.lua;;",
        "BENCH_EXPERIMENT": target.experiment_key,
        "BENCH_KEY": target.key,
        "BENCH_RUN": label,
        "BENCH_BATCH_SIZE": str(batch_size),
        "BENCH_THREADS": str(THREADS),
        "BENCH_IDS": str(ids),
    }
