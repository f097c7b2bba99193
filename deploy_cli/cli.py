"""The command line: ``deploy-cli VERB --env ENVIRONMENT``."""

from __future__ import annotations

import sys

import click

from deploy_cli.commands.demo import demo
from deploy_cli.commands.down import down
from deploy_cli.commands.logs import logs
from deploy_cli.commands.outputs import outputs
from deploy_cli.commands.plan_experiment import plan_experiment
from deploy_cli.commands.status import status
from deploy_cli.commands.up import up
from deploy_cli.errors import DeployError

INTERRUPTED = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="bandstand", prog_name="deploy-cli")
def cli() -> None:
    """Bring Bandstand up, look at it, and take it down.

    Every verb takes --env. Environment `local` is this machine: BANDSTAND_PORT (8080),
    BANDSTAND_HOME (.bandstand/ in the checkout) and DATABASE_URL (an embedded PostgreSQL) change
    the defaults in brackets.
    """


for verb in (up, down, status, logs, outputs, demo, plan_experiment):
    cli.add_command(verb)


def main() -> None:
    """Run the command line and exit: 0 done, 1 failed, 2 misused, 130 interrupted."""
    try:
        exit_code = cli(standalone_mode=False)
    except click.Abort:
        exit_code = INTERRUPTED
    except click.ClickException as error:
        error.show()
        exit_code = error.exit_code
    except DeployError as error:
        show(error.message, error.hint)
        exit_code = 1
    except OSError as error:
        show(f"{error.strerror or error}: {error.filename or 'no file named'}", "")
        exit_code = 1
    sys.exit(exit_code)


def show(message: str, hint: str) -> None:
    """Print an error and what to do about it to stderr."""
    click.secho(f"error: {message}", fg="red", err=True)
    if hint:
        click.echo(hint, err=True)
