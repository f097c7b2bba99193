"""The best known libraries, each through its own interface; those that are not installed are left out and named."""

import importlib
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import numpy as np
from players import Player
from problems import Problem

MABWISER, RIVER, PYMAB = "mabwiser", "river", "pymab"
LIBRARIES = (MABWISER, RIVER, PYMAB)


def is_installed(library: str) -> bool:
    """Whether ``library`` can be compared with."""
    return find_spec(library) is not None


def installed_version(library: str) -> str:
    """The version that is compared with."""
    return version(library)


class MABWiserThompson:
    """MABWiser's Thompson sampling, taught one reward (or one batch) at a time."""

    def __init__(self, problem: Problem, seed: int) -> None:
        mab = importlib.import_module("mabwiser.mab")
        self._mab: Any = mab.MAB(
            list(range(problem.n_arms)), mab.LearningPolicy.ThompsonSampling(), seed=seed
        )
        self._mab.fit([], [])

    def choose(self, n: int) -> list[int]:
        """One prediction each."""
        return [int(self._mab.predict()) for _ in range(n)]

    def learn(self, arms: list[int], rewards: list[float]) -> None:
        """All of a batch at once, as it advises."""
        self._mab.partial_fit(arms, rewards)


class River:
    """A policy of river."""

    def __init__(self, problem: Problem, policy: Any) -> None:
        self._arms = list(range(problem.n_arms))
        self._policy = policy

    def choose(self, n: int) -> list[int]:
        """One pull each."""
        return [self._policy.pull(self._arms) for _ in range(n)]

    def learn(self, arms: list[int], rewards: list[float]) -> None:
        """One update each."""
        for arm, reward in zip(arms, rewards, strict=True):
            self._policy.update(arm, reward > 0.0)


class PyMAB:
    """A policy of PyMAB."""

    def __init__(self, name: str, problem: Problem, seed: int, **params: Any) -> None:
        policies = importlib.import_module("pymab.policies")
        self._policy: Any = getattr(policies, name)(n_arms=problem.n_arms, **params)
        self._rng = np.random.default_rng([seed, 2])

    def choose(self, n: int) -> list[int]:
        """One selection each."""
        return [int(self._policy.select_action(rng=self._rng)) for _ in range(n)]

    def learn(self, arms: list[int], rewards: list[float]) -> None:
        """One update each."""
        for arm, reward in zip(arms, rewards, strict=True):
            self._policy.update(action=arm, reward=reward)


def river_thompson(problem: Problem, seed: int) -> Player:
    """Beta posteriors."""
    bandit, proba = importlib.import_module("river.bandit"), importlib.import_module("river.proba")
    return River(problem, bandit.ThompsonSampling(reward_obj=proba.Beta(), seed=seed))


def river_bayes_ucb(problem: Problem, seed: int) -> Player:
    """The 1 - 1/t quantile of Beta posteriors."""
    return River(problem, importlib.import_module("river.bandit").BayesUCB(seed=seed))


def pymab(name: str, **params: Any) -> Callable[[Problem, int], Player]:
    """A policy of PyMAB with these parameters; ``horizon=None`` stands for the problem's."""

    def make(problem: Problem, seed: int) -> Player:
        known = {"horizon": problem.horizon} if "horizon" in params else {}
        return PyMAB(name, problem, seed, **(params | known))

    return make
