"""The load benchmark: Bandstand against a bare Flask endpoint and against FastAPI + asyncpg.

It starts an environment of its own, prints one table, and stops everything it started.
Everything listens on 127.0.0.1 and shares one machine with the load.
"""

import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

import contestants
import machine
import options
import report
import wrk
from bench import Bench
from options import Options
from progress import CannotMeasure, say


def main() -> int:
    """Measure, print the table, and say by the exit code whether every answer was kept."""
    wanted = options.parse(__doc__)
    if not wrk.is_installed():
        say(wrk.MISSING)
        return 1
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with ExitStack() as stack:
            scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-"))
            bench = Bench(wanted, Path(scratch), stack)
            rows = bench.measure()
    except KeyboardInterrupt:
        say("interrupted; everything that was started has been stopped")
        return 130
    except CannotMeasure as error:
        say(f"error: {error}")
        return 1
    print(report.render(rows, markdown=wanted.markdown))
    print(f"\n{conditions(wanted, bench.database)}")
    return 0 if bench.kept_everything else 1


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    """Begin to stop, once: a second Ctrl-C must not leave servers behind."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    say("stopping what was started")
    raise KeyboardInterrupt


def conditions(wanted: Options, database: str) -> str:
    """How it was measured, for whoever reads the table later."""
    return (
        f"{wanted.rounds} rounds of {wanted.seconds} s in turns after a warm-up; "
        f"{wrk.CONNECTIONS} connections from wrk ({wrk.THREADS} threads) on the same machine; "
        f"{contestants.WORKERS} workers each; {machine.description()}; PostgreSQL: {database}.\n"
        "failed: elements not answered as asked, and broken or timed-out connections. "
        "CPU us: processor time of the server's workers per element (PostgreSQL not counted). "
        "A * behind a rate: the run ended early, with its last decision to reward. "
        "The log may hold more than was answered: what was under way when a run ended."
    )


if __name__ == "__main__":
    sys.exit(main())
