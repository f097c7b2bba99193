"""What an experiment has learned, for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from backend.domain import EPOCH, ArmStatus, BoolArray, Experiment, FloatArray, utc_now
from backend.errors import WrongState
from backend.inference.confidence_sequence import EpochSums, confidence_sequence
from backend.inference.lift import LEVEL_PER_ARM, Lift, lift_over_control
from backend.inference.observed import Observed
from backend.inference.posteriors import family_for
from backend.inference.recommendation import Evidence, Recommendation, recommend
from backend.inference.sample_ratio import SampleRatio, sample_ratio
from backend.inference.unbiased_mean import (
    PropensitySums,
    UnbiasedMeans,
    population_means,
    unbiased_means,
)
from backend.inference.value_remaining import ValueRemaining
from backend.policies.base import ContextualPolicy
from backend.service.history import Histories, History, blocks_at, hour_of
from backend.service.learned import Learned
from backend.service.report_guardrails import GuardrailReport, report_guardrails
from backend.service.snapshot import Snapshot, Snapshots
from backend.service.timeline import Timeline
from backend.statistics import ArmStatistics, ArmStats
from backend.store.allocation_statistics import Draws, select_draws
from backend.store.database import Connection, Database, Row
from backend.store.decisions import stream_log
from backend.store.experiments import select_experiment
from backend.store.statistics import select_all, select_pending, select_series

CREDIBLE_LEVEL = 0.95
VALUE_QUANTILE = 0.95


@dataclass(frozen=True, slots=True)
class Results:
    """Results of an experiment; arrays have shape (n_arms,), intervals (n_arms, 2); NaN where nothing is known.

    The posterior's numbers (``credible_interval``, ``probability_best``, ``expected_loss``, ``value_remaining``) are
    over the arms that are not retired, and of what the policy has not forgotten; all others are of the whole log.
    ``pending`` counts the decisions inside the attribution window that have no reward yet. ``lift`` is None without a
    control arm.
    """

    experiment: Experiment
    as_of: datetime
    policy_version: int
    statistics: ArmStatistics
    observed: Observed
    pending: int
    credible_interval: FloatArray
    probability_best: FloatArray
    expected_loss: FloatArray
    value_remaining: ValueRemaining
    propensity: FloatArray
    unbiased: UnbiasedMeans
    confidence_sequence: FloatArray
    lift: Lift | None
    sample_ratio: SampleRatio
    draws: Draws
    guardrails: Sequence[GuardrailReport]
    recommendation: Recommendation

    @property
    def reward_mean(self) -> FloatArray:
        """The plain mean."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.observed.reward_sum / self.observed.pulls

    def best_challenger(self) -> int | None:
        """The arm with the highest probability of being best, of those that are neither the control nor retired."""
        others = [
            i
            for i, arm in enumerate(self.experiment.arms)
            if not arm.is_control and arm.status is not ArmStatus.RETIRED
        ]
        return max(others, key=lambda i: self.probability_best[i], default=None)


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
        as_of = utc_now()
        return _results(self._database.transaction(lambda conn: _read(conn, snapshot, as_of)))

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
        """The vector that decisions are drawn from now.

        Raises:
            ExperimentNotFound.
            WrongState: every unit has a vector of its own, by its context.
        """
        snapshot = self._snapshots.reload(experiment_key)
        if snapshot.is_contextual:
            raise WrongState(
                f"experiment '{experiment_key}' decides by context, so there is no vector for all; ask for decisions"
            )
        vector = snapshot.vector(None, None)
        return Propensities(
            snapshot.experiment, snapshot.policy_version, dict(vector.probabilities)
        )


@dataclass(frozen=True, slots=True)
class _Read:
    """What results are made of, as of one moment."""

    snapshot: Snapshot
    as_of: datetime
    history: History
    draws: Draws
    guardrails: Sequence[GuardrailReport]
    pending: int


def _read(conn: Connection, snapshot: Snapshot, as_of: datetime) -> _Read:
    experiment = snapshot.experiment
    histories, cut = Histories(), blocks_at(as_of)
    histories.update(select_all(conn, experiment.experiment_id, cut), cut)
    window = timedelta(seconds=experiment.reward.attribution_window_s)
    return _Read(
        snapshot=snapshot,
        as_of=as_of,
        history=histories.get(experiment.experiment_id),
        draws=select_draws(conn, experiment.experiment_id, experiment.n_arms),
        guardrails=report_guardrails(conn, experiment),
        pending=select_pending(conn, experiment.experiment_id, as_of - window),
    )


def _results(read: _Read) -> Results:
    snapshot, draws = read.snapshot, read.draws
    experiment = snapshot.experiment
    reward = experiment.reward
    timeline = Timeline.of(read.history, experiment, read.as_of)
    observed = timeline.observed(reward.default_reward)
    learned = Learned.of(read.history, experiment, read.as_of)
    in_play = np.array([arm.status is not ArmStatus.RETIRED for arm in experiment.arms])
    comparison = _compare(experiment, learned.stats, in_play)
    epochs = _epochs(timeline, experiment)
    sequence = confidence_sequence(epochs, reward)
    ratio = sample_ratio(draws.drawn, draws.probability_sum, draws.probability_sum_squares)
    unbiased = _unbiased(snapshot, observed)
    evidence = _evidence(
        snapshot, comparison, learned.stats, observed, epochs, read.guardrails, ratio
    )
    return Results(
        experiment=experiment,
        as_of=read.as_of,
        policy_version=snapshot.policy_version,
        statistics=learned.statistics,
        observed=observed,
        pending=read.pending,
        credible_interval=family_for(reward).posterior(learned.stats).interval(CREDIBLE_LEVEL),
        probability_best=comparison.probability_best,
        expected_loss=comparison.expected_loss,
        value_remaining=comparison.value_remaining,
        propensity=_propensity(snapshot, draws),
        unbiased=unbiased,
        confidence_sequence=sequence,
        lift=_lift(experiment, epochs, unbiased),
        sample_ratio=ratio,
        draws=draws,
        guardrails=read.guardrails,
        recommendation=recommend(evidence),
    )


@dataclass(frozen=True, slots=True)
class _Comparison:
    """The arms in ``mask`` compared, under the posterior; arrays have shape (n_arms,)."""

    mask: BoolArray
    mean: FloatArray
    probability_best: FloatArray
    expected_loss: FloatArray
    value_remaining: ValueRemaining


def _compare(experiment: Experiment, stats: ArmStats, mask: BoolArray) -> _Comparison:
    """Others are best with probability 0, and have no mean and no loss."""
    posterior = family_for(experiment.reward).posterior(stats.select(mask))
    best = np.zeros(len(mask))
    best[mask] = posterior.probability_best()
    mean, loss = np.full((2, len(mask)), np.nan)
    mean[mask], loss[mask] = posterior.mean(), posterior.expected_loss()
    return _Comparison(mask, mean, best, loss, posterior.value_remaining(VALUE_QUANTILE))


def _evidence(
    snapshot: Snapshot,
    in_play: _Comparison,
    stats: ArmStats,
    observed: Observed,
    epochs: EpochSums,
    guardrails: Sequence[GuardrailReport],
    ratio: SampleRatio,
) -> Evidence:
    """What advice is given from: the active arms, since a paused one is neither tried nor shipped."""
    experiment = snapshot.experiment
    active = experiment.active_arms()
    mask = active if active.any() else in_play.mask
    among = in_play
    if not np.array_equal(mask, in_play.mask):
        among = _compare(experiment, stats, mask)
    keys = [arm.key for arm, is_in in zip(experiment.arms, mask, strict=True) if is_in]
    reward = experiment.reward
    return Evidence(
        status=experiment.status,
        arm_keys=tuple(keys),
        pulls=observed.pulls[mask],
        means=among.mean[mask],
        probability_best=among.probability_best[mask],
        expected_loss=among.expected_loss[mask],
        value_remaining=among.value_remaining,
        confidence_sequence=confidence_sequence(epochs, reward)[mask],
        joint_sequence=confidence_sequence(epochs, reward, 1.0 - 0.05 / len(keys))[mask],
        sample_ratio=ratio,
        breached={
            arm.key: tuple(g.guardrail.metric for g in guardrails if g.is_breached[i])
            for i, arm in enumerate(experiment.arms)
        },
        is_contextual=isinstance(snapshot.policy, ContextualPolicy),
    )


def _unbiased(snapshot: Snapshot, observed: Observed) -> UnbiasedMeans:
    sums = PropensitySums(
        root_weight=observed.root_weight_sum,
        root_weighted_reward=observed.root_weighted_reward_sum,
        weight=observed.weight_sum,
        weighted_reward=observed.weighted_reward_sum,
        weighted_reward_squares=observed.weighted_reward_sum_squares,
    )
    if isinstance(snapshot.policy, ContextualPolicy):
        means = population_means(sums)
        return UnbiasedMeans(means, np.full((len(means), 2), np.nan))
    return unbiased_means(sums, snapshot.experiment.reward)


def _epochs(timeline: Timeline, experiment: Experiment) -> EpochSums:
    """Sums over epochs that double in length, so that each is predicted by as much as it has itself.

    They are of full hours, so that a decision is in the same epoch at every look, however coarse its block is by then.
    """
    begun = hour_of(experiment.started_at or EPOCH)
    hours = [max((hour_of(at) - begun).total_seconds() / 3600.0, 0.0) for at in timeline.starts]
    numbers = np.floor(np.log2(1.0 + np.array(hours, dtype=np.float64))).astype(int)
    pulls, sums, squares = np.zeros((3, int(numbers.max(initial=0)) + 1, experiment.n_arms))
    for number in np.unique(numbers):
        epoch = timeline.only(numbers == number).observed(experiment.reward.default_reward)
        pulls[number] = epoch.pulls
        sums[number], squares[number] = epoch.reward_sum, epoch.reward_sum_squares
    return EpochSums(pulls, sums, squares)


def _lift(experiment: Experiment, epochs: EpochSums, unbiased: UnbiasedMeans) -> Lift | None:
    control = experiment.control_arm_id
    if control is None:
        return None
    sequences = confidence_sequence(epochs, experiment.reward, LEVEL_PER_ARM)
    return lift_over_control(unbiased.mean, sequences, control)


def _propensity(snapshot: Snapshot, draws: Draws) -> FloatArray:
    """The vector that decisions are drawn from now; of a contextual policy, the mean of those so far."""
    if not snapshot.is_contextual:
        if not snapshot.has_active_arm:
            return np.zeros(snapshot.experiment.n_arms)
        return snapshot.vector(None, None).allocation.probabilities
    n_draws = draws.drawn.sum()
    active = snapshot.experiment.active_arms()
    mean: FloatArray = (
        draws.probability_sum / n_draws
        if n_draws
        else np.where(active, 1.0 / max(active.sum(), 1), 0.0)
    )
    return mean
