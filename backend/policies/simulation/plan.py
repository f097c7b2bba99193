"""All runs of a scenario, and the report of them."""

from __future__ import annotations

from collections.abc import Callable

from numpy.random import SeedSequence, default_rng

from backend.domain import AllocationSpec, Json
from backend.policies.simulation.report import report
from backend.policies.simulation.run import Run, simulate
from backend.policies.simulation.scenario import Scenario
from backend.policies.uniform import Uniform

EVEN_SPLIT = AllocationSpec(probability_floor=0.0, control_share=0.0)


def plan(scenario: Scenario, on_progress: Callable[[float], None]) -> Json:
    """Simulate the policy, and an even split from the same seeds; the answer of ``POST /simulations``.

    Run number i has a generator of its own, spawned from the seed, so it stays the same when ``n_runs`` changes.

    Args:
        on_progress: hears the share of the runs that are done, after each.
    """
    schedule, policy = scenario.schedule(), scenario.build_policy()
    runs: list[Run] = []
    even: list[Run] = []
    for seed in SeedSequence(scenario.seed).spawn(scenario.n_runs):
        rng, even_rng = default_rng(seed), default_rng(seed)
        runs.append(simulate(scenario, schedule, policy, scenario.allocation, rng))
        even.append(simulate(scenario, schedule, Uniform(), EVEN_SPLIT, even_rng))
        on_progress(len(runs) / scenario.n_runs)
    return report(scenario, schedule, runs, even)
