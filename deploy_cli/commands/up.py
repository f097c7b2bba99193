"""``deploy-cli up``."""

from __future__ import annotations

import click

from deploy_cli import environments
from deploy_cli.commands.options import environment_option


@click.command()
@environment_option
def up(environment: str) -> None:
    """Bring up database and service, wait until they answer, say where they are.

    Safe to run again: what runs is left alone, what is broken is mended, data is kept.
    """
    for line in environments.load(environment).up():
        click.echo(line)
