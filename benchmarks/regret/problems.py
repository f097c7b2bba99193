"""The problems: which mean every arm has at every step, and tables of rewards that all contestants share."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.domain import RewardSpec, RewardType

FloatArray = NDArray[np.float64]

BINARY = RewardSpec()
UNBOUNDED = RewardSpec(type=RewardType.CONTINUOUS, min=None, max=None, default_reward=None)


@dataclass(frozen=True, slots=True)
class Problem:
    """One simulated experiment.

    Attributes:
        key: what ``--problems`` calls it.
        title: for the table.
        means: shape (horizon, n_arms), the mean reward of each arm at each step; None: drawn anew for each seed.
        deviation: standard deviation of a Gaussian reward; None: rewards are 0 or 1.
        batch_size: decisions between two changes of what a policy knows.
        shape: (horizon, n_arms), of a problem without ``means``.
        seed_factor: runs for each seed asked for, more where they are short and differ much.
    """

    key: str
    title: str
    means: FloatArray | None
    deviation: float | None = None
    batch_size: int = 1
    shape: tuple[int, int] = (0, 0)
    seed_factor: int = 1

    @property
    def horizon(self) -> int:
        """How many decisions."""
        return self.shape[0] if self.means is None else len(self.means)

    @property
    def n_arms(self) -> int:
        """How many arms."""
        return self.shape[1] if self.means is None else self.means.shape[1]

    @property
    def reward(self) -> RewardSpec:
        """The kind of reward."""
        return BINARY if self.deviation is None else UNBOUNDED

    def draw(self, seed: int) -> "Table":
        """The means and rewards of one run: the same for every contestant."""
        rng = np.random.default_rng([20240501, seed])
        means = self.means
        if means is None:
            means = np.broadcast_to(rng.uniform(size=self.n_arms), self.shape)
        if self.deviation is None:
            rewards = (rng.random(means.shape) < means).astype(np.float64)
        else:
            rewards = means + self.deviation * rng.standard_normal(means.shape)
        return Table(rewards, means.max(axis=1, keepdims=True) - means)


@dataclass(frozen=True, slots=True)
class Table:
    """What each arm would pay at each step, and how much worse its mean is than the best; shape (horizon, n_arms)."""

    rewards: FloatArray
    gaps: FloatArray


def _constant(horizon: int, *means: float) -> FloatArray:
    return np.broadcast_to(np.array(means), (horizon, len(means)))


def _phases(*phases: tuple[int, tuple[float, ...]]) -> FloatArray:
    return np.concatenate([_constant(length, *means) for length, means in phases])


LOW = (0.1, *[0.05] * 3, *[0.02] * 3, *[0.01] * 3)
TEN, HUNDRED = (0.5, *[0.4] * 9), (0.5, *[0.4] * 99)
FIVE = (1.0, 0.8, 0.6, 0.4, 0.2)
IN_TURN = _phases(
    (2500, (0.7, 0.5, 0.4, 0.3)),
    (2500, (0.3, 0.7, 0.5, 0.4)),
    (2500, (0.4, 0.3, 0.7, 0.5)),
    (2500, (0.5, 0.4, 0.3, 0.7)),
)
GARIVIER_MOULINES = _phases(
    (3000, (0.5, 0.3, 0.4)), (2000, (0.5, 0.3, 0.9)), (5000, (0.5, 0.3, 0.4))
)

PROBLEMS = (
    Problem(
        "a", "Bernoulli 0.1, 3 x 0.05, 3 x 0.02, 3 x 0.01; T = 20,000", _constant(20_000, *LOW)
    ),
    Problem("b", "Bernoulli 0.9 and 0.8; T = 10,000", _constant(10_000, 0.9, 0.8)),
    Problem("c", "Bernoulli 0.5 and 9 x 0.4; T = 10,000", _constant(10_000, *TEN)),
    Problem(
        "c-batch", "as (c), feedback in batches of 1,000", _constant(10_000, *TEN), batch_size=1000
    ),
    Problem("c-100", "Bernoulli 0.5 and 99 x 0.4; T = 10,000", _constant(10_000, *HUNDRED)),
    Problem(
        "d",
        "Gaussian, means 1, 0.8, 0.6, 0.4, 0.2, deviation 1; T = 5,000",
        _constant(5000, *FIVE),
        1.0,
    ),
    Problem("e-phases", "four phases of 2,500: 0.7, 0.5, 0.4, 0.3, each arm best in turn", IN_TURN),
    Problem(
        "e-gm",
        "Garivier and Moulines (2011): 0.5, 0.3, 0.4, the third 0.9 from 3,000 to 5,000; T = 10,000",
        GARIVIER_MOULINES,
    ),
    Problem(
        "rvr",
        "Russo and Van Roy: ten Bernoulli arms drawn uniformly; T = 1,000",
        None,
        shape=(1000, 10),
        seed_factor=10,
    ),
)
