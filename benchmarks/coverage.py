"""Do the intervals of the results hold under adaptive sampling? By simulation, with the product's own policies.

    OPENBLAS_NUM_THREADS=1 python -m benchmarks.coverage [--runs 1000] [--seed 1] [--only means,…]

The tables go to standard output as Markdown, progress to standard error.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator, default_rng

from backend.domain import FloatArray, RewardSpec, Status
from backend.inference.confidence_sequence import confidence_sequence
from backend.inference.posteriors import family_for
from backend.inference.recommendation import Action, Evidence, recommend
from backend.inference.sample_ratio import sample_ratio
from backend.inference.unbiased_mean import PropensitySums, unbiased_means
from backend.policies.uniform import Uniform
from backend.statistics import ArmStats
from benchmarks.adaptive_runs import (
    COUNT,
    REAL,
    UNIT,
    Problem,
    Runs,
    narrow_beta,
    normal,
    poisson,
)

Z = 1.959964


@dataclass(frozen=True)
class MeanCoverage:
    """Coverage of 95% intervals of the means, over runs; arrays have shape (n_arms,)."""

    naive: FloatArray
    unbiased: FloatArray
    naive_bias: FloatArray
    unbiased_bias: FloatArray
    width_ratio: float


def mean_coverage(problem: Problem, n_runs: int, rng: Generator) -> MeanCoverage:
    """Of the plain mean -/+ 1.96 standard errors, and of ``unbiased_means``."""
    runs, means = Runs(problem, n_runs, rng).finished(), np.array(problem.means)
    n, total, squares = runs.sums()
    naive = total / n
    error = Z * np.sqrt(np.maximum(squares / n - naive**2, 0.0) / n)
    found = unbiased_means(
        PropensitySums(*(sums.ravel() for sums in runs.weighted)), problem.reward
    )
    low, high = found.interval.reshape(*n.shape, 2).transpose(2, 0, 1)
    unbiased = found.mean.reshape(n.shape)
    return MeanCoverage(
        naive=np.mean(np.abs(naive - means) <= error, axis=0),
        unbiased=np.mean((low <= means) & (means <= high), axis=0),
        naive_bias=np.mean(naive, axis=0) - means,
        unbiased_bias=np.mean(unbiased, axis=0) - means,
        width_ratio=float(np.median((high - low) / np.maximum(2.0 * error, 1e-12))),
    )


def ever_missed(problem: Problem, n_runs: int, rng: Generator) -> FloatArray:
    """Share of runs in which the mean was ever outside the arm's confidence sequence, looking after every batch: (n_arms,)."""
    means = np.tile(problem.means, n_runs)
    is_missed = np.zeros(means.size, dtype=np.bool_)
    for runs in Runs(problem, n_runs, rng).watched():
        low, high = confidence_sequence(runs.epoch_sums(), problem.reward).T
        is_missed |= (low > means) | (high < means)
    return is_missed.reshape(n_runs, -1).mean(axis=0)


def alarm_times(problem: Problem, n_runs: int, rng: Generator) -> FloatArray:
    """People until the sample-ratio test alarms, looking after every batch; infinite where it never does: (n_runs,)."""
    times = np.full(n_runs, np.inf)
    for runs in Runs(problem, n_runs, rng).watched():
        for run in np.flatnonzero(np.isinf(times)):
            sums = (runs.drawn[run], runs.expected[run], runs.expected_squares[run])
            if sample_ratio(*sums).mismatch:
                times[run] = runs.n_people
    return times


@dataclass(frozen=True)
class FirstAdvice:
    """Shares of runs by the first advice other than to keep running, and by what it claims.

    ``winner_ever``: share in which an arm's joint interval ever lay above all others, whatever was advised before.
    """

    ship_little_to_lose: float
    ship_winner: float
    stop_alike: float
    winner_ever: float


def first_advice(problem: Problem, n_runs: int, rng: Generator) -> FirstAdvice:
    """Ask for advice after every batch, and follow the first."""
    claims: dict[int, str] = {}
    is_won = np.zeros(n_runs, dtype=np.bool_)
    level = 1.0 - 0.05 / problem.n_arms
    for runs in Runs(problem, n_runs, rng).watched():
        sums = runs.epoch_sums()
        single, joint = (
            confidence_sequence(sums, problem.reward, each).reshape(n_runs, -1, 2)
            for each in (0.95, level)
        )
        second_highest = np.sort(joint[:, :, 1], axis=1)[:, -2]
        is_won |= joint[:, :, 0].max(axis=1) > second_highest
        for run in set(range(n_runs)) - set(claims):
            if claim := _claim(runs.stats(run), problem.reward, single[run], joint[run]):
                claims[run] = claim
    told = list(claims.values())
    shares = (told.count(claim) / n_runs for claim in ("little to lose", "winner", "alike"))
    return FirstAdvice(*shares, winner_ever=float(is_won.mean()))


def _claim(stats: ArmStats, reward: RewardSpec, single: FloatArray, joint: FloatArray) -> str:
    posterior = family_for(reward).posterior(stats)
    advice = recommend(
        Evidence(
            status=Status.RUNNING,
            arm_keys=tuple(f"arm-{i}" for i in range(stats.n_arms)),
            pulls=stats.pulls,
            means=posterior.mean(),
            probability_best=posterior.probability_best(),
            expected_loss=posterior.expected_loss(),
            value_remaining=posterior.value_remaining(0.95),
            confidence_sequence=single,
            joint_sequence=joint,
        )
    )
    if advice.action is Action.KEEP_RUNNING:
        return ""
    if advice.action is Action.STOP:
        return "alike"
    return "winner" if "better than every other arm" in advice.reason else "little to lose"


MEANS = [
    Problem("two equal, 0.5", (0.5, 0.5)),
    Problem("two equal, 0.05", (0.05, 0.05)),
    Problem("two equal, 0.02", (0.02, 0.02)),
    Problem("0.10 and 0.12", (0.10, 0.12)),
    Problem("ten: 0.1, 4 x 0.05, 5 x 0.02", (0.1, *[0.05] * 4, *[0.02] * 5)),
    Problem("ten: 0.5, 9 x 0.4", (0.5, *[0.4] * 9)),
    Problem("two equal, 0.1, batches of 1,000", (0.1, 0.1), n_batches=10, batch=1000),
    Problem("two equal, 0.1, floor 0.001", (0.1, 0.1), floor=0.001),
    Problem("two equal, 0.1, T = 1,000", (0.1, 0.1), batch=10),
    Problem("counts, two equal, 0.3", (0.3, 0.3), poisson, COUNT),
    Problem("normal, five: 0, 0.1, 0.2, 0.3, 0.4", (0.0, 0.1, 0.2, 0.3, 0.4), normal, REAL),
    Problem("normal, two equal, 10", (10.0, 10.0), normal, REAL),
    Problem("in [0, 1], two equal, 0.3", (0.3, 0.3), narrow_beta, UNIT),
]
SEQUENCES = [
    Problem("two equal, 0.5", (0.5, 0.5), n_batches=250, batch=20),
    Problem("0.05 and 0.06", (0.05, 0.06), n_batches=250, batch=20),
    Problem("ten: 0.5, 9 x 0.4", (0.5, *[0.4] * 9)),
    Problem("in [0, 1], two equal, 0.3", (0.3, 0.3), narrow_beta, UNIT),
    Problem("counts, 0.3 and 0.4", (0.3, 0.4), poisson, COUNT),
    Problem("counts, two equal, 0.05", (0.05, 0.05), poisson, COUNT),
    Problem("normal, 0 and 0.1", (0.0, 0.1), normal, REAL),
]
T20 = {"n_batches": 200, "batch": 100}
RATIOS = [
    Problem("even, two arms", (0.1, 0.1), policy=Uniform, **T20),
    Problem("Thompson, 0.10 and 0.12", (0.10, 0.12), **T20),
    Problem("Thompson, ten arms", (0.5, *[0.4] * 9), **T20),
    Problem("even, two arms, 2% moved", (0.1, 0.1), policy=Uniform, misrouted=0.02, **T20),
    Problem("Thompson, 0.10 and 0.12, 2% moved", (0.10, 0.12), misrouted=0.02, **T20),
    Problem("Thompson, 0.12 and 0.10, 2% moved", (0.12, 0.10), misrouted=0.02, **T20),
    Problem("Thompson, ten arms, 2% moved", (0.5, *[0.4] * 9), misrouted=0.02, **T20),
]
ADVICE = [
    Problem("two equal, 0.05", (0.05, 0.05), n_batches=100, batch=100),
    Problem("two equal, 0.5", (0.5, 0.5), n_batches=100, batch=100),
    Problem("0.05 and 0.07", (0.05, 0.07), n_batches=100, batch=100),
]


def means_table(n_runs: int, seed: int) -> Iterator[str]:
    yield "| arms | naive: bias | covers | least | unbiased: bias | covers | least to most | width |"
    yield "|---|---|---|---|---|---|---|---|"
    for problem in MEANS:
        c = mean_coverage(problem, n_runs, default_rng(seed))
        yield (
            f"| {problem.name} | {c.naive_bias.mean():+.4f} | {c.naive.mean():.1%} | {c.naive.min():.1%} "
            f"| {c.unbiased_bias.mean():+.4f} | {c.unbiased.mean():.1%} | {c.unbiased.min():.1%} to "
            f"{c.unbiased.max():.1%} | {c.width_ratio:.2f} |"
        )


def sequences_table(n_runs: int, seed: int) -> Iterator[str]:
    yield "| arms | looks | held at all of them | worst arm |"
    yield "|---|---|---|---|"
    for problem in SEQUENCES:
        missed = ever_missed(problem, n_runs, default_rng(seed))
        held = 1.0 - missed
        yield f"| {problem.name} | {problem.n_batches} | {held.mean():.1%} | {held.min():.1%} |"


def ratios_table(n_runs: int, seed: int) -> Iterator[str]:
    yield "| experiment | looks | alarms within 20,000 decisions | median decisions until then |"
    yield "|---|---|---|---|"
    for problem in RATIOS:
        times = alarm_times(problem, n_runs, default_rng(seed))
        when = f"{np.median(times):,.0f}" if np.isfinite(np.median(times)) else "-"
        yield f"| {problem.name} | {problem.n_batches} | {np.isfinite(times).mean():.1%} | {when} |"


def advice_table(n_runs: int, seed: int) -> Iterator[str]:
    yield "| arms | ship: little to lose | ship: a winner | stop: alike | still running | a winner ever claimed |"
    yield "|---|---|---|---|---|---|"
    for problem in ADVICE:
        a = first_advice(problem, n_runs, default_rng(seed))
        rest = 1.0 - a.ship_little_to_lose - a.ship_winner - a.stop_alike
        yield (
            f"| {problem.name} | {a.ship_little_to_lose:.1%} | {a.ship_winner:.1%} | {a.stop_alike:.1%} "
            f"| {rest:.1%} | {a.winner_ever:.1%} |"
        )


TABLES = {
    "means": ("Intervals of each arm's mean, nominally 95%", means_table),
    "sequences": ("Confidence sequences, nominally 95% at all looks together", sequences_table),
    "ratios": ("The sample-ratio test, watched throughout", ratios_table),
    "advice": ("The first advice other than to keep running", advice_table),
}


def main() -> None:
    """Print the tables that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default=",".join(TABLES), help=", ".join(TABLES))
    options = parser.parse_args()
    for name in options.only.split(","):
        title, table = TABLES[name]
        print(f"### {title}\n\n{options.runs:,} runs each, seed {options.seed}.\n")
        for line in table(options.runs, options.seed):
            print(line, flush=True)
            print(f"{time.strftime('%X')} {line}", file=sys.stderr, flush=True)
        print()


if __name__ == "__main__":
    main()
