"""One simulated experiment from its first decision to its last."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from backend.domain import AllocationSpec, FloatArray
from backend.inference.posteriors import family_for
from backend.policies.base import Policy
from backend.policies.exp3_ix import Exp3IX
from backend.policies.propensity import allocate
from backend.policies.simulation.learned import Learned
from backend.policies.simulation.scenario import Scenario
from backend.policies.simulation.schedule import Schedule
from backend.policies.simulation.stopping import winner_of
from backend.statistics import ArmStats


@dataclass(frozen=True, slots=True)
class Run:
    """What came of one experiment.

    Attributes:
        vectors: shape (n_batches, n_arms), the probabilities that arms were drawn with in each batch.
        regret: shape (n_batches,), expected reward lost against always the best arm, from the start to the batch's end.
        decided_in: the batch after which somebody first found it decided; None: never.
        winner: the arm that it was decided for; None: none.
    """

    vectors: FloatArray
    regret: FloatArray
    decided_in: int | None
    winner: int | None


def simulate(
    scenario: Scenario,
    schedule: Schedule,
    policy: Policy,
    allocation: AllocationSpec,
    rng: Generator,
) -> Run:
    """Run ``policy``, with the floor and control share of ``allocation``, to the end, decided or not."""
    family = family_for(scenario.reward)
    learned = Learned(scenario.n_arms, scenario.draw_sums(), scenario.reward_delay_s)
    everyone, control_arm_id = np.ones(scenario.n_arms, dtype=np.bool_), scenario.control_arm_id
    vectors = np.empty((schedule.n_batches, scenario.n_arms))
    decided_in: int | None = None
    winner: int | None = None
    for batch, (size, duration_s, is_look) in enumerate(schedule.batches()):
        stats = learned.stats(size)
        vectors[batch] = vector = allocate(
            policy.probabilities(stats),
            everyone,
            floor=allocation.probability_floor,
            control_share=allocation.control_share,
            control_arm_id=control_arm_id,
        ).probabilities
        weights = _importance_weights(policy, stats, vector)
        learned.add(rng.multinomial(size, vector), weights, duration_s, rng)
        if is_look and winner is None:
            winner = winner_of(family.posterior(learned.stats(size)))
            decided_in = None if winner is None else batch
    regret = np.cumsum(schedule.sizes * (vectors @ scenario.gaps()))
    return Run(vectors, regret, decided_in, winner)


def _importance_weights(policy: Policy, stats: ArmStats, vector: FloatArray) -> FloatArray:
    """Shape (n_arms,): what rewards are multiplied with; 0 for an arm that cannot be drawn."""
    gamma = policy.implicit_exploration(stats) if isinstance(policy, Exp3IX) else 0.0
    return np.divide(1.0, vector + gamma, out=np.zeros_like(vector), where=vector > 0.0)
