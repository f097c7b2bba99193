"""Options that every verb shares."""

from __future__ import annotations

import click

from deploy_cli import targets


def _known(_context: click.Context, _parameter: click.Parameter, name: str) -> str:
    if name not in targets.ENVIRONMENTS:
        known = ", ".join(f"`{environment}`" for environment in targets.ENVIRONMENTS)
        raise click.BadParameter(f"`{name}` is not an environment; only {known} is known yet.")
    return name


environment_option = click.option(
    "--env",
    "environment",
    required=True,
    metavar="ENVIRONMENT",
    callback=_known,
    help="Environment to work on: local.",
)
