"""What is assumed on the command line, as the body of ``POST /simulations``."""

from __future__ import annotations

import math
from typing import Any


def arm(text: str) -> dict[str, Any]:
    """``KEY=MEAN``, or ``KEY=MEAN,SD`` with the standard deviation of one reward. ValueError for anything else."""
    key, mean, *spread = _split(text, most=2)
    return {"key": key, "mean": mean, **({"standard_deviation": spread[0]} if spread else {})}


def parameter(text: str) -> tuple[str, float]:
    """``NAME=NUMBER``. ValueError for anything else."""
    name, number = _split(text, most=1)
    return name, number


def _split(text: str, *, most: int) -> Any:
    """The name, and one number or ``most``."""
    name, _, numbers = text.partition("=")
    found = [float(number) for number in numbers.split(",")]
    if len(found) > most or not all(map(math.isfinite, found)):
        raise ValueError(text)
    return name, *found


def body(
    arms: list[dict[str, Any]],
    *,
    reward: str,
    policy: str,
    params: dict[str, float],
    decisions_per_day: int,
    max_days: int,
    runs: int,
    reward_delay_s: float,
    seed: int,
) -> dict[str, Any]:
    """The body; the service checks what is in it."""
    return {
        "arms": arms,
        "reward": {"type": reward},
        "policy": {"type": policy, "params": params},
        "decisions_per_day": decisions_per_day,
        "max_days": max_days,
        "n_runs": runs,
        "reward_delay_s": reward_delay_s,
        "seed": seed,
    }
