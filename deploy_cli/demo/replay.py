"""People arriving at a steady rate, each decided and rewarded through the API."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from deploy_cli.api import Api
from deploy_cli.demo.pools import Pools
from deploy_cli.demo.trial import EXPERIMENT_KEY
from deploy_cli.errors import DemoRefused

TICKS_PER_S = 10
MAX_BATCH = 1000
LONGEST_LAG_S = 1.0

Outcome = tuple[str, int]
"""Arm key, and 1 if the person voted, else 0."""


@dataclass
class Replay:
    """One run through the trial's people."""

    api: Api
    pools: Pools
    rng: Random
    n_replayed: int
    """People of earlier runs; the next person's number."""

    def send(self, n_people: int) -> list[Outcome]:
        """Decide ``n_people``, draw their outcomes from the trial and reward them.

        Raises:
            ApiRefused, ApiUnreachable: see ``Api.post``; nobody is counted twice in any case.
            DemoRefused: the experiment no longer takes part.
        """
        outcomes: list[Outcome] = []
        while n_people > len(outcomes) and self.pools.people_left():
            outcomes += self._send_batch(min(n_people - len(outcomes), self.pools.safe_batch()))
        return outcomes

    def _send_batch(self, n_people: int) -> list[Outcome]:
        eligible_arms = self.pools.eligible_arms()
        decisions = [
            {
                "experiment_key": EXPERIMENT_KEY,
                "unit_id": f"person-{self.n_replayed + offset:06d}",
                "eligible_arms": eligible_arms,
            }
            for offset in range(n_people)
        ]
        answer = self.api.post("/decisions:batch", {"decisions": decisions})
        self.n_replayed += n_people
        decided = [_decision(result) for result in answer["results"]]
        outcomes = [
            (decision["arm_key"], self.pools[decision["arm_key"]].draw(self.rng))
            for decision in decided
        ]
        rewards = [
            {"decision_id": decision["decision_id"], "reward": voted}
            for decision, (_, voted) in zip(decided, outcomes, strict=True)
        ]
        for result in self.api.post("/rewards", {"rewards": rewards})["results"]:
            _require_recorded(result)
        return outcomes


def _decision(result: dict[str, Any]) -> dict[str, Any]:
    if "decision" not in result:
        problem = result["problem"]
        raise DemoRefused(
            f"the service refuses decisions: {problem.get('detail') or problem.get('title')}"
        )
    decision: dict[str, Any] = result["decision"]
    if decision["reason"] == "paused":
        raise DemoRefused(f"experiment {EXPERIMENT_KEY} was paused", "Start it, then the demo.")
    return decision


def _require_recorded(result: dict[str, Any]) -> None:
    if result["status"] not in {"recorded", "duplicate"}:
        raise DemoRefused(
            f"the service answered `{result['status']}` to a reward: {result.get('detail', '')}"
        )


def batches(
    rate: int,
    people: int,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[int]:
    """Batch sizes, about ten a second, that make ``rate`` people a second, ``people`` in all.

    Whoever falls behind by more than a second does not catch up: the schedule begins anew.
    """
    started, tick, scheduled, sent = clock(), 0, 0, 0
    while sent < people:
        tick += 1
        sleep(max(0.0, started + tick / TICKS_PER_S - clock()))
        due = tick * rate // TICKS_PER_S - scheduled
        size = min(due, MAX_BATCH, people - sent)
        if size > 0:
            scheduled += size
            sent += size
            yield size
        if clock() - started - tick / TICKS_PER_S > LONGEST_LAG_S:
            started, tick, scheduled = clock(), 0, 0
