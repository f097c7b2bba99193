"""Everything that can go wrong for a reason a caller can understand.

Each class is named for what is wrong. HTTP knows them by one table (``http/problems.py``); nothing here or
below knows HTTP.
"""

from collections.abc import Mapping, Sequence


class BanditError(Exception):
    """Base of every error that Bandstand raises on purpose."""


class InvalidInput(BanditError):
    """Values are well-formed but break a rule.

    ``errors`` maps the path of a field (``allocation.probability_floor``) to its messages.
    """

    def __init__(self, errors: Mapping[str, Sequence[str]]) -> None:
        self.errors = {path: list(messages) for path, messages in errors.items()}
        super().__init__("; ".join(f"{p}: {' '.join(m)}" for p, m in self.errors.items()))


class InvalidPolicy(BanditError):
    """A policy's parameters are out of range; the message says the allowed range."""


class ExperimentNotFound(BanditError):
    """No experiment has this key."""


class ArmNotFound(BanditError):
    """The experiment has no arm with this key."""


class DecisionNotFound(BanditError):
    """No decision has this id."""


class RewardNotFound(BanditError):
    """The decision has no reward for this metric."""


class KeyNotFound(BanditError):
    """No API key has this id."""


class ExperimentExists(BanditError):
    """Another experiment has this key already."""


class ArmExists(BanditError):
    """The experiment has an arm with this key already."""


class WrongState(BanditError):
    """The experiment's status does not allow this."""


class StaleVersion(BanditError):
    """The experiment changed since the version that the caller named."""


class ExperimentChanged(BanditError):
    """The experiment keeps changing while a decision is being made; try again."""


class IdempotencyConflict(BanditError):
    """This Idempotency-Key was used for another request."""


class Unauthenticated(BanditError):
    """No API key, or one that is unknown or revoked."""


class Forbidden(BanditError):
    """The API key's role does not include this."""


class PlannerBusy(BanditError):
    """Another experiment is being planned; try again in a moment."""


class PlanTooSlow(BanditError):
    """The simulation takes too long; ask for less."""


class StoreUnavailable(BanditError):
    """PostgreSQL did not answer, or not in time."""


class StoreConflict(StoreUnavailable):
    """Two transactions stood in each other's way; the store itself is well."""


class StoreTooSlow(BanditError):
    """PostgreSQL gave up on a query that took too long, or waited too long for a lock; the store itself is well."""


class StoreCircuitOpen(StoreUnavailable):
    """PostgreSQL failed repeatedly; calls to it are paused for a moment."""
