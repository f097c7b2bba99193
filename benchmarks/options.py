"""The command line of the load benchmark."""

import argparse
from dataclasses import dataclass

POINTS = "abcdefg"
POINTS_OF_THE_SERVICE = set("abcfg")


@dataclass(frozen=True, slots=True)
class Options:
    """What to measure, for how long, and where."""

    points: frozenset[str]
    seconds: int
    rounds: int
    open_loop_seconds: int
    batch: int
    url: str | None
    key: str | None
    database_url: str | None
    markdown: bool

    @property
    def needs_service(self) -> bool:
        """Whether a Bandstand must run, be it only for its PostgreSQL."""
        peer_needs_database = "e" in self.points and not self.database_url
        return bool(self.points & POINTS_OF_THE_SERVICE) or peer_needs_database


def parse(description: str | None) -> Options:
    """Read and check the command line."""
    parser = argparse.ArgumentParser(description=description, allow_abbrev=False)
    parser.add_argument("--only", default=POINTS, help="points to measure, e.g. a,d (default: all)")
    parser.add_argument("--seconds", type=int, default=4, help="length of a run (default 4)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each kind (default 3)")
    parser.add_argument("--open-loop-seconds", type=int, default=20, help="default 20")
    parser.add_argument("--batch", type=int, default=100, help="decisions per batch (default 100)")
    parser.add_argument("--url", help="measure this running service, e.g. http://127.0.0.1:8080")
    parser.add_argument("--key", help="its admin key")
    parser.add_argument("--database-url", help="its database; the peer's is made in that server")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    values = vars(parser.parse_args())
    points = frozenset(values.pop("only")) - {","}
    if not points or not points <= set(POINTS):
        parser.error(f"--only takes letters from {POINTS}")
    if values["url"] and not (values["key"] and values["database_url"]):
        parser.error("--url needs --key and --database-url")
    if min(values[name] for name in ("seconds", "rounds", "open_loop_seconds", "batch")) < 1:
        parser.error("lengths, rounds and sizes must be at least 1")
    return Options(points=points, **values)
