"""What a simulated experiment knows after each batch: the sums that its policy sees."""

from __future__ import annotations

import math

import numpy as np
from numpy.random import Generator

from backend.domain import FloatArray
from backend.policies.simulation.outcomes import Counts, DrawSums
from backend.statistics import ArmStats


class Learned:
    """Sums over the decisions whose outcome is known, and how many wait for theirs; one entry an arm.

    Outcomes, good or bad, become known after an exponentially distributed time. That has no memory, so of the waiting
    decisions only the number matters. Of their importance weights the mean is kept: exact without delay.
    """

    def __init__(self, n_arms: int, draw_sums: DrawSums, mean_delay_s: float) -> None:
        """``mean_delay_s`` >= 0; 0: nothing ever waits."""
        self._draw_sums = draw_sums
        self._mean_delay_s = mean_delay_s
        self._waiting = np.zeros(n_arms, dtype=np.int64)
        self._waiting_weight = np.zeros(n_arms)
        self._pulls, self._reward_sum, self._reward_sum_squares = np.zeros((3, n_arms))
        self._weight_sum, self._weighted_reward_sum = np.zeros((2, n_arms))
        self._n_decisions = 0

    def stats(self, batch_size: int) -> ArmStats:
        """As a policy sees them that decides the next ``batch_size``."""
        return ArmStats(
            pulls=self._pulls.copy(),
            reward_sum=self._reward_sum.copy(),
            reward_sum_squares=self._reward_sum_squares.copy(),
            pending=self._waiting.astype(np.float64),
            weight_sum=self._weight_sum.copy(),
            weighted_reward_sum=self._weighted_reward_sum.copy(),
            n_decisions=float(self._n_decisions),
            batch_size=float(batch_size),
        )

    def add(self, decided: Counts, weights: FloatArray, duration_s: float, rng: Generator) -> None:
        """Let ``duration_s`` pass, in which these decisions came, evenly spread.

        Args:
            decided: shape (n_arms,), how many of each arm.
            weights: shape (n_arms,), the importance weight of each of them, finite.
        """
        known = self._become_known(decided, duration_s, rng)
        reward_sum, reward_sum_squares = self._draw_sums(known, rng)
        waited = self._waiting + decided
        weight = self._waiting_weight + decided * weights
        mean_weight = weight / np.maximum(waited, 1)
        self._waiting = waited - known
        self._waiting_weight = self._waiting * mean_weight
        self._pulls += known
        self._reward_sum += reward_sum
        self._reward_sum_squares += reward_sum_squares
        self._weight_sum += known * mean_weight
        self._weighted_reward_sum += reward_sum * mean_weight
        self._n_decisions += int(decided.sum())

    def _become_known(self, decided: Counts, duration_s: float, rng: Generator) -> Counts:
        if self._mean_delay_s == 0.0:
            return decided
        share = duration_s / self._mean_delay_s
        old = rng.binomial(self._waiting, -math.expm1(-share))
        new = rng.binomial(decided, _known_at_end(share))
        return old + new


def _known_at_end(share: float) -> float:
    """Chance that a decision made at a uniform moment of a batch is known at its end: 1 - (1 - exp(-s)) / s.

    Args:
        share: s, length of the batch over the mean delay, > 0. Below 1e-4 the series s / 2 - s^2 / 6, for precision.
    """
    if share < 1e-4:
        return share / 2.0 - share**2 / 6.0
    return 1.0 + math.expm1(-share) / share
