"""What one batch adds to the sums that are kept as arrays: fresh draws against their vectors, and regressions on context."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cache

import numpy as np
from numpy.typing import NDArray

from backend.domain import Decision, FloatArray, Reason
from backend.service.history import hour_of
from backend.store.allocation_statistics import Draws
from backend.store.context_statistics import ContextSums

FRESH = (Reason.POLICY, Reason.CONTROL)


def fresh_draws(decisions: Sequence[Decision]) -> list[Draws]:
    """Draws that no earlier decision determined, summed for each experiment."""
    fresh = [d for d in decisions if d.reason in FRESH]
    times = Counter(id(d.probabilities) for d in fresh)  # most share the vector of their snapshot
    vectors = {id(d.probabilities): d for d in fresh}
    found: dict[int, Draws] = {}
    for key, decision in vectors.items():
        experiment = decision.experiment
        draws = found.get(experiment.experiment_id)
        if draws is None:
            zeros = np.zeros((3, experiment.n_arms))
            draws = found[experiment.experiment_id] = Draws(experiment.experiment_id, *zeros)
        vector = np.fromiter(decision.probabilities.values(), np.float64, experiment.n_arms)
        draws.probability_sum[:] += times[key] * vector
        draws.probability_sum_squares[:] += times[key] * vector**2
    for decision in fresh:
        found[decision.experiment.experiment_id].drawn[decision.arm_id] += 1.0
    return [found[experiment_id] for experiment_id in sorted(found)]


class ContextAdditions:
    """Gathers what decisions and rewards add to regressions; one entry an experiment, hour and arm."""

    def __init__(self) -> None:
        self._sums: dict[tuple[int, datetime, int], ContextSums] = {}

    def add_decision(
        self, experiment_id: int, decided_at: datetime, arm_id: int, features: FloatArray
    ) -> None:
        """One decision with encoded context ``features``, shape (d,)."""
        self._entry(experiment_id, decided_at, arm_id, features).decision_xtx[:] += _products(
            features
        )

    def add_reward(
        self,
        experiment_id: int,
        decided_at: datetime,
        arm_id: int,
        features: FloatArray,
        before: float | None,
        after: float | None,
    ) -> None:
        """The reward of a decision changed from one value to another; None: it has none."""
        entry = self._entry(experiment_id, decided_at, arm_id, features)
        n_rewards = (after is not None) - (before is not None)
        entry.reward_xtx[:] += n_rewards * _products(features)
        entry.reward_xty[:] += ((after or 0.0) - (before or 0.0)) * features

    def __iter__(self) -> Iterator[ContextSums]:
        return iter(self._sums.values())

    def __bool__(self) -> bool:
        return bool(self._sums)

    def _entry(
        self, experiment_id: int, decided_at: datetime, arm_id: int, features: FloatArray
    ) -> ContextSums:
        key = experiment_id, hour_of(decided_at), arm_id
        if key not in self._sums:
            products, zeros = np.zeros((2, len(_products(features)))), np.zeros(len(features))
            self._sums[key] = ContextSums(*key, products[0], products[1], zeros)
        return self._sums[key]


def decision_contexts(decisions: Sequence[Decision]) -> ContextAdditions:
    """What decisions of contextual policies add."""
    additions = ContextAdditions()
    for decision in decisions:
        if decision.features is not None:
            additions.add_decision(
                decision.experiment.experiment_id,
                decision.decided_at,
                decision.arm_id,
                decision.features,
            )
    return additions


def _products(features: FloatArray) -> FloatArray:
    """The lower triangle of x x', row by row."""
    rows, columns = _triangle(len(features))
    products: FloatArray = features[rows] * features[columns]
    return products


@cache
def _triangle(n_features: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    return np.tril_indices(n_features)
