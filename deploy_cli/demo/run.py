"""One run of the demo, from the lock to the closing table."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from rich.console import Console

from deploy_cli.api import Api
from deploy_cli.demo import background, display
from deploy_cli.demo.experiment import ensure_running, replayed
from deploy_cli.demo.pools import Pools
from deploy_cli.demo.replay import Outcome, Replay, batches
from deploy_cli.demo.stopping import StopSignal
from deploy_cli.demo.tally import Tally
from deploy_cli.demo.trial import EXPERIMENT_KEY
from deploy_cli.environments import Environment, Outputs
from deploy_cli.errors import DemoRefused

__all__ = ["EXPERIMENT_KEY", "prepare", "run"]

PATIENCE_S = 60.0
LOCK_TIMEOUT_S = 1.0


def prepare(outputs: Outputs) -> None:
    """Have the experiment running, or complain before anything goes to the background."""
    with Api(outputs.api_url, outputs.admin_key) as api:
        ensure_running(api)


def run(
    environment: Environment, rate: int, people: int, seed: int | None, console: Console
) -> int | None:
    """Replay up to ``people`` people at ``rate`` a second.

    Returns:
        The number of the signal that ended it early, if one did.
    Raises:
        DemoRefused: another demo runs, or the experiment does not take people.
        ApiUnreachable: the service was gone for a minute.
    """
    outputs = environment.outputs()
    lock = background.lock(environment.home)
    if not lock.try_acquire(LOCK_TIMEOUT_S):
        pid = background.running_pid(environment.home)
        raise DemoRefused(f"a demo runs already (process {pid})", background.advice())
    stop = StopSignal()
    stop.listen()

    def on_wait(message: str) -> None:
        console.print(message, soft_wrap=True, highlight=False)
        if stop.received is not None:
            raise KeyboardInterrupt

    try:
        with Api(outputs.api_url, outputs.admin_key, patience_s=PATIENCE_S, on_wait=on_wait) as api:
            _replay(api, rate, people, Random(seed), stop, console)  # noqa: S311 - not a secret
    finally:
        lock.release()
    return stop.received


def _replay(
    api: Api, rate: int, people: int, rng: Random, stop: StopSignal, console: Console
) -> None:
    ensure_running(api)
    before = replayed(api)
    replay = Replay(api, Pools(before), rng, sum(n_people for n_people, _ in before.values()))
    tally = Tally()
    try:
        display.watch(_steps(replay, rate, people, stop), people, tally, console)
    finally:
        console.print(display.table(tally))
    if not replay.pools.people_left():
        console.print("Everybody of the trial has been replayed; nobody is left to draw.")


def _steps(replay: Replay, rate: int, people: int, stop: StopSignal) -> Iterator[list[Outcome]]:
    for n_people in batches(rate, people):
        if stop.received is not None or not replay.pools.people_left():
            return
        yield replay.send(n_people)
