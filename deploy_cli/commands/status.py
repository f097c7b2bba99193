"""``deploy-cli status``."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from deploy_cli import environments
from deploy_cli.commands.options import environment_option


@click.command()
@environment_option
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
@click.pass_context
def status(context: click.Context, environment: str, is_json: bool) -> None:
    """Show which parts are up; exit 0 if all that are needed are, else 1."""
    parts = environments.load(environment).status()
    is_up = all(part.is_up for part in parts if part.is_needed)
    if is_json:
        click.echo(json.dumps({"is_up": is_up, "parts": [asdict(part) for part in parts]}))
    else:
        for part in parts:
            click.echo(f"{part.name:<10} {'up' if part.is_up else 'down':<5} {part.detail}")
    context.exit(0 if is_up else 1)
