"""Contextual problems: contexts, and the reward of every arm at every step, the same for all contestants."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

N_ARMS = 10
HORIZON = 3000
NOISE = 0.5


@dataclass(frozen=True, slots=True)
class Table:
    """One run of a problem.

    Attributes:
        contexts: shape (horizon, n_features), the first entry of each being 1.
        rewards, gaps: shape (horizon, n_arms), and what each arm's mean lacks of the best one's in that context.
    """

    contexts: FloatArray
    rewards: FloatArray
    gaps: FloatArray


@dataclass(frozen=True, slots=True)
class ContextualProblem:
    """A way to draw tables.

    Attributes:
        key: what ``--problems`` calls it.
        draw: the table of a seed. Raises ImportError if it needs what is not installed.
        target: the regret that Bandstand aims at with nothing tuned.
    """

    key: str
    title: str
    draw: Callable[[int], Table]
    target: float


def linear(n_features: int) -> Callable[[int], Table]:
    """Rewards x'theta_a + N(0, 0.5^2), x = (1, N(0, 1), …), each theta_a's entries N(0, 1 / n_features)."""

    def draw(seed: int) -> Table:
        rng = np.random.default_rng([seed, n_features])
        theta = rng.normal(size=(n_features, N_ARMS)) / np.sqrt(n_features)
        contexts = rng.normal(size=(HORIZON, n_features))
        contexts[:, 0] = 1.0
        means = contexts @ theta
        rewards = means + NOISE * rng.normal(size=means.shape)
        return Table(contexts, rewards, means.max(axis=1, keepdims=True) - means)

    return draw


def digits(seed: int) -> Table:
    """scikit-learn's 1797 digits in random order: x = (1, 64 pixels / 16); reward 1 for the arm of the right digit."""
    from sklearn.datasets import load_digits

    data = load_digits()
    order = np.random.default_rng(seed).permutation(len(data.target))
    pixels = data.data[order] / 16.0
    contexts = np.column_stack([np.ones(len(order)), pixels])
    rewards = np.eye(N_ARMS)[data.target[order]]
    return Table(contexts, rewards, 1.0 - rewards)


PROBLEMS = (
    ContextualProblem("linear-10", "linear, 10 features, T = 3000", linear(10), 200.0),
    ContextualProblem("linear-20", "linear, 20 features, T = 3000", linear(20), 340.0),
    ContextualProblem("digits", "digits, 65 features, T = 1797", digits, 275.0),
)
