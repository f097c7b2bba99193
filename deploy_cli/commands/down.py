"""``deploy-cli down``."""

from __future__ import annotations

import click

from deploy_cli import environments
from deploy_cli.commands.options import environment_option


@click.command()
@environment_option
def down(environment: str) -> None:
    """Stop demo, service and database; keep all data."""
    for line in environments.load(environment).down():
        click.echo(line)
