"""Who plays the contextual problems: Bandstand's policies, and MABWiser's and river's over a grid of their settings."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from contextual_problems import N_ARMS, FloatArray

from backend.domain import RewardSpec
from backend.policies.lin_ucb import LinUCB
from backend.policies.linear_thompson import LinearThompson
from backend.policies.squarecb import SquareCB
from backend.statistics import LinearStats

ALPHAS_UCB = (0.1, 0.25, 0.5, 1.0)
ALPHAS_TS = (0.05, 0.1, 0.25)
BETAS = (0.25, 1.0, 4.0)
FEW_SEEDS = 3
"""Contestants that take a minute for one run play no more than these."""


class Player(Protocol):
    """One contestant in one run, told of every reward at once."""

    def choose(self, context: FloatArray) -> int:
        """An arm for this context."""
        ...

    def learn(self, context: FloatArray, arm: int, reward: float) -> None:
        """Its reward."""
        ...


@dataclass(frozen=True, slots=True)
class Contestant:
    """Who plays.

    Attributes:
        group: contestants of one group are settings of one policy, of which the best counts.
        make: a player for a number of features and a seed.
        few_seeds_from: from so many features on it is so slow that it plays only FEW_SEEDS.
    """

    name: str
    group: str
    make: Callable[[int, int], Player]
    few_seeds_from: int = 1000


class Ours:
    """A policy as the service runs it: fitted anew after every reward, and drawn from its exact vector."""

    def __init__(self, policy_type: Any, n_features: int, seed: int) -> None:
        feature = {"name": "unused", "type": "boolean"}  # the contexts come encoded
        self._policy = policy_type.for_reward(RewardSpec(), [feature])
        self._rng = np.random.default_rng([seed, 1])
        shape = (N_ARMS, n_features)
        self._xtx, self._xty = np.zeros((*shape, n_features)), np.zeros(shape)
        self._squares, self._n_decisions = np.zeros(N_ARMS), 0

    def choose(self, context: FloatArray) -> int:
        """Drawn from the vector."""
        stats = LinearStats(
            self._xtx, self._xty, self._squares, np.zeros_like(self._xtx), self._n_decisions
        )
        probabilities = self._policy.probabilities(self._policy.fit(stats).scores(context))
        arm = int(np.searchsorted(np.cumsum(probabilities), self._rng.random(), side="right"))
        return min(arm, N_ARMS - 1)

    def learn(self, context: FloatArray, arm: int, reward: float) -> None:
        """Added to the sums."""
        self._xtx[arm] += np.outer(context, context)
        self._xty[arm] += reward * context
        self._squares[arm] += reward**2
        self._n_decisions += 1


class MABWiser:
    """One of MABWiser's linear policies, with its ridge of 1."""

    def __init__(self, policy: str, alpha: float, n_features: int, seed: int) -> None:
        module = importlib.import_module("mabwiser.mab")
        learning = getattr(module.LearningPolicy, policy)(alpha=alpha)
        self._mab = module.MAB(list(range(N_ARMS)), learning, seed=seed)
        self._mab.fit([], [], np.zeros((0, n_features)))

    def choose(self, context: FloatArray) -> int:
        """As it predicts."""
        return int(self._mab.predict(context[None]))

    def learn(self, context: FloatArray, arm: int, reward: float) -> None:
        """By a partial fit."""
        self._mab.partial_fit([arm], [reward], context[None])


class River:
    """river's disjoint LinUCB; ``beta`` is the precision of the noise that it assumes."""

    def __init__(self, beta: float, n_features: int, seed: int) -> None:
        module = importlib.import_module("river.bandit")
        self._policy = module.LinUCBDisjoint(alpha=1.0, beta=beta, seed=seed)
        self._names = range(n_features)

    def choose(self, context: FloatArray) -> int:
        """As it pulls."""
        return int(self._policy.pull(list(range(N_ARMS)), context=self._named(context)))

    def learn(self, context: FloatArray, arm: int, reward: float) -> None:
        """By an update."""
        self._policy.update(arm, self._named(context), reward)

    def _named(self, context: FloatArray) -> dict[int, float]:
        return dict(zip(self._names, context.tolist(), strict=True))


OURS = {"linear_thompson": LinearThompson, "lin_ucb": LinUCB, "squarecb": SquareCB}


def ours() -> list[Contestant]:
    """Bandstand's, with nothing to tune."""
    return [
        Contestant(name, name, lambda d, seed, policy=policy: Ours(policy, d, seed))  # type: ignore[misc]
        for name, policy in OURS.items()
    ]


def peers() -> list[Contestant]:
    """Those that are installed, at each setting of the grid; says which are not."""
    found: list[Contestant] = []
    has_mabwiser = _is_installed("mabwiser.mab")
    if has_mabwiser:
        found += [_mabwiser("LinUCB", alpha) for alpha in ALPHAS_UCB]
    if _is_installed("river.bandit"):
        found += [
            Contestant(
                f"river LinUCBDisjoint beta={beta:g}",
                "river LinUCBDisjoint",
                lambda d, seed, beta=beta: River(beta, d, seed),  # type: ignore[misc]
                few_seeds_from=60,
            )
            for beta in BETAS
        ]
    if has_mabwiser:
        found += [_mabwiser("LinTS", alpha) for alpha in ALPHAS_TS]
    return found


def _mabwiser(policy: str, alpha: float) -> Contestant:
    return Contestant(
        f"MABWiser {policy} alpha={alpha:g}",
        f"MABWiser {policy}",
        lambda d, seed: MABWiser(policy, alpha, d, seed),
        few_seeds_from=60 if policy == "LinTS" else 1000,
    )


def _is_installed(module: str) -> bool:
    try:
        importlib.import_module(module)
    except ImportError:
        print(f"MISSING: {module.split('.')[0]} is not installed; its policies do not play.")
        return False
    return True
