"""One simulated experiment."""

import inspect
from dataclasses import replace

import numpy as np
import pytest
from numpy.random import SeedSequence, default_rng

from backend.domain import AllocationSpec, PolicySpec, RewardType
from backend.policies.registry import POLICIES
from backend.policies.simulation import plan as plan_module
from backend.policies.simulation.plan import EVEN_SPLIT, plan
from backend.policies.simulation.run import simulate
from backend.policies.simulation.scenario import AssumedArm, Scenario, assumed_reward
from backend.policies.uniform import Uniform

ARMS = (AssumedArm("a", 0.1, is_control=True), AssumedArm("b", 0.3), AssumedArm("c", 0.2))
SCENARIO = Scenario(
    ARMS,
    assumed_reward(RewardType.BINARY),
    decisions_per_day=1000,
    allocation=AllocationSpec(probability_floor=0.05, control_share=0.2),
    max_days=7,
    n_runs=10,
)


def run_of(scenario, seed=1, policy=None, allocation=None):
    policy = policy or scenario.build_policy()
    allocation = allocation or scenario.allocation
    return simulate(scenario, scenario.schedule(), policy, allocation, default_rng(seed))


def needs_nothing(policy):
    """Whether all of its parameters have defaults: then it needs neither a horizon nor a context."""
    _, *parameters = inspect.signature(POLICIES[policy]).parameters.values()
    return all(parameter.default is not parameter.empty for parameter in parameters)


def ignore(_share):
    """Nobody watches."""


def test_an_even_split_loses_the_mean_gap():
    """Gaps 0.2, 0 and 0.1: 0.1 a decision, 700 in 7 days of 1,000."""
    run = run_of(SCENARIO, policy=Uniform(), allocation=EVEN_SPLIT)

    assert run.vectors == pytest.approx(np.full_like(run.vectors, 1 / 3))
    assert run.regret[-1] == pytest.approx(700.0)
    assert (np.diff(run.regret) > 0).all()


def test_floor_and_control_share_are_mixed_in():
    """Every arm at least 0.8 x 0.05, and the control at least 0.2 + 0.8 x 0.05."""
    vectors = run_of(SCENARIO).vectors

    assert vectors.sum(axis=1) == pytest.approx(np.ones(len(vectors)))
    assert vectors.min() >= 0.04 - 1e-12
    assert vectors[:, 0].min() >= 0.24 - 1e-12


def test_a_clear_best_arm_wins():
    """0.3 against 0.2 with about 5,000 decisions: 20 standard errors."""
    run = run_of(SCENARIO)

    assert run.winner == 1
    assert run.decided_in is not None
    assert SCENARIO.schedule().is_look[run.decided_in]
    assert run.vectors[-1, 1] > 0.7


@pytest.mark.parametrize("policy", [*filter(needs_nothing, POLICIES)])
def test_every_policy_without_required_parameters_can_be_planned(policy):
    """Vectors are distributions, and what learns loses less than the even split's 700."""
    run = run_of(replace(SCENARIO, policy=PolicySpec(policy), allocation=EVEN_SPLIT))

    assert run.vectors.sum(axis=1) == pytest.approx(np.ones(len(run.vectors)))
    assert (run.regret[-1] < 690.0) == (policy != "uniform")


@pytest.mark.parametrize("delay_s", [0.0, 3600.0, 1e7])
@pytest.mark.parametrize("rate", [1, 100_000])
@pytest.mark.parametrize(
    ("kind", "means", "spread"),
    [
        (RewardType.BINARY, (0.0, 1.0), None),
        (RewardType.COUNT, (0.0, 1e6), None),
        (RewardType.CONTINUOUS, (-1e15, 1e15), 1e15),
        (RewardType.CONTINUOUS, (1e-9, 2e-9), 1e-9),
    ],
)
def test_extremes_stay_finite(kind, means, spread, rate, delay_s):
    """Warnings are errors here."""
    scenario = Scenario(
        tuple(AssumedArm(f"a{i}", mean, spread) for i, mean in enumerate(means)),
        assumed_reward(kind),
        decisions_per_day=rate,
        reward_delay_s=delay_s,
        n_runs=2,
    )

    run = run_of(scenario)

    assert np.isfinite(run.regret).all()
    assert np.isfinite(run.vectors).all()


def test_delay_slows_learning_down():
    """Outcomes that take a week on average are hardly known in the first: the vector stays nearer to the even split."""
    free = replace(SCENARIO, allocation=EVEN_SPLIT)
    slow = replace(free, reward_delay_s=7 * 86_400.0)

    at_once = np.mean([run_of(free, seed).regret[-1] for seed in range(5)])
    delayed = np.mean([run_of(slow, seed).regret[-1] for seed in range(5)])

    assert at_once < delayed < 700.0


def test_the_same_seed_gives_the_same_plan():
    """Bit for bit; another seed another one."""
    first, again = plan(SCENARIO, ignore), plan(SCENARIO, ignore)
    other = plan(replace(SCENARIO, seed=2), ignore)

    assert first == again
    assert first["regret"] != other["regret"]


def test_more_runs_leave_the_earlier_ones_alone(monkeypatch):
    """Each run has a generator of its own."""
    monkeypatch.setattr(
        plan_module, "report", lambda _scenario, _schedule, runs, even: (runs, even)
    )

    few = plan(SCENARIO, ignore)
    many = plan(replace(SCENARIO, n_runs=13), ignore)

    for some, all_ in zip(few, many, strict=True):
        assert (len(some), len(all_)) == (10, 13)
        for one, same in zip(some, all_, strict=False):
            assert np.array_equal(one.regret, same.regret)
            assert one.winner == same.winner


def test_progress_ends_at_one():
    """After each of ten runs."""
    heard = []

    plan(SCENARIO, heard.append)

    assert heard == pytest.approx(np.arange(1, 11) / 10)


@pytest.mark.slow
def test_batches_cost_thompson_sampling_nothing():
    """0.9 against 0.8 for 10,000 decisions: 9.9 is published for immediate updates; 150 runs have a standard error of 0.6."""
    scenario = Scenario(
        (AssumedArm("a", 0.9), AssumedArm("b", 0.8)),
        assumed_reward(RewardType.BINARY),
        decisions_per_day=10_000,
        allocation=EVEN_SPLIT,
        max_days=1,
    )

    seeds = SeedSequence(1).spawn(150)
    regrets = [run_of(scenario, seed).regret[-1] for seed in seeds]

    assert np.mean(regrets) == pytest.approx(9.9, abs=1.8)
