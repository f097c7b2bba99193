"""The sums that are kept as arrays, as they follow from the log: draws against their vectors, and contexts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

import numpy as np

from backend.domain import Experiment, FloatArray
from backend.service.snapshot import Snapshot
from backend.service.sums_of_batch import ContextAdditions
from backend.statistics import Scores
from backend.store import array_rebuild
from backend.store.allocation_statistics import Draws, select_draws
from backend.store.context_statistics import add_to_contexts, select_all_contexts
from backend.store.database import Connection, Row
from backend.store.experiments import select_at_version
from backend.store.policy_snapshots import Published, select_snapshot
from backend.store.rewards import aggregate

ARRAYS = ("decision_xtx", "reward_xtx", "reward_xty")
NOTHING = np.zeros(0)
TOLERANCE = 1e-9
"""Relative to what was added."""


def compare_arrays(conn: Connection) -> list[Row]:
    """What differs from the log: a name and two numbers a row, for each experiment and kind of sum that does."""
    differences: list[Row] = []
    for experiment_id, key in array_rebuild.select_experiments(conn):
        logged_draws, contexts = _recompute(conn, experiment_id)
        served_draws = select_draws(conn, experiment_id, len(logged_draws.drawn))
        for name in ("drawn", "probability_sum", "probability_sum_squares"):
            served, logged = getattr(served_draws, name), getattr(logged_draws, name)
            differences += [
                _difference(key, name, arm_id, served[arm_id], logged[arm_id])
                for arm_id in np.flatnonzero(
                    abs(served - logged) > TOLERANCE * (1.0 + logged)
                ).tolist()
            ]
        differences += _context_differences(conn, experiment_id, key, contexts)
    return differences


def mend_arrays(conn: Connection) -> None:
    """Replace them by what follows from the log; the caller keeps writers away."""
    array_rebuild.empty_arrays(conn)
    for experiment_id, _ in array_rebuild.select_experiments(conn):
        draws, contexts = _recompute(conn, experiment_id)
        array_rebuild.insert_draws(conn, draws)
        if contexts:
            add_to_contexts(conn, contexts, shard=0)


def _recompute(conn: Connection, experiment_id: int) -> tuple[Draws, ContextAdditions]:
    snapshots = _Snapshots(conn, experiment_id)
    draws = Draws(experiment_id, *np.zeros((3, snapshots.newest.n_arms)))
    for row in array_rebuild.select_drawn(conn, experiment_id):
        snapshot = snapshots.at(row["experiment_version"], row["policy_version"])
        vector = snapshot.vector(_arm_ids(row), None).allocation.probabilities
        _add(draws, row["arm_id"], vector, row["n"])
    contexts = ContextAdditions()
    for row in array_rebuild.stream_contextual(conn, experiment_id):
        snapshot = snapshots.at(row["experiment_version"], row["policy_version"])
        if row["is_fresh"]:
            eligible = snapshot.eligible(_arm_ids(row))
            drawn = snapshot.vector_from(Scores.from_array(row["scores"]), eligible)
            _add(draws, row["arm_id"], drawn.allocation.probabilities, 1)
        features = snapshot.features_of(row["context"])
        assert features is not None
        where = experiment_id, row["decided_at"], row["arm_id"], features
        contexts.add_decision(*where)
        value = aggregate(row["rewards"], snapshot.experiment.reward.aggregation)
        if value is not None:
            contexts.add_reward(*where, None, value)
    return draws, contexts


def _add(draws: Draws, arm_id: int, vector: FloatArray, times: int) -> None:
    n_arms = len(vector)
    draws.drawn[arm_id] += times
    draws.probability_sum[:n_arms] += times * vector
    draws.probability_sum_squares[:n_arms] += times * vector**2


class _Snapshots:
    """What decisions were drawn from; the last one is kept, since neighbours in the log share it."""

    def __init__(self, conn: Connection, experiment_id: int) -> None:
        self._conn = conn
        self._experiment_id = experiment_id
        self._experiments: dict[int, Experiment] = {}
        self._last: Snapshot | None = None
        self.newest = self._experiment(array_rebuild.newest_version(conn, experiment_id))

    def at(self, version: int, policy_version: int) -> Snapshot:
        """The experiment and statistics of a decision."""
        experiment = self._experiment(version)
        last = self._last
        if last is None or (last.experiment, last.policy_version) != (experiment, policy_version):
            row = select_snapshot(self._conn, self._experiment_id, policy_version)
            published = Published.from_row(row, experiment.n_arms, experiment.reward.default_reward)
            last = self._last = Snapshot(experiment, policy_version, replace(published, model=None))
        return last

    def _experiment(self, version: int) -> Experiment:
        if version not in self._experiments:
            found = select_at_version(self._conn, self._experiment_id, version)
            self._experiments[version] = found
        return self._experiments[version]


def _context_differences(
    conn: Connection, experiment_id: int, key: str, logged: ContextAdditions
) -> Iterator[Row]:
    """One row for each hour, arm and kind of sum: the entry that differs most."""
    served: dict[tuple[datetime, int], dict[str, FloatArray]] = {}
    for row in select_all_contexts(conn, [experiment_id]):
        sums = served.setdefault((row["block"], row["arm_id"]), {})
        for name in ARRAYS:
            sums[name] = np.add(*_alike(sums.get(name, NOTHING), np.array(row[name], dtype=float)))
    expected = {(s.hour, s.arm_id): {n: getattr(s, n) for n in ARRAYS} for s in logged}
    for where in sorted(served.keys() | expected.keys()):
        for name in ARRAYS:
            mine, theirs = _alike(
                *(found.get(where, {}).get(name, NOTHING) for found in (served, expected))
            )
            worst = int(np.argmax(abs(mine - theirs)))
            if abs(mine[worst] - theirs[worst]) > TOLERANCE * (1.0 + abs(theirs).max()):
                hour, arm_id = where
                yield {
                    **_difference(key, f"{name}[{worst}]", arm_id, mine[worst], theirs[worst]),
                    "bucket": hour,
                }


def _alike(a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Both as long as the longer one, and not empty; zeros may have been left out."""
    size = max(len(a), len(b), 1)
    return np.pad(a, (0, size - len(a))), np.pad(b, (0, size - len(b)))


def _difference(key: str, name: str, arm_id: int, served: float, logged: float) -> Row:
    return {
        "experiment_key": key,
        "metric": "primary",
        "bucket": None,
        "arm_id": arm_id,
        "name": name,
        "served": float(served),
        "logged": float(logged),
    }


def _arm_ids(row: Row) -> tuple[int, ...] | None:
    return None if row["eligible_arm_ids"] is None else tuple(row["eligible_arm_ids"])
