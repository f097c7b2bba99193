"""Many runs of an adaptive experiment, side by side, decided by the product's own policies.

Between two updates of the weights each run decides for one batch of people.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from backend.domain import FloatArray, RewardSpec, RewardType
from backend.inference.confidence_sequence import EpochSums
from backend.policies.propensity import apply_floor
from backend.policies.thompson_sampling import ThompsonSampling
from backend.statistics import ArmStats

BINARY = RewardSpec()
COUNT = RewardSpec(type=RewardType.COUNT)
UNIT = RewardSpec(type=RewardType.CONTINUOUS)
REAL = RewardSpec(type=RewardType.CONTINUOUS, min=None, max=None)
FIRST_EPOCH = 32


def bernoulli(rng: Generator, mean: FloatArray) -> FloatArray:
    return (rng.random(mean.size) < mean).astype(np.float64)


def poisson(rng: Generator, mean: FloatArray) -> FloatArray:
    return rng.poisson(mean).astype(np.float64)


def normal(rng: Generator, mean: FloatArray) -> FloatArray:
    return rng.normal(mean, 1.0)


def narrow_beta(rng: Generator, mean: FloatArray) -> FloatArray:
    """Inside [0, 1]; standard deviation sqrt(mean (1 - mean) / 21), less than a quarter of the most possible."""
    return rng.beta(20.0 * mean, 20.0 * (1.0 - mean))


@dataclass(frozen=True)
class Problem:
    """Arms with these means, ``n_batches`` batches of ``batch`` people. ``floor`` is that of the allocation."""

    name: str
    means: tuple[float, ...]
    draw: Callable[[Generator, FloatArray], FloatArray] = bernoulli
    reward: RewardSpec = BINARY
    n_batches: int = 100
    batch: int = 50
    floor: float = 0.01
    policy: type = ThompsonSampling
    misrouted: float = 0.0
    """Share of all people who get arm 1 where arm 0 was drawn and logged."""

    @property
    def n_arms(self) -> int:
        return len(self.means)


def _zeros() -> FloatArray:
    return np.zeros(0)


@dataclass
class Runs:
    """Sums of ``n_runs`` runs; arrays have shape (n_runs, n_arms), those of epochs (n_epochs, n_runs, n_arms)."""

    problem: Problem
    n_runs: int
    rng: Generator
    n_people: int = 0
    epochs: list[FloatArray] = field(default_factory=list)
    """Of decisions, rewards and their squares: shape (3, n_runs, n_arms) each; each epoch doubles the time."""
    weighted: FloatArray = field(default_factory=_zeros)
    drawn: FloatArray = field(default_factory=_zeros)
    expected: FloatArray = field(default_factory=_zeros)
    expected_squares: FloatArray = field(default_factory=_zeros)

    def __post_init__(self) -> None:
        shape = (self.n_runs, self.problem.n_arms)
        self.weighted = np.zeros((5, *shape))
        self.drawn, self.expected, self.expected_squares = (np.zeros(shape) for _ in range(3))
        self.epochs = [np.zeros((3, *shape))]

    def watched(self) -> Iterator["Runs"]:
        """Itself, after each batch."""
        for _ in range(self.problem.n_batches):
            self._advance()
            yield self

    def finished(self) -> "Runs":
        for _ in self.watched():
            pass
        return self

    def sums(self) -> FloatArray:
        return np.sum(self.epochs, axis=0)

    def stats(self, run: int) -> ArmStats:
        return ArmStats(*self.sums()[:, run])

    def epoch_sums(self) -> EpochSums:
        """All arms of all runs side by side, run by run."""
        decisions, total, squares = np.array(self.epochs).swapaxes(0, 1)
        flat = (len(self.epochs), -1)
        return EpochSums(decisions.reshape(flat), total.reshape(flat), squares.reshape(flat))

    def _advance(self) -> None:
        problem, policy = self.problem, self.problem.policy.for_reward(self.problem.reward)
        totals = self.sums()
        vectors = [policy.probabilities(ArmStats(*totals[:, run])) for run in range(self.n_runs)]
        p = np.array([apply_floor(vector, problem.floor) for vector in vectors])
        p /= p.sum(axis=1, keepdims=True)
        drawn = self.rng.multinomial(problem.batch, p)
        if problem.misrouted:
            moved = self.rng.binomial(problem.batch, problem.misrouted, self.n_runs)
            moved = np.minimum(moved, drawn[:, 0])
            drawn[:, 0] -= moved
            drawn[:, 1] += moved
        new = self._rewards(drawn)
        if self.n_people >= FIRST_EPOCH * 2 ** len(self.epochs):
            self.epochs.append(np.zeros_like(new))
        self.epochs[-1] += new
        root = 1.0 / np.sqrt(p)
        self.weighted += np.stack(
            [new[0] * root, new[1] * root, new[0] / p, new[1] / p, new[2] / p]
        )
        self.drawn += drawn
        self.expected += problem.batch * p
        self.expected_squares += problem.batch * p**2
        self.n_people += problem.batch

    def _rewards(self, drawn: NDArray[np.int64]) -> FloatArray:
        """Numbers, sums and sums of squares: shape (3, n_runs, n_arms)."""
        place = np.repeat(np.arange(drawn.size), drawn.ravel())
        y = self.problem.draw(self.rng, np.array(self.problem.means)[place % self.problem.n_arms])
        sums = [np.bincount(place, weights, minlength=drawn.size) for weights in (y, y * y)]
        return np.array([drawn, *(each.reshape(drawn.shape) for each in sums)], dtype=np.float64)
