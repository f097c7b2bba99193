"""A policy that learns along a log which another policy wrote, for off-policy evaluation.

The question is what this policy, learning from the data that the logged policy gathered, would have earned. Its vector
for each decision follows from rewards of earlier decisions only, so its propensities are known before the arm is
drawn: importance weighting is unbiased for that question, and the model of rewards, made the same way, keeps doubly
robust estimates unbiased too. Had the policy itself gathered the data, it might have learned faster; no log can tell.

Statistics are adopted anew whenever the log has grown by 1/GROWTH: after every decision at first, some hundred times
in a million. The vector is the policy's own over the arms that could be chosen, without the experiment's floor,
control share, forgetting or delay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from backend.domain import BoolArray, FloatArray
from backend.inference.linear_model import LinearModel
from backend.policies.base import ContextualPolicy, Policy
from backend.policies.exp3_ix import Exp3IX
from backend.statistics import ArmStats, LinearStats

GROWTH = 32
MAX_CACHED_SETS = 256
PRIOR_DECISIONS = 1.0
"""Each arm's predicted reward begins as so many decisions with the mean reward of all arms."""

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class LoggedDecisions:
    """Consecutive decisions whose rewards are known, oldest first.

    Attributes:
        arm_ids: shape (n,), the logged arms.
        propensities: shape (n,), their logged probabilities, in (0, 1].
        rewards: shape (n,).
        set_ids: shape (n,), which row of ``eligible`` says what could be chosen.
        eligible: shape (n_sets, n_arms), sets of arms, at least one in each.
        features: shape (n, n_features), encoded contexts; None for a policy that is not contextual.
    """

    arm_ids: IntArray
    propensities: FloatArray
    rewards: FloatArray
    set_ids: IntArray
    eligible: BoolArray
    features: FloatArray | None = None

    @property
    def n(self) -> int:
        """How many decisions."""
        return len(self.arm_ids)

    def part(self, start: int, stop: int) -> Self:
        """Decisions ``start`` to ``stop``, without the last."""
        part = slice(start, stop)
        features = None if self.features is None else self.features[part]
        return type(self)(
            self.arm_ids[part],
            self.propensities[part],
            self.rewards[part],
            self.set_ids[part],
            self.eligible,
            features,
        )


@dataclass(frozen=True, slots=True)
class Judged:
    """What the target policy makes of logged decisions; every array has shape (n,).

    Attributes:
        target_propensities: its probability of the logged arm; 0 for one that could not be chosen.
        predicted_rewards: the reward model's prediction for the logged arm.
        target_predicted_rewards: its prediction averaged with the target policy's probabilities.
    """

    target_propensities: FloatArray
    predicted_rewards: FloatArray
    target_predicted_rewards: FloatArray


class Learner(Protocol):
    """Judges with what it last adopted, and collects what it is to adopt next."""

    def adopt(self, n_decisions: int, batch_size: int) -> None:
        """Make the statistics collected so far those of the policy."""
        ...

    def judge(self, decisions: LoggedDecisions) -> Judged:
        """The policy's vectors and the model's predictions for these decisions."""
        ...

    def collect(self, decisions: LoggedDecisions) -> None:
        """Add these decisions to the statistics."""
        ...


class Replay:
    """Follows a log with one policy."""

    def __init__(self, policy: Policy | ContextualPolicy, n_arms: int) -> None:
        self._learner: Learner = (
            _ContextLearner(policy, n_arms)
            if isinstance(policy, ContextualPolicy)
            else _ArmLearner(policy, n_arms)
        )
        self._n_seen = 0
        self._n_to_go = 0

    def follow(self, decisions: LoggedDecisions) -> Judged:
        """Judge the next decisions of the log, and learn from them; how they are cut into calls changes nothing."""
        parts = []
        start = 0
        while start < decisions.n:
            if self._n_to_go == 0:
                self._n_to_go = max(1, self._n_seen // GROWTH)
                self._learner.adopt(self._n_seen, self._n_to_go)
            stop = min(decisions.n, start + self._n_to_go)
            part = decisions.part(start, stop)
            parts.append(self._learner.judge(part))
            self._learner.collect(part)
            self._n_seen += part.n
            self._n_to_go -= part.n
            start = stop
        return _join(parts)


class _ArmLearner:
    """Of a policy that looks at arms alone; the reward model is each arm's running mean."""

    def __init__(self, policy: Policy, n_arms: int) -> None:
        self._policy = policy
        self._sums = np.zeros((5, n_arms))
        self._vectors: dict[bytes, FloatArray] = {}
        self._gamma = 0.0
        self.adopt(0, 1)

    def adopt(self, n_decisions: int, batch_size: int) -> None:
        pulls, reward_sum, squares, weight_sum, weighted_reward_sum = self._sums.copy()
        self._stats = ArmStats(
            pulls,
            reward_sum,
            squares,
            weight_sum=weight_sum,
            weighted_reward_sum=weighted_reward_sum,
            n_decisions=float(n_decisions),
            batch_size=float(batch_size),
        )
        mean = reward_sum.sum() / max(pulls.sum(), 1.0)
        if isinstance(self._policy, Exp3IX):
            self._gamma = self._policy.implicit_exploration(self._stats)
        self._predicted = (reward_sum + PRIOR_DECISIONS * mean) / (pulls + PRIOR_DECISIONS)
        self._vectors.clear()

    def judge(self, decisions: LoggedDecisions) -> Judged:
        set_ids, which = np.unique(decisions.set_ids, return_inverse=True)
        vectors = np.stack([self._vector(decisions.eligible[set_id]) for set_id in set_ids])
        return Judged(
            vectors[which, decisions.arm_ids],
            self._predicted[decisions.arm_ids],
            (vectors @ self._predicted)[which],
        )

    def collect(self, decisions: LoggedDecisions) -> None:
        weights, rewards = 1.0 / (decisions.propensities + self._gamma), decisions.rewards
        columns = (np.ones(decisions.n), rewards, rewards**2, weights, weights * rewards)
        n_arms = self._sums.shape[1]
        for sums, column in zip(self._sums, columns, strict=True):
            sums += np.bincount(decisions.arm_ids, column, n_arms)

    def _vector(self, eligible: BoolArray) -> FloatArray:
        key = eligible.tobytes()
        found = self._vectors.get(key)
        if found is None:
            found = np.zeros(len(eligible))
            found[eligible] = self._policy.probabilities(self._stats.select(eligible))
            if len(self._vectors) >= MAX_CACHED_SETS:
                self._vectors.clear()
            self._vectors[key] = found
        return found


class _ContextLearner:
    """Of a contextual policy; the reward model is the regression that the policy itself decides by."""

    def __init__(self, policy: ContextualPolicy, n_arms: int) -> None:
        n_features = policy.context_features.n_features
        self._policy = policy
        self._xtx = np.zeros((n_arms, n_features, n_features))
        self._xty = np.zeros((n_arms, n_features))
        self._squares = np.zeros(n_arms)
        self._models: dict[bytes, LinearModel] = {}
        self.adopt(0, 1)

    def adopt(self, n_decisions: int, batch_size: int) -> None:
        stats = LinearStats(
            self._xtx,
            self._xty,
            self._squares,
            np.zeros_like(self._xtx),
            float(n_decisions),
            float(batch_size),
        )
        self._model = self._policy.fit(stats)
        self._models.clear()

    def judge(self, decisions: LoggedDecisions) -> Judged:
        features = _features(decisions)
        coefficients = self._model.coefficients[decisions.arm_ids]
        target_propensities, target_predicted_rewards = np.zeros((2, decisions.n))
        for i, arm_id in enumerate(decisions.arm_ids):
            eligible = decisions.eligible[decisions.set_ids[i]]
            scores = self._model_of(eligible).scores(features[i])
            probabilities = self._policy.probabilities(scores)
            target_predicted_rewards[i] = probabilities @ scores.mean
            if eligible[arm_id]:
                target_propensities[i] = probabilities[np.count_nonzero(eligible[:arm_id])]
        return Judged(
            target_propensities, np.vecdot(coefficients, features), target_predicted_rewards
        )

    def collect(self, decisions: LoggedDecisions) -> None:
        features, rewards = _features(decisions), decisions.rewards
        for arm_id in np.unique(decisions.arm_ids):
            chosen = decisions.arm_ids == arm_id
            of_arm = features[chosen]
            self._xtx[arm_id] += of_arm.T @ of_arm
            self._xty[arm_id] += rewards[chosen] @ of_arm
            self._squares[arm_id] += rewards[chosen] @ rewards[chosen]

    def _model_of(self, eligible: BoolArray) -> LinearModel:
        if eligible.all():
            return self._model
        key = eligible.tobytes()
        found = self._models.get(key)
        if found is None:
            found = self._model.select(eligible)
            if len(self._models) >= MAX_CACHED_SETS:
                self._models.clear()
            self._models[key] = found
        return found


def _features(decisions: LoggedDecisions) -> FloatArray:
    assert decisions.features is not None
    return decisions.features


def _join(parts: list[Judged]) -> Judged:
    columns = [
        (part.target_propensities, part.predicted_rewards, part.target_predicted_rewards)
        for part in parts
    ]
    if not columns:
        return Judged(np.empty(0), np.empty(0), np.empty(0))
    return Judged(*(np.concatenate(column) for column in zip(*columns, strict=True)))
