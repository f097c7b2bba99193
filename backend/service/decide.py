"""Choose an arm for a unit: from this worker's memory, then durable in the log before anyone is told."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import cast

import uuid_utils

from backend.domain import Claim, Decision, DecisionRequest, Experiment, Status
from backend.errors import (
    BanditError,
    ExperimentChanged,
    ExperimentNotFound,
    InvalidInput,
    WrongState,
)
from backend.service.commit import DecisionItem, LogItem, LogResult
from backend.service.seeded_random import random_numbers
from backend.service.snapshot import Snapshot, Snapshots
from backend.service.writer import GroupCommitWriter
from backend.store.database import Database
from backend.store.seeded_draws import reserve_draws

ATTEMPTS = 5
"""How often a decision is made again because the experiment changed before it was committed."""

Writer = GroupCommitWriter[LogItem, LogResult]


class Decide:
    """Makes decisions."""

    def __init__(self, database: Database, snapshots: Snapshots, writer: Writer) -> None:
        self._database = database
        self._snapshots = snapshots
        self._writer = writer

    def one(self, request: DecisionRequest, claim: Claim | None = None) -> Decision:
        """Choose, log and return one decision.

        Raises:
            ExperimentNotFound, WrongState, InvalidInput: it cannot be made.
            Replay: it was made before under this Idempotency-Key.
            StoreUnavailable: it could not be made durable.
        """
        (outcome,) = self.batch([request], claim, strict=True)
        return cast(Decision, outcome)

    def batch(
        self,
        requests: Sequence[DecisionRequest],
        claim: Claim | None = None,
        *,
        strict: bool = False,
    ) -> Sequence[Decision | BanditError]:
        """Choose and log many, in one transaction; an error stands in for each one that cannot be made.

        ``strict``: raise the first such error instead, and log nothing.
        """
        for _ in range(ATTEMPTS):
            outcomes = self._choose_all(requests)
            if strict and (
                error := next((o for o in outcomes if isinstance(o, BanditError)), None)
            ):
                raise error
            try:
                return self._writer.submit(DecisionItem(outcomes, claim))  # type: ignore[return-value]
            except ExperimentChanged:
                for experiment_key in {request.experiment_key for request in requests}:
                    self._reload(experiment_key)
        raise ExperimentChanged(
            "the experiment changes faster than a decision can be made; try again"
        )

    def _choose_all(self, requests: Sequence[DecisionRequest]) -> list[Decision | BanditError]:
        snapshots = {key: self._find(key) for key in {r.experiment_key for r in requests}}
        seeded = self._seeded_numbers(requests, snapshots)
        outcomes: list[Decision | BanditError] = []
        reloaded: set[str] = set()
        for request in requests:
            key = request.experiment_key
            snapshot = snapshots[key]
            if isinstance(snapshot, BanditError):
                outcomes.append(snapshot)
                continue
            numbers = seeded.get(key)
            random_number = random.random() if numbers is None else next(numbers)  # noqa: S311 - no secret
            outcome = _try(snapshot, request, random_number)
            if isinstance(outcome, BanditError) and key not in reloaded:
                reloaded.add(key)  # this copy may be old: the arm can be new, or active again
                snapshots[key] = self._reload(key)
                outcome = _try(snapshots[key], request, random_number)
            outcomes.append(outcome)
        return outcomes

    def _find(self, experiment_key: str) -> Snapshot | BanditError:
        """The snapshot to decide from; a refusal is checked against the database first."""
        try:
            snapshot = self._snapshots.get(experiment_key)
        except ExperimentNotFound as exc:
            return exc
        return snapshot if _refusal(snapshot.experiment) is None else self._reload(experiment_key)

    def _reload(self, experiment_key: str) -> Snapshot | BanditError:
        """As ``_find``, from the database."""
        try:
            snapshot = self._snapshots.reload(experiment_key)
        except ExperimentNotFound as exc:
            return exc
        return _refusal(snapshot.experiment) or snapshot

    def _seeded_numbers(
        self, requests: Sequence[DecisionRequest], snapshots: Mapping[str, Snapshot | BanditError]
    ) -> dict[str, Iterator[float]]:
        """For each seeded experiment, as many of its next random numbers as these requests need."""
        seeds = {
            key: (snapshot.experiment.experiment_id, snapshot.experiment.seed)
            for key, snapshot in snapshots.items()
            if isinstance(snapshot, Snapshot) and snapshot.experiment.seed is not None
        }
        numbers: dict[str, Iterator[float]] = {}
        for key, (experiment_id, seed) in seeds.items():
            n = sum(request.experiment_key == key for request in requests)
            reserve = partial(reserve_draws, experiment_id=experiment_id, n=n)
            numbers[key] = random_numbers(seed, self._database.transaction(reserve))
        return numbers


def _try(
    snapshot: Snapshot | BanditError, request: DecisionRequest, random_number: float
) -> Decision | BanditError:
    if isinstance(snapshot, BanditError):
        return snapshot
    try:
        return choose(snapshot, request, random_number)
    except BanditError as exc:
        return exc


def choose(snapshot: Snapshot, request: DecisionRequest, random_number: float) -> Decision:
    """The decision that ``random_number`` in [0, 1) makes from this snapshot; nothing is stored.

    Raises:
        InvalidInput: ``eligible_arms`` names an arm that does not exist, or ``context`` does not fit the declared
            features of a contextual policy.
        WrongState: no arm that may be chosen is active.
    """
    eligible_arm_ids = _eligible_arm_ids(snapshot, request)
    vector = snapshot.vector(eligible_arm_ids, request.context)
    arm_id = vector.allocation.draw(random_number)
    propensity = float(vector.allocation.probabilities[arm_id])
    decided_at_us = time.time_ns() // 1000
    return Decision(
        decision_id=str(uuid_utils.uuid7(nanoseconds=decided_at_us * 1000)),
        experiment=snapshot.experiment,
        unit_id=request.unit_id,
        arm_id=arm_id,
        propensity=propensity,
        probabilities=vector.probabilities,
        reason=snapshot.reason(vector, arm_id, random_number),
        policy_version=snapshot.policy_version,
        random_number=random_number,
        decided_at_us=decided_at_us,
        context=request.context,
        eligible_arm_ids=eligible_arm_ids,
        importance_weight=snapshot.importance_weight(propensity),
        scores=vector.scores,
        features=vector.features,
    )


def _eligible_arm_ids(snapshot: Snapshot, request: DecisionRequest) -> tuple[int, ...] | None:
    if request.eligible_arms is None:
        if not snapshot.has_active_arm:
            raise WrongState(f"experiment '{snapshot.experiment.key}' has no active arm")
        return None
    try:
        arm_ids = tuple(sorted({snapshot.arm_ids[key] for key in request.eligible_arms}))
    except KeyError as exc:
        message = f"experiment '{snapshot.experiment.key}' has no arm {exc}"
        raise InvalidInput({"eligible_arms": [message]}) from exc
    if not snapshot.eligible(arm_ids).any():
        raise WrongState("none of eligible_arms is active")
    return arm_ids


def _refusal(experiment: Experiment) -> WrongState | None:
    if experiment.status is Status.DRAFT:
        return WrongState(f"experiment '{experiment.key}' is a draft; start it to get decisions")
    if experiment.status is Status.STOPPED:
        return WrongState(f"experiment '{experiment.key}' is stopped; it makes no more decisions")
    return None
