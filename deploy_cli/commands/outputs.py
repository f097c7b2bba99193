"""``deploy-cli outputs``."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from deploy_cli import environments
from deploy_cli.commands.options import environment_option


@click.command()
@environment_option
@click.option("--json", "is_json", is_flag=True, help="Print JSON and nothing else.")
def outputs(environment: str, is_json: bool) -> None:
    """Print the addresses, the admin key and the database's address."""
    values = asdict(environments.load(environment).outputs())
    if is_json:
        click.echo(json.dumps(values))
    else:
        for name, value in values.items():
            click.echo(f"{name:<13} {value}")
