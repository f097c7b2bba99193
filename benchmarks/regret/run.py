"""Cumulative regret of Bandstand's policies without context and of the best peers, on the same tables of rewards.

    python benchmarks/regret/run.py [--seeds N] [--problems a,b,...]

prints a Markdown table. A run is one seed: it fixes what every arm would pay at every step, for all contestants
(``rvr``, which is short, has ten runs a seed). Regret is counted in means, not in rewards. Peers come with the extra
``bench``; without them only Bandstand plays. 20 seeds of everything take about an hour, most of it MABWiser's.
"""

import argparse
import sys
import time

import line_up
import peers
import table
from problems import PROBLEMS, Problem
from simulate import regret

BATCH_TARGET = 1.3


def main() -> None:
    """Parse, play, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    keys = [problem.key for problem in PROBLEMS]
    parser.add_argument("--seeds", type=int, default=20, help="runs of each problem (default 20)")
    parser.add_argument("--problems", default=",".join(keys), help=f"of {','.join(keys)}")
    options = parser.parse_args()
    wanted = options.problems.split(",")
    if options.seeds < 2 or not set(wanted) <= set(keys):
        parser.error(f"--seeds is at least 2, --problems takes {','.join(keys)}")
    played = [(p, play(p, options.seeds)) for p in PROBLEMS if p.key in wanted]
    body = [
        row
        for p, regrets in played
        for row in table.rows(f"({p.key}) {p.title}", regrets, targets(p))
    ]
    print(f"{options.seeds} seeds; {', '.join(opponents())}\n")
    print(table.render(body))
    thompson = {p.key: regrets["thompson_sampling"] for p, regrets in played}
    if "c" in thompson and "c-batch" in thompson:
        print("\n" + table.batch_line(thompson["c"], thompson["c-batch"], BATCH_TARGET))


def play(problem: Problem, n_seeds: int) -> dict[str, list[float]]:
    """Regrets by seed of every contestant whose library is installed."""
    found = {}
    for entrant in line_up.entrants(problem):
        if entrant.library and not peers.is_installed(entrant.library):
            continue
        start = time.perf_counter()
        seeds = range(n_seeds * problem.seed_factor)
        found[entrant.label] = [regret(problem, entrant.make, seed) for seed in seeds]
        mean = sum(found[entrant.label]) / len(seeds)
        took = time.perf_counter() - start
        print(
            f"({problem.key}) {entrant.label}: {mean:.1f} in {took:.0f} s",
            file=sys.stderr,
            flush=True,
        )
    return found


def targets(problem: Problem) -> dict[str, float | None]:
    """What is aimed at, by label."""
    return {entrant.label: entrant.target for entrant in line_up.entrants(problem)}


def opponents() -> list[str]:
    """Each peer with its version, or that it is not installed."""
    return [
        f"{library} {peers.installed_version(library)}"
        if peers.is_installed(library)
        else f"{library} NOT INSTALLED, so not compared: pip install {library}"
        for library in peers.LIBRARIES
    ]


if __name__ == "__main__":
    main()
