"""``deploy-cli demo``."""

from __future__ import annotations

import signal
import sys

import click

from deploy_cli import environments
from deploy_cli.commands.options import environment_option
from deploy_cli.environments import Environment


@click.command()
@environment_option
@click.option(
    "--rate",
    type=click.IntRange(1, 10_000),
    default=100,
    show_default=True,
    help="People per second.",
)
@click.option(
    "--people",
    type=click.IntRange(min=1),
    default=30_000,
    show_default=True,
    help="People to replay in this run.",
)
@click.option("--seed", type=int, help="Seed of the draws of people; fresh if not given.")
@click.option("--detach", "is_detached", is_flag=True, help="Run in the background and return.")
@click.option("--stop", "is_stop", is_flag=True, help="End the running demo.")
def demo(
    environment: str, rate: int, people: int, seed: int | None, is_detached: bool, is_stop: bool
) -> None:
    """Replay a real field experiment through the API and watch it learn.

    Creates experiment get-out-the-vote from Gerber, Green and Larimer 2008: five letters, 344,084
    people, did they vote? Outcomes are drawn without replacement from the trial's own people; a
    later run goes on where the last one ended.
    """
    target = environments.load(environment)
    if is_stop:
        _stop(target)
    elif is_detached:
        _detach(target, environment, rate, people, seed)
    else:
        _replay(target, rate, people, seed)


def _stop(target: Environment) -> None:
    from deploy_cli.demo import background
    from deploy_cli.runner import Runner

    is_stopped = background.stop(target.home, Runner())
    click.echo("Demo stopped." if is_stopped else "No demo runs.")


def _detach(
    target: Environment, environment: str, rate: int, people: int, seed: int | None
) -> None:
    from deploy_cli.argv import demo as argv
    from deploy_cli.demo import background, run
    from deploy_cli.runner import Runner

    pid = background.running_pid(target.home)
    if pid is not None:
        click.echo(f"A demo runs already (process {pid}). {background.advice()}")
        return
    outputs = target.outputs()
    run.prepare(outputs)
    command = argv.replay(sys.executable, environment, rate, people, seed)
    background.start(target.home, command, Runner())
    click.echo(f"The demo replays {people:,} people of a field experiment, {rate:,} a second:")
    click.echo(f"experiment {run.EXPERIMENT_KEY} at {outputs.site_url} learns which letter works.")
    click.echo(f"To watch its own log: tail -f {background.log_file(target.home)}")
    click.echo(background.advice())


def _replay(target: Environment, rate: int, people: int, seed: int | None) -> None:
    from rich.console import Console

    from deploy_cli.demo import run

    if run.run(target, rate, people, seed, Console()) == signal.SIGINT:
        raise click.Abort
