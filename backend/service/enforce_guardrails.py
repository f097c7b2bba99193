"""Look after guardrails: note an arm that crosses one, hold it to a share of the traffic, or pause it. Once an arm and metric.

Whoever resumes such an arm, or lifts its cap, decides so knowingly: the same guardrail does not act on it again.
"""

from __future__ import annotations

import structlog

from backend.domain import Experiment, Status
from backend.errors import BanditError
from backend.service.manage_experiments import ManageExperiments
from backend.service.report_guardrails import report_guardrails
from backend.service.snapshot import Snapshots
from backend.store.database import Connection, Database
from backend.store.guardrail_breaches import try_lock

log = structlog.get_logger(__name__)


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
        """This transaction only reads, and keeps other processes away; each action is one of its own."""
        if not try_lock(conn):
            return
        for experiment in experiments:
            for report in report_guardrails(conn, experiment):
                crossed = [i for i in range(experiment.n_arms) if report.is_breached[i]]
                for arm_id in (i for i in crossed if i not in report.breached_at):
                    mean = float(report.mean[arm_id])
                    try:
                        self._manage.enforce(experiment.key, report.guardrail, arm_id, mean)
                    except BanditError as exc:
                        log.warning("a guardrail could not act", reason=str(exc), arm_id=arm_id)
