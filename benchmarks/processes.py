"""Start the servers a run needs, wait until they answer, and stop each by its process id."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from progress import CannotMeasure

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent
STARTS_WITHIN_S = 20.0
STOPS_WITHIN_S = 10.0


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def server(
    module: str,
    arguments: Sequence[str],
    port: int,
    log: Path,
    env: Mapping[str, str] | None = None,
) -> Iterator[str]:
    """Run ``python -m module arguments`` until the block ends; yields its address.

    The server gets a session of its own, so that Ctrl-C reaches this program first and the
    server is stopped in order.
    """
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=HERE,
            env={**os.environ, **(env or {})},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            wait_until_listening(process, port, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            stop(process)


def wait_until_listening(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Return once ``port`` accepts connections.

    Raises:
        CannotMeasure: the process ended or took too long; the message carries its log.
    """
    deadline = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise CannotMeasure(f"{process.args} did not start:\n{log.read_text()[-2000:]}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """End one process: politely, then, past the deadline, its whole session."""
    process.terminate()
    try:
        process.wait(STOPS_WITHIN_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
