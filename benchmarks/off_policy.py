"""Off-policy estimates: beside the Open Bandit Pipeline's, and how often their intervals cover.

    python benchmarks/off_policy.py [--runs 1000]

The first table needs obp (0.5.7 was used; its own pinned requirements are not needed, numpy, scikit-learn, pandas,
matplotlib, seaborn, pyieoe and torch are). Without it the table says so, and compares with the values that were kept from it.
The second table is a simulation: a behaviour policy that itself learns writes each log.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from backend.domain import RewardSpec  # noqa: E402
from backend.inference.off_policy import Estimator, WeightedLog, evaluate  # noqa: E402
from backend.policies.epsilon_greedy import EpsilonGreedy  # noqa: E402
from backend.policies.propensity import apply_floor  # noqa: E402
from backend.policies.replay import LoggedDecisions, Replay  # noqa: E402
from backend.policies.thompson_sampling import ThompsonSampling  # noqa: E402
from backend.policies.uniform import Uniform  # noqa: E402
from backend.statistics import ArmStats  # noqa: E402

GOLDEN = ROOT / "tests/unit/inference/data/open_bandit_pipeline.json"
MEANS = np.array([0.1, 0.05, 0.05, 0.02, 0.02])
N_DECISIONS = 5000
BATCH = 50
FLOOR = 0.01
TARGETS = {
    "uniform": Uniform(),
    "epsilon_greedy": EpsilonGreedy(),
    "thompson_sampling": ThompsonSampling.for_reward(RewardSpec()),
}


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=1000, help="simulated logs")
    options = parser.parse_args()
    try:
        import obp
    except ImportError as exc:
        print(f"obp cannot be imported here ({exc}); compared with the values kept from it:\n")
        compare_with_kept()
    else:
        print(f"The same inputs through obp {obp.__version__}:\n")
        compare_with_obp()
    print(
        f"\nCoverage of 95% intervals: {options.runs} logs of {N_DECISIONS} decisions, written by"
    )
    print(
        f"Thompson sampling in batches of {BATCH} with a floor of {FLOOR}, means {MEANS.tolist()}:\n"
    )
    cover(options.runs)


def compare_with_kept() -> None:
    """The committed log of the unit tests."""
    kept = json.loads(GOLDEN.read_text(encoding="utf-8"))
    arm_ids, target = np.array(kept["arm_ids"]), np.array(kept["target_probabilities"])
    model = np.array(kept["predicted_rewards"])
    log = weighted(
        arm_ids, np.array(kept["rewards"]), np.array(kept["propensities"]), target, model
    )
    print("| decisions | estimator | Bandstand | obp | difference |\n|---|---|---|---|---|")
    for name, estimate in evaluate(log).estimates.items():
        theirs = kept["values"][name]
        difference = abs(estimate.value - theirs)
        print(f"| {log.n} | {name} | {estimate.value:.12f} | {theirs:.12f} | {difference:.1e} |")


def compare_with_obp() -> None:
    """Logs of 1000 to 100,000 decisions with contexts."""
    from obp.ope import (
        DoublyRobust,
        InverseProbabilityWeighting,
        SelfNormalizedInverseProbabilityWeighting,
    )

    peers = {
        Estimator.IPS: InverseProbabilityWeighting(),
        Estimator.SNIPS: SelfNormalizedInverseProbabilityWeighting(),
        Estimator.DR: DoublyRobust(),
    }
    print("| decisions | estimator | Bandstand | obp | difference | Bandstand, ms | obp, ms |")
    print("|---|---|---|---|---|---|---|")
    for n in (1000, 10_000, 100_000):
        arm_ids, rewards, propensities, target, model = synthetic(n)
        log = weighted(arm_ids, rewards, propensities, target, model)
        inputs = {
            "reward": rewards,
            "action": arm_ids,
            "pscore": propensities,
            "action_dist": target[:, :, None],
            "estimated_rewards_by_reg_model": model[:, :, None],
        }
        for name, peer in peers.items():
            ours, our_s = timed(partial(value_of, log, name))
            theirs, their_s = timed(partial(peer.estimate_policy_value, **inputs))
            print(
                f"| {n} | {name} | {ours:.12f} | {theirs:.12f} | {abs(ours - theirs):.1e} "
                f"| {our_s * 1e3:.2f} | {their_s * 1e3:.2f} |"
            )


def value_of(log: WeightedLog, name: Estimator) -> float:
    """Ours."""
    return evaluate(log, [name]).estimates[name].value


def timed(call: Callable[[], float]) -> tuple[float, float]:
    """What it gives, and the least time of five, in seconds."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        found = call()
        times.append(time.perf_counter() - start)
    return found, min(times)


def weighted(
    arm_ids: np.ndarray,
    rewards: np.ndarray,
    propensities: np.ndarray,
    target: np.ndarray,
    model: np.ndarray,
) -> WeightedLog:
    """From whole vectors, shape (n, n_arms), to what the estimators need."""
    at = np.arange(len(arm_ids))
    values = (target * model).sum(axis=1)
    return WeightedLog(rewards, propensities, target[at, arm_ids], model[at, arm_ids], values)


def synthetic(n: int, n_arms: int = 10) -> tuple[np.ndarray, ...]:
    """arm_ids, rewards, propensities, target and model; both policies are softmaxes that depend on the context."""
    rng = np.random.default_rng(n)
    behaviour, target = (softmax(rng.normal(size=(n, n_arms)) * scale) for scale in (1.0, 1.5))
    arm_ids = (behaviour.cumsum(axis=1)[:, :-1] < rng.random((n, 1))).sum(axis=1)
    means = rng.random((n, n_arms))
    at = np.arange(n)
    rewards = (rng.random(n) < means[at, arm_ids]).astype(float)
    model = np.clip(means + rng.normal(size=means.shape) * 0.2, 0.0, 1.0)
    return arm_ids, rewards, behaviour[at, arm_ids], target, model


def softmax(logits: np.ndarray) -> np.ndarray:
    """Along the rows."""
    weights = np.exp(logits)
    return weights / weights.sum(axis=1, keepdims=True)


def cover(runs: int) -> None:
    """How often the interval holds the true value of the target along its log."""
    rng = np.random.default_rng(20240501)
    names = list(Estimator)
    covered = {target: np.zeros(len(names)) for target in TARGETS}
    widths = {target: np.zeros(len(names)) for target in TARGETS}
    effective = dict.fromkeys(TARGETS, 0.0)
    for _ in range(runs):
        decisions = adaptive_log(rng)
        for target, policy in TARGETS.items():
            judged = Replay(policy, len(MEANS)).follow(decisions)
            log = WeightedLog(
                decisions.rewards,
                decisions.propensities,
                judged.target_propensities,
                judged.predicted_rewards,
                judged.target_predicted_rewards,
            )
            value = true_value(policy, decisions)
            found = evaluate(log, names)
            effective[target] += found.effective_sample_size / runs
            intervals = np.array([found.estimates[name].interval for name in names])
            covered[target] += (intervals[:, 0] <= value) & (value <= intervals[:, 1])
            widths[target] += (intervals[:, 1] - intervals[:, 0]) / 2 / runs
    print("| target | effective sample size | estimator | covered | mean half-width |")
    print("|---|---|---|---|---|")
    for target in TARGETS:
        for i, name in enumerate(names):
            share, width = covered[target][i] / runs, widths[target][i]
            print(f"| {target} | {effective[target]:.0f} | {name} | {share:.1%} | {width:.4f} |")


def adaptive_log(rng: np.random.Generator) -> LoggedDecisions:
    """Written by Thompson sampling with a floor, statistics refreshed every BATCH decisions."""
    policy, n_arms = ThompsonSampling.for_reward(RewardSpec()), len(MEANS)
    pulls, sums = np.zeros((2, n_arms))
    arm_ids, propensities, rewards = [], [], []
    for _ in range(N_DECISIONS // BATCH):
        vector = apply_floor(policy.probabilities(ArmStats(pulls, sums, sums)), FLOOR)
        chosen = rng.choice(n_arms, BATCH, p=vector / vector.sum())
        observed = (rng.random(BATCH) < MEANS[chosen]).astype(float)
        pulls = pulls + np.bincount(chosen, minlength=n_arms)
        sums = sums + np.bincount(chosen, observed, n_arms)
        arm_ids.append(chosen)
        propensities.append(vector[chosen])
        rewards.append(observed)
    columns = (np.concatenate(part) for part in (arm_ids, propensities, rewards))
    set_ids, every_arm = np.zeros(N_DECISIONS, dtype=np.int64), np.ones((1, n_arms), dtype=bool)
    return LoggedDecisions(*columns, set_ids, every_arm)


def true_value(policy: object, decisions: LoggedDecisions) -> float:
    """Mean over the log of the target's vector times the true means."""
    vectors = _Vectors(policy)
    Replay(vectors, len(MEANS)).follow(decisions)
    sizes = np.diff([*vectors.starts, decisions.n])
    return float(sizes @ (np.array(vectors.found) @ MEANS) / decisions.n)


class _Vectors:
    """A policy that keeps the vectors it gives, with the decision that each begins at."""

    def __init__(self, policy: object) -> None:
        self._policy = policy
        self.found: list[np.ndarray] = []
        self.starts: list[float] = []

    def probabilities(self, stats: ArmStats) -> np.ndarray:
        """The policy's own."""
        self.found.append(self._policy.probabilities(stats))
        self.starts.append(stats.n_decisions)
        return self.found[-1]

    def prior(self) -> dict:
        """Of no use here."""
        return {}


if __name__ == "__main__":
    main()
