"""One contestant on one problem: cumulative regret by seed."""

from collections.abc import Callable

from players import Player
from problems import Problem


def regret(problem: Problem, make: Callable[[Problem, int], Player], seed: int) -> float:
    """What the means of the chosen arms lack of the best means, summed over one run."""
    table = problem.draw(seed)
    player = make(problem, seed)
    total = 0.0
    for start in range(0, problem.horizon, problem.batch_size):
        n = min(problem.batch_size, problem.horizon - start)
        arms = player.choose(n)
        steps = range(start, start + n)
        player.learn(
            arms, [float(table.rewards[t, arm]) for t, arm in zip(steps, arms, strict=True)]
        )
        total += sum(float(table.gaps[t, arm]) for t, arm in zip(steps, arms, strict=True))
    return total
