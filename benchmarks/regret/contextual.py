"""Cumulative regret of the contextual policies beside MABWiser's and river's, on the same seeds.

    python benchmarks/regret/contextual.py [--seeds 20] [--problems linear-10,linear-20,digits] [--only TEXT]

Bandstand's policies have nothing to tune. The peers play every setting of a grid (``contextual_players.py``), of which
the best counts, chosen in hindsight. All see the same encoded contexts and rewards, learn from every reward at once,
and start knowing nothing. Intervals are 95%, over seeds. MABWiser 2.7.4, river 0.26.1 and scikit-learn 1.9.1 were
used; whatever is not installed is named and left out. All of it takes about an hour, MABWiser's LinTS half of that.
"""

import argparse
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
from contextual_players import FEW_SEEDS, OURS, Contestant, Player, ours, peers
from contextual_problems import PROBLEMS, ContextualProblem, Table


def main() -> None:
    """Play, and print a table for each problem."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    keys = [problem.key for problem in PROBLEMS]
    parser.add_argument("--seeds", type=int, default=20, help="runs of each contestant")
    parser.add_argument("--problems", default=",".join(keys), help="by default all")
    parser.add_argument("--only", default="", help="contestants with this in their name")
    options = parser.parse_args()
    chosen = options.problems.split(",")
    if options.seeds < 2 or not set(chosen) <= set(keys):
        parser.error(f"--seeds must be at least 2, and --problems some of {', '.join(keys)}")
    contestants = [one for one in ours() + peers() if options.only in one.name]
    for problem in PROBLEMS:
        if problem.key in chosen:
            report(problem, contestants, options.seeds)


def report(problem: ContextualProblem, contestants: list[Contestant], seeds: int) -> None:
    """One table."""
    try:
        tables = [problem.draw(seed) for seed in range(seeds)]
    except ImportError as missing:
        print(f"MISSING: {missing.name} is not installed; {problem.key} is not played.")
        return
    print(f"\n### {problem.title}\n")
    print("| policy | regret | 95% interval | seeds | ms per step | target |")
    print("|---|---:|---|---:|---:|---|", flush=True)
    best: dict[str, tuple[float, str]] = {}
    for contestant in contestants:
        regrets, ms = play(contestant, tables)
        mean = float(regrets.mean())
        half = 1.96 * float(regrets.std(ddof=1)) / len(regrets) ** 0.5
        is_ours = contestant.name in OURS
        target = f"<= {problem.target:g}{'' if mean <= problem.target else ' missed'}"
        print(
            f"| {contestant.name} | {mean:.0f} | {mean - half:.0f} … {mean + half:.0f} "
            f"| {len(regrets)} | {ms:.2f} | {target if is_ours else ''} |",
            flush=True,
        )
        if not is_ours:
            best[contestant.group] = min(
                best.get(contestant.group, (np.inf, "")), (mean, contestant.name)
            )
    for mean, name in sorted(best.values()):
        print(f"\nBest setting in hindsight: {name}, {mean:.0f}.")


def play(contestant: Contestant, tables: list[Table]) -> tuple[np.ndarray, float]:
    """Cumulative regret by seed, and how long a step took."""
    n_features = tables[0].contexts.shape[1]
    played = tables[:FEW_SEEDS] if n_features >= contestant.few_seeds_from else tables
    start = time.perf_counter()
    regrets = [
        regret(contestant.make(n_features, seed), table) for seed, table in enumerate(played)
    ]
    steps = len(played) * len(tables[0].contexts)
    return np.array(regrets), (time.perf_counter() - start) / steps * 1e3


def regret(player: Player, table: Table) -> float:
    """What the means of the chosen arms lack of the best, summed over one run."""
    total = 0.0
    for context, rewards, gaps in zip(table.contexts, table.rewards, table.gaps, strict=True):
        arm = player.choose(context)
        player.learn(context, arm, float(rewards[arm]))
        total += float(gaps[arm])
    return total


if __name__ == "__main__":
    main()
