"""All use cases of one process, wired together."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import structlog

from backend.domain import utc_now
from backend.errors import BanditError, StoreUnavailable
from backend.resilience import Guard
from backend.service.commit import CommitLog
from backend.service.decide import Decide, Writer
from backend.service.enforce_guardrails import EnforceGuardrails
from backend.service.evaluate_policy import EvaluatePolicy
from backend.service.explain_decision import ExplainDecision
from backend.service.history import HOUR, blocks_at
from backend.service.manage_experiments import ManageExperiments
from backend.service.manage_keys import Authenticate, ManageKeys
from backend.service.plan_experiment import PlanExperiment
from backend.service.record_rewards import RecordRewards
from backend.service.report_results import ReportResults
from backend.service.snapshot import Snapshots
from backend.settings import Settings
from backend.store.database import Connection, Database
from backend.store.idempotency import delete_expired
from backend.store.partitions import ensure_partitions
from backend.store.statistics import merge_fine_buckets

MAINTENANCE_S = 3600.0
MAINTENANCE_RETRY_S = 60.0
DRAIN_S = 20.0
LOOP_END_S = 2.0
"""Longest wait for a loop in the background to notice that the service stops."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Services:
    """What HTTP can ask for."""

    settings: Settings
    database: Database
    snapshots: Snapshots
    writer: Writer
    authenticate: Authenticate
    decide: Decide
    record_rewards: RecordRewards
    manage_experiments: ManageExperiments
    manage_keys: ManageKeys
    report_results: ReportResults
    explain_decision: ExplainDecision
    enforce_guardrails: EnforceGuardrails
    evaluate_policy: EvaluatePolicy
    plan_experiment: PlanExperiment
    stopping: threading.Event
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        """Connect, and begin writing and refreshing in the background."""
        self.database.open()
        self.writer.start()
        for loop in (self._keep_fresh, self._maintain, self._watch):
            thread = threading.Thread(target=loop, name=loop.__name__, daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Store what is queued, let the loops end, then disconnect."""
        self.stopping.set()
        self.writer.stop(DRAIN_S)
        for thread in self._threads:
            thread.join(LOOP_END_S)
        self.database.close()

    def not_ready(self) -> dict[str, str]:
        """Which part cannot serve, and why; empty when all can."""
        problems = {}
        if self.stopping.is_set():
            problems["service"] = "is stopping"
        if not self.snapshots.loaded.is_set():
            problems["snapshots"] = "not loaded yet"
        try:
            self.database.fetch("SELECT 1 AS up")
        except StoreUnavailable as exc:
            problems["database"] = str(exc)
        return problems

    def _keep_fresh(self) -> None:
        while not self.stopping.is_set():
            try:
                self.authenticate.refresh()
                self.snapshots.refresh()
            except BanditError as exc:
                log.warning("refresh failed", reason=str(exc))
            except Exception:  # the loop must outlive any one failure
                log.exception("refresh failed")
            self.stopping.wait(self.settings.refresh_interval_s)

    def _watch(self) -> None:
        while not self.stopping.wait(self.settings.guardrail_interval_s):
            try:
                self.enforce_guardrails()
            except BanditError as exc:
                log.warning("guardrails were not looked at", reason=str(exc))
            except Exception:  # the loop must outlive any one failure
                log.exception("guardrails were not looked at")

    def _maintain(self) -> None:
        while not self.stopping.is_set():
            wait_s = MAINTENANCE_S
            for task in (delete_expired, _prepare_partitions, _merge_buckets):
                try:
                    self.database.transaction(task)
                except BanditError as exc:
                    wait_s = MAINTENANCE_RETRY_S
                    log.warning("maintenance failed", task=task.__name__, reason=str(exc))
                except Exception:  # the loop must outlive any one failure
                    log.exception("maintenance failed")
            self.stopping.wait(wait_s)


def _prepare_partitions(conn: Connection) -> None:
    """Make coming partitions; never let decisions queue behind the wish to."""
    conn.execute("SET LOCAL lock_timeout = '200ms'")
    ensure_partitions(conn, utc_now())


def _merge_buckets(conn: Connection) -> None:
    """Before all that workers still read bucket by bucket."""
    merge_fine_buckets(conn, blocks_at(utc_now()).recent_since - HOUR)


def build_services(settings: Settings) -> Services:
    """Wire everything; nothing runs before ``start``."""
    database = Database(settings, Guard())
    snapshots = Snapshots(database)
    manage_experiments = ManageExperiments(database)
    writer: Writer = Writer(CommitLog(database, snapshots), settings.request_timeout_s)
    return Services(
        settings=settings,
        database=database,
        snapshots=snapshots,
        writer=writer,
        authenticate=Authenticate(database),
        decide=Decide(database, snapshots, writer),
        record_rewards=RecordRewards(database, snapshots, writer),
        manage_experiments=manage_experiments,
        manage_keys=ManageKeys(database),
        report_results=ReportResults(database, snapshots),
        explain_decision=ExplainDecision(database),
        enforce_guardrails=EnforceGuardrails(database, snapshots, manage_experiments),
        evaluate_policy=EvaluatePolicy(database),
        plan_experiment=PlanExperiment(),
        stopping=threading.Event(),
    )
