"""When the statistics of a simulated experiment change, and when people look at its results."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np

from backend.domain import BoolArray, FloatArray
from backend.policies.simulation.outcomes import Counts

N_LOOKS = 56
"""Most moments at which somebody looks whether it is decided: twice a day in four weeks."""
N_UPDATES = 2 * N_LOOKS
"""Most changes of the policy's statistics in one run."""
DAY_S = 86_400.0
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Schedule:
    """The batches of decisions between two changes of the statistics; arrays have shape (n_batches,).

    Attributes:
        sizes: decisions in each, >= 1.
        durations_s: how long each takes, > 0.
        days: when each ends, in days from the start.
        is_look: whether somebody looks, at its end, whether the experiment is decided.
    """

    sizes: Counts
    durations_s: FloatArray
    days: FloatArray
    is_look: BoolArray

    @classmethod
    def spread(cls, decisions_per_day: int, max_days: int, update_interval_s: float) -> Self:
        """At most N_UPDATES batches, none but the last shorter than ``update_interval_s``, and at most N_LOOKS looks.

        The looks are spread evenly over the time. Between them lie other ends of batches, spread evenly over its
        logarithm: so early batches are small, when few decisions change much, and late ones a small part of what is
        known.
        """
        end_s, rate = max_days * DAY_S, decisions_per_day / DAY_S
        first_s = min(max(1.0 / rate, update_interval_s), end_s)
        looks_s = end_s * np.arange(1, N_LOOKS + 1) / N_LOOKS
        others_s = np.geomspace(first_s, end_s, N_UPDATES - N_LOOKS)
        is_look_at = dict.fromkeys(_rounded_up(others_s, update_interval_s, end_s), False)
        is_look_at |= dict.fromkeys(_rounded_up(looks_s, update_interval_s, end_s), True)
        ends_s = np.array(sorted(is_look_at))
        n_decided = np.floor(ends_s * rate + _ROUNDING).astype(np.int64)
        is_new = np.diff(n_decided, prepend=0) > 0
        ends_s, n_decided = ends_s[is_new], n_decided[is_new]
        return cls(
            sizes=np.diff(n_decided, prepend=0),
            durations_s=np.diff(ends_s, prepend=0.0),
            days=ends_s / DAY_S,
            is_look=np.array([is_look_at[end] for end in ends_s.tolist()]),
        )

    @property
    def n_batches(self) -> int:
        """How many batches."""
        return len(self.sizes)

    @property
    def n_decisions(self) -> int:
        """In all batches."""
        return int(self.sizes.sum())

    def batches(self) -> Iterator[tuple[int, float, bool]]:
        """Size, duration and whether somebody looks, of each."""
        columns = (self.sizes, self.durations_s, self.is_look)
        return zip(*(column.tolist() for column in columns), strict=True)


def _rounded_up(times_s: FloatArray, interval_s: float, end_s: float) -> list[float]:
    """To the next multiple of ``interval_s``, but never after the end."""
    steps = np.ceil(times_s / interval_s - 1e-9)
    rounded: list[float] = np.minimum(steps * interval_s, end_s).tolist()
    return rounded
