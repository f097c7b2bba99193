"""Time of one decision inside the process, beside MABWiser's and river's in the same run.

    python benchmarks/decision_time.py [--repeats 15]

Context-free: a look at the snapshot and a draw from its vector, as a worker does for each request; the peers compute
their choice anew each time. Linear: 10 arms and 50 features. Every policy has learned from the same data before. Each
figure is the least of several repeats, taken in turn, so that what else the machine does disturbs all alike. MABWiser
2.7.4 and river 0.26.1 were used; one that is not installed is named and left out.
"""

import argparse
import importlib
import os
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

from backend.context_features import ContextFeatures
from backend.domain import AllocationSpec, Arm, Experiment, PolicySpec, RewardSpec, default_floor
from backend.inference.linear_model import LinearModel
from backend.policies.lin_ucb import LinUCB
from backend.policies.linear_thompson import LinearThompson
from backend.policies.squarecb import SquareCB
from backend.service.snapshot import Snapshot
from backend.statistics import ArmStatistics, LinearStats
from backend.store.policy_snapshots import Published

N_FEATURES = 50
N_REWARDS = 2000
LONG_ENOUGH_S = 0.01


@dataclass(slots=True)
class Timed:
    """One thing to time.

    Attributes:
        action: does it once.
        target_us: None for a peer.
        best_us: microseconds, the least of the repeats.
    """

    section: str
    who: str
    action: Callable[[], object]
    target_us: float | None = None
    best_us: float = field(default=np.inf)

    def repeat(self) -> None:
        """For about a hundredth of a second."""
        start = time.perf_counter()
        self.action()
        n = max(1, int(LONG_ENOUGH_S / max(time.perf_counter() - start, 1e-7)))
        action = self.action
        start = time.perf_counter()
        for _ in range(n):
            action()
        self.best_us = min(self.best_us, (time.perf_counter() - start) / n * 1e6)


def main() -> None:
    """Time everything in turn, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--repeats", type=int, default=15, help="of each; the least counts")
    repeats = parser.parse_args().repeats
    rng = np.random.default_rng(1)
    everything = [*context_free(10, 1.0, rng), *context_free(1000, 2.0, rng), *linear(rng)]
    everything += [encoding(), *refreshing(rng)]
    for _ in range(repeats):
        for timed in everything:
            timed.repeat()
    report(everything)


def report(everything: list[Timed]) -> None:
    """A line each; a peer's also in times of ours."""
    print("\n| what | who | µs | target | best peer / ours |\n|---|---|---:|---|---:|")
    for timed in everything:
        met = ""
        if timed.target_us is not None:
            met = f"<= {timed.target_us:g}" + (
                "" if timed.best_us <= timed.target_us else " missed"
            )
        peers = [t.best_us for t in everything if t.section == timed.section and is_peer(t)]
        ratio = f"{min(peers) / timed.best_us:.1f}" if peers and not is_peer(timed) else ""
        print(f"| {timed.section} | {timed.who} | {timed.best_us:.3g} | {met} | {ratio} |")


def is_peer(timed: Timed) -> bool:
    """Whether it is somebody else's."""
    return timed.who.startswith(("MABWiser", "river"))


def context_free(n_arms: int, target_us: float, rng: np.random.Generator) -> list[Timed]:
    """Choosing one of so many arms."""
    section = f"decision, {n_arms} arms"
    means = rng.uniform(0.01, 0.1, n_arms)
    arms = np.concatenate([np.arange(n_arms), rng.integers(0, n_arms, 10 * n_arms)])
    rewards = (rng.random(len(arms)) < means[arms]).astype(float)
    snapshot = snapshot_of("thompson_sampling", arms, rewards)

    def decide() -> int:
        return snapshot.vector(None, None).allocation.draw(random.random())

    timed = [Timed(section, "Bandstand, any policy, from a snapshot", decide, target_us)]
    if (module := found("mabwiser.mab")) is not None:
        policy = module.LearningPolicy
        for name, rule in {
            "EpsilonGreedy": policy.EpsilonGreedy(),
            "UCB1": policy.UCB1(),
            "ThompsonSampling": policy.ThompsonSampling(),
        }.items():
            mab = module.MAB(list(range(n_arms)), rule)
            mab.fit(arms, rewards)
            timed.append(Timed(section, f"MABWiser {name}", mab.predict))
    if (module := found("river.bandit")) is not None:
        names = list(range(n_arms))
        proba = importlib.import_module("river.proba")
        for name, rule in {
            "EpsilonGreedy": module.EpsilonGreedy(epsilon=0.1),
            "UCB": module.UCB(delta=1.0),
            "ThompsonSampling": module.ThompsonSampling(reward_obj=proba.Beta()),
        }.items():
            for arm, reward in zip(arms.tolist(), rewards.tolist(), strict=True):
                rule.update(arm, reward)
            timed.append(Timed(section, f"river {name}", lambda rule=rule: rule.pull(names)))  # type: ignore[misc]
    return timed


def linear(rng: np.random.Generator) -> list[Timed]:
    """Scores, and a choice with exact propensities, of 10 arms by 50 features."""
    n_arms = 10
    contexts = rng.uniform(-1.0, 1.0, (N_REWARDS, N_FEATURES))
    contexts[:, 0] = 1.0
    arms = np.arange(N_REWARDS) % n_arms
    theta = rng.normal(size=(n_arms, N_FEATURES)) / np.sqrt(N_FEATURES)
    rewards = np.vecdot(contexts, theta[arms]) + 0.5 * rng.normal(size=N_REWARDS)
    model = LinearModel.fit(linear_stats(contexts, arms, rewards, n_arms))
    context = contexts[0].copy()
    section = "decision, 10 arms, 50 features"
    timed = [
        Timed("scores, 10 arms, 50 features", "Bandstand", lambda: model.scores(context), 20.0)
    ]
    unused = [{"name": "unused", "type": "boolean"}]  # the contexts come encoded
    for name, kind in {
        "lin_ucb": LinUCB,
        "linear_thompson": LinearThompson,
        "squarecb": SquareCB,
    }.items():
        policy: Any = kind.for_reward(RewardSpec(), unused)  # type: ignore[attr-defined]
        timed.append(
            Timed(
                section,
                f"Bandstand {name}, with propensities",
                lambda policy=policy: policy.probabilities(model.scores(context)),  # type: ignore[misc]
                200.0,
            )
        )
    if (module := found("mabwiser.mab")) is not None:
        policies = module.LearningPolicy
        for name, rule in {
            "LinGreedy": policies.LinGreedy(),
            "LinUCB": policies.LinUCB(),
            "LinTS": policies.LinTS(),
        }.items():
            mab = module.MAB(list(range(n_arms)), rule)
            mab.fit(arms, rewards, contexts)
            timed.append(
                Timed(section, f"MABWiser {name}", lambda mab=mab: mab.predict(context[None]))  # type: ignore[misc]
            )
    if (module := found("river.bandit")) is not None:
        river = module.LinUCBDisjoint()
        named = [dict(enumerate(x)) for x in contexts.tolist()]
        for arm, reward, x in zip(arms.tolist(), rewards.tolist(), named, strict=True):
            river.update(arm, x, reward)
        names = list(range(n_arms))
        timed.append(
            Timed(section, "river LinUCBDisjoint", lambda: river.pull(names, context=named[0]))
        )
    return timed


def linear_stats(
    contexts: np.ndarray, arms: np.ndarray, rewards: np.ndarray, n_arms: int
) -> LinearStats:
    """Sums of the log."""
    stats = LinearStats.zeros(n_arms, contexts.shape[1])
    for arm in range(n_arms):
        x, y = contexts[arms == arm], rewards[arms == arm]
        stats.xtx[arm], stats.xty[arm], stats.reward_sum_squares[arm] = x.T @ x, x.T @ y, y @ y
    return stats


def encoding() -> Timed:
    """A context of 20 features: 10 numbers, 5 of three levels, 5 booleans."""
    numbers = {f"n{i}": 40.5 for i in range(10)}
    levels = {f"c{i}": "b" for i in range(5)}
    flags = {f"b{i}": True for i in range(5)}
    declared: list[dict[str, Any]] = [
        {"name": name, "type": "numeric", "min": 0, "max": 100} for name in numbers
    ]
    declared += [
        {"name": name, "type": "categorical", "levels": ["a", "b", "c"]} for name in levels
    ]
    declared += [{"name": name, "type": "boolean"} for name in flags]
    features = ContextFeatures.parse(declared)
    context = {**numbers, **levels, **flags}
    return Timed(
        "encoding a context, 20 features", "Bandstand", lambda: features.encode(context), 10
    )


def refreshing(rng: np.random.Generator) -> list[Timed]:
    """Everything that is computed once when the statistics change: of 100 arms."""
    arms = np.arange(5000) % 100
    rewards = (rng.random(5000) < 0.05).astype(float)
    section = "refresh, 100 arms"
    timed = [
        Timed(
            section,
            f"Bandstand {name}",
            lambda name=name: snapshot_of(name, arms, rewards).vector(None, None),  # type: ignore[misc]
            20_000.0,
        )
        for name in ("thompson_sampling", "top_two_thompson", "kl_ucb")
    ]
    contexts = rng.uniform(-1.0, 1.0, (5000, 20))
    contexts[:, 0] = 1.0
    stats = linear_stats(contexts, arms, rewards, 100)
    return [
        *timed,
        Timed(
            section,
            "Bandstand linear model, 20 features",
            lambda: LinearModel.fit(stats).to_bytes(),
            20_000.0,
        ),
    ]


def snapshot_of(policy: str, arms: np.ndarray, rewards: np.ndarray) -> Snapshot:
    """A snapshot of binary rewards, one for every decision."""
    n_arms = int(arms.max()) + 1
    counts = np.bincount(arms, minlength=n_arms).astype(float)
    sums = np.bincount(arms, weights=rewards, minlength=n_arms)
    statistics = ArmStatistics(counts, counts, sums, sums)
    experiment = Experiment(
        "benchmark",
        tuple(Arm(f"arm-{i}", f"Arm {i}") for i in range(n_arms)),
        "Benchmark",
        policy=PolicySpec(policy),
        allocation=AllocationSpec(probability_floor=default_floor(n_arms)),
    )
    return Snapshot(experiment, 1, Published(statistics, statistics.observed(0.0)))


@cache
def found(module: str) -> Any:
    """The module, or None, and a line that says so."""
    try:
        return importlib.import_module(module)
    except ImportError:
        print(f"MISSING: {module.split('.')[0]} is not installed; it is not timed.")
        return None


if __name__ == "__main__":
    main()
