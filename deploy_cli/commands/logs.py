"""``deploy-cli logs``."""

from __future__ import annotations

import click

from deploy_cli import environments
from deploy_cli.commands.options import environment_option


@click.command()
@environment_option
@click.option("-f", "--follow", "is_following", is_flag=True, help="Go on with new lines.")
@click.option(
    "--lines",
    "n_lines",
    type=click.IntRange(min=0),
    default=100,
    show_default=True,
    help="How many of the last lines to show.",
)
def logs(environment: str, is_following: bool, n_lines: int) -> None:
    """Show what the service logged."""
    for line in environments.load(environment).log_lines(n_lines, is_following=is_following):
        click.echo(line)
