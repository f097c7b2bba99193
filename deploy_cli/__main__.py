"""``python -m deploy_cli`` is ``deploy-cli``."""

from deploy_cli.cli import main

if __name__ == "__main__":
    main()
