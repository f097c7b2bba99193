"""Those who play: Bandstand's policies, as the service would run them."""

from typing import Protocol

import numpy as np
from problems import Problem

from backend.domain import PolicySpec
from backend.inference.posteriors import BetaPosterior, NormalPosterior
from backend.policies.exp3_ix import Exp3IX
from backend.policies.registry import build_policy
from backend.policies.thompson_sampling import ThompsonSampling
from backend.statistics import ArmStats


class Player(Protocol):
    """One contestant in one run."""

    def choose(self, n: int) -> list[int]:
        """Arms for the next ``n`` decisions, before any of their rewards."""
        ...

    def learn(self, arms: list[int], rewards: list[float]) -> None:
        """Their rewards."""
        ...


class Ours:
    """A policy of the registry that draws from its exact vector.

    With ``half_life`` an arm's sums are halved by that many later decisions of the arm itself.
    """

    def __init__(
        self, spec: PolicySpec, problem: Problem, seed: int, half_life: float | None = None
    ) -> None:
        self._policy = build_policy(spec, problem.reward)
        self._rng = np.random.default_rng([seed, 1])
        self._keep = 1.0 if half_life is None else 0.5 ** (1.0 / half_life)
        self._batch_size = float(problem.batch_size)
        self._sums = np.zeros((5, problem.n_arms))
        self._n_decisions = 0
        self._weights = np.zeros(problem.n_arms)

    def stats(self) -> ArmStats:
        """What the policy is told."""
        pulls, total, squares, weight_sum, weighted_reward_sum = self._sums
        return ArmStats(
            pulls,
            total,
            squares,
            weight_sum=weight_sum,
            weighted_reward_sum=weighted_reward_sum,
            n_decisions=float(self._n_decisions),
            batch_size=self._batch_size,
        )

    def choose(self, n: int) -> list[int]:
        """Draws from the vector."""
        stats = self.stats()
        probabilities = self._policy.probabilities(stats)
        gamma = (
            self._policy.implicit_exploration(stats) if isinstance(self._policy, Exp3IX) else 0.0
        )
        self._weights = 1.0 / np.maximum(probabilities + gamma, 1e-300)
        cumulative = probabilities.cumsum()
        drawn = cumulative.searchsorted(self._rng.random(n) * cumulative[-1], side="right")
        return [int(arm) for arm in drawn]

    def learn(self, arms: list[int], rewards: list[float]) -> None:
        """Adds to the sums of each arm, after what is forgotten."""
        for arm, reward in zip(arms, rewards, strict=True):
            weight = self._weights[arm]
            self._sums[:, arm] *= self._keep
            self._sums[:, arm] += (1.0, reward, reward * reward, weight, weight * reward)
        self._n_decisions += len(arms)


class ThompsonByDraws(Ours):
    """Thompson sampling by one draw from each posterior: the arms have the same distribution as from the exact vector.

    A vector takes a thousand times as long as a draw from it, and here each would serve one decision.
    """

    def choose(self, n: int) -> list[int]:
        """The arm with the largest draw."""
        assert isinstance(self._policy, ThompsonSampling)
        posterior = self._policy.family.posterior(self.stats())
        if isinstance(posterior, BetaPosterior):
            size = (n, len(posterior.alpha))
            draws = self._rng.beta(posterior.alpha, posterior.beta, size)
        else:
            assert isinstance(posterior, NormalPosterior)
            size = (n, len(posterior.location))
            draws = self._rng.normal(posterior.location, posterior.standard_deviation, size)
        return [int(arm) for arm in draws.argmax(axis=1)]
