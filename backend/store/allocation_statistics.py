"""Table ``allocation_statistics``: how often each arm was drawn, against the vectors that it was drawn from."""

from dataclasses import dataclass

import numpy as np

from backend.domain import FloatArray
from backend.store.database import Connection

SELECT_DRAWS = """
    SELECT drawn, probability_sum, probability_sum_squares FROM allocation_statistics
    WHERE experiment_id = %(experiment_id)s
    ORDER BY shard
"""


@dataclass(frozen=True, slots=True)
class Draws:
    """Sums over fresh draws of one experiment; arrays have shape (n_arms,).

    ``drawn`` counts how often each arm came; ``probability_sum`` and ``probability_sum_squares`` sum its entry of the
    vector over all draws, whichever arm came.
    """

    experiment_id: int
    drawn: FloatArray
    probability_sum: FloatArray
    probability_sum_squares: FloatArray


def select_draws(conn: Connection, experiment_id: int, n_arms: int) -> Draws:
    """All fresh draws of an experiment so far."""
    sums = np.zeros((3, n_arms))
    for row in conn.execute(SELECT_DRAWS, {"experiment_id": experiment_id}):
        for total, values in zip(sums, row.values(), strict=True):
            total[: len(values)] += values[:n_arms]
    return Draws(experiment_id, *sums)
