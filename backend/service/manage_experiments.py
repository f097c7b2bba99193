"""Create experiments and arms, change them and walk them through their life cycle. Every change leaves an audit entry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from backend.domain import (
    EPOCH,
    ApiKey,
    Arm,
    ArmStatus,
    Claim,
    Experiment,
    Guardrail,
    GuardrailAction,
    Json,
    PolicySpec,
    Role,
    Status,
    check_experiment,
    utc_now,
)
from backend.errors import (
    ArmExists,
    InvalidInput,
    InvalidPolicy,
    StaleVersion,
    WrongState,
)
from backend.policies.base import ContextualPolicy
from backend.policies.registry import build_policy
from backend.service.idempotent import idempotently
from backend.store import experiments as table
from backend.store.audit import insert_audit, select_audit_page
from backend.store.database import Connection, Database, Row
from backend.store.guardrail_breaches import delete_breaches, insert_breach
from backend.store.policy_snapshots import Published, insert_snapshot, renumber_snapshot

NEWEST = 2**31 - 1
NEWEST_AUDIT = 2**63 - 1
FIXED_AFTER_START = {
    "reward": "what was learned so far would no longer mean the same",
    "seed": "the sequence of draws has begun",
}
LARGEST_MODEL = 1_000_000
"""Most arms times encoded features squared: a model is published with every change of the statistics."""
GUARDRAIL_ACTOR = ApiKey("guardrail", "guardrail", Role.ADMIN, EPOCH)
"""Whom the audit trail names when the service itself acts."""
ALLOWED_AFTER_STOP = {"name", "description"}

Change = Callable[[Experiment], Experiment]


class ManageExperiments:
    """Everything an admin does with experiments."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self, experiment: Experiment, actor: ApiKey, claim: Claim | None = None
    ) -> Experiment:
        """Store a new draft.

        Raises:
            InvalidInput: a rule between its fields is broken, or its policy's parameters are wrong.
            ExperimentExists: its key is taken.
            Replay: it was created before under this Idempotency-Key.
        """
        check(experiment)
        draft = replace(experiment, updated_at=experiment.created_at)

        def work(conn: Connection) -> Experiment:
            stored = table.insert_experiment(conn, draft)
            _audit(conn, stored, actor, "created", _difference({}, table.document_of(stored)))
            return stored

        return idempotently(self._database, claim, work)

    def get(self, key: str) -> Experiment:
        """Raises ExperimentNotFound."""
        return self._database.transaction(lambda conn: table.select_experiment(conn, key))

    def page(self, *, cursor: int | None, status: Status | None, limit: int) -> list[Experiment]:
        """Newest first; ``cursor`` is the id of the last one of the page before."""
        before = cursor if cursor is not None else NEWEST
        return self._database.transaction(
            lambda conn: table.select_page(conn, before=before, status=status, limit=limit)
        )

    def audit_page(self, key: str, *, cursor: int | None, limit: int) -> list[Row]:
        """Audit entries of one experiment, newest first."""
        before = cursor if cursor is not None else NEWEST_AUDIT

        def work(conn: Connection) -> list[Row]:
            experiment = table.select_experiment(conn, key)
            return select_audit_page(conn, experiment.experiment_id, before=before, limit=limit)

        return self._database.transaction(work)

    def update(
        self, key: str, changes: Json, actor: ApiKey, expected_version: int | None
    ) -> Experiment:
        """Change some fields; those of ``reward`` and ``allocation`` one by one, ``policy`` as a whole.

        Raises:
            StaleVersion: the experiment is no longer at ``expected_version``.
            WrongState: its status does not allow the change.
            InvalidInput: the result would break a rule.
        """
        return self._change(key, actor, "updated", lambda e: _apply(e, changes), expected_version)

    def start(
        self, key: str, actor: ApiKey, claim: Claim | None, expected_version: int | None
    ) -> Experiment:
        """Begin, or go on after a pause. Raises WrongState."""
        return self._change(key, actor, "started", _start, expected_version, claim)

    def pause(
        self, key: str, actor: ApiKey, claim: Claim | None, expected_version: int | None
    ) -> Experiment:
        """Answer the control arm and learn nothing until started again. Raises WrongState."""
        return self._change(key, actor, "paused", _pause, expected_version, claim)

    def stop(
        self, key: str, actor: ApiKey, claim: Claim | None, expected_version: int | None
    ) -> Experiment:
        """End for good. Raises WrongState."""
        return self._change(key, actor, "stopped", _stop, expected_version, claim)

    def add_arm(
        self, key: str, arm: Arm, actor: ApiKey, claim: Claim | None, expected_version: int | None
    ) -> Experiment:
        """Append an arm; it starts from the prior. Raises ArmExists, WrongState, InvalidInput."""
        return self._change(
            key, actor, "arm_added", lambda e: _add_arm(e, arm), expected_version, claim
        )

    def update_arm(
        self, key: str, arm_key: str, changes: Json, actor: ApiKey, expected_version: int | None
    ) -> Experiment:
        """Change some fields of an arm. Raises ArmNotFound, WrongState, InvalidInput, StaleVersion."""
        return self._change(
            key, actor, "arm_updated", lambda e: _update_arm(e, arm_key, changes), expected_version
        )

    def enforce(self, key: str, guardrail: Guardrail, arm_id: int, mean: float) -> None:
        """Act on an arm that crosses a guardrail, once: later crossings are what somebody decided to live with.

        Nothing happens if the experiment does not run, the guardrail is no longer the same, or the arm is the last
        active one and would be paused.
        """

        def work(conn: Connection) -> None:
            old = table.select_experiment(conn, key, for_update=True)
            if old.status is not Status.RUNNING or guardrail not in old.guardrails:
                return
            changed = _guarded(old, guardrail, arm_id)
            if not changed.active_arms().any():
                return
            if insert_breach(conn, old.experiment_id, arm_id, guardrail):
                crossed = {"from": guardrail.threshold, "to": mean}
                why = {f"guardrails.{guardrail.metric}.{old.arms[arm_id].key}": crossed}
                _save(conn, old, changed, GUARDRAIL_ACTOR, f"guardrail_{guardrail.action}", why)

        self._database.transaction(work)

    def _change(
        self,
        key: str,
        actor: ApiKey,
        action: str,
        change: Change,
        expected_version: int | None,
        claim: Claim | None = None,
    ) -> Experiment:
        """Apply ``change`` to the locked experiment; a new version, an audit entry, a new policy version."""

        def work(conn: Connection) -> Experiment:
            old = table.select_experiment(conn, key, for_update=True)
            if expected_version is not None and expected_version != old.version:
                raise StaleVersion(
                    f"experiment '{key}' is at version {old.version}, not {expected_version}; read it again"
                )
            changed = change(old)
            return old if changed == old else _save(conn, old, changed, actor, action)

        return idempotently(self._database, claim, work)


def _save(
    conn: Connection,
    old: Experiment,
    changed: Experiment,
    actor: ApiKey,
    action: str,
    why: Json | None = None,
) -> Experiment:
    """Store a change of the locked experiment, if it is one, and an audit entry that begins with ``why``."""
    if changed == old:
        _audit(conn, old, actor, action, why or {})
        return old
    new = replace(changed, version=old.version + 1, updated_at=utc_now())
    check(new)
    table.update_experiment(conn, new)
    if old.status is Status.DRAFT and new.status is Status.RUNNING:
        insert_snapshot(conn, new.experiment_id, 1, Published.empty(new.n_arms))
    else:
        renumber_snapshot(conn, new.experiment_id)
    if changed.guardrails != old.guardrails:
        forget = [g.metric for g in old.guardrails if g not in changed.guardrails]
        delete_breaches(conn, new.experiment_id, forget)
    difference = _difference(_audited(old), _audited(new))
    _audit(conn, new, actor, action, {**(why or {}), **difference})
    return new


def check(experiment: Experiment) -> None:
    """Every rule an experiment must keep. Raises InvalidInput naming the fields."""
    check_experiment(experiment)
    try:
        policy = build_policy(experiment.policy, experiment.reward)
    except InvalidPolicy as exc:
        raise InvalidInput({"policy": [str(exc)]}) from exc
    if isinstance(policy, ContextualPolicy):
        n_features = policy.context_features.n_features
        if experiment.n_arms * n_features**2 > LARGEST_MODEL:
            most = LARGEST_MODEL // n_features**2
            raise InvalidInput(
                {"arms": [f"At most {most} with {n_features} encoded features of context."]}
            )


def _start(experiment: Experiment) -> Experiment:
    if experiment.status not in (Status.DRAFT, Status.PAUSED):
        raise WrongState(
            f"experiment '{experiment.key}' is {experiment.status}; only a draft or paused one can start"
        )
    started_at = experiment.started_at or utc_now()
    return replace(experiment, status=Status.RUNNING, started_at=started_at)


def _pause(experiment: Experiment) -> Experiment:
    if experiment.status is not Status.RUNNING:
        raise WrongState(
            f"experiment '{experiment.key}' is {experiment.status}; only a running one can pause"
        )
    return replace(experiment, status=Status.PAUSED)


def _stop(experiment: Experiment) -> Experiment:
    if experiment.status not in (Status.RUNNING, Status.PAUSED):
        raise WrongState(
            f"experiment '{experiment.key}' is {experiment.status}; only a running or paused one can stop"
        )
    return replace(experiment, status=Status.STOPPED, stopped_at=utc_now())


def _apply(experiment: Experiment, changes: Json) -> Experiment:
    fixed = [name for name in FIXED_AFTER_START if name in changes]
    if experiment.status is not Status.DRAFT and fixed:
        why = FIXED_AFTER_START[fixed[0]]
        raise WrongState(f"{fixed[0]} cannot change after the start: {why}")
    if experiment.status is Status.STOPPED and set(changes) - ALLOWED_AFTER_STOP:
        raise WrongState("a stopped experiment can only change its name and description")
    if experiment.status is not Status.DRAFT and "policy" in changes:
        _check_features(experiment.policy, changes["policy"])
    merged: dict[str, Any] = dict(changes)
    for part in ("reward", "allocation"):
        if part in merged:
            merged[part] = replace(getattr(experiment, part), **merged[part])
    return replace(experiment, **merged)


def _check_features(old: PolicySpec, new: PolicySpec) -> None:
    """Context can be dropped after the start, but what is regressed on cannot change. Raises WrongState."""
    features = new.params.get("context_features")
    if features is not None and features != old.params.get("context_features"):
        raise WrongState(
            "policy.params.context_features cannot change after the start: the regressions so far are on others"
        )


def _guarded(experiment: Experiment, guardrail: Guardrail, arm_id: int) -> Experiment:
    """The experiment with the guardrail's action taken on an arm."""
    arm = experiment.arms[arm_id]
    if guardrail.action is GuardrailAction.CAP:
        caps = [cap for cap in (arm.max_probability, guardrail.max_probability) if cap is not None]
        return experiment.with_arm(arm_id, replace(arm, max_probability=min(caps)))
    if guardrail.action is GuardrailAction.PAUSE_ARM and arm.status is ArmStatus.ACTIVE:
        return experiment.with_arm(arm_id, replace(arm, status=ArmStatus.PAUSED))
    return experiment


def _add_arm(experiment: Experiment, arm: Arm) -> Experiment:
    if experiment.status is Status.STOPPED:
        raise WrongState(f"experiment '{experiment.key}' is stopped; it takes no more arms")
    if any(existing.key == arm.key for existing in experiment.arms):
        raise ArmExists(f"experiment '{experiment.key}' has an arm '{arm.key}' already")
    return experiment.with_arm(experiment.n_arms, arm)


def _update_arm(experiment: Experiment, arm_key: str, changes: Json) -> Experiment:
    arm_id = experiment.arm_id(arm_key)
    old = experiment.arms[arm_id]
    if experiment.status is Status.STOPPED and "status" in changes:
        raise WrongState(f"experiment '{experiment.key}' is stopped; its arms keep their status")
    if (
        old.status is ArmStatus.RETIRED
        and changes.get("status", ArmStatus.RETIRED) is not ArmStatus.RETIRED
    ):
        raise WrongState(f"arm '{arm_key}' is retired and cannot come back; add a new arm instead")
    changed = experiment.with_arm(arm_id, replace(old, **changes))
    if not changed.active_arms().any():
        raise WrongState(
            f"arm '{arm_key}' is the last active one; pause or stop the experiment instead"
        )
    return changed


def _audited(experiment: Experiment) -> Json:
    return {"status": experiment.status, **table.document_of(experiment)}


def _difference(old: Any, new: Any, path: str = "") -> Json:
    """Every leaf that differs: ``{"allocation.control_share": {"from": 0.0, "to": 0.1}}``; arms go by their key."""
    old, new = _by_arm_key(old, path), _by_arm_key(new, path)
    if isinstance(old, dict) and isinstance(new, dict) and "payload" not in path:
        found: Json = {}
        for name in [*old, *(name for name in new if name not in old)]:
            inner = f"{path}.{name}" if path else name
            found |= _difference(old.get(name), new.get(name), inner)
        return found
    return {} if old == new else {path: {"from": old, "to": new}}


def _by_arm_key(value: Any, path: str) -> Any:
    if path == "arms" and isinstance(value, Sequence):
        return {arm["key"]: arm for arm in value}
    return value


def _audit(
    conn: Connection, experiment: Experiment, actor: ApiKey, action: str, changes: Json
) -> None:
    insert_audit(
        conn,
        experiment_id=experiment.experiment_id,
        version=experiment.version,
        key_id=actor.key_id,
        key_name=actor.name,
        action=action,
        changes=changes,
    )
