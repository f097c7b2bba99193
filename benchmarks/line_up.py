"""Start whoever takes part in a run."""

from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import contestants
import service
from options import Options
from progress import say
from rounds import CEILING, PEER, SERVICE, Contestant
from service import Service


@dataclass(slots=True)
class LineUp:
    """The running servers of a benchmark."""

    contestants: dict[str, Contestant]
    service: Service | None
    database_url: str | None


def start(options: Options, scratch: Path, stack: ExitStack) -> LineUp:
    """Start what the asked-for points need; ``stack`` stops it.

    The peer needs a PostgreSQL: Bandstand's, or the one that the options name.
    """
    line_up = LineUp({}, None, options.database_url)
    if options.needs_service:
        say("starting Bandstand")
        line_up.service = _service(options, scratch, stack)
        line_up.database_url = line_up.service.database_url
        target = service.prepare(line_up.service)
        line_up.contestants[SERVICE] = Contestant(target, partial(service.add_decisions, target))
    if "d" in options.points:
        say("starting the bare Flask endpoint")
        target = stack.enter_context(contestants.ceiling(scratch))
        line_up.contestants[CEILING] = Contestant(target)
    if "e" in options.points and line_up.database_url:
        say("starting FastAPI + asyncpg")
        target = stack.enter_context(contestants.peer(scratch, line_up.database_url))
        add_decisions = partial(contestants.add_peer_decisions, line_up.database_url)
        line_up.contestants[PEER] = Contestant(target, add_decisions)
    return line_up


def _service(options: Options, scratch: Path, stack: ExitStack) -> Service:
    """The service that the options name, or one of our own."""
    if options.url and options.key and options.database_url:
        return Service(f"{options.url.rstrip('/')}/api/v1", options.key, options.database_url)
    return stack.enter_context(service.own_environment(scratch))
