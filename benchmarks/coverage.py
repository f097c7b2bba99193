"""Do the intervals of the results hold under adaptive sampling? By simulation, with the product's own policies.

    OPENBLAS_NUM_THREADS=1 python benchmarks/coverage.py [--runs 1000] [--seed 1] [--only means,…]

Many runs of an experiment go side by side; between two updates of the weights each decides for one batch of people.
The tables go to standard output as Markdown, progress to standard error.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray

from backend.domain import RewardSpec, RewardType, Status
from backend.inference.confidence_sequence import EpochSums, confidence_sequence
from backend.inference.posteriors import family_for
from backend.inference.recommendation import Action, Evidence, recommend
from backend.inference.sample_ratio import sample_ratio
from backend.inference.unbiased_mean import PropensitySums, unbiased_means
from backend.policies.propensity import apply_floor
from backend.policies.thompson_sampling import ThompsonSampling
from backend.policies.uniform import Uniform
from backend.statistics import ArmStats

FloatArray = NDArray[np.float64]
BINARY = RewardSpec()
COUNT = RewardSpec(type=RewardType.COUNT)
UNIT = RewardSpec(type=RewardType.CONTINUOUS)
REAL = RewardSpec(type=RewardType.CONTINUOUS, min=None, max=None)
Z = 1.959964
FIRST_EPOCH = 32


def bernoulli(rng: Generator, mean: FloatArray) -> FloatArray:
    return (rng.random(mean.size) < mean).astype(np.float64)


def poisson(rng: Generator, mean: FloatArray) -> FloatArray:
    return rng.poisson(mean).astype(np.float64)


def normal(rng: Generator, mean: FloatArray) -> FloatArray:
    return rng.normal(mean, 1.0)


def narrow_beta(rng: Generator, mean: FloatArray) -> FloatArray:
    """Inside [0, 1]; standard deviation sqrt(mean (1 - mean) / 21), less than a quarter of the most possible."""
    return rng.beta(20.0 * mean, 20.0 * (1.0 - mean))


@dataclass(frozen=True)
class Problem:
    """Arms with these means, ``n_batches`` batches of ``batch`` people. ``floor`` is that of the allocation."""

    name: str
    means: tuple[float, ...]
    draw: Callable[[Generator, FloatArray], FloatArray] = bernoulli
    reward: RewardSpec = BINARY
    n_batches: int = 100
    batch: int = 50
    floor: float = 0.01
    policy: type = ThompsonSampling
    misrouted: float = 0.0
    """Share of all people who get arm 1 where arm 0 was drawn and logged."""

    @property
    def n_arms(self) -> int:
        return len(self.means)


def _zeros() -> FloatArray:
    return np.zeros(0)


@dataclass
class Runs:
    """Sums of ``n_runs`` runs; arrays have shape (n_runs, n_arms), those of epochs (n_epochs, n_runs, n_arms)."""

    problem: Problem
    n_runs: int
    rng: Generator
    n_people: int = 0
    epochs: list[FloatArray] = field(default_factory=list)
    """Of decisions, rewards and their squares: shape (3, n_runs, n_arms) each; each epoch doubles the time."""
    weighted: FloatArray = field(default_factory=_zeros)
    drawn: FloatArray = field(default_factory=_zeros)
    expected: FloatArray = field(default_factory=_zeros)
    expected_squares: FloatArray = field(default_factory=_zeros)

    def __post_init__(self) -> None:
        shape = (self.n_runs, self.problem.n_arms)
        self.weighted = np.zeros((5, *shape))
        self.drawn, self.expected, self.expected_squares = (np.zeros(shape) for _ in range(3))
        self.epochs = [np.zeros((3, *shape))]

    def watched(self) -> Iterator["Runs"]:
        """Itself, after each batch."""
        for _ in range(self.problem.n_batches):
            self._advance()
            yield self

    def finished(self) -> "Runs":
        for _ in self.watched():
            pass
        return self

    def sums(self) -> FloatArray:
        return np.sum(self.epochs, axis=0)

    def stats(self, run: int) -> ArmStats:
        return ArmStats(*self.sums()[:, run])

    def epoch_sums(self) -> EpochSums:
        """All arms of all runs side by side, run by run."""
        decisions, total, squares = np.array(self.epochs).swapaxes(0, 1)
        flat = (len(self.epochs), -1)
        return EpochSums(decisions.reshape(flat), total.reshape(flat), squares.reshape(flat))

    def _advance(self) -> None:
        problem, policy = self.problem, self.problem.policy.for_reward(self.problem.reward)
        totals = self.sums()
        vectors = [policy.probabilities(ArmStats(*totals[:, run])) for run in range(self.n_runs)]
        p = np.array([apply_floor(vector, problem.floor) for vector in vectors])
        p /= p.sum(axis=1, keepdims=True)
        drawn = self.rng.multinomial(problem.batch, p)
        if problem.misrouted:
            moved = self.rng.binomial(problem.batch, problem.misrouted, self.n_runs)
            moved = np.minimum(moved, drawn[:, 0])
            drawn[:, 0] -= moved
            drawn[:, 1] += moved
        new = self._rewards(drawn)
        if self.n_people >= FIRST_EPOCH * 2 ** len(self.epochs):
            self.epochs.append(np.zeros_like(new))
        self.epochs[-1] += new
        root = 1.0 / np.sqrt(p)
        self.weighted += np.stack(
            [new[0] * root, new[1] * root, new[0] / p, new[1] / p, new[2] / p]
        )
        self.drawn += drawn
        self.expected += problem.batch * p
        self.expected_squares += problem.batch * p**2
        self.n_people += problem.batch

    def _rewards(self, drawn: NDArray[np.int64]) -> FloatArray:
        """Numbers, sums and sums of squares: shape (3, n_runs, n_arms)."""
        place = np.repeat(np.arange(drawn.size), drawn.ravel())
        y = self.problem.draw(self.rng, np.array(self.problem.means)[place % self.problem.n_arms])
        sums = [np.bincount(place, weights, minlength=drawn.size) for weights in (y, y * y)]
        return np.array([drawn, *(each.reshape(drawn.shape) for each in sums)], dtype=np.float64)


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
    """Shares of runs by the first advice other than to keep running, and by what it claims."""

    ship_little_to_lose: float
    ship_winner: float
    stop_alike: float


def first_advice(problem: Problem, n_runs: int, rng: Generator) -> FirstAdvice:
    """Ask for advice after every batch, and follow the first."""
    claims: dict[int, str] = {}
    level = 1.0 - 0.05 / problem.n_arms
    for runs in Runs(problem, n_runs, rng).watched():
        sums = runs.epoch_sums()
        single, joint = (
            confidence_sequence(sums, problem.reward, each).reshape(n_runs, -1, 2)
            for each in (0.95, level)
        )
        for run in set(range(n_runs)) - set(claims):
            if claim := _claim(runs.stats(run), problem.reward, single[run], joint[run]):
                claims[run] = claim
    told = list(claims.values())
    shares = (told.count(claim) / n_runs for claim in ("little to lose", "winner", "alike"))
    return FirstAdvice(*shares)


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
    yield "| arms | ship: little to lose | ship: a winner | stop: alike | still running at 10,000 |"
    yield "|---|---|---|---|---|"
    for problem in ADVICE:
        a = first_advice(problem, n_runs, default_rng(seed))
        rest = 1.0 - a.ship_little_to_lose - a.ship_winner - a.stop_alike
        yield (
            f"| {problem.name} | {a.ship_little_to_lose:.1%} | {a.ship_winner:.1%} | {a.stop_alike:.1%} "
            f"| {rest:.1%} |"
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
