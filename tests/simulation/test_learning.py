"""The whole loop, through the API: people come in groups, are decided for, and their rewards are learned from.

All groups see what every earlier group did, and draws and outcomes are seeded, so each run is the same. The bounds
are not fitted to these seeds: each is derived in its docstring and would hold for almost any other.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.random import Generator
from numpy.typing import NDArray

from backend.service.services import Services
from tests.conftest import Api

pytestmark = pytest.mark.slow

MEANS = np.array([0.1, 0.2, 0.4])
BEST = 2
GROUP = 250
LEARNING_TIMEOUT_S = 10.0
N_SIGMAS = 5.0


@dataclass(frozen=True)
class Trial:
    """What happened to n people, in order; ``probabilities`` has shape (n, 3), the others (n,)."""

    arms: NDArray[np.int_]
    probabilities: NDArray[np.float64]
    reasons: Sequence[str]

    def share(self, arm: int, since: int = 0) -> float:
        """Part of the people from number ``since`` on who got ``arm``."""
        return float(np.mean(self.arms[since:] == arm))

    def check_propensities(self) -> None:
        """Arms come as often as the logged vectors say: within 5 standard errors, a chance of 6e-7 each.

        Given the past each draw is Bernoulli(p), so counts minus the sum of p is a martingale with variance sum of
        p (1 - p).
        """
        assert np.allclose(self.probabilities.sum(axis=1), 1.0, atol=1e-9)
        for arm in range(len(MEANS)):
            p = self.probabilities[:, arm]
            error = float(np.sum(self.arms == arm) - p.sum())
            assert abs(error) <= N_SIGMAS * math.sqrt(float(np.sum(p * (1.0 - p)))) + 1e-9


class World:
    """People whose rewards have the means MEANS, and the service that decides for them."""

    def __init__(self, api: Api, services: Services, rng: Generator) -> None:
        self._api = api
        self._services = services
        self._rng = rng

    def run(self, n_people: int, **fields: Any) -> Trial:
        """Create an experiment with ``fields`` and send people through it in groups."""
        self._api.running("trial", n_arms=len(MEANS), seed=7, update_interval_s=0.1, **fields)
        decisions: list[dict[str, Any]] = []
        for start in range(0, n_people, GROUP):
            units = [f"person-{i}" for i in range(start, start + GROUP)]
            group = self._decide(units)
            self._reward(group)
            decisions += group
            self._wait_until_learned(len(decisions))
        return Trial(
            np.array([_index(d["arm_key"]) for d in decisions]),
            np.array([list(d["probabilities"].values()) for d in decisions]),
            [d["reason"] for d in decisions],
        )

    def _decide(self, units: Sequence[str]) -> list[dict[str, Any]]:
        elements = [{"experiment_key": "trial", "unit_id": unit} for unit in units]
        answer = self._api.post("/decisions:batch", {"decisions": elements})
        decisions = [result["decision"] for result in answer.json["results"]]
        assert all(d["propensity"] == d["probabilities"][d["arm_key"]] for d in decisions)
        return decisions

    def _reward(self, decisions: Sequence[dict[str, Any]]) -> None:
        means = MEANS[[_index(d["arm_key"]) for d in decisions]]
        outcomes = (self._rng.random(len(decisions)) < means).astype(int).tolist()
        rewards = [
            {"decision_id": d["decision_id"], "reward": outcome}
            for d, outcome in zip(decisions, outcomes, strict=True)
        ]
        answer = self._api.post("/rewards", {"rewards": rewards})
        assert {result["status"] for result in answer.json["results"]} == {"recorded"}

    def _wait_until_learned(self, n_people: int) -> None:
        """The statistics that the next group is decided with hold everybody so far."""
        deadline = time.monotonic() + LEARNING_TIMEOUT_S
        while self._services.snapshots.get("trial").published.statistics.rewards.sum() < n_people:
            assert time.monotonic() < deadline, "not learned in time"
            time.sleep(0.01)


def _index(arm_key: str) -> int:
    return ord(arm_key) - ord("a")


@pytest.fixture
def world(api: Api, services: Services, rng: Generator) -> World:
    """An empty service and fresh people."""
    return World(api, services, rng)


def test_thompson_sampling_finds_the_best_arm(world: World) -> None:
    """Of 5,000 people at least 85% get the arm with mean 0.4, and of the last 1,000 at least 95%.

    People lost to worse arms, in expectation: two thirds of the first group, 167; by exploration about
    ln(n) / kl(mean, 0.4) (Lai and Robbins), 8.5 / 0.0915 = 93 and 8.5 / 0.226 = 38; by the floor of 0.01 another 100.
    That is 400; 750 leaves room for groups that learn only at their end. At the end the floor alone sends 2% away:
    20 of 1,000 with standard deviation 4.4, so 50 is 6.8 standard deviations.
    """
    trial = world.run(5000, policy={"type": "thompson_sampling"})

    assert trial.share(BEST) >= 0.85
    assert trial.share(BEST, since=4000) >= 0.95
    assert np.allclose(trial.probabilities[0], 1 / 3, atol=1e-6)
    trial.check_propensities()


def test_uniform_stays_even(world: World) -> None:
    """Whatever is learned: 1/3 each, exactly in the log; 0.043 is 5 standard errors sqrt(2/9 / 3000) of a share."""
    trial = world.run(3000, policy={"type": "uniform"})

    assert np.allclose(trial.probabilities, 1 / 3, atol=1e-12)
    assert [trial.share(arm) for arm in range(3)] == pytest.approx([1 / 3] * 3, abs=0.043)
    assert set(trial.reasons) == {"policy"}
    trial.check_propensities()


def test_epsilon_greedy_goes_to_the_best_arm(world: World) -> None:
    """With epsilon 0.1 and floor 0.01 the best arm's probability is 0.01 + 0.97 (0.9 + 0.1 / 3) = 0.9153.

    The first group is shared evenly, about 83 people an arm, after which the means 0.2 and 0.4 are
    0.2 / sqrt(0.16 / 83 + 0.24 / 83) = 2.9 standard errors apart and rising, so by person 1,500 the best one leads.
    0.036 is 5 standard errors of a share of 1,500.
    """
    trial = world.run(3000, policy={"type": "epsilon_greedy", "params": {"epsilon": 0.1}})

    expected = 0.01 + 0.97 * (0.9 + 0.1 / 3)
    assert np.allclose(trial.probabilities[1500:, BEST], expected, atol=1e-12)
    assert trial.share(BEST, since=1500) == pytest.approx(expected, abs=0.036)
    trial.check_propensities()


def test_the_control_keeps_its_share(world: World) -> None:
    """A control share of 0.3 for the worst arm: its probability never falls below, and the rest learns as before.

    Of 3,000 people 900 fall into the fixed share, with standard deviation 25; 0.042 is 5 of them. At the end the best
    arm has 0.7 (1 - 2 * 0.01) = 0.686 of the traffic at most; 0.6 leaves 7 standard errors of a share of 1,000, 0.0147,
    for what is still explored, less than a percent.
    """
    trial = world.run(3000, policy={"type": "thompson_sampling"}, allocation={"control_share": 0.3})

    assert trial.probabilities[:, 0].min() >= 0.3
    assert trial.share(0) >= 0.3 - 0.042
    assert np.mean(np.array(trial.reasons) == "control") == pytest.approx(0.3, abs=0.042)
    assert trial.share(BEST, since=2000) >= 0.6
    assert trial.probabilities[:, BEST].max() <= 0.7 * 0.98 + 1e-12
    trial.check_propensities()


def test_the_floor_holds(world: World) -> None:
    """No probability is below 0.05, in any vector; the worst arm ends close to it.

    After 2,000 people the worst arm has had about 200 of them and is best with probability below 1e-6, so its
    probability is 0.05 up to 0.001, and its share of the last 1,000 within 5 standard errors, 0.035.
    """
    trial = world.run(
        3000, policy={"type": "thompson_sampling"}, allocation={"probability_floor": 0.05}
    )

    assert trial.probabilities.min() >= 0.05
    assert trial.probabilities.max() <= 0.9 + 1e-12
    assert np.allclose(trial.probabilities[2000:, 0], 0.05, atol=0.001)
    assert trial.share(0, since=2000) == pytest.approx(0.05, abs=0.035)
    trial.check_propensities()
