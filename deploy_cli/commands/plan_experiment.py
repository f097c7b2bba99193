"""``deploy-cli plan-experiment``."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click

from deploy_cli import environments
from deploy_cli.commands.options import environment_option
from deploy_cli.plan import scenario

PATIENCE_S = 90.0
REWARDS = ("binary", "count", "continuous")


def _parsed(parse: Callable[[str], Any], shape: str) -> Callable[..., list[Any]]:
    def parse_all(
        _context: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]
    ) -> list[Any]:
        try:
            return [parse(text) for text in texts]
        except ValueError:
            raise click.BadParameter(f"write {shape}, with numbers behind the =.") from None

    return parse_all


@click.command("plan-experiment")
@environment_option
@click.option(
    "--arm",
    "arms",
    multiple=True,
    required=True,
    metavar="KEY=MEAN[,SD]",
    callback=_parsed(scenario.arm, "KEY=MEAN or KEY=MEAN,SD"),
    help="An arm and its assumed mean reward; with a continuous reward its standard deviation too.",
)
@click.option(
    "--decisions-per-day", type=click.IntRange(min=1), required=True, help="Assumed traffic."
)
@click.option(
    "--reward",
    type=click.Choice(REWARDS),
    default="binary",
    show_default=True,
    help="What is observed.",
)
@click.option("--policy", default="thompson_sampling", show_default=True, help="What decides.")
@click.option(
    "--param",
    "params",
    multiple=True,
    metavar="NAME=NUMBER",
    callback=_parsed(scenario.parameter, "NAME=NUMBER"),
    help="A parameter of the policy, for example horizon=100000.",
)
@click.option(
    "--max-days",
    type=click.IntRange(min=1),
    default=28,
    show_default=True,
    help="How long it runs, decided or not.",
)
@click.option(
    "--reward-delay-s",
    type=click.FloatRange(min=0.0),
    default=0.0,
    show_default=True,
    help="Mean time until an outcome is known, in seconds.",
)
@click.option(
    "--runs",
    type=click.IntRange(min=1),
    default=200,
    show_default=True,
    help="How often it is simulated.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    help="The same seed gives the same answer.",
)
@click.option("--json", "is_json", is_flag=True, help="Print the answer as JSON and nothing else.")
def plan_experiment(
    environment: str, arms: list[Any], params: list[Any], is_json: bool, **assumed: Any
) -> None:
    """Simulate an experiment before it begins.

    How long until it is decided, what does it cost against an even split, how likely does it name
    the wrong winner? For example: plan-experiment --env local --arm control=0.10 --arm green=0.12
    --decisions-per-day 5000
    """
    from rich.console import Console

    from deploy_cli.plan import display
    from deploy_cli.plan.request import PlannerApi

    outputs = environments.load(environment).outputs()
    body = scenario.body(arms, params=dict(params), **assumed)
    with (
        PlannerApi(outputs.api_url, outputs.admin_key, patience_s=PATIENCE_S) as api,
        display.progress(Console(stderr=True)) as on_progress,
    ):
        plan = api.plan(body, on_progress)
    if is_json:
        click.echo(json.dumps(plan))
        return
    for line in display.summary(plan):
        click.echo(line)
    Console().print(display.table(plan))
