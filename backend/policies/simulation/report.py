"""From simulated experiments to what somebody who plans one wants to know."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import special

from backend.domain import FloatArray, Json
from backend.policies.simulation.run import Run
from backend.policies.simulation.scenario import Scenario
from backend.policies.simulation.schedule import Schedule
from backend.policies.simulation.stopping import QUANTILE, THRESHOLD

QUANTILES = (0.1, 0.5, 0.9)
LEVEL = 0.95


def report(
    scenario: Scenario, schedule: Schedule, runs: Sequence[Run], even: Sequence[Run]
) -> Json:
    """Everything about the runs of the policy, beside those of an even split on the same seeds.

    Args:
        runs, even: one a seed, at least 2, in the same order.
    """
    best = int(np.argmin(scenario.gaps()))
    return {
        "time_to_decision": {
            **_time_to_decision(schedule, runs),
            "even_split": _time_to_decision(schedule, even),
        },
        "regret": _compared(_at_end(runs), _at_end(even)),
        "regret_with_stopping": _compared(
            _stopped(scenario, schedule, runs), _stopped(scenario, schedule, even)
        ),
        "wrong_winner": {
            **_wrong_winner(scenario, runs),
            "even_split": _wrong_winner(scenario, even),
        },
        "best_arm_key": scenario.arms[best].key,
        "n_runs": scenario.n_runs,
        "seed": scenario.seed,
        "curves": _curves(scenario, schedule, runs, even),
        "notes": _notes(scenario),
        "assumptions": {
            **scenario.to_json(),
            "n_decisions": schedule.n_decisions,
            "n_updates": schedule.n_batches,
            "n_looks": int(schedule.is_look.sum()),
            "stopping_rule": {"quantile": QUANTILE, "threshold": THRESHOLD},
        },
    }


def mean_with_interval(values: FloatArray) -> Json:
    """The mean of independent values, shape (n,) with n >= 2, and its 95% Student interval."""
    mean = float(values.mean())
    error = float(values.std(ddof=1)) / math.sqrt(len(values))
    reach = float(special.stdtrit(len(values) - 1, (1.0 + LEVEL) / 2.0)) * error
    return {"mean": mean, "interval": [mean - reach, mean + reach]}


def wilson_interval(n_hits: int, n: int) -> list[float]:
    """The 95% score interval of a probability, of which ``n_hits`` of ``n`` >= 1 trials are known.

    Source: Wilson (1927), "Probable inference, the law of succession, and statistical inference".
    """
    z = float(special.ndtri((1.0 + LEVEL) / 2.0))
    share = n_hits / n
    centre = (share + z**2 / (2 * n)) / (1.0 + z**2 / n)
    reach = z / (1.0 + z**2 / n) * math.sqrt(share * (1.0 - share) / n + z**2 / (4 * n**2))
    return [max(0.0, centre - reach), min(1.0, centre + reach)]


def _time_to_decision(schedule: Schedule, runs: Sequence[Run]) -> Json:
    """Quantiles are over all runs, and None where they fall to those that were not decided in time."""
    days = _days_decided(schedule, runs)
    quantiles = {str(q): _finite(np.quantile(days, q, method="inverted_cdf")) for q in QUANTILES}
    return {
        "share_decided": float(np.isfinite(days).mean()),
        "median_days": quantiles["0.5"],
        "quantiles_days": quantiles,
    }


def _days_decided(schedule: Schedule, runs: Sequence[Run]) -> FloatArray:
    """Shape (n_runs,): infinite for a run that was not decided."""
    return np.array(
        [np.inf if run.decided_in is None else schedule.days[run.decided_in] for run in runs]
    )


def _wrong_winner(scenario: Scenario, runs: Sequence[Run]) -> Json:
    gaps = scenario.gaps()
    n_wrong = sum(run.winner is not None and bool(gaps[run.winner] > 0.0) for run in runs)
    return {
        "probability": n_wrong / len(runs),
        "interval": wilson_interval(n_wrong, len(runs)),
        "share_undecided": sum(run.winner is None for run in runs) / len(runs),
    }


def _compared(policy: FloatArray, even_split: FloatArray) -> Json:
    """Regret of each run, shape (n_runs,), by both ways."""
    saved = mean_with_interval(even_split - policy)
    total = float(even_split.mean())
    return {
        "policy": mean_with_interval(policy),
        "even_split": mean_with_interval(even_split),
        "saved": saved,
        "relative_saved": saved["mean"] / total if total > 0.0 else None,
    }


def _at_end(runs: Sequence[Run]) -> FloatArray:
    return np.array([run.regret[-1] for run in runs])


def _stopped(scenario: Scenario, schedule: Schedule, runs: Sequence[Run]) -> FloatArray:
    """Shape (n_runs,): regret if from its decision on everybody gets the winner."""
    gaps, left = scenario.gaps(), schedule.n_decisions - np.cumsum(schedule.sizes)
    return np.array(
        [
            run.regret[-1]
            if run.decided_in is None or run.winner is None
            else run.regret[run.decided_in] + left[run.decided_in] * gaps[run.winner]
            for run in runs
        ]
    )


def _curves(
    scenario: Scenario, schedule: Schedule, runs: Sequence[Run], even: Sequence[Run]
) -> list[Json]:
    vectors = np.mean([run.vectors for run in runs], axis=0)
    regrets = np.mean([run.regret for run in runs], axis=0)
    even_regrets = np.mean([run.regret for run in even], axis=0)
    decided, even_decided = _days_decided(schedule, runs), _days_decided(schedule, even)
    keys = [arm.key for arm in scenario.arms]
    return [
        {
            "day": day,
            "allocation": dict(zip(keys, vectors[batch].tolist(), strict=True)),
            "regret_policy": float(regrets[batch]),
            "regret_even_split": float(even_regrets[batch]),
            "share_decided": float((decided <= day).mean()),
            "share_decided_even_split": float((even_decided <= day).mean()),
        }
        for batch in np.flatnonzero(schedule.is_look)
        for day in (float(schedule.days[batch]),)
    ]


def _notes(scenario: Scenario) -> list[str]:
    """What must be known to read the numbers right."""
    gaps, highest = scenario.gaps(), float(scenario.means().max())
    keys = [arm.key for arm in scenario.arms]
    best = [key for key, gap in zip(keys, gaps, strict=True) if gap == 0.0]
    near = [k for k, gap in zip(keys, gaps, strict=True) if 0.0 < gap <= THRESHOLD * abs(highest)]
    notes = []
    if len(best) > 1:
        notes.append(
            f"{_listed(best)} have the same, highest mean: none of them is a wrong winner."
        )
    if near:
        notes.append(
            f"{_listed(near)}: within {THRESHOLD:.0%} of the best arm. The stopping rule bounds what a wrong winner "
            "loses, not how often it is named, and may name an arm as near as that."
        )
    if highest <= 0.0:
        notes.append(
            "No mean is above 0, so the value remaining has no share of the winner's mean to be compared with: "
            "nothing is ever decided."
        )
    return notes


def _listed(keys: Sequence[str]) -> str:
    return ", ".join(keys[:-1]) + f" and {keys[-1]}" if len(keys) > 1 else keys[0]


def _finite(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
