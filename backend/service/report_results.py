"""What an experiment has learned, for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from backend.domain import ArmStatus, Experiment, FloatArray, utc_now
from backend.inference.posteriors import family_for
from backend.service.snapshot import Snapshot, Snapshots
from backend.statistics import ArmStatistics
from backend.store.database import Connection, Database, Row
from backend.store.decisions import stream_log
from backend.store.experiments import select_experiment
from backend.store.statistics import select_series, select_totals

CREDIBLE_LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Results:
    """Results of an experiment; arrays have shape (n_arms,), intervals (n_arms, 2).

    ``reward_mean`` is NaN for an arm without data. ``probability_best`` is 0 for a retired arm. ``pending`` counts
    the decisions inside the attribution window that have no reward yet.
    """

    experiment: Experiment
    as_of: datetime
    policy_version: int
    statistics: ArmStatistics
    pending: int
    reward_mean: FloatArray
    credible_interval: FloatArray
    probability_best: FloatArray
    propensity: FloatArray


@dataclass(frozen=True, slots=True)
class Propensities:
    """What a client needs to draw by itself for a while."""

    experiment: Experiment
    policy_version: int
    probabilities: dict[str, float]


class ReportResults:
    """Reads the statistics as they are in the database right now."""

    def __init__(self, database: Database, snapshots: Snapshots) -> None:
        self._database = database
        self._snapshots = snapshots

    def results(self, experiment_key: str) -> Results:
        """Raises ExperimentNotFound."""
        snapshot = self._snapshots.reload(experiment_key)
        experiment, as_of = snapshot.experiment, utc_now()
        window = timedelta(seconds=experiment.reward.attribution_window_s)
        rows = self._database.transaction(
            lambda conn: select_totals(conn, experiment.experiment_id, as_of - window)
        )
        statistics = _statistics(experiment, rows)
        stats = statistics.observed(experiment.reward.default_reward)
        posterior = family_for(experiment.reward).posterior(stats)
        return Results(
            experiment=experiment,
            as_of=as_of,
            policy_version=snapshot.policy_version,
            statistics=statistics,
            pending=int(sum(row["pending"] for row in rows)),
            reward_mean=stats.means(),
            credible_interval=posterior.interval(CREDIBLE_LEVEL),
            probability_best=_probability_best(experiment, statistics),
            propensity=_propensity(snapshot),
        )

    def series(
        self, experiment_key: str, *, unit: str, metric: str, since: datetime | None
    ) -> tuple[Experiment, list[Row]]:
        """Sums per bucket and arm, oldest first, of buckets at or after ``since``. Raises ExperimentNotFound."""

        def work(conn: Connection) -> tuple[Experiment, list[Row]]:
            experiment = select_experiment(conn, experiment_key)
            rows = select_series(
                conn, experiment.experiment_id, unit=unit, metric=metric, since=since
            )
            return experiment, rows

        return self._database.transaction(work)

    def log(self, experiment_key: str) -> tuple[Experiment, Iterator[Row]]:
        """The decision log with rewards, oldest first; read as it is consumed. Raises ExperimentNotFound."""
        experiment = self._database.transaction(
            lambda conn: select_experiment(conn, experiment_key)
        )
        return experiment, stream_log(self._database, experiment.experiment_id)

    def propensities(self, experiment_key: str) -> Propensities:
        """The vector that decisions are drawn from now. Raises ExperimentNotFound."""
        snapshot = self._snapshots.reload(experiment_key)
        keys = [arm.key for arm in snapshot.experiment.arms]
        probabilities = dict(zip(keys, _propensity(snapshot).tolist(), strict=True))
        return Propensities(snapshot.experiment, snapshot.policy_version, probabilities)


def _statistics(experiment: Experiment, rows: Sequence[Row]) -> ArmStatistics:
    sums = np.zeros((experiment.n_arms, 4))
    for row in rows:
        sums[row["arm_id"]] = [
            row["decisions"],
            row["rewards"],
            row["reward_sum"],
            row["reward_sum_squares"],
        ]
    return ArmStatistics.from_matrix(sums)


def _probability_best(experiment: Experiment, statistics: ArmStatistics) -> FloatArray:
    in_play = np.array([arm.status is not ArmStatus.RETIRED for arm in experiment.arms])
    stats = statistics.select(in_play).observed(experiment.reward.default_reward)
    best = np.zeros(experiment.n_arms)
    best[in_play] = family_for(experiment.reward).posterior(stats).probability_best()
    return best


def _propensity(snapshot: Snapshot) -> FloatArray:
    return snapshot.vector(None, None).allocation.probabilities
