"""Act on arms that cross a guardrail: note it, hold the arm to a share of the traffic, or pause it. Once an arm and metric.

Whoever resumes such an arm, or lifts its cap, decides so knowingly: the same guardrail does not act on it again.
"""

from __future__ import annotations

from dataclasses import replace

from backend.domain import (
    ApiKey,
    ArmStatus,
    Experiment,
    GuardrailAction,
    Json,
    Role,
    Status,
    utc_now,
)
from backend.service.manage_experiments import ManageExperiments
from backend.service.report_guardrails import GuardrailReport, report_guardrails
from backend.service.snapshot import Snapshots
from backend.store.database import Connection, Database
from backend.store.guardrail_breaches import insert_breach, try_lock

ACTOR = ApiKey("guardrail", "guardrail", Role.ADMIN, utc_now())
"""Whom the audit trail names."""


class EnforceGuardrails:
    """Looks after the guardrails of all running experiments; one process at a time does."""

    def __init__(
        self, database: Database, snapshots: Snapshots, manage_experiments: ManageExperiments
    ) -> None:
        self._database = database
        self._snapshots = snapshots
        self._manage = manage_experiments

    def __call__(self) -> None:
        """Look at every guardrail, and act where it is crossed for the first time."""
        watched = [
            experiment
            for experiment in self._snapshots.experiments()
            if experiment.guardrails and experiment.status is Status.RUNNING
        ]
        if watched:
            self._database.transaction(lambda conn: self._enforce(conn, watched))

    def _enforce(self, conn: Connection, experiments: list[Experiment]) -> None:
        if not try_lock(conn):
            return
        for experiment in experiments:
            for report in report_guardrails(conn, experiment):
                for arm_id in range(experiment.n_arms):
                    if report.is_breached[arm_id] and arm_id not in report.breached_at:
                        self._act(experiment, report, arm_id)
                        insert_breach(
                            conn,
                            experiment.experiment_id,
                            arm_id,
                            report.guardrail.metric,
                            report.guardrail.action,
                        )

    def _act(self, experiment: Experiment, report: GuardrailReport, arm_id: int) -> None:
        """Change the arm; acting twice on the same breach changes nothing."""
        guardrail, arm_key = report.guardrail, experiment.arms[arm_id].key

        def change(current: Experiment) -> Experiment:
            arm = current.arms[arm_id]
            if guardrail.action is GuardrailAction.CAP:
                caps = [
                    c for c in (arm.max_probability, guardrail.max_probability) if c is not None
                ]
                return current.with_arm(arm_id, replace(arm, max_probability=min(caps)))
            if guardrail.action is GuardrailAction.PAUSE_ARM and arm.status is ArmStatus.ACTIVE:
                paused = current.with_arm(arm_id, replace(arm, status=ArmStatus.PAUSED))
                return paused if paused.active_arms().any() else current
            return current

        crossed: Json = {
            f"guardrails.{guardrail.metric}.{arm_key}": {
                "from": guardrail.threshold,
                "to": float(report.mean[arm_id]),
            }
        }
        self._manage.act(experiment.key, ACTOR, f"guardrail_{guardrail.action}", change, crossed)
