"""What another policy would have earned, by an experiment's own log."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from backend.domain import Claim, Experiment, PolicySpec, utc_now
from backend.errors import InvalidInput, InvalidPolicy
from backend.inference.off_policy import Estimator, Evaluation, WeightedLog, evaluate
from backend.policies.base import ContextualPolicy, Policy
from backend.policies.registry import build_policy
from backend.policies.replay import Judged, LoggedDecisions, Replay
from backend.service.idempotent import idempotently
from backend.service.known_rewards import KnownRewards, settled_after
from backend.store.database import Connection, Database
from backend.store.evaluation_log import (
    select_arm_statuses,
    select_last_left_out,
    stream_log,
)
from backend.store.experiments import select_experiment

MAX_DECISIONS = 1_000_000
"""So many of the newest are read."""
MAX_CONTEXTUAL_DECISIONS = 50_000
"""The same for a contextual policy, which looks at each decision by itself."""
TURN_S = 0.01
"""Other requests of the worker wait at most about so long."""


@dataclass(frozen=True, slots=True)
class PolicyEvaluation:
    """The answer; ``logged_policy_value`` is the mean reward of the same decisions, None without any."""

    experiment: Experiment
    as_of: datetime
    policy: PolicySpec
    evaluation: Evaluation
    logged_policy_value: float | None


class EvaluatePolicy:
    """Reads a log and replays it; one at a time in a worker, so that the pool keeps connections for decisions."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._turn = threading.Lock()

    def evaluate(
        self,
        experiment_key: str,
        spec: PolicySpec,
        estimators: Sequence[Estimator],
        claim: Claim | None = None,
    ) -> PolicyEvaluation:
        """The value of the policy that ``spec`` names.

        Raises:
            ExperimentNotFound: there is no such experiment.
            InvalidInput: there is no such policy, or its parameters are wrong.
            Replay: it was answered before under this Idempotency-Key.
        """
        experiment = self._database.transaction(
            lambda conn: select_experiment(conn, experiment_key)
        )
        try:
            policy = build_policy(spec, experiment.reward)
        except InvalidPolicy as exc:
            raise InvalidInput({"policy": [str(exc)]}) from exc
        with self._turn:
            found = self._replay(experiment, spec, policy, estimators)
        return idempotently(self._database, claim, lambda _: found)

    def _replay(
        self,
        experiment: Experiment,
        spec: PolicySpec,
        policy: Policy | ContextualPolicy,
        estimators: Sequence[Estimator],
    ) -> PolicyEvaluation:
        as_of = utc_now()
        is_contextual = isinstance(policy, ContextualPolicy)
        most = MAX_CONTEXTUAL_DECISIONS if is_contextual else MAX_DECISIONS

        def prepare(conn: Connection) -> tuple[object | None, KnownRewards]:
            statuses = select_arm_statuses(conn, experiment.experiment_id)
            settled_at = as_of - settled_after(conn, experiment, as_of)
            features = policy.context_features if isinstance(policy, ContextualPolicy) else None
            known = KnownRewards(experiment, statuses, settled_at, features)
            return select_last_left_out(conn, experiment, most), known

        after, known = self._database.transaction(prepare)
        blocks = known.blocks(stream_log(self._database, experiment, after))
        log = _follow(Replay(policy, experiment.n_arms), blocks)
        evaluation = evaluate(log, estimators)
        evaluation.warnings.extend(known.warnings())
        if after is not None:
            evaluation.warnings.append(f"only the newest {most} decisions were read")
        value = float(log.rewards.mean()) if log.n else None
        return PolicyEvaluation(experiment, as_of, spec, evaluation, value)


def _follow(replay: Replay, blocks: Iterator[LoggedDecisions]) -> WeightedLog:
    followed: list[tuple[LoggedDecisions, Judged]] = []
    turn_ends = time.monotonic() + TURN_S
    for decisions in blocks:
        followed.append((decisions, replay.follow(decisions)))
        if time.monotonic() >= turn_ends:
            time.sleep(0)  # other requests of this worker go on
            turn_ends = time.monotonic() + TURN_S
    columns = [
        (
            decisions.rewards,
            decisions.propensities,
            judged.target_propensities,
            judged.predicted_rewards,
            judged.target_predicted_rewards,
        )
        for decisions, judged in followed
    ]
    if not columns:
        return WeightedLog(*np.empty((5, 0)))
    return WeightedLog(*(np.concatenate(column) for column in zip(*columns, strict=True)))
