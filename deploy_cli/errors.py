"""What can go wrong, said so that a person knows what to do next."""


class DeployError(Exception):
    """Something that the person at the terminal can act upon.

    ``message`` says what is wrong, ``hint`` what to do about it (may be empty).
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class InvalidSetting(DeployError):
    """An environment variable holds what cannot be used."""


class HomeUnusable(DeployError):
    """The directory for local data cannot be created or written to."""


class EnvironmentBusy(DeployError):
    """Another deploy-cli works on this environment and does not end."""


class EnvironmentNotCreated(DeployError):
    """A verb needs an environment that no ``up`` has created yet."""


class CommandFailed(DeployError):
    """A program could not be started, or ended with an error."""


class PortTaken(DeployError):
    """Another program listens where the service should."""


class PostgresUnavailable(DeployError):
    """PostgreSQL could not be found, started or reached."""


class ServiceNotReady(DeployError):
    """The service did not start, or not in time."""


class ApiUnreachable(DeployError):
    """The service did not answer, however often it was asked."""


class ApiRefused(DeployError):
    """The service answered with an error; ``status`` is the HTTP one."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class DemoRefused(DeployError):
    """The demo cannot run as asked."""
