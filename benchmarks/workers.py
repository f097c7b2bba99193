"""Memory and processor time of a server's workers, from Linux's /proc."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
LISTENING = "0A"


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of one process, in megabytes of 10^6 bytes."""

    pid: int
    rss_mb: float
    pss_mb: float | None
    """Shared pages divided among those who share them; None where the kernel keeps it secret."""


def find(port: int) -> list[int]:
    """The worker processes that serve ``port``; none where there is no /proc.

    They are the processes that hold the listening socket and whose parent holds it too.
    """
    if not PROC.exists():
        return []
    holders = _holders(_socket_links(port))
    return [pid for pid in sorted(holders) if _parent(pid) in holders]


def cpu_s(pids: Iterable[int]) -> float:
    """Processor time, in seconds, that these processes used so far, in user mode and kernel."""
    ticks = 0
    for pid in pids:
        after_name = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        ticks += int(after_name[11]) + int(after_name[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> Memory:
    """Resident memory of one process."""
    rss_kib = int(_fields(PROC / str(pid) / "status")["VmRSS"].split()[0])
    try:
        pss_kib = int(_fields(PROC / str(pid) / "smaps_rollup")["Pss"].split()[0])
    except OSError:
        return Memory(pid, rss_kib * 1024 / 1e6, None)
    return Memory(pid, rss_kib * 1024 / 1e6, pss_kib * 1024 / 1e6)


def _socket_links(port: int) -> set[str]:
    """The names under which the sockets listening on ``port`` appear among open files."""
    rows = [line.split() for line in (PROC / "net/tcp").read_text().splitlines()[1:]]
    suffix = f":{port:04X}"
    return {f"socket:[{r[9]}]" for r in rows if r[1].endswith(suffix) and r[3] == LISTENING}


def _holders(links: set[str]) -> set[int]:
    """The processes that have one of ``links`` open."""
    return {int(d.name) for d in PROC.iterdir() if d.name.isdigit() and links & _open_files(d)}


def _open_files(process: Path) -> set[str]:
    found = set()
    try:
        for descriptor in (process / "fd").iterdir():
            found.add(str(descriptor.readlink()))
    except OSError:  # the process ended meanwhile, or is somebody else's
        pass
    return found


def _parent(pid: int) -> int:
    return int(_fields(PROC / str(pid) / "status")["PPid"])


def _fields(path: Path) -> dict[str, str]:
    """The ``Name: value`` lines of a /proc file."""
    lines = (line.partition(":") for line in path.read_text().splitlines())
    return {name: value.strip() for name, _, value in lines}
