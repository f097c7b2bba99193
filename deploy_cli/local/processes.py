"""Finding and ending processes that may have been started by an earlier run.

A pid in a file proves nothing: its process may be gone and the number given to another program. So
processes are known by words of their command line ("marks") that only ours have.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from deploy_cli.argv import system
from deploy_cli.runner import Runner

PROC = Path("/proc")
POLL_S = 0.05


def has_ended(pid: int, runner: Runner) -> bool:
    """Whether the process is gone, or a zombie that only waits for its parent."""
    if not _has_proc():
        return "<defunct>" in _listed(runner).get(pid, "<defunct>")
    try:
        status = (PROC / str(pid) / "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return True
    return status.rpartition(")")[2].split()[0] in {"Z", "X"}


def is_running(pid: int | None, runner: Runner, *marks: str) -> bool:
    """Whether ``pid`` is a process whose command line holds every mark."""
    return pid is not None and pid in find(runner, *marks)


def find(runner: Runner, *marks: str) -> list[int]:
    """Ids of the processes whose command line holds every mark."""
    return [pid for pid, words in _listed(runner).items() if all(mark in words for mark in marks)]


def stop(pids: list[int], runner: Runner, first: signal.Signals, timeout_s: float) -> bool:
    """Send ``first`` to the processes, and SIGKILL to those alive after ``timeout_s`` seconds.

    Returns:
        True if SIGKILL was needed.
    """
    _send(pids, first)
    if _gone(pids, runner, timeout_s):
        return False
    _send(pids, signal.SIGKILL)
    _gone(pids, runner, timeout_s)
    return True


def _send(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def _gone(pids: list[int], runner: Runner, timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while not all(has_ended(pid, runner) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True


def _has_proc() -> bool:
    return (PROC / "self").exists()


def _listed(runner: Runner) -> dict[int, str]:
    """Command lines by pid, each word followed by a space."""
    if _has_proc():
        ids = (int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit())
        return {pid: _from_proc(PROC / str(pid)) for pid in ids}
    lines = (line.split(None, 1) for line in runner.run(system.list_processes()).splitlines())
    return {int(pid): f"{' '.join(words)} " for pid, *words in lines}


def _from_proc(entry: Path) -> str:
    """Empty for a zombie: the system has freed its command line."""
    try:
        return (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return ""
