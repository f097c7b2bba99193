"""Recompute all statistics from the raw log: ``python -m backend.rebuild_statistics [--check]``.

The log is the truth; the statistics are sums over it. ``--check`` compares both as of one moment and reports every
difference, while the service runs; without it the statistics are replaced by what follows from the log, and writers
wait meanwhile.
"""

import argparse
import sys
from collections.abc import Sequence

from backend.errors import BanditError
from backend.inference.delay import EDGES_S
from backend.resilience import Guard
from backend.service.recompute_arrays import compare_arrays, mend_arrays
from backend.settings import Settings
from backend.store.database import Connection, Database, Row
from backend.store.rebuild import compare_with_log, mend_statistics

MAX_LINES = 20
TIMEOUT_S = 3600.0
"""Longest time for the recomputation; it reads the whole log."""


def check(database: Database) -> list[Row]:
    """Sums that differ from the log, beyond rounding."""
    return database.transaction(_compare)


def _compare(conn: Connection) -> list[Row]:
    return compare_with_log(conn, EDGES_S.tolist()) + compare_arrays(conn)


def _mend(conn: Connection) -> None:
    mend_statistics(conn, EDGES_S.tolist())
    mend_arrays(conn)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as a command; 0 when statistics and log agree (or were made to), 1 when they differ, 2 when it failed."""
    parser = argparse.ArgumentParser(
        prog="python -m backend.rebuild_statistics", description=__doc__
    )
    parser.add_argument("--check", action="store_true", help="only report; change nothing")
    options = parser.parse_args(arguments)
    try:
        return _run(is_check=options.check)
    except BanditError as exc:
        sys.stderr.write(f"rebuild_statistics: {exc}\n")
        return 2


def _run(*, is_check: bool) -> int:
    database = Database(Settings.from_environment(), Guard(), statement_timeout_s=TIMEOUT_S)
    database.open()
    try:
        differences = check(database)
        if differences and not is_check:
            database.transaction(_mend)
    finally:
        database.close()
    for row in differences[:MAX_LINES]:
        sys.stdout.write(_describe(row) + "\n")
    verb = "found" if is_check else "mended"
    sys.stdout.write(f"rebuild_statistics: {verb} {len(differences)} difference(s)\n")
    return 1 if differences and is_check else 0


def _describe(row: Row) -> str:
    arm = "" if row["arm_id"] is None else f" arm {row['arm_id']}"
    bucket = "" if row["bucket"] is None else f" {row['bucket']:%Y-%m-%dT%H:%MZ}"
    where = f"{row['experiment_key']}{arm} {row['metric']}{bucket}"
    return f"{where}: {row['name']} {row['served']:g} should be {row['logged']:g}"


if __name__ == "__main__":
    sys.exit(main())
